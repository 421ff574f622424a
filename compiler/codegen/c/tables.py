"""Kernels that run over many tensors, such as the parameters of an optimizer, as loops over static tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from compiler.codegen.sizes import ceil_div
from compiler.places import Place


@dataclass(frozen=True)
class Table:
    """A table of the places in memory of several tensors: ``places[m][k]`` for column k of tensor m.

    ``pointers`` belong to the first tensor, as C text.

    A column of one place for all is no part of the table in C, which holds slots (an argument of the entry point and an
    offset in bytes) in static memory: a compiler takes long over pointers that are put together on the stack.
    """

    name: str
    places: Sequence[Sequence[Place]]
    pointers: Sequence[str]

    def __post_init__(self) -> None:
        assert {len(row) for row in self.places} == {len(self.pointers)}

    @cached_property
    def columns(self) -> list[int]:
        """The columns that differ between tensors; never none, so that the table exists."""
        first = self.places[0]
        return [k for k in range(len(first)) if any(row[k] != first[k] for row in self.places)] or [0]

    def pointer(self, column: int) -> str:
        """C text of the pointer in ``column`` for tensor m."""
        if column not in self.columns:
            return self.pointers[column]
        return f"AT({self.name}[m][{self.columns.index(column)}])"

    def lines(self, slot: Callable[[Place], str]) -> list[str]:
        """The static array; ``slot`` is the initialiser of a place."""
        rows = ["{" + ", ".join(slot(row[k]) for k in self.columns) + "}" for row in self.places]
        return _array(f"Slot {self.name}[][{len(self.columns)}]", rows)


@dataclass(frozen=True)
class Shares:
    """Tensors of ``sizes`` elements, of each of which every thread has a share in multiples of ``grain``.

    A share of each, not of all: a thread that computed the first half of a gradient has that in its caches.
    """

    run: int
    sizes: Sequence[int]
    grain: int

    def arrays(self) -> list[str]:
        """The static array of sizes."""
        return _array(f"long size{self.run}[]", map(str, self.sizes))

    def loop(self, call: Callable[[str, str], str]) -> list[str]:
        """A thread's share of tensors m; ``call`` is a statement over ``[begin, end)`` of tensor m."""
        share = f"(size{self.run}[m], {self.grain})"
        return [f"for (long m = 0; m < {len(self.sizes)}; m++)", "  " + call(f"FROM{share}", f"TO{share}")]


@dataclass(frozen=True)
class Pieces:
    """Tensors of ``sizes`` elements, cut into pieces of ``chunk``, each with partial results of its own."""

    run: int
    sizes: Sequence[int]
    chunk: int

    @cached_property
    def starts(self) -> list[int]:
        """The first piece of each tensor, and how many there are in all."""
        return list(accumulate((ceil_div(n, self.chunk) for n in self.sizes), initial=0))

    @property
    def first(self) -> str:
        """Name of the array of ``starts``."""
        return f"first{self.run}"

    def arrays(self) -> list[str]:
        """The static arrays of the cut."""
        sizes = _array(f"long size{self.run}[]", map(str, self.sizes))
        return _array(f"int {self.first}[]", map(str, self.starts)) + sizes

    def loop(self, call: Callable[[str, str], str]) -> list[str]:
        """A thread's share of the pieces p of tensors m; ``call`` is a statement over ``[begin, end)`` of tensor m."""
        total = self.starts[-1]
        return [
            f"for (long p = FROM({total}, 1), m = 0; p < TO({total}, 1); p++) {{",
            f"  while (p >= {self.first}[m + 1]) m++;",
            f"  const long begin = (p - {self.first}[m]) * {self.chunk};",
            "  " + call("begin", f"LEAST(begin + {self.chunk}, size{self.run}[m])"),
            "}",
        ]


def _array(head: str, items: Iterable[str], width: int = 110) -> list[str]:
    """A constant array, in lines."""
    lines, line = [], "  "
    for item in items:
        if len(line) + len(item) > width:
            lines.append(line.rstrip())
            line = "  "
        line += f"{item}, "
    return [f"static const {head} = {{", *lines, line.rstrip(), "};"]
