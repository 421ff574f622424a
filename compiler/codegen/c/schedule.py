"""The statements of a step in order: kernel calls and loops of them, and the barriers between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import gcd

from compiler.codegen.c.barriers import Access, Hazards
from compiler.codegen.c.placement import Place
from compiler.codegen.c.tables import Table
from compiler.codegen.c.writer import Writer
from compiler.codegen.comments import comment
from compiler.fixpoint import turns
from compiler.plan import Launch


@dataclass(eq=False)
class Call:
    """One or more runs of a kernel, as statements of the step. ``alone``: by thread 0, the others go on."""

    lines: list[str]
    access: Access
    launch: Launch
    alone: bool = False
    checked: bool = False
    table: Table | None = None


@dataclass(eq=False)
class Repeat:
    """A loop: the head of a ``for``, declarations at the start of each turn, and what runs in it."""

    head: str
    locals: list[str]
    items: list[Item]


Item = Call | Repeat


def calls(items: Sequence[Item]) -> Iterator[Call]:
    """Every call, in the order of the text."""
    for item in items:
        if isinstance(item, Call):
            yield item
        else:
            yield from calls(item.items)


class Schedule:
    """A step's statements, with a barrier wherever a call reads or overwrites what another thread may still be at.

    ``spans`` are the bytes of the arena that a name covers. Where a call may have found a bad index, the status is
    looked at before the next one that writes one of ``states``; no call in a loop does.

    Where the number of threads divides ``even``, fewer barriers are needed in loops: those of ``waiting_evenly``.
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
        for _ in turns(f"the barriers in {loop.head!r}", len(start) * parts):
            self._hazards.restore(start)
            self._walk(loop.items)
            end = self._hazards.state()
            if all(a <= b for a, b in zip(end, start, strict=True)):
                return
            start = tuple(a | b for a, b in zip(end, start, strict=True))

    def write(self, out: Writer, slot: Callable[[Place], str], timed: bool) -> None:
        """The statements; ``slot`` is the initialiser of a place in a table."""
        if timed:
            out("BARRIER; /* waking the threads belongs to no launch */")
            out("double last = seconds();")
        self._place = ""
        self._write(out, self.items, slot, timed, -1)
        if timed and self.order:
            out("BARRIER;")
            out(f"MARK({len(self.order) - 1}, 1);")

    def _write(
        self, out: Writer, items: Sequence[Item], slot: Callable[[Place], str], timed: bool, before: int
    ) -> None:
        """``before`` is the number of the call before the first."""
        for position, item in enumerate(items):
            self._write_barrier(out, item, timed, before)
            if isinstance(item, Repeat):
                out.open(item.head)
                for line in item.locals:
                    out(line)
                *_, last = calls(item.items)
                self._write(out, item.items, slot, timed, self.order[last])
                out.close()
                before = self.order[last]
                continue
            number = self.order[item]
            if item in self.looking:
                _leave_on_bad_input(out, later=any(c.checked for c in calls(items[position:])))
            if item.launch.place != self._place:
                self._place = item.launch.place
                out(f"/* {comment(self._place)} */")
            for line in item.table.lines(slot) if item.table is not None else ():
                out(line)
            for line in item.lines:
                for part in line.split("\n"):
                    out(f"if (tid == 0) {part}" if item.alone else part)
            if timed:
                out(f"MARK({number}, 0);")
            before = number

    def _write_barrier(self, out: Writer, item: Item, timed: bool, before: int) -> None:
        if item in self.waiting_evenly:
            out("BARRIER;")
        elif item in self.waiting:
            out(f"if ({self.even} % nt) BARRIER; /* else each thread has made what it reads */")
        else:
            return
        if timed:
            out(f"MARK({before}, 1);")


def _leave_on_bad_input(out: Writer, later: bool) -> None:
    """Return, all threads alike, before the first write to a state. ``later``: the status may change again."""
    if not later:
        out("if (status[0]) return; /* bad input: leave the states as they were */")
        return
    out.open("")
    out("const long long bad = status[0];")
    out("BARRIER; /* all have read it before anyone writes it again */")
    out("if (bad) return; /* bad input: leave the states as they were */")
    out.close()
