"""The launches of a step in order, each with the places of what it works on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from compiler.codegen.triton.body import INDENT
from compiler.codegen.triton.flat import Flat
from compiler.codegen.triton.schedule import schedule
from compiler.codegen.triton.shadows import Shadow
from compiler.codegen.triton.task import Argument, Loop, Status, Storage, Table, Task
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import OPS
from compiler.placement import Buffers, Memory, Move, Placement, Scratch
from compiler.places import Anywhere, Moving, Place
from compiler.plan import UNTOUCHED, Check
from compiler.plan import Buffer as Record

ALIGNED = 16  # bytes that Triton wants an address to be a multiple of
KEPT = ("state", "shadow")  # kinds of parameters that a failed check leaves as they were


@dataclass(eq=False)
class Bound:
    """A launch and the place of each of its arguments."""

    task: Task
    places: tuple[Anywhere, ...]

    def is_aligned(self, argument: int) -> bool:
        """Whether an argument is a multiple of 16 bytes in every iteration."""
        return self.places[argument].is_multiple_of(ALIGNED)


@dataclass(eq=False)
class Turns:
    """``items`` in each of ``length`` iterations of loop ``number``."""

    number: int
    length: int
    items: list[Bound | Turns]


Item = Bound | Turns


def bound(items: Sequence[Item]) -> Iterator[Bound]:
    """Every launch, in the order of the text."""
    for item in items:
        if isinstance(item, Turns):
            yield from bound(item.items)
        else:
            yield item


class Launches:
    """The launches of a placed graph.

    Attributes:
        items: launches and loops of them.
        refresh: the launches that make shadows anew.
        records: the buffers. Status words and tables stand behind those of the placement.
        tables: the entries of each table; where they move, those of all iterations behind each other.
        checks: what the status words mean.
        arena_bytes: the size of the arena.
    """

    def __init__(self, placement: Placement, shadows: Sequence[Shadow] = ()) -> None:
        self.buffers: Buffers = placement.buffers
        self.states = {Place(i) for i, param in enumerate(placement.graph.params) if param.kind in KEPT}
        self.tables: list[tuple[int | Place, ...]] = []
        self.checks: list[Check] = []
        self._constants: list[Record] = []
        self._known: dict[object, Anywhere] = {}
        laid_out, self.arena_bytes = placement.buffers.laid_out()
        self.records = [Record(b.kind, b.index, b.type.dtype.short, b.type.shape) for b in laid_out]
        words = list(dict.fromkeys(word for task in _tasks(placement.steps) for word in task.checks()))
        self.items = self._items(placement, [], words)
        made = schedule([shadow.refresh() for shadow in shadows])
        self.refresh = [self._bound(task, placement.places, [], ()) for task in made if isinstance(task, Task)]

    def _items(self, placement: Placement, around: list[tuple[int, int]], words: Sequence[Status]) -> list[Item]:
        """``around``: number and length of each loop around; ``words``: the status words that may say of bad input."""
        items: list[Item] = []
        places = placement.places

        def launch(task: Task, own: dict[Memory, Anywhere] = places) -> None:
            items.append(self._bound(task, own, around, words))

        def move(moves: Sequence[Move]) -> None:
            """Copies that wait for each other share a launch."""
            own, copies = dict(places), []
            for one in moves:
                if one.value.type.size:
                    source, target = Value(one.value.type), Scratch(one.value.type)
                    own[source], own[target] = one.source, one.target
                    copies.append(copy_of(source, target, one.source.is_multiple_of(ALIGNED)))
            for task in schedule(copies):
                assert isinstance(task, Task)
                launch(task, own)

        for step in placement.steps:
            if isinstance(step, Task):
                launch(step)
                continue
            body = placement.bodies[step.nodes[0]]
            move(body.before)
            inside = self._items(body, [*around, (body.number, body.length)], words)
            items.append(Turns(body.number, body.length, inside))
            move(body.after)
        move([Move(value, places[value], target) for value, target in placement.copies])
        return items

    def _bound(
        self, task: Task, own: dict[Memory, Anywhere], around: list[tuple[int, int]], words: Sequence[Status]
    ) -> Bound:
        if words and any(own[memory] in self.states for memory in task.writes):
            _guard(task, words)

        def place(storage: Storage) -> Anywhere:
            if isinstance(storage, Table):
                entries = [e if isinstance(e, int) else own[e[0]].moved(e[1]) for e in storage.entries]
                return self._table(type(storage), tuple(entries), around)
            return self._status(storage) if isinstance(storage, Status) else own[storage]

        return Bound(task, tuple(place(a.place).moved(a.nbytes) for a in task.arguments))

    def _status(self, word: Status) -> Anywhere:
        if word not in self._known:
            check = word.check
            self._known[word] = self._constant(Record("status", len(self.checks), "i64", ()))
            self.checks.append(Check(check.attrs["what"], check.attrs.get("size"), str(check.loc)))
        return self._known[word]

    def _table(
        self, kind: type[Table], entries: tuple[int | Anywhere, ...], around: Sequence[tuple[int, int]]
    ) -> Anywhere:
        """Tables of one kind and of the same entries are one."""
        if (kind, entries) not in self._known:
            moves = [(n, length) for n, length in around if any(_moves(e, n) for e in entries)]
            whole = _in_all_iterations(entries, moves, {})
            place: Anywhere = self._constant(Record("table", len(self.tables), "i64", (len(whole),)))
            self.tables.append(whole)
            nbytes = 8 * len(entries)
            for number, length in reversed(moves):
                place = Moving(number, place, place, place, nbytes)
                nbytes *= length
            self._known[kind, entries] = place
        return self._known[kind, entries]

    def _constant(self, record: Record) -> Place:
        self.records.append(record)
        return Place(len(self.records) - 1)


def copy_of(source: Memory, target: Memory, aligned: bool) -> Flat:
    """A launch that copies ``source`` to ``target``. ``aligned``: both are multiples of 16 bytes."""
    body = Graph("copy")
    body.outputs = [body.add_param(source.type, "input", "", "a0")]
    attrs = {"kind": "pointwise", "rows": 1, "columns": source.type.size}
    assert isinstance(source, Value)
    node = Node(OPS["fused"], (source,), (source.type,), attrs, body)
    copy = Flat(node, () if aligned else node.inputs)
    copy.targets[0] = target
    return copy.settle()


def _tasks(steps: Sequence[object]) -> Iterator[Task]:
    for step in steps:
        if isinstance(step, Task):
            yield step
        elif isinstance(step, Loop):
            yield from _tasks(step.steps)


def _guard(task: Task, words: Sequence[Status]) -> None:
    """Once a check has failed, states stay as they were."""
    tests = [f"tl.load(check{k}) != {UNTOUCHED}" for k in range(len(words))]
    failed = tests[0] if len(tests) == 1 else " | ".join(f"({test})" for test in tests)
    guard = ["# After an index out of range the states stay as they were.", f"if {failed}:", f"{INDENT}return"]
    task.text = [*guard, *task.text]
    task.arguments += [Argument(f"check{k}", word) for k, word in enumerate(words)]


def _moves(entry: int | Anywhere, loop: int) -> bool:
    """Whether ``entry`` is another one in other iterations of ``loop``."""
    if not isinstance(entry, Moving):
        return False
    return entry.loop == loop or any(_moves(base, loop) for base in (entry.first, entry.odd, entry.even))


def _in_all_iterations(
    entries: Sequence[int | Anywhere], loops: Sequence[tuple[int, int]], iterations: dict[int, int]
) -> tuple[int | Place, ...]:
    """The entries of a table in every iteration of ``loops``, the last of which runs fastest."""
    if not loops:
        return tuple(e if isinstance(e, int) else e.at(iterations) for e in entries)
    (number, length), *inner = loops
    parts = [_in_all_iterations(entries, inner, {**iterations, number: i}) for i in range(length)]
    return tuple(entry for part in parts for entry in part)
