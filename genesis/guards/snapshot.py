"""A quick test that nothing that guards look at has changed: by identity."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from operator import is_
from types import CellType
from typing import Any

from genesis.guards.keys import DEPTH, LARGE, items_of

Read = Callable[[], Any]


def cell_contents(cell: CellType) -> Any:
    """The value of a closure's variable; None before its first assignment."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


class Snapshot:
    """The objects that ``reads`` found, and what the containers among them held.

    It compares by identity, without guard keys. Whether a tensor requires a gradient is not looked at,
    as that does not change without the clock of modules ticking.
    """

    __slots__ = ("_cells", "_contents", "_others")

    def __init__(self, reads: Iterable[Read]) -> None:
        self._cells: list[tuple[CellType, Any]] = []  # variables of closures, which are read without a call
        self._others: list[tuple[Read, Any]] = []
        self._contents: list[tuple[Any, int, tuple[Any, ...]]] = []
        for read in reads:
            thing = read()
            if isinstance(read, partial) and read.func is cell_contents and thing is not None:
                self._cells.append((read.args[0], thing))
            else:
                self._others.append((read, thing))
            self._contents += _holdings(thing, DEPTH)

    def holds(self) -> bool:
        """Whether the same objects stand there now, and hold the same. May return False for equal values."""
        try:
            for cell, thing in self._cells:
                if cell.cell_contents is not thing:
                    return False
        except ValueError:  # the variable was deleted
            return False
        for read, thing in self._others:
            if read() is not thing:
                return False
        for container, length, items in self._contents:
            now = container if type(container) is list else items_of(container) or ()
            if len(now) != length or not all(map(is_, now, items)):
                return False
        return True


def _holdings(thing: Any, depth: int) -> Iterator[tuple[Any, int, tuple[Any, ...]]]:
    """The containers that a guard key looks into and that may change, how many items each has, and those that count."""
    items = items_of(thing)
    if items is None or not depth:
        return
    counting = tuple(items) if len(items) <= LARGE else ()
    if not isinstance(thing, tuple | frozenset):
        yield thing, len(items), counting
    for item in counting:
        yield from _holdings(item, depth - 1)
