"""Where the values of a fused graph are: arguments of the entry point, states overwritten in place, temporaries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from compiler.codegen.c import names
from compiler.codegen.c.barriers import Access, agreed
from compiler.codegen.c.isa import Isa
from compiler.codegen.c.spelling import STORAGE
from compiler.domain import CHECKS, read_in_place
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.types import TensorType
from compiler.memory import Lifetime, assign_offsets
from compiler.ops.loop import Parts


@dataclass
class Place:
    """Where a value is: an argument of the entry point, or ``index`` into the temporaries."""

    kind: str
    index: int
    pointer: str


@dataclass(frozen=True)
class Temporary:
    """Memory in the arena: its own for a time, or, with ``whole``, what is ``offset`` bytes into that temporary."""

    name: str
    type: TensorType
    life: Lifetime
    whole: int | None = None
    offset: int = 0


def offsets_of(temporaries: Sequence[Temporary]) -> tuple[list[int], int]:
    """Where in the arena each of ``temporaries`` begins, and the arena's size, in bytes."""
    own = [i for i, t in enumerate(temporaries) if t.whole is None]
    found, arena = assign_offsets([temporaries[i].life for i in own])
    start = dict(zip(own, found, strict=True))
    return [start[i if t.whole is None else t.whole] + t.offset for i, t in enumerate(temporaries)], arena


class Placement:
    """The places of a graph's values.

    Attributes:
        runs: nodes that run together.
        places: value -> where it is.
        temporaries: the memory of what is in the arena.
        copies: values to be copied to a second place at the end.
        aliases: node -> {output: operand whose memory it overwrites}.
        histories: stack of a carry as iterations find it -> pointer to the stack of the same as they leave it.
        fixed: values that are the same in every run of the graph, a loop's body.
    """

    def __init__(self, graph: Graph, isa: Isa) -> None:
        self.graph, self.isa = graph, isa
        self.runs = _runs(graph.nodes)
        self.position = {v: i for i, run in enumerate(self.runs) for n in run for v in n.outputs}
        self.maker = {v: n for n in graph.nodes for v in n.outputs}
        self.last_read: dict[Value, int] = {}
        for i, run in enumerate(self.runs):
            for node in run:
                for value in node.inputs:
                    self.last_read[value] = i
        self.places: dict[Value, Place] = {}
        self.temporaries: list[Temporary] = []
        self.histories: dict[Value, str] = {}
        self.copies: list[tuple[Value, Place]] = []
        self.aliases: dict[Node, dict[int, int]] = {}
        self.readers: dict[int, Counter[Value]] = {}
        self.fixed: set[Value] = set()
        self.replaced: set[Value] = set()
        self.in_place: dict[Node, frozenset[int]] = {}
        self._assign()

    def _assign(self) -> None:
        for i, param in enumerate(self.graph.params):
            self.places[param.value] = Place("param", i, names.parameter(param.value.name, i))
        self._place_updates()
        base = len(self.graph.params)
        for i, value in enumerate(self.graph.outputs):
            place = Place("output", base + i, f"out{i}")
            if value in self.places:
                self.copies.append((value, place))
            else:
                self.places[value] = place
        for i, run in enumerate(self.runs):
            self._place_results(run, i)

    def _place_results(self, run: Sequence[Node], at: int) -> None:
        """Memory for what the run at ``at`` makes and nothing else has a place for."""
        for node in run:
            if node.op.name == "loop":
                self._place_histories(node, at)
        for value in [v for node in run for v in node.outputs]:
            if value not in self.places and not (len(run) == 1 and self._replaces_operand(value, at)):
                self.places[value] = self._new(value.type, self._life(value, at))

    def _replaces_operand(self, value: Value, at: int) -> bool:
        """Whether ``value`` stands in the memory of an operand of its kernel that nobody reads later."""
        maker = self.maker[value]
        for operand in maker.inputs:
            if self._is_free_after(operand, at) and self._overwrites(value, operand):
                place = self.places[value] = self.places[operand]
                memory = self.temporaries[place.index]
                life = Lifetime(memory.life.start, self._life(value, at).end, memory.life.nbytes)
                self.temporaries[place.index] = replace(memory, life=life)
                self.replaced.add(operand)
                return True
        return False

    def _is_free_after(self, value: Value, at: int) -> bool:
        """Whether the memory of ``value`` is the value's own, and free behind the run at ``at``."""
        if self.places[value].kind != "temporary" or value not in self.position or value in self.replaced:
            return False
        made_by_loop = self.maker[value].op.name == "loop"  # which may stack two values in one memory
        copied = any(source is value for source, _ in self.copies)
        return self.last_read[value] == at and not made_by_loop and not copied

    def _life(self, value: Value, at: int) -> Lifetime:
        """The life of a value that is made at ``at``."""
        return Lifetime(at, self.last_read.get(value, at), value.type.nbytes)

    def _new(self, kind: TensorType, life: Lifetime, whole: int | None = None, offset: int = 0) -> Place:
        index = len(self.temporaries)
        name = f"x{index}"
        self.temporaries.append(Temporary(name, kind, life, whole, offset))
        return Place("temporary", index, name)

    def _place_histories(self, loop: Node, at: int) -> None:
        """Where a carry is stacked as iterations find it, one memory for that and for what they leave.

        They are the same but for the first and the last: the memory has a slice more than there are iterations.
        """
        for before, after in _histories(loop):
            stacks = [before] if after is None else [before, after]
            if any(v in self.places for v in stacks):
                continue
            length, *shape = before.shape
            kind = TensorType(before.dtype, (length + 1, *shape))
            life = Lifetime(at, max(self._life(v, at).end for v in stacks), kind.nbytes)
            first = self._new(kind, life)
            second = self._new(before.type, life, first.index, before.type.nbytes // length)
            self.places[before], left = (second, first) if loop.attrs["reverse"] else (first, second)
            self.histories[before] = left.pointer
            if after is not None:
                self.places[after] = left

    def kept_bytes(self) -> int:
        """The size of the temporaries that the forward pass makes and the backward pass reads."""
        backward = {n for n in self.graph.nodes if {"grad", "remat"}.intersection(n.loc.note.split(" "))}
        read = {v for n in backward for v in n.inputs if self.maker.get(v) not in backward}
        kept = {self.places[v].index for v in read if self.places[v].kind == "temporary"}
        memory = {i if (whole := self.temporaries[i].whole) is None else whole for i in kept}
        return sum(self.temporaries[i].type.nbytes for i in memory)

    def _place_updates(self) -> None:
        """New states go straight into the state's memory where nobody needs the old contents any more.

        And behind all checks, which may end the step: it updates all or nothing.
        """
        results = list(self.graph.outputs)
        checked = max((i for i, run in enumerate(self.runs) if any(map(_checks, run))), default=-1)
        for update in self.graph.updates:
            value, state = update.value, update.state
            at = self.position.get(value)
            loop = at is not None and self.maker[value].op.name == "loop"
            late = at is not None and at > checked
            if value not in results and not loop and late and self._overwrites(value, state):
                self.places[value] = self.places[state]
            else:
                self.copies.append((value, self.places[state]))
                if value in self.position and value not in self.places:
                    life = Lifetime(self.position[value], len(self.runs), value.type.nbytes)
                    self.places[value] = self._new(value.type, life)

    def _overwrites(self, value: Value, old: Value) -> bool:
        """Whether ``value`` can be written where ``old`` is: nobody needs that any more."""
        at, last = self.position.get(value), self.last_read.get(old, -1)
        if at is None or value in self.places or last > at:
            return False
        if last < at:
            return True
        node = self.maker[value]
        reads = [i for i, v in enumerate(node.inputs) if v is old]
        others = self._readers_in(at)[old] > 1
        out = node.outputs.index(value)
        if len(reads) != 1 or others or not self._in_place(node, reads[0], out):
            return False
        self.aliases.setdefault(node, {})[out] = reads[0]
        return True

    def _readers_in(self, at: int) -> Counter[Value]:
        """How many nodes of a run read each value."""
        if at not in self.readers:
            self.readers[at] = Counter(v for node in self.runs[at] for v in set(node.inputs))
        return self.readers[at]

    def _in_place(self, node: Node, operand: int, output: int) -> bool:
        """Whether ``output`` can overwrite ``operand``: every element is read only where it is written."""
        old, new = node.inputs[operand].type, node.outputs[output].type
        if (old.dtype, old.size) != (new.dtype, new.size):
            return False
        if node not in self.in_place:
            self.in_place[node] = read_in_place(node)
        return operand in self.in_place[node]


@dataclass(frozen=True)
class Move:
    """A copy of ``value`` from one buffer to another, to or from so many elements behind their starts."""

    value: Value
    source: str
    target: str
    source_offset: int = 0
    target_offset: int = 0


class BodyPlacement(Placement):
    """The places of the values of a loop's body: slices of stacked values, carries, temporaries.

    The next carry stands in its slice of a stacked result, where it is one; or where the carry stands; or in one of two
    buffers in turn, the last time in that of the loop's result.

    Attributes:
        locals: declarations of pointers, the same for every iteration but for the number ``i`` of the iteration and
            its position ``t`` along stacked values.
        buffers: pointer -> names of all that it may point into.
        before: copies to be made before the loop.
        after: the same, behind it.
    """

    def __init__(self, loop: Node, isa: Isa, around: Placement, at: int, number: int, used: Sequence[bool]) -> None:
        assert loop.body is not None
        self.loop, self.around, self.at, self.number, self.used = loop, around, at, number, used
        self.locals: list[str] = []
        self.buffers: dict[str, frozenset[str]] = {}
        self.before: list[Move] = []
        self.after: list[Move] = []
        super().__init__(loop.body, isa)

    def _assign(self) -> None:
        self.temporaries = self.around.temporaries
        parts = Parts.of(self.loop)
        carried, sliced, fixed = parts.split(parts.body.inputs())
        starts, sequences, invariants = parts.split(self.loop.inputs)
        self.fixed = set(fixed)
        for inner, outer in zip(fixed, invariants, strict=True):
            self.places[inner] = self.around.places[outer]
        for inner, outer in zip(sliced, sequences, strict=True):
            self._slice(inner, self.around.places[outer].pointer, "const ")
        self.carries = set(carried)
        for value, stack in zip(parts.slices, parts.stacks, strict=True):
            pointer = self.around.places[stack].pointer
            if value in self.places or (value in self.carries and stack not in self.around.histories):
                self.copies.append((value, self._local(value, f"{pointer} + {self._offset(value)}", {pointer})))
            else:
                self._slice(value, pointer)
        stacks, returned = dict(zip(parts.slices, parts.stacks, strict=True)), set(parts.body.outputs)
        first = self.around.places
        for i, (inner, value) in enumerate(zip(carried, parts.next, strict=True)):
            start, last = first[starts[i]].pointer, first[self.loop.outputs[i]].pointer
            if stacks.get(inner) in self.around.histories:
                self._carry_in_history(value, stacks[inner], start, last, self.used[i])
            elif value in stacks:
                self._carry_in_stack(inner, value, start, last, first[stacks[value]].pointer, self.used[i])
            elif inner not in returned and self._overwrites(value, inner):
                self.before.append(Move(value, start, last))
                self.places[inner] = self.places[value] = Place("carry", i, last)
            else:
                self._carry_in_turns(inner, value, start, last)
        for run in self.runs:
            self._place_results(run, self.at)

    def _life(self, value: Value, at: int) -> Lifetime:
        """The life of a value of an iteration is that of the loop."""
        return Lifetime(self.at, self.at, value.type.nbytes)

    def behind(self, access: Access) -> Access:
        """``access`` with all that they may point into in place of the loop's own pointers."""

        def names(pointer: str) -> frozenset[str]:
            return self.buffers.get(pointer, frozenset({pointer}))

        reads, writes = ({b for p in pointers for b in names(p)} for pointers in (access.reads, access.writes))
        touched = access.reads | access.writes
        return Access(
            reads, writes, agreed((b, access.blocks.get(p, 0)) for p in touched for b in names(p)), access.even
        )

    def _offset(self, value: Value, t: str = "") -> str:
        return f"{t or f't{self.number}'} * {value.type.size}"

    def _local(self, value: Value, where: str, buffers: set[str], constant: str = "") -> Place:
        """A pointer that is set at the start of each iteration."""
        name = f"l{self.number}_{len(self.locals)}"
        self.locals.append(f"{constant}{STORAGE[value.dtype]} *const {name} = {where}; /* {value.type} */")
        self.buffers[name] = frozenset(buffers)
        return Place("local", 0, name)

    def _slice(self, value: Value, stack: str, constant: str = "") -> None:
        self.places[value] = self._local(value, f"{stack} + {self._offset(value)}", {stack}, constant)

    def _carry_in_history(self, value: Value, before: Value, start: str, last: str, used: bool) -> None:
        """The next slice of what iterations find is what this one leaves."""
        found, left = self.around.places[before].pointer, self.around.histories[before]
        if value not in self.places:
            self._slice(value, left)
        slices = [0, (self.loop.attrs["length"] - 1) * value.type.size]
        opening, closing = reversed(slices) if self.loop.attrs["reverse"] else slices
        self.before.append(Move(value, start, found, target_offset=opening))
        if used:
            self.after.append(Move(value, left, last, source_offset=closing))

    def _carry_in_stack(self, inner: Value, value: Value, start: str, last: str, stack: str, used: bool) -> None:
        """The slice that the iteration before has written."""
        length, t = self.loop.attrs["length"], f"t{self.number}"
        before, end = (f"({t} + 1)", 0) if self.loop.attrs["reverse"] else (f"({t} - 1)", length - 1)
        where = f"i{self.number} ? {stack} + {self._offset(value, before)} : {start}"
        self.places[inner] = self._local(inner, where, {stack, start}, "const ")
        if used:
            self.after.append(Move(value, stack, last, source_offset=end * value.type.size))

    def _carry_in_turns(self, inner: Value, value: Value, start: str, last: str) -> None:
        """Two buffers, of which the last iteration writes the loop's result."""
        other = self._new(value.type, self._life(value, self.at)).pointer
        turn = f"({self.loop.attrs['length'] - 1} - i{self.number}) % 2"
        where = f"i{self.number} ? {turn} ? {last} : {other} : {start}"
        self.places[inner] = self._local(inner, where, {last, other, start}, "const ")
        place = self._local(value, f"{turn} ? {other} : {last}", {last, other})
        if value in self.places or value in self.carries:
            self.copies.append((value, place))
        else:
            self.places[value] = place


def _checks(node: Node) -> bool:
    """Whether a kernel, or one in the body of a loop, may report an index or a divisor."""
    inside = node.body.nodes if node.body is not None else []
    return node.op.name in CHECKS or any(map(_checks, inside))


def _histories(loop: Node) -> list[tuple[Value, Value | None]]:
    """Stacks of carries as iterations find them, each with that of what the iterations leave, if there is one."""
    parts = Parts.of(loop)
    stacks = dict(zip(parts.slices, parts.stacks, strict=True))
    made = {v for n in parts.body.nodes for v in n.outputs}
    found = {}
    for inner, value in zip(parts.split(parts.body.inputs())[0], parts.next, strict=True):
        if inner in stacks and value in made:
            made.remove(value)
            found[stacks[inner]] = stacks.get(value)
    return list(found.items())


def _runs(nodes: Sequence[Node]) -> list[list[Node]]:
    """Nodes that run together: those of one table, every other one by itself."""
    runs: list[list[Node]] = []
    for node in nodes:
        table = node.attrs.get("table", 0)
        if table and runs and runs[-1][-1].attrs.get("table", 0) == table:
            runs[-1].append(node)
        else:
            runs.append([node])
    return runs
