"""The places of a fused graph's values: parameters, results, states overwritten in place, temporaries.

No target is known here. A place is a buffer and a number of bytes; what moves in a loop says how. C spells places as
pointers, Triton passes them to launches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import count
from typing import Protocol

from compiler.ir.graph import Graph, Node, Value
from compiler.ir.types import TensorType
from compiler.memory import Lifetime, assign_offsets
from compiler.ops.loop import Parts
from compiler.places import Anywhere, Moving, Place, buffers_of, sliced


@dataclass(eq=False)
class Scratch:
    """Memory of one step that holds no value of the graph, such as partial results."""

    type: TensorType


Memory = Value | Scratch


class Step(Protocol):
    """Kernels that run together, or one loop and the ``steps`` of its body.

    ``reads`` and ``writes`` are all that the kernels, or the loop as a whole, touch.
    """

    @property
    def nodes(self) -> Sequence[Node]: ...
    @property
    def reads(self) -> Sequence[Memory]: ...
    @property
    def writes(self) -> Sequence[Memory]: ...
    @property
    def steps(self) -> Sequence[Step]: ...
    def streams(self, node: Node, operand: Value) -> bool:
        """Whether ``node`` reads each element of ``operand`` only where it writes the same element of a result."""
        ...


def loop_of(step: Step) -> Node | None:
    """The loop that a step is."""
    node = step.nodes[0] if step.nodes else None
    return node if node is not None and node.op.kind == "loop" else None


@dataclass(frozen=True)
class Buffer:
    """Memory that places lie in: a parameter or a result, by ``index`` among the slots, or a temporary with a life."""

    kind: str
    index: int
    type: TensorType
    life: Lifetime | None = None


class Buffers:
    """The buffers of a step, numbered from 0: its slots' buffers first."""

    def __init__(self, graph: Graph) -> None:
        self.records = [Buffer(p.kind, i, p.value.type) for i, p in enumerate(graph.params)]
        self.records += [Buffer("output", i, v.type) for i, v in enumerate(graph.outputs, len(graph.params))]

    def add(self, buffer: Buffer) -> Place:
        """The start of a new buffer."""
        self.records.append(buffer)
        return Place(len(self.records) - 1)

    def temporary(self, type: TensorType, life: Lifetime) -> Place:
        """Memory in the arena for a time."""
        return self.add(Buffer("temporary", 0, type, life))

    def end(self, number: int, end: int) -> None:
        """Let the life of temporary ``number`` end at ``end``."""
        buffer = self.records[number]
        assert buffer.life is not None
        self.records[number] = replace(buffer, life=replace(buffer.life, end=end))

    def laid_out(self) -> tuple[list[Buffer], int]:
        """The buffers with the ``index`` of a temporary as its first byte in the arena, and the bytes of that."""
        lives = {i: b.life for i, b in enumerate(self.records) if b.life is not None}
        offsets, arena = assign_offsets(list(lives.values()))
        found = list(self.records)
        for number, offset in zip(lives, offsets, strict=True):
            found[number] = replace(found[number], index=offset)
        return found, arena


@dataclass(frozen=True)
class Move:
    """A copy of a value of ``type`` from one place to another; ``value``: which it is."""

    value: Value
    source: Anywhere
    target: Anywhere


class Way(Enum):
    """The places of a loop's carry, and of the next one."""

    HISTORY = auto()  # both in slices of one stack
    STACK = auto()  # the next one in its slice of a stacked result
    IN_PLACE = auto()  # the next one where the carry stands
    TURNS = auto()  # in one of two buffers in turn, the last time in the buffer of the loop's result


class Placement:
    """The places of a graph's values.

    With ``ordered`` steps run strictly one behind the other, so that values of one iteration share memory; else all
    that a loop's body makes lives as long as the loop, since threads need not wait for each other then.

    Attributes:
        steps: what runs, in order.
        places: value -> where it is.
        buffers: the memory of all that has a place, in loops too.
        copies: values to be copied to a second place at the end.
        aliases: node -> {output: operand whose memory it overwrites}.
        histories: stack of a carry as iterations find it -> the stack of the same as they leave it.
        bodies: loop -> the placement of its body.
        fixed: values that are the same in every run of the graph, a loop's body.
    """

    def __init__(self, graph: Graph, steps: Sequence[Step], ordered: bool = False) -> None:
        self.buffers, self.loops = Buffers(graph), count()
        self._enter(graph, steps, ordered, 0)
        for i, param in enumerate(graph.params):
            self.places[param.value] = Place(i)
        self._place_updates()
        for i, value in enumerate(graph.outputs, len(graph.params)):
            if value in self.places:
                self.copies.append((value, Place(i)))
            else:
                self.places[value] = Place(i)
        self._place_rest()

    def _enter(self, graph: Graph, steps: Sequence[Step], ordered: bool, start: int, end: int | None = None) -> None:
        """Read who makes and reads what; time begins at ``start``, and ends there where ``end`` says so."""
        self.graph, self.steps, self.ordered = graph, steps, ordered
        self.position: dict[Memory, int] = {}
        self.last_read: dict[Memory, int] = {}
        self.last_write: dict[Memory, int] = {}
        for i, step in enumerate(steps):
            for memory in step.writes:
                self.position.setdefault(memory, i)
                self.last_write[memory] = i
            self.last_read.update(dict.fromkeys(step.reads, i))
        self.times: list[tuple[int, int]] = []
        now = start
        for step in steps:
            length = _duration(step) if ordered else 1
            self.times.append((start, end) if end is not None else (now, now + length - 1))
            now += length
        self.end = now if end is None else end
        self.maker = {v: n for n in graph.nodes for v in n.outputs}
        self.places: dict[Memory, Anywhere] = {}
        self.copies: list[tuple[Value, Anywhere]] = []
        self.aliases: dict[Node, dict[int, int]] = {}
        self.histories: dict[Value, Place] = {}
        self.bodies: dict[Node, BodyPlacement] = {}
        self.fixed: set[Value] = set()
        self.own: dict[Memory, int] = {}  # the buffers of temporaries
        self.replaced: set[Value] = set()
        self._readers: dict[int, Counter[Value]] = {}

    def _place_rest(self) -> None:
        """Memory for all that has no place yet; then the bodies of loops."""
        for i, step in enumerate(self.steps):
            loop = loop_of(step)
            if loop is not None:
                self._place_histories(loop, i)
                self.bodies[loop] = BodyPlacement(step, loop, self, i)
                self._carry_on(self.bodies[loop], i)
            for memory in (*step.reads, *step.writes):
                if memory not in self.places and not self._replaces_operand(memory, i):
                    self._own(memory, self._life(memory, i))
        wanted = {*self.last_read, *self.graph.results()}
        for loop, body in self.bodies.items():
            body.place([v in wanted for v in loop.outputs])

    def _own(self, memory: Memory, life: Lifetime) -> None:
        """Memory of its own."""
        place = self.places[memory] = self.buffers.temporary(memory.type, life)
        self.own[memory] = place.buffer

    def _life(self, memory: Memory, at: int) -> Lifetime:
        """The life of the value made at ``at``."""
        last = max(at, self.last_read.get(memory, at), self.last_write.get(memory, at))
        return Lifetime(self.times[at][0], self.times[last][1], memory.type.nbytes)

    def _replaces_operand(self, memory: Memory, at: int) -> bool:
        """Whether a value stands in the memory of an operand of its kernel that nobody reads later."""
        maker = self.maker.get(memory) if isinstance(memory, Value) else None
        if maker is None or len(self.steps[at].nodes) > 1:
            return False
        assert isinstance(memory, Value)
        for operand in maker.inputs:
            if self._is_free_after(operand, at) and self._overwrites(memory, operand):
                self._replace(memory, operand, at)
                return True
        return False

    def _carry_on(self, body: BodyPlacement, at: int) -> None:
        """Let the last of a carry stand where its start does, which nobody else needs; else the start ends early.

        A carry in turns is written there while its start is read. A start that is only copied is not read in the loop.
        """
        loop, used = body.loop, Counter(body.loop.inputs)
        for start, last, way in zip(loop.inputs, loop.outputs, body.ways, strict=False):
            if way is not Way.TURNS and used[start] == 1 and last not in self.places and self._is_free_after(start, at):
                self._replace(last, start, at)
        copied = Counter(
            s for s, way in zip(loop.inputs, body.ways, strict=False) if way in (Way.HISTORY, Way.IN_PLACE)
        )
        for start, times in copied.items():
            if times == used[start] and self._is_free_after(start, at):
                self.buffers.end(self.own[start], self.times[at][0])

    def _replace(self, value: Value, operand: Value, at: int) -> None:
        """Let ``value``, made at ``at``, have the memory of ``operand``."""
        self.places[value] = self.places[operand]
        number = self.own[value] = self.own[operand]
        self.buffers.end(number, self._life(value, at).end)
        self.replaced.add(operand)

    def _is_free_after(self, value: Value, at: int) -> bool:
        """Whether the memory of ``value`` is the value's own, and free behind step ``at``."""
        if value not in self.own or value not in self.maker or value in self.replaced:
            return False
        made_by_loop = self.maker[value].op.kind == "loop"  # which may stack two values in one memory
        copied = any(source is value for source, _ in self.copies)
        return self.last_read.get(value) == at and not made_by_loop and not copied

    def _place_histories(self, loop: Node, at: int) -> None:
        """If a carry is stacked as iterations find it: one memory for carries as found and as left.

        They are the same but for the first and the last: the memory has a slice more than there are iterations.
        """
        for before, after in _histories(loop):
            stacks = [before] if after is None else [before, after]
            if any(v in self.places for v in stacks):
                continue
            length, *shape = before.shape
            kind = TensorType(before.dtype, (length + 1, *shape))
            lives = [self._life(v, at) for v in stacks]
            life = Lifetime(lives[0].start, max(x.end for x in lives), kind.nbytes)
            first = self.buffers.temporary(kind, life)
            second = first.moved(before.type.nbytes // length)
            self.places[before], left = (second, first) if loop.attrs["reverse"] else (first, second)
            self.histories[before] = left
            if after is not None:
                self.places[after] = left

    def kept_bytes(self) -> int:
        """The size of the temporaries that the forward pass makes and the backward pass reads."""
        backward = {n for n in self.graph.nodes if n.phase != "forward"}
        read = {v for n in backward for v in n.inputs if self.maker.get(v) not in backward}
        kept = [self.buffers.records[number] for number in buffers_of(self.places[v] for v in read)]
        return sum(buffer.type.nbytes for buffer in kept if buffer.life is not None)

    def _place_updates(self) -> None:
        """New states go straight into the state's memory where nobody needs the old contents any more.

        And behind all checks, which may end the step: it updates all or nothing.
        """
        results = list(self.graph.outputs)
        checked = max((i for i, step in enumerate(self.steps) if any(map(_checks, step.nodes))), default=-1)
        for update in self.graph.updates:
            value, state = update.value, update.state
            at = self.position.get(value)
            loop = at is not None and loop_of(self.steps[at]) is not None
            late = at is not None and at > checked
            if value not in results and not loop and late and self._overwrites(value, state):
                self.places[value] = self.places[state]
            else:
                self.copies.append((value, self.places[state]))
                if at is not None and value not in self.places:
                    self._own(value, Lifetime(self.times[at][0], self.end, value.type.nbytes))

    def _overwrites(self, value: Value, old: Value) -> bool:
        """Whether ``value`` can be written where ``old`` is: nobody needs that any more."""
        at, last = self.position.get(value), self.last_read.get(old, -1)
        if at is None or value in self.places or last > at:
            return False
        if last < at:
            return True
        node, step = self.maker.get(value), self.steps[at]
        if node is None or node.inputs.count(old) != 1 or self._readers_in(at)[old] > 1:
            return False
        if (old.dtype, old.type.size) != (value.dtype, value.type.size) or not step.streams(node, old):
            return False
        self.aliases.setdefault(node, {})[node.outputs.index(value)] = node.inputs.index(old)
        return True

    def _readers_in(self, at: int) -> Counter[Value]:
        """How many nodes of a step read each value."""
        if at not in self._readers:
            self._readers[at] = Counter(v for node in self.steps[at].nodes for v in set(node.inputs))
        return self._readers[at]


class BodyPlacement(Placement):
    """The places of the values of a loop's body: slices of stacked values, carries, temporaries.

    Attributes:
        loop: the loop; ``number`` is its own, among all loops of the step.
        ways: where each carry lives.
        before: copies to be made before the loop.
        after: the same, behind it.
    """

    def __init__(self, step: Step, loop: Node, around: Placement, at: int) -> None:
        self.buffers, self.loops = around.buffers, around.loops
        self.loop, self.around, self.number = loop, around, next(self.loops)
        self.length, self.reverse = loop.attrs["length"], loop.attrs["reverse"]
        self.before: list[Move] = []
        self.after: list[Move] = []
        self.start, last = around.times[at]
        if around.ordered:
            self._enter(loop.inner, step.steps, True, self.start + 1)
        else:
            self._enter(loop.inner, step.steps, False, self.start, last)
        self.last = last
        self.ways = self._find_ways()

    def _find_ways(self) -> list[Way]:
        parts, histories = Parts.of(self.loop), self.around.histories
        stacks, returned = dict(zip(parts.slices, parts.stacks, strict=True)), set(parts.body.outputs)
        ways: list[Way] = []
        for i, (inner, value) in enumerate(zip(parts.split(parts.body.inputs())[0], parts.next, strict=True)):
            if stacks.get(inner) in histories:
                ways.append(Way.HISTORY)
            elif value in stacks:
                ways.append(Way.STACK)
            elif inner not in returned and value not in parts.next[:i] and self._overwrites(value, inner):
                ways.append(Way.IN_PLACE)
            else:
                ways.append(Way.TURNS)
        return ways

    def place(self, used: Sequence[bool]) -> None:
        """Give all values their places, once those around the loop have theirs. ``used``: the results that count."""
        self._place_body(used)
        self._place_rest()

    def _place_body(self, used: Sequence[bool]) -> None:
        parts, around = Parts.of(self.loop), self.around.places
        carried, along, fixed = parts.split(parts.body.inputs())
        starts, sequences, invariants = parts.split(self.loop.inputs)
        self.fixed = set(fixed)
        for inner, outer in zip(fixed, invariants, strict=True):
            self.places[inner] = around[outer]
        for inner, outer in zip(along, sequences, strict=True):
            self.places[inner] = self._slice(inner, around[outer])
        self.carries = set(carried)
        for value, stack in zip(parts.slices, parts.stacks, strict=True):
            place = self._slice(value, around[stack])
            if value in self.places or (value in self.carries and stack not in self.around.histories):
                self.copies.append((value, place))
            else:
                self.places[value] = place
        stacks = dict(zip(parts.slices, parts.stacks, strict=True))
        for i, (inner, value, way) in enumerate(zip(carried, parts.next, self.ways, strict=True)):
            start, last = around[starts[i]], around[self.loop.outputs[i]]
            if way is Way.HISTORY:
                self._carry_in_history(value, stacks[inner], start, last, used[i])
            elif way is Way.STACK:
                self._carry_in_stack(inner, value, start, last, around[stacks[value]], used[i])
            elif way is Way.IN_PLACE:
                self.before += [Move(value, start, last)] if start != last else []
                self.places[inner] = self.places[value] = last
            else:
                self._carry_in_turns(inner, value, start, last)

    def _slice(self, value: Value, stack: Anywhere, back: int = 0) -> Moving:
        return sliced(stack, self.number, self.length, value.type.nbytes, self.reverse, back)

    def _carry_in_history(self, value: Value, before: Value, start: Anywhere, last: Anywhere, used: bool) -> None:
        """The next slice of what iterations find is what this one leaves."""
        found, left = self.around.places[before], self.around.histories[before]
        if value not in self.places:
            self.places[value] = self._slice(value, left)
        slices = [0, (self.length - 1) * value.type.nbytes]
        opening, closing = reversed(slices) if self.reverse else slices
        self.before.append(Move(value, start, found.moved(opening)))
        if used:
            self.after.append(Move(value, left.moved(closing), last))

    def _carry_in_stack(
        self, inner: Value, value: Value, start: Anywhere, last: Anywhere, stack: Anywhere, used: bool
    ) -> None:
        """The slice that the iteration before has written."""
        self.places[inner] = replace(self._slice(value, stack, back=1), first=start)
        end = 0 if self.reverse else self.length - 1
        if used:
            self.after.append(Move(value, stack.moved(end * value.type.nbytes), last))

    def _carry_in_turns(self, inner: Value, value: Value, start: Anywhere, last: Anywhere) -> None:
        """Two buffers, of which the last iteration writes the loop's result."""
        other = self.buffers.temporary(value.type, Lifetime(self.start, self.last, value.type.nbytes))
        odd, even = (other, last) if self.length % 2 else (last, other)
        self.places[inner] = Moving(self.number, start, even, odd)
        place = Moving(self.number, even, odd, even)
        if value in self.places or value in self.carries:
            self.copies.append((value, place))
        else:
            self.places[value] = place


def _duration(step: Step) -> int:
    """Points in time that a step takes; a loop has one for what stands in front of its body, and one behind."""
    return 1 if loop_of(step) is None else 2 + sum(map(_duration, step.steps))


def _checks(node: Node) -> bool:
    """Whether a kernel, or one in the body of a loop, may report an index or a divisor."""
    inside = node.body.nodes if node.body is not None else []
    return node.op.checks or any(map(_checks, inside))


def _histories(loop: Node) -> Iterator[tuple[Value, Value | None]]:
    """Stacks of carries as iterations find them, each with the stack of carries that they leave, if there is one."""
    parts = Parts.of(loop)
    stacks = dict(zip(parts.slices, parts.stacks, strict=True))
    made = {v for n in parts.body.nodes for v in n.outputs}
    found = {}
    for inner, value in zip(parts.split(parts.body.inputs())[0], parts.next, strict=True):
        if inner in stacks and value in made:
            made.remove(value)
            found[stacks[inner]] = stacks.get(value)
    yield from found.items()
