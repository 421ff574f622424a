"""Products that only renew states run at the end, beside the rest of the optimizer, those of one text in one launch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from compiler.codegen.triton.launches import ALIGNED
from compiler.codegen.triton.spelling import TYPES
from compiler.codegen.triton.task import Argument, Table, Task
from compiler.ir.graph import Node, Value
from compiler.placement import Memory
from compiler.sharing import Shareable


def is_last(node: Node, states: Mapping[Memory, Memory]) -> bool:
    """Whether a kernel is a product computed again of which states are renewed: no other kernel waits for it.

    ``states`` has the state of every new content.
    """
    return (
        node.attrs.get("kind") == "contract" and node.phase == "recomputed" and all(v in states for v in node.outputs)
    )


class Last(Shareable):
    """A launch of a product that may wait for others; it is one of all with its text."""

    def __init__(self, task: Task) -> None:
        super().__init__((task.source("last"), task.signature), task.reads, task.writes, task.nodes)
        self.task = task

    @staticmethod
    def of(task: Task | Shareable, loose: Collection[Value]) -> Task | Shareable:
        """``task`` as one that may wait, if it can; ``loose``: values that need not stand at a multiple of 16 bytes."""
        if not isinstance(task, Task) or task.grid[1:] != (1, 1):
            return task
        places = [a.place for a in task.arguments if not a.nbytes % ALIGNED]
        plain = all(isinstance(place, Value) and place not in loose for place in places)
        return Last(task) if plain and len(places) == len(task.arguments) else task

    def merged(self, others: Sequence[Shareable]) -> Task:
        tasks = [self.task, *(other.task for other in others if isinstance(other, Last))]
        return self.task if len(tasks) == 1 else _table(tasks)


def _table(tasks: Sequence[Task]) -> Task:
    """One launch of all: a program finds the tensors that are not the same in all of them through a table."""
    first, programs = tasks[0], tasks[0].grid[0]
    rows = [[(a.place, a.nbytes) for a in task.arguments] for task in tasks]
    columns = [i for i, column in enumerate(zip(*rows, strict=True)) if len(set(column)) > 1]
    lines = [f"entry = table + tl.program_id(0) // {programs} * {len(columns)}"]
    for number, (name, place) in enumerate((first.arguments[i].name, first.arguments[i].place) for i in columns):
        address = f"tl.load(entry{f' + {number}' if number else ''})"
        pointer = f"{address}.to(tl.pointer_type({TYPES[place.type.dtype]}))"
        lines.append(f"{name} = tl.multiple_of({pointer}, {ALIGNED})")
    own = f"tl.program_id(0) % {programs}"
    table = Table(
        [(place, start) for row in rows for place, start in (row[i] for i in columns) if isinstance(place, Value)]
    )
    shared = [a for i, a in enumerate(first.arguments) if i not in columns]
    return Task(
        first.name,
        f"{len(tasks)} products: {first.summary}",
        lines + [line.replace("tl.program_id(0)", own) for line in first.text],
        [Argument("table", table), *shared],
        (programs * len(tasks), 1, 1),
        first.warps,
        [node for task in tasks for node in task.nodes],
        list(dict.fromkeys(place for task in tasks for place in task.reads)),
        [place for task in tasks for place in task.writes],
        first.stages,
        frozenset(place for task in tasks for place in task.streamed),
    )
