"""Tasks that do not wait for each other share a launch: each of its programs works on one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from compiler.codegen.triton.task import Argument, Counts, Part, Task
from compiler.placement import Memory, Step

Touched = tuple[Sequence[Memory], Sequence[Memory]]

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
"""Names of the parts of a launch, which has no more."""

MOST_NAMES = 3
"""How many parts the name of a launch tells."""


def clash(one: Touched, other: Touched, states: Mapping[Memory, Memory]) -> bool:
    """Whether one of two kernels, each with what it reads and writes, renews a state that the other reads.

    ``states`` has the state of every new content. Side by side with a reader of the old one, it would be written
    elsewhere first.
    """
    pairs = ((one[1], set(other[0])), (other[1], set(one[0])))
    return any(states.get(place) in reads for writes, reads in pairs for place in writes)


def launches_of(steps: Sequence[Step], states: Mapping[Memory, Memory]) -> list[Step]:
    """Launches of tasks that do not wait for each other; ``states``: see :func:`clash`."""
    groups: list[list[Task]] = []
    for task in steps:
        assert isinstance(task, Task)
        for group in groups:
            clashes = any(clash((task.reads, task.writes), (x.reads, x.writes), states) for x in group)
            if len(group) < len(ORDINALS) and not clashes:
                group.append(task)
                break
        else:
            groups.append([task])
    return [group[0] if len(group) == 1 else _beside(group) for group in groups]


def _beside(tasks: Sequence[Task]) -> Task:
    """One launch of all, the largest first; with the most warps that one of them asks for, no thread holds too much."""
    members = sorted(tasks, key=lambda task: -prod(task.grid))
    warps = max(task.warps for task in tasks)
    return side_by_side(members, "Kernels that do not wait for each other.", warps)


def side_by_side(members: Sequence[Task], summary: str, warps: int, turns: bool = False) -> Task:
    """One launch of all ``members``, whose programs follow one another, with ``warps`` each.

    With ``turns``, every second member begins with its last program: what its neighbours read last is still in the
    cache.
    """
    arguments, renamed = _arguments(members)
    ends = [0]
    for member in members:
        ends.append(ends[-1] + prod(member.grid))
    parts = [
        Part(
            ORDINALS[number],
            f"tl.program_id(0) < {ends[number + 1]}" if number < len(members) - 1 else "",
            _renumbered(member, ends[number], turns and number % 2 == 1),
            member.summary,
            renamed[number],
        )
        for number, member in enumerate(members)
    ]
    names = list(dict.fromkeys(member.name for member in members))
    return Task(
        "_and_".join([*names[:MOST_NAMES], *["others"] * (len(names) > MOST_NAMES)]),
        summary,
        [],
        arguments,
        (ends[-1], 1, 1),
        warps,
        [node for member in members for node in member.nodes],
        list(dict.fromkeys(place for member in members for place in member.reads)),
        [place for member in members for place in member.writes],
        min(member.stages for member in members),
        frozenset(place for member in members for place in member.streamed),
        tuple(parts),
    )


def _arguments(members: Sequence[Task]) -> tuple[list[Argument], list[dict[str, str]]]:
    """The arguments of a launch, and for each member how its own are called there.

    Members that count have a part each of one table: equal tables are one.
    """
    lengths = [len(a.place.entries) for m in members for a in m.arguments if isinstance(a.place, Counts)]
    counts, counted = Counts(sum(lengths)), 0
    arguments: list[Argument] = []
    renamed = []
    for number, member in enumerate(members, 1):
        names = {a.name: a.name if number == 1 else f"{a.name}_{number}" for a in member.arguments}
        for argument in member.arguments:
            place, offset = argument.place, argument.offset
            if isinstance(place, Counts):
                place, offset, counted = counts, counted, counted + len(place.entries)
            arguments.append(Argument(names[argument.name], place, offset, argument.part))
        renamed.append(names)
    return arguments, renamed


def _renumbered(member: Task, start: int, backward: bool) -> list[str]:
    """The text of a task whose programs begin with number ``start`` of a launch, the last of them if ``backward``."""
    tiles, _, shares = member.grid
    lines = [line.replace("tl.program_id(0)", "program").replace("tl.program_id(2)", "share") for line in member.text]
    if lines == member.text:
        return lines
    first = f"program = tl.program_id(0) - {start}" if start else "program = tl.program_id(0)"
    if backward:
        first = f"program = {start + prod(member.grid) - 1} - tl.program_id(0)  # from the last on"
    share = [f"share = program // {tiles}", f"program = program % {tiles}"] if shares > 1 else []
    return [first, *share, *lines]
