"""The kernel calls of a step in order, loops of them, and where they wait and look; the same for all targets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import gcd

from compiler.fixpoint import turns
from compiler.hazards import Access, Hazards
from compiler.placement import BodyPlacement, Buffer, Memory, Move, Placement, loop_of
from compiler.places import buffers_of

KEPT = ("state", "half", "shadow")
"""Kinds of parameters that a failed check leaves as they were."""


@dataclass(eq=False)
class Call:
    """One or more runs of a kernel. ``alone``: by thread 0, the others go on. ``checked``: it may report bad input."""

    access: Access
    alone: bool = False
    checked: bool = False


@dataclass(eq=False)
class Repeat:
    """``items`` in each of ``length`` iterations of loop ``number``."""

    number: int
    length: int
    items: Sequence[Item]


Item = Call | Repeat


def calls(items: Sequence[Item]) -> Iterator[Call]:
    """Every call, in the order of the text."""
    return (call for call, _ in counted(items))


def counted(items: Sequence[Item], times: int = 1) -> Iterator[tuple[Call, int]]:
    """Every call, in the order of the text, and how often it is made."""
    for item in items:
        if isinstance(item, Repeat):
            yield from counted(item.items, times * item.length)
        else:
            yield item, times


class Frame:
    """The calls of a placed graph, or of a loop's body. A target says which a step has, and which copies have.

    Attributes:
        items: the calls and loops, once :meth:`fill` has found them.
        front: what runs in front of the loop whose body this is.
    """

    def __init__(self, placement: Placement) -> None:
        self.placement, self.places = placement, placement.places
        self.items: list[Item] = []
        self.front: list[Item] = []

    def fill(self) -> list[Item]:
        """Find the calls and loops."""
        placement = self.placement
        for number, step in enumerate(placement.steps):
            loop = loop_of(step)
            if loop is None:
                self.step(number)
                continue
            body = placement.bodies[loop]
            inside = self.inside(body)
            repeat = Repeat(body.number, body.length, inside.fill())
            self.copy(body.before)
            self.items += [*inside.front, repeat]
            self.copy(body.after)
        self.copy([Move(value, self.places[value], target) for value, target in placement.copies])
        return self.items

    def buffers(self, values: Iterable[Memory]) -> set[int]:
        """The numbers of the buffers that ``values`` lie in."""
        return buffers_of(self.places[v] for v in values)

    def step(self, number: int) -> None:
        """Add the calls of a step."""
        raise NotImplementedError

    def copy(self, moves: Sequence[Move]) -> None:
        """Add the calls that copy values, each independent of the others."""
        raise NotImplementedError

    def inside(self, body: BodyPlacement) -> Frame:
        """The frame of a loop's body, not filled yet."""
        raise NotImplementedError


class Schedule:
    """A step's calls, with a barrier wherever one reads or overwrites what another thread may still be at.

    ``buffers`` are the laid out memory of the step. If a call may have found a bad index, the status is looked at
    before the next one that writes a state; no call in a loop does. ``ordered``: calls run strictly one behind the
    other. None waits then, and each that writes a state has to look for itself.

    If the number of threads divides ``even``, loops need fewer barriers: those of ``waiting_evenly``.

    Attributes:
        order: the number of each call.
        looking: calls in front of which the status is looked at.
        waiting, waiting_evenly: calls and loops in front of which threads wait for each other.
    """

    def __init__(self, items: Sequence[Item], buffers: Sequence[Buffer], ordered: bool = False) -> None:
        self.items, self.ordered = items, ordered
        self.states = {number for number, buffer in enumerate(buffers) if buffer.kind in KEPT}
        self.order = {call: number for number, call in enumerate(calls(items))}
        self.looking = set(self._looking())
        self.even = gcd(*(c.access.even for item in items if isinstance(item, Repeat) for c in calls(item.items)))
        arena = {number: buffer for number, buffer in enumerate(buffers) if buffer.life is not None}
        spans = {number: (b.index, b.index + max(b.type.nbytes, 1)) for number, b in arena.items()}
        self.waiting = set() if ordered else self._waiting(Hazards(spans))
        self.waiting_evenly = self._waiting(Hazards(spans, evenly=True)) if self.even > 1 else self.waiting

    def _looking(self) -> Iterator[Call]:
        unread = False  # whether a call since the last look at the status may have found a bad index
        for call in calls(self.items):
            if unread and not call.access.writes.isdisjoint(self.states):
                yield call
                unread = self.ordered
            unread = unread or call.checked

    def _waiting(self, hazards: Hazards) -> set[Item]:
        """Before what threads wait for each other."""
        self._hazards = hazards
        self._found: set[Item] = set()
        self._walk(self.items)
        return self._found

    def _walk(self, items: Sequence[Item]) -> None:
        hazards = self._hazards
        for item in items:
            if isinstance(item, Repeat):
                self._walk_around(item)
                continue
            if item in self.looking or item in self._found or hazards.meets(item.access, item.alone):
                self._found.add(item)
                hazards.clear()
            hazards.add(item.access, item.alone)

    def _walk_around(self, loop: Repeat) -> None:
        """If shares are even, one barrier in front of a loop may do for all."""
        start, found = self._hazards.state(), set(self._found)
        if self._hazards.evenly:
            self._hazards.clear()
            self._turn(loop)
            if self._found == found:
                self._found |= {loop} if any(start) else set()
                return
            self._hazards.restore(start)
            self._found = found
        self._turn(loop)

    def _turn(self, loop: Repeat) -> None:
        """Until the end of a turn brings nothing that the start of the next one has not seen."""
        start = self._hazards.state()
        parts = sum(len(c.access.reads) + len(c.access.writes) for c in calls(loop.items))
        for _ in turns(f"the barriers in loop {loop.number}", len(start) * parts):
            self._hazards.restore(start)
            self._walk(loop.items)
            end = self._hazards.state()
            if all(a <= b for a, b in zip(end, start, strict=True)):
                return
            start = tuple(a | b for a, b in zip(end, start, strict=True))
