"""A quick test that nothing that guards look at has changed: by identity."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import fields, is_dataclass
from functools import partial
from itertools import chain
from operator import is_
from types import CellType, FunctionType, MappingProxyType
from typing import Any

import numpy as np

from genesis.memory.identity import GONE

Read = Callable[[], Any]

_END = (object(),)
"""Follows the items of every container, so that nothing moves from one to the next unseen."""


def cell_contents(cell: CellType) -> Any:
    """The value of a closure's variable; GONE before its first assignment."""
    try:
        return cell.cell_contents
    except ValueError:
        return GONE


class Snapshot:
    """The objects that ``reads`` find, and the contents of the containers among them, at any size and depth.

    They are compared by identity, without guard keys: the items of all containers as one sequence, the contents of
    arrays byte by byte. Whether a tensor requires a gradient is not looked at, as that does not change without the
    clock of modules ticking. ``views`` are compared with their contents as well: live views of dictionaries. The
    contents of arrays whose identity is in ``inputs`` do not count.
    """

    __slots__ = ("_buffers", "_cells", "_inputs", "_items", "_others", "_seen", "_views")

    def __init__(
        self, reads: Iterable[Read], views: Iterable[Collection[Any]] = (), inputs: Collection[int] = ()
    ) -> None:
        self._inputs = inputs
        self._cells: list[tuple[CellType, Any]] = []  # variables of closures, which are read without a call
        self._others: list[tuple[Read, Any]] = []
        self._views: list[Collection[Any]] = []
        self._buffers: list[tuple[Any, Any, bytes | None]] = []
        self._seen: set[int] = set()
        for view in views:
            self._watch(view)
        for read in reads:
            thing = read()
            if isinstance(read, partial) and read.func is cell_contents and thing is not GONE:
                self._cells.append((read.args[0], thing))
            else:
                self._others.append((read, thing))
            self._look_into(thing)
        self._items = tuple(chain.from_iterable(self._views))

    def holds(self) -> bool:
        """Whether the same objects stand there now, and hold the same. May return False for equal values."""
        try:
            for cell, thing in self._cells:
                if cell.cell_contents is not thing:
                    return False
            for read, thing in self._others:
                if read() is not thing:
                    return False
            if not all(map(is_, chain.from_iterable(self._views), self._items)):
                return False
        except (ValueError, RuntimeError):  # a variable was deleted; a dictionary changed while it was read
            return False
        return not self._buffers or all(
            _form(buffer) == form and (contents is None or _bytes(buffer) == contents)
            for buffer, form, contents in self._buffers
        )

    def _watch(self, view: Collection[Any]) -> None:
        self._views += (view, _END)

    def _look_into(self, thing: Any) -> None:
        """Add the containers in ``thing``."""
        kind = type(thing)
        if kind is int or kind is float or kind is str or thing is None or id(thing) in self._seen:
            return
        self._seen.add(id(thing))
        items: Collection[Any] = ()
        if isinstance(thing, tuple | frozenset):
            items = thing
        elif isinstance(thing, list | set | deque):
            self._watch(thing)
            items = thing
        elif isinstance(thing, dict | MappingProxyType):
            self._watch(thing.keys())
            self._watch(thing.values())
            items = [*thing.keys(), *thing.values()]
        elif isinstance(thing, partial):
            self._watch(thing.keywords.keys())
            self._watch(thing.keywords.values())
            items = [thing.func, *thing.args, *thing.keywords.values()]
        elif isinstance(thing, FunctionType):
            self._others.append((partial(getattr, thing, "__code__"), thing.__code__))
        elif isinstance(thing, np.ndarray):
            if thing.dtype.hasobject:
                items = thing.reshape(-1).tolist()
                self._others += [(partial(thing.item, i), item) for i, item in enumerate(items)]
            else:
                contents = None if id(thing) in self._inputs else thing.tobytes()
                self._buffers.append((thing, _form(thing), contents))
        elif isinstance(thing, bytearray | array | memoryview):
            self._buffers.append((thing, _form(thing), bytes(thing)))
        elif is_dataclass(thing) and not isinstance(thing, type):
            for field in fields(thing):
                read = partial(getattr, thing, field.name, GONE)
                self._others.append((read, read()))
            items = [getattr(thing, field.name, GONE) for field in fields(thing)]
        for item in items:
            self._look_into(item)


def _form(buffer: Any) -> tuple[Any, ...]:
    return (buffer.dtype, buffer.shape) if isinstance(buffer, np.ndarray) else (len(buffer),)


def _bytes(buffer: Any) -> bytes:
    return buffer.tobytes() if isinstance(buffer, np.ndarray) else bytes(buffer)
