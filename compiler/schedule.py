"""The kernel calls of a step in order, loops of them, and where threads wait for each other between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import gcd

from compiler.fixpoint import turns
from compiler.hazards import Access, Hazards
from compiler.plan import Launch


@dataclass(eq=False)
class Call:
    """One or more runs of a kernel. ``alone``: by thread 0, the others go on. ``checked``: it may report bad input."""

    access: Access
    launch: Launch
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
    for item in items:
        if isinstance(item, Repeat):
            yield from calls(item.items)
        else:
            yield item


class Schedule:
    """A step's calls, with a barrier wherever one reads or overwrites what another thread may still be at.

    ``spans`` are the bytes of the arena that a name covers. Where a call may have found a bad index, the status is
    looked at before the next one that writes one of ``states``; no call in a loop does.

    Where the number of threads divides ``even``, fewer barriers are needed in loops: those of ``waiting_evenly``.

    Attributes:
        order: the number of each call.
        looking: calls in front of which the status is looked at.
        waiting, waiting_evenly: calls and loops in front of which threads wait for each other.
    """

    def __init__(self, items: Sequence[Item], spans: Mapping[str, tuple[int, int]], states: set[str]) -> None:
        self.items, self.states = items, states
        self.order = {call: number for number, call in enumerate(calls(items))}
        self.looking: set[Call] = set()
        self.even = gcd(*(c.access.even for item in items if isinstance(item, Repeat) for c in calls(item.items)))
        self.waiting = self._waiting(Hazards(spans))
        self.waiting_evenly = self._waiting(Hazards(spans, evenly=True)) if self.even > 1 else self.waiting

    def _waiting(self, hazards: Hazards) -> set[Item]:
        """Before what threads wait for each other."""
        self._hazards = hazards
        self._found: set[Item] = set()
        self._unread = False  # whether a kernel since the last look at the status may have found a bad index
        self._walk(self.items)
        return self._found

    def _walk(self, items: Sequence[Item]) -> None:
        hazards = self._hazards
        for item in items:
            if isinstance(item, Repeat):
                self._walk_around(item)
                continue
            if self._unread and not item.access.writes.isdisjoint(self.states):
                self.looking.add(item)
                self._found.add(item)
                self._unread = False
            if item in self._found or hazards.meets(item.access, item.alone):
                self._found.add(item)
                hazards.clear()
            self._unread = self._unread or item.checked
            hazards.add(item.access, item.alone)

    def _walk_around(self, loop: Repeat) -> None:
        """Where shares are even, one barrier in front of a loop may do for all."""
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
