"""The launches of a step in order, each with the places of what it works on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from compiler import schedule
from compiler.codegen.triton.body import INDENT
from compiler.codegen.triton.features import FEATURES
from compiler.codegen.triton.flat import Flat
from compiler.codegen.triton.task import Argument, Status, Table, Task
from compiler.hazards import Access
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.location import Loc
from compiler.ir.op import OPS
from compiler.narrow_states import Narrow
from compiler.placement import BodyPlacement, Memory, Move, Placement, Scratch, Step
from compiler.places import Anywhere, Moving, Place
from compiler.plan import UNTOUCHED, Check
from compiler.plan import Buffer as Record
from compiler.schedule import Call, Item, Schedule, calls
from compiler.sharing import shared

ALIGNED = 16  # bytes that Triton wants an address to be a multiple of


@dataclass(eq=False)
class Bound(Call):
    """A launch and the place of each of its arguments."""

    task: Task = field(kw_only=True)
    places: tuple[Anywhere, ...] = field(kw_only=True)

    def is_aligned(self, argument: int) -> bool:
        """Whether an argument is a multiple of 16 bytes in every iteration."""
        return self.places[argument].is_multiple_of(ALIGNED)


def bound(items: Sequence[Item]) -> Iterator[Bound]:
    """Every launch, in the order of the text."""
    return (call for call in calls(items) if isinstance(call, Bound))


class Launches:
    """The launches of a placed graph.

    Attributes:
        items: launches and loops of them.
        refresh: the launches that make shadows again.
        records: the buffers. Status words and tables stand behind the placement's buffers.
        tables: the entries of each table; where they move, the entries of all iterations behind each other.
        checks: what the status words mean.
        arena_bytes: the size of the arena.
    """

    def __init__(self, placement: Placement, narrow: Sequence[Narrow] = ()) -> None:
        self.tables: list[tuple[int | Place, ...]] = []
        self.checks: list[Check] = []
        self._known: dict[object, Anywhere] = {}
        laid_out, self.arena_bytes = placement.buffers.laid_out()
        self.records = [Record(b.kind, b.index, b.type.dtype.short, b.type.shape) for b in laid_out]
        self.items = Frame(placement, self).fill()
        refresh = Frame(placement, self)
        refresh.share([_writing(form.refresh(), form.rounded) for form in narrow if form.low is None])
        self.refresh = list(bound(refresh.items))
        words = list(dict.fromkeys(word for launch in bound(self.items) for word in launch.task.checks()))
        looking = Schedule(self.items, laid_out, FEATURES.ordered).looking
        for launch in bound(self.items):
            if launch in looking:
                _guard(launch.task, words)
                launch.places += tuple(map(self.status, words))

    def place(self, storage: Status | Table, frame: Frame) -> Anywhere:
        """The places of constants that a launch of ``frame`` needs."""
        if isinstance(storage, Status):
            return self.status(storage)
        entries = [e if isinstance(e, int) else frame.places[e[0]].moved(e[1]) for e in storage.entries]
        return self._table(type(storage), tuple(entries), frame.around)

    def status(self, word: Status) -> Anywhere:
        """The place of the word of a check."""
        if word not in self._known:
            check = word.check
            self._known[word] = self._added(Record("status", len(self.checks), "i64", ()))
            self.checks.append(Check(check.attrs["what"], check.attrs.get("size"), str(check.loc)))
        return self._known[word]

    def _table(
        self, kind: type[Table], entries: tuple[int | Anywhere, ...], around: Sequence[tuple[int, int]]
    ) -> Anywhere:
        """Tables of one kind and of the same entries are one."""
        if (kind, entries) not in self._known:
            moves = [(n, length) for n, length in around if any(_moves(e, n) for e in entries)]
            whole = _in_all_iterations(entries, moves, {})
            place: Anywhere = self._added(Record("table", len(self.tables), "i64", (len(whole),)))
            self.tables.append(whole)
            nbytes = 8 * len(entries)
            for number, length in reversed(moves):
                place = Moving(number, place, place, place, nbytes)
                nbytes *= length
            self._known[kind, entries] = place
        return self._known[kind, entries]

    def _added(self, record: Record) -> Place:
        self.records.append(record)
        return Place(len(self.records) - 1)


class Frame(schedule.Frame):
    """The launches of a graph, or of a loop's body; ``around``: number and length of each loop around them."""

    def __init__(self, placement: Placement, launches: Launches, around: Sequence[tuple[int, int]] = ()) -> None:
        super().__init__(placement)
        self.launches, self.around = launches, around

    def inside(self, body: BodyPlacement) -> Frame:
        return Frame(body, self.launches, [*self.around, (body.number, body.length)])

    def step(self, number: int) -> None:
        self._launch(self.placement.steps[number])

    def copy(self, moves: Sequence[Move]) -> None:
        copies = []
        for move in moves:
            if move.value.type.size:
                source, target = Value(move.value.type), Scratch(move.value.type)
                self.places |= {source: move.source, target: move.target}
                copies.append(copy_of(source, target, move.source.is_multiple_of(ALIGNED)))
        self.share(copies)

    def share(self, kernels: Sequence[Flat]) -> None:
        """Add the launches of kernels that need nothing of each other."""
        for step in shared(kernels, FEATURES.few_launches):
            self._launch(step)

    def _launch(self, task: Step) -> None:
        assert isinstance(task, Task)
        places = []
        for argument in task.arguments:
            what = argument.place
            start = self.launches.place(what, self) if isinstance(what, (Status, Table)) else self.places[what]
            places.append(start.moved(argument.nbytes))
        access = Access(self.buffers(task.reads), self.buffers(task.writes))
        self.items.append(Bound(access, checked=bool(task.checks()), task=task, places=tuple(places)))


def copy_of(source: Memory, target: Memory, aligned: bool) -> Flat:
    """A launch that copies ``source`` to ``target``. ``aligned``: both are multiples of 16 bytes."""
    body = Graph("copy")
    body.outputs = [body.add_param(source.type, "input", "", "a0")]
    attrs = {"kind": "pointwise", "rows": 1, "columns": source.type.size}
    assert isinstance(source, Value)
    return _writing(Node(OPS["fused"], (source,), (source.type,), attrs, body, Loc(note="copy")), target, aligned)


def _writing(node: Node, target: Memory, aligned: bool = True) -> Flat:
    """The launch of a node that writes its one result to ``target``."""
    flat = Flat(node, () if aligned else node.inputs)
    flat.targets[0] = target
    return flat.settle()


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
