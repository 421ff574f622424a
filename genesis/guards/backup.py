"""Python state that a step reaches: kept before a recording, compared and put back after it."""

from __future__ import annotations

import random
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import CellType, FrameType, MappingProxyType, ModuleType
from typing import Any

import numpy as np

from genesis.cells import Cell, changes
from genesis.guards.attributes import of_library
from genesis.guards.code import Place
from genesis.guards.keys import guard_key
from genesis.guards.reachable import Reachable
from genesis.optim.optimizer import Optimizer

Items = tuple[Any, ...]


@dataclass(slots=True)
class Kept:
    """``before``: what ``read`` found at first; ``write`` puts such items back.

    ``draws``: this is the state of a source of random numbers. ``entry``: how an entry is called where the items are
    keys and then values: "{name}.{key}" or "{name}[{key!r}]".
    """

    name: str
    read: Callable[[], Items]
    write: Callable[[Items], Any]
    before: Items
    draws: bool = False
    entry: str = ""

    def subject(self) -> str:
        """The name of the thing that has changed."""
        if not self.entry:
            return self.name
        old, new = _paired(self.before), _paired(self.read())
        for key in {**old, **new}:
            if key not in old or key not in new or _differ(old[key], new[key]):
                return self.entry.format(name=self.name, key=key)
        return self.name

    def has_changed(self) -> bool:
        now = self.read()
        if len(now) != len(self.before):
            return True
        return any(map(_differ, now, self.before))


def _differ(a: Any, b: Any) -> bool:
    return a is not b and guard_key(a) != guard_key(b)


def _paired(items: Items) -> dict[Any, Any]:
    half = len(items) // 2
    return dict(zip(items[:half], items[half:], strict=True))


class Backup:
    """The Python state that a step reaches, as it is now.

    Collections, attributes, globals, variables of closures, arrays, sources of random numbers. The state of optimizers
    is put back like everything else, but it may change: it is made by the first step.
    """

    def __init__(self, reachable: Reachable) -> None:
        self._kept = []
        for part in _PARTS:
            entry = "{name}.{key}" if part in (_namespaces, _slots) else "{name}[{key!r}]"
            for name, read, write in part(reachable):
                named = isinstance(read, partial) and read.func in (_entries, _in_slots)
                self._kept.append(Kept(name, read, write, read(), part is _random, entry if named else ""))
        self._silent = [Kept(name, read, write, read()) for name, read, write in _optimizers(reachable)]

    def changed(self) -> list[Kept]:
        """The things that are no longer as they were."""
        return [kept for kept in self._kept if kept.has_changed()]

    def restore(self) -> None:
        """Put everything back in place."""
        for kept in [*self._kept, *self._silent]:
            if kept.has_changed():
                kept.write(kept.before)
                changes.tick()


def line_that_changes(kept: Kept, run: Callable[[], Any]) -> Place | None:
    """The user's line that changes ``kept`` while ``run`` runs; None where no line of Python does."""
    last: Place | None = None
    found: Place | None = None

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal last, found
        if found is None and last is not None and kept.has_changed():
            found = last
        module = str(frame.f_globals.get("__name__"))
        if found is not None or of_library(module) or module.startswith("namedtuple_"):
            return None
        if event == "line":
            last = Place(frame.f_code.co_filename, frame.f_lineno)
        return trace

    outside = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    except Exception:  # the lines until then are what was asked for
        pass
    finally:
        sys.settrace(outside)
    return found


_Part = Iterator[tuple[str, Callable[[], Items], Callable[[Items], Any]]]


def _containers(reachable: Reachable) -> _Part:
    for name, thing in reachable.containers:
        if isinstance(thing, list):
            yield name, partial(tuple, thing), partial(thing.__setitem__, slice(None))
        elif isinstance(thing, deque):
            yield name, partial(tuple, thing), partial(_refill, thing)
        elif isinstance(thing, set):
            yield name, partial(_ordered, thing), partial(_refill, thing)
        elif isinstance(thing, dict):
            yield name, partial(_entries, thing), partial(_set_entries, thing)


def _namespaces(reachable: Reachable) -> _Part:
    mentioned = reachable.names.loaded.keys() | reachable.names.stored.keys()
    for name, holder in reachable.namespaces:
        space = vars(holder)
        if isinstance(space, MappingProxyType):  # a class
            keys = mentioned & space.keys()
            yield name, partial(_some, space, tuple(keys)), partial(_set_attributes, holder, tuple(keys))
        elif isinstance(holder, ModuleType):
            yield name, partial(_some, space, tuple(mentioned)), partial(_set_some, space, tuple(mentioned))
        else:
            yield name, partial(_entries, space), partial(_set_entries, space)
    for space, keys in reachable.global_names():
        for key in sorted(keys):
            yield key, partial(_some, space, (key,)), partial(_set_some, space, (key,))
    for name, cell in reachable.cells:
        yield name, partial(_contents, cell), partial(_set_contents, cell)


def _slots(reachable: Reachable) -> _Part:
    for name, holder, keys in reachable.slotted:
        yield name, partial(_in_slots, holder, keys), partial(_set_slots, holder, keys)


def _arrays(reachable: Reachable) -> _Part:
    for name, buffer in reachable.arrays.values():
        if isinstance(buffer, np.ndarray):
            yield name, partial(_copied, buffer), partial(_set_array, buffer)
        else:
            yield name, partial(_as_bytes, buffer), partial(_set_buffer, buffer)


def _random(reachable: Reachable) -> _Part:
    yield "random", lambda: (random.getstate(),), lambda state: random.setstate(*state)
    yield "numpy.random", lambda: (np.random.get_state(),), lambda state: np.random.set_state(*state)
    for name, generator, _ in reachable.generators:
        if isinstance(generator, random.Random):
            yield name, partial(_random_state, generator), partial(_set_random_state, generator)
        elif isinstance(generator, np.random.RandomState):
            yield name, partial(_numpy_state, generator), partial(_set_numpy_state, generator)
        else:
            bits = getattr(generator, "bit_generator", generator)
            yield name, partial(_bits_state, bits), partial(_set_bits_state, bits)


def _tensors(reachable: Reachable) -> _Part:
    cells: dict[Cell, str] = {tensor._cell: name for name, tensor in reachable.tensors}
    for name, module in reachable.named_modules():
        cells |= {p._cell: f"{name}.{key}" for key, p in module._parameters.items() if p is not None}
    for cell, name in cells.items():
        if cell.home is None:
            yield f"{name}.requires_grad", partial(_gradient_flag, cell), partial(_set_gradient_flag, cell)


_PARTS = (_containers, _namespaces, _slots, _arrays, _random, _tensors)


def _optimizers(reachable: Reachable) -> _Part:
    for name, holder in [*reachable.optimizers, *reachable.scalers]:
        space: dict[Any, Any] = vars(holder)
        yield name, partial(_entries, space), partial(_set_entries, space)
        if isinstance(holder, Optimizer):
            states: list[dict[Any, Any]] = [holder.state, *holder.state.values()]
            for state in states:
                yield f"{name}.state", partial(_entries, state), partial(_set_entries, state)


# Reading and writing


def _refill(thing: Any, items: Items) -> None:
    thing.clear()
    (thing.update if isinstance(thing, set) else thing.extend)(items)


def _ordered(thing: set[Any]) -> Items:
    return tuple(sorted(thing, key=id))


def _entries(space: dict[Any, Any]) -> Items:
    """The keys, then the values; without compiled methods, which an instance gets when they are first called."""
    keys = [key for key in space if not (isinstance(key, str) and key.startswith("_compiled_"))]
    return *keys, *[space[key] for key in keys]


def _set_entries(space: dict[Any, Any], items: Items) -> None:
    kept = {key: value for key, value in space.items() if isinstance(key, str) and key.startswith("_compiled_")}
    if isinstance(space, OrderedDict):
        space.clear()
        space.update(_paired(items))
    else:
        dict.clear(space)
        dict.update(space, _paired(items))
    dict.update(space, kept)


class _Missing:
    """Stands for a variable that is not there."""


def _some(space: Any, keys: tuple[str, ...]) -> Items:
    return tuple([space.get(key, _Missing) for key in keys])


def _set_some(space: dict[str, Any], keys: tuple[str, ...], items: Items) -> None:
    for key, value in zip(keys, items, strict=True):
        if value is _Missing:
            space.pop(key, None)
        else:
            space[key] = value


def _in_slots(holder: Any, keys: tuple[str, ...]) -> Items:
    """The names, then the values."""
    return *keys, *[getattr(holder, key, _Missing) for key in keys]


def _set_slots(holder: Any, keys: tuple[str, ...], items: Items) -> None:
    for key, value in zip(keys, items[len(keys) :], strict=True):
        if value is not _Missing:
            object.__setattr__(holder, key, value)
        elif hasattr(holder, key):
            object.__delattr__(holder, key)


def _set_attributes(holder: type, keys: tuple[str, ...], items: Items) -> None:
    for key, value in zip(keys, items, strict=True):
        if vars(holder).get(key) is not value:
            setattr(holder, key, value)


def _contents(cell: CellType) -> Items:
    try:
        return (cell.cell_contents,)
    except ValueError:
        return ()


def _set_contents(cell: CellType, items: Items) -> None:
    if items:
        cell.cell_contents = items[0]
    else:
        del cell.cell_contents


def _copied(array: np.ndarray) -> Items:
    return (array.copy(),)


def _set_array(array: np.ndarray, items: Items) -> None:
    np.copyto(array, items[0])


def _as_bytes(buffer: Any) -> Items:
    return (bytes(buffer),)


def _set_buffer(buffer: Any, items: Items) -> None:
    memoryview(buffer).cast("B")[:] = items[0]


def _random_state(generator: random.Random) -> Items:
    return (generator.getstate(),)


def _set_random_state(generator: random.Random, items: Items) -> None:
    generator.setstate(items[0])


def _numpy_state(generator: np.random.RandomState) -> Items:
    return (generator.get_state(),)


def _set_numpy_state(generator: np.random.RandomState, items: Items) -> None:
    generator.set_state(items[0])


def _bits_state(bits: Any) -> Items:
    return (bits.state,)


def _set_bits_state(bits: Any, items: Items) -> None:
    bits.state = items[0]


def _gradient_flag(cell: Cell) -> Items:
    return (cell.requires_grad,)


def _set_gradient_flag(cell: Cell, items: Items) -> None:
    cell.set_requires_grad(items[0])
