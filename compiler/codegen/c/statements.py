"""The schedule of a step as C: kernel calls, loops of them, and the barriers between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from compiler.codegen.c.tables import Table
from compiler.codegen.c.writer import Writer, cut
from compiler.codegen.comments import comment, made, values
from compiler.ir.graph import Node
from compiler.ir.location import UNKNOWN
from compiler.places import Place
from compiler.plan import Launch
from compiler.schedule import Call, Item, Repeat, Schedule, calls


@dataclass(eq=False)
class Statements(Call):
    """Runs of a kernel for ``nodes`` as C statements, and their ``table``. ``launch`` is the record of one run."""

    launch: Launch = field(kw_only=True)
    lines: list[str] = field(kw_only=True)
    table: Table | None = field(default=None, kw_only=True)
    nodes: Sequence[Node] = field(default=(), kw_only=True)


@dataclass
class StepWriter:
    """Writes a schedule.

    ``slot`` is the initialiser of a place in a table, ``locals`` are the pointers that each iteration of a loop sets,
    by number of the loop. ``timed``: with a mark behind each call. ``place``: where the last call came from.
    """

    out: Writer
    schedule: Schedule
    slot: Callable[[Place], str]
    locals: Mapping[int, Sequence[str]]
    timed: bool
    place: str = ""

    def write(self) -> None:
        """The statements."""
        out = self.out
        if self.timed:
            out("BARRIER; /* waking the threads belongs to no launch */")
            out("double last = seconds();")
        self._items(self.schedule.items, -1)
        if self.timed and self.schedule.order:
            out("BARRIER;")
            out(f"MARK({len(self.schedule.order) - 1}, 1);")

    def _items(self, items: Sequence[Item], before: int) -> None:
        """``before`` is the number of the call before the first."""
        out = self.out
        for position, item in enumerate(items):
            self._barrier(item, before)
            if isinstance(item, Repeat):
                i = f"i{item.number}"
                with out.block(f"for (long {i} = 0; {i} < {item.length}; {i}++)"):
                    out(*self.locals.get(item.number, ()))
                    *_, last = calls(item.items)
                    before = self.schedule.order[last]
                    self._items(item.items, before)
            elif isinstance(item, Statements):
                if item in self.schedule.looking:
                    _leave_on_bad_input(out, later=any(c.checked for c in calls(items[position:])))
                before = self.schedule.order[item]
                self._call(item, before)

    def _call(self, call: Statements, number: int) -> None:
        out = self.out
        results = values(call.launch.values or made(call.nodes))
        place = f"{call.launch.place}: {results}" if results else call.launch.place
        if place != self.place and call.launch.loc != UNKNOWN:
            self.place = place
            out(f"/* {comment(place)} */")
        out(*call.table.lines(self.slot) if call.table is not None else ())
        for line in call.lines:
            first, *more = cut(f"if (tid == 0) {line}" if call.alone else line)
            out(first)
            for rest in more:
                out("    " + rest)
        if self.timed:
            out(f"MARK({number}, 0);")

    def _barrier(self, item: Item, before: int) -> None:
        if item in self.schedule.waiting_evenly:
            self.out("BARRIER;")
        elif item in self.schedule.waiting:
            self.out(f"if ({self.schedule.even} % nt) BARRIER; /* else each thread has made what it reads */")
        else:
            return
        if self.timed:
            self.out(f"MARK({before}, 1);")


def _leave_on_bad_input(out: Writer, later: bool) -> None:
    """Return, all threads alike, before the first write to a state. ``later``: the status may change again."""
    if not later:
        out("if (status[0]) return; /* bad input: leave the states as they were */")
        return
    with out.block(""):
        out("const long long bad = status[0];")
        out("BARRIER; /* all have read it before anyone writes it again */")
        out("if (bad) return; /* bad input: leave the states as they were */")
