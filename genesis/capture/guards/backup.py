"""Python state that a step reaches: kept before a recording, compared and put back after it."""

from __future__ import annotations

import random
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import FrameType, MappingProxyType, ModuleType
from typing import Any

import numpy as np

from genesis.capture.guards.attributes import of_library
from genesis.capture.guards.code import Place
from genesis.capture.guards.keys import guard_key
from genesis.capture.guards.reachable import Reachable, itself
from genesis.capture.keeping import Held, Keep, Spot, Where, has_tensors, keepable
from genesis.memory.cells import Cell, changes
from genesis.memory.identity import GONE
from genesis.nn.module import Module
from genesis.optim.optimizer import Optimizer
from genesis.watched import WatchedDict

Items = tuple[Any, ...]


@dataclass(slots=True)
class Kept:
    """``before``: what ``read`` found at first; ``write`` puts such items back.

    ``entry``: how an entry is called, "{name}.{key}" or "{name}[{key!r}]"; empty where it has the name itself.
    ``owner`` finds the object that the items are in, if tensors may be kept there; ``where``: in what part of it.
    ``keys``: those of the items; None where the items are keys and then values.
    ``draws``: this is the state of a source of random numbers. ``is_flag``: whether a tensor collects a gradient.
    """

    name: str
    read: Callable[[], Items]
    write: Callable[[Items], Any]
    entry: str = ""
    owner: Callable[[], Any] | None = None
    where: Where = "item"
    keys: Sequence[Any] | None = None
    draws: bool = False
    is_flag: bool = False
    before: Items = field(init=False)

    def __post_init__(self) -> None:
        self.before = self.read()

    def subject(self) -> str:
        """The name of the thing that has changed."""
        if not self.entry or (self.keys is not None and len(self.read()) != len(self.before)):
            return self.name
        return next((self._spelled(key) for key, _, _ in self._changes()), self.name)

    def has_changed(self) -> bool:
        now = self.read()
        if len(now) != len(self.before):
            return True
        return any(map(_differ, now, self.before))

    def keeps(self, traced: bool = True) -> dict[Keep, Any]:
        """The places that got tensors, or lost some, so that every call can do the same; with what stood there before.

        ``traced``: where they lost none they must have got some that were made while a step was recorded.
        """
        if self.owner is None:
            return {}
        if self.where == "item" and isinstance(self.owner(), list) and len(self.read()) != len(self.before):
            return {}
        kind = type(self.owner())
        return {
            Keep(self._spelled(key), self.owner, kind, key, self.where): old
            for key, old, new in self._changes()
            if keepable(new) and (has_tensors(new, traced) or has_tensors(old))
        }

    def _changes(self) -> Iterator[tuple[Any, Any, Any]]:
        """The keys whose items have changed, with the old and the new item."""
        old, new = self._by_key(self.before), self._by_key(self.read())
        for key in {**old, **new}:
            before, now = old.get(key, GONE), new.get(key, GONE)
            if before is GONE or now is GONE or _differ(before, now):
                yield key, before, now

    def _by_key(self, items: Items) -> dict[Any, Any]:
        found = _paired(items) if self.keys is None else dict(zip(self.keys, items, strict=False))
        return {key: x for key, x in found.items() if x is not GONE}

    def _spelled(self, key: Any) -> str:
        return self.entry.format(name=self.name, key=key) if self.entry else self.name


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
        self._kept = [kept for part in _PARTS for kept in part(reachable)]
        self._silent = [*_optimizers(reachable)]

    def changed(self) -> list[Kept]:
        """The things that are no longer as they were."""
        return [kept for kept in self._kept if kept.has_changed()]

    def take_tensors_back(self) -> None:
        """Put back what stood where tensors have come or gone."""
        for kept in reversed(self._kept):  # a container before its items
            before = kept.keeps(traced=False)
            for keep, spot in Held([*before]).spots.items():
                spot.put(before[keep])
                changes.tick()

    def restore(self) -> None:
        """Put everything back in place."""
        for kept in [*self._kept, *self._silent]:
            if kept.has_changed():
                kept.write(kept.before)
                changes.tick()


def refusal(name: str, subject: str, place: Place | None) -> str:
    """The message for the step ``name``, which changes ``subject``."""
    return (
        f"{name} changes {subject}; a compiled step runs its Python only when it is compiled, "
        f"so that would happen once, not at every call\n{shown_at(place)}"
        "  return the value from the step and store it outside, or put back what was there when it has been read; or "
        "keep a tensor there, which every call puts in place"
    )


def shown_at(place: Place | None) -> str:
    """The line of a message that says where."""
    return f"  at {place}\n" if place is not None else ""


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


_ITEM, _ATTRIBUTE = "{name}[{key!r}]", "{name}.{key}"


def _containers(reachable: Reachable) -> Iterator[Kept]:
    for name, thing in reachable.containers:
        owner = None if isinstance(thing, WatchedDict) else reachable.finder(name, thing)
        if isinstance(thing, list):
            put = partial(thing.__setitem__, slice(None))
            yield Kept(name, partial(tuple, thing), put, _ITEM, owner, keys=range(sys.maxsize))
        elif isinstance(thing, deque):
            yield Kept(name, partial(tuple, thing), partial(_refill, thing))
        elif isinstance(thing, set):
            yield Kept(name, partial(_ordered, thing), partial(_refill, thing))
        elif isinstance(thing, dict):
            yield Kept(name, partial(_entries, thing), partial(_set_entries, thing), _ITEM, owner)


def _namespaces(reachable: Reachable) -> Iterator[Kept]:
    mentioned = tuple(reachable.names.loaded.keys() | reachable.names.stored.keys())
    for name, holder in reachable.namespaces:
        space, owner = vars(holder), partial(itself, holder)
        if isinstance(space, MappingProxyType):  # a class
            read = partial(_class_entries, holder, mentioned)
            yield Kept(name, read, partial(_set_attributes, holder, mentioned), _ATTRIBUTE, owner)
        elif isinstance(holder, ModuleType):
            spots = [Spot(space, key) for key in mentioned]
            yield Kept(name, *_spots(spots), _ATTRIBUTE, owner, "attribute", mentioned)
        else:
            yield Kept(name, partial(_entries, space), partial(_set_entries, space), _ATTRIBUTE, owner, "attribute")
        if isinstance(holder, Module):
            buffers = holder._buffers
            read, write = partial(_entries, buffers), partial(_set_entries, buffers)
            yield Kept(name, read, write, _ATTRIBUTE, partial(getattr, holder, "_buffers"))
    for space, keys in reachable.global_names():
        for key in sorted(keys):
            yield Kept(key, *_spots([Spot(space, key)]), "", partial(itself, space), keys=(key,))
    for name, cell in reachable.cells:
        yield Kept(name, *_spots([Spot(cell, name)]), "", partial(itself, cell), keys=(name,))


def _slots(reachable: Reachable) -> Iterator[Kept]:
    for name, holder, keys in reachable.slotted:
        spots = [Spot(holder, key, in_slot=True) for key in keys]
        yield Kept(name, *_spots(spots), _ATTRIBUTE, partial(itself, holder), "slot", keys)


def _arrays(reachable: Reachable) -> Iterator[Kept]:
    for name, buffer in reachable.arrays.values():
        if isinstance(buffer, np.ndarray):
            yield Kept(name, partial(_copied, buffer), partial(_set_array, buffer))
        else:
            yield Kept(name, partial(_as_bytes, buffer), partial(_set_buffer, buffer))


def _random(reachable: Reachable) -> Iterator[Kept]:
    yield Kept("random", _global_state, _set_global_state, draws=True)
    yield Kept("numpy.random", _numpy_global_state, _set_numpy_global_state, draws=True)
    for name, generator, _ in reachable.generators:
        if isinstance(generator, random.Random):
            read, write = partial(_random_state, generator), partial(_set_random_state, generator)
        elif isinstance(generator, np.random.RandomState):
            read, write = partial(_numpy_state, generator), partial(_set_numpy_state, generator)
        else:
            bits = getattr(generator, "bit_generator", generator)
            read, write = partial(_bits_state, bits), partial(_set_bits_state, bits)
        yield Kept(name, read, write, draws=True)


def _tensors(reachable: Reachable) -> Iterator[Kept]:
    cells: dict[Cell, str] = {tensor._cell: name for name, tensor in reachable.tensors}
    for name, module in reachable.named_modules():
        cells |= {p._cell: f"{name}.{key}" for key, p in module._parameters.items() if p is not None}
    for cell, name in cells.items():
        if cell.home is None:
            read, write = partial(_gradient_flag, cell), partial(_set_gradient_flag, cell)
            yield Kept(f"{name}.requires_grad", read, write, is_flag=True)


_PARTS = (_containers, _namespaces, _slots, _arrays, _random, _tensors)


def _optimizers(reachable: Reachable) -> Iterator[Kept]:
    for name, holder in [*reachable.optimizers, *reachable.scalers]:
        space: dict[Any, Any] = vars(holder)
        yield Kept(name, partial(_entries, space), partial(_set_entries, space))
        if isinstance(holder, Optimizer):
            states: list[dict[Any, Any]] = [holder.state, *holder.state.values()]
            for state in states:
                yield Kept(f"{name}.state", partial(_entries, state), partial(_set_entries, state))


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


def _spots(spots: Sequence[Spot]) -> tuple[Callable[[], Items], Callable[[Items], Any]]:
    """The functions that read what stands at ``spots``, and that put items there."""

    def read() -> Items:
        return tuple([spot.get() for spot in spots])

    def write(items: Items) -> None:
        for spot, item in zip(spots, items, strict=True):
            spot.put(item)

    return read, write


def _class_entries(kind: type, mentioned: tuple[str, ...]) -> Items:
    """The keys, then the values; without special methods that no code mentions, which Python makes as it needs them."""
    found = {key: x for key, x in vars(kind).items() if not key.startswith("__") or key in mentioned}
    return *found, *found.values()


def _set_attributes(kind: type, mentioned: tuple[str, ...], items: Items) -> None:
    before, now = _paired(items), _paired(_class_entries(kind, mentioned))
    for key in now.keys() - before.keys():
        delattr(kind, key)
    for key, value in before.items():
        if now.get(key, GONE) is not value:
            setattr(kind, key, value)


def _copied(array: np.ndarray) -> Items:
    return (array.copy(),)


def _set_array(array: np.ndarray, items: Items) -> None:
    np.copyto(array, items[0])


def _as_bytes(buffer: Any) -> Items:
    return (bytes(buffer),)


def _set_buffer(buffer: Any, items: Items) -> None:
    memoryview(buffer).cast("B")[:] = items[0]


def _global_state() -> Items:
    return (random.getstate(),)


def _set_global_state(items: Items) -> None:
    random.setstate(*items)


def _numpy_global_state() -> Items:
    return (np.random.get_state(),)


def _set_numpy_global_state(items: Items) -> None:
    np.random.set_state(*items)


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
