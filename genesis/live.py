"""Dicts of numbers that a compiled step reads at every call.

A hyper-parameter is a Python number: ``group["lr"]``, ``betas``, the step count of an optimizer of one's own. Inside a
step that is being compiled it reads as a rank-0 float64 tensor, which every call fills with the number of that moment.
Written there, a number is put in its place by every call; a tensor is computed by the step and put there as a number
after it. Reads, writes and calls of schedules keep the order of the program; for these see :mod:`genesis.host_object`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, TypeVar
from weakref import ref

import numpy as np

from compiler.errors import OpError, TraceError
from compiler.ir.ambient import using
from compiler.ir.graph import Value
from compiler.ir.location import user_location
from compiler.ir.op import o
from compiler.ir.types import f64
from genesis.awaited import as_held, awaited
from genesis.context import current_recording
from genesis.eager.calls import EagerBuilder
from genesis.host import Holder, Numbers, Undo, writes
from genesis.memory.clock import Clock
from genesis.memory.identity import IdentityKey
from genesis.pytree import map_leaves
from genesis.recording import Recording
from genesis.tensor import Tensor, wrap
from genesis.watched import WatchedDict

changes = Clock()
"""Ticks when something of an optimizer changes that compiled steps have baked in."""

F = TypeVar("F", bound=Callable[..., Any])
_MISSING = object()
_ALL = object()
"""Among the keys that a step looked at: it looked at how many there are, or which."""


def is_number(x: Any) -> bool:
    """Whether ``x`` is a number that steps read at every call: int, float or a NumPy scalar, no bool."""
    return isinstance(x, int | float | np.number) and not isinstance(x, bool | Tensor)


def plain_number(x: Any) -> Any:
    """``x`` as a Python number: NumPy scalars become int or float."""
    return x.item() if isinstance(x, np.number) else x


def recording_of_step() -> Recording | None:
    """The recording of the whole step, also inside the body of a loop; None when ops run at once."""
    recording = current_recording()
    return None if recording is None else recording.step


def on_host() -> AbstractContextManager[EagerBuilder]:
    """Inside, everything runs at once, also while a step is recorded."""
    return using(EagerBuilder())


class LiveDict(WatchedDict):
    """A dict whose numbers, also in tuples and lists, are read at every call of a compiled step.

    A step bakes in other values: bools, strings and None themselves, of anything else which object it is. ``exact``
    names numbers that are baked in too, ``switches`` numbers of which a step bakes in whether they are zero.
    """

    is_leaf = True
    """As an argument of a step it is looked at like one in a closure, and not copied."""
    exact: frozenset[str] = frozenset()
    switches: frozenset[str] = frozenset()
    _home: ref[Recording] | None = None

    def __init__(self, items: Mapping[Any, Any] | None = None, home: Recording | None = None) -> None:
        """``home``: the recording it is made in and ends with; None where it outlives the call."""
        super().__init__(items or {})
        self._home = None if home is None else ref(home)

    @property
    def home(self) -> Recording | None:
        """The recording that it was made in, if it ends with it."""
        return None if self._home is None else self._home()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if not isinstance(value, ref)}

    def label(self, key: Any, item: int | None = None) -> str:
        """The name of a number in graphs; ``item``: its place in the tuple under ``key``."""
        return str(key) if item is None else f"{key}[{item}]"

    # Reading

    def _recording(self) -> Recording | None:
        """The recording that accesses go to: none for a dict made inside it, which lives as long as the recording."""
        recording = recording_of_step()
        return None if recording is self.home else recording

    def __getitem__(self, key: Any) -> Any:
        recording = self._recording()
        if recording is None:
            return dict.__getitem__(self, key)
        recording.host.look(self, key)
        value = dict.__getitem__(self, key)
        if key in self.exact:
            return value
        if key != "params" and (is_number(value) or isinstance(value, Tensor | tuple | list)):
            recording.host.refuse_late(self, key)
        return shown(recording, self, key, value, partial(self.label, key), partial(dict.__getitem__, self, key))

    def __contains__(self, key: object) -> bool:
        recording = self._recording()
        if recording is not None:
            recording.host.look(self, key)
        return dict.__contains__(self, key)

    def __len__(self) -> int:
        self._look_at_all()
        return dict.__len__(self)

    def __iter__(self) -> Iterator[Any]:
        self._look_at_all()
        return dict.__iter__(self)

    def _look_at_all(self) -> None:
        recording = self._recording()
        if recording is not None:
            recording.host.look(self, _ALL)

    def raw(self, key: Any) -> Any:
        """The value there, whether a step is being recorded or not."""
        return dict.__getitem__(self, key)

    def is_on(self, key: str) -> bool:
        """Whether a number is other than zero, or a tensor. A step is compiled for one or the other."""
        value = self.raw(key)
        recording = self._recording()
        if isinstance(value, Tensor):
            return True
        if recording is None:
            return bool(value)
        recording.host.look(self, key)
        return recording.host.expect(partial(_is_on, self, key), self)

    def number(self, key: str, item: int | None = None) -> Value:
        """A number as f64[]: a constant when ops run at once, else what every call reads at this place."""
        recording = self._recording()
        value = self.raw(key) if recording is None else self[key]
        return as_f64(value if item is None else value[item])

    # Writing

    def __setitem__(self, key: Any, value: Any) -> None:
        recording = self._recording()
        if recording is None:
            self._put(key, self._converted(value))
            return
        if current_recording() is not recording:
            raise TraceError(
                f"{self.label(key)} is written in the body of a loop\n  at {user_location()}\n"
                "  write it behind the loop"
            )
        if isinstance(value, Tensor) and dict.get(self, key) is value:  # written in place before
            return
        if recording.host.is_late(self):
            recording.host.act_late(_stored(recording, self, key, value, _MISSING), self)
        elif _is_traced(recording, value):
            old = dict.get(self, key, _MISSING)
            dict.__setitem__(self, key, value)
            recording.host.rehearse(
                partial(self._restore, key, old), self, key, partial(_store_later, recording, self, key, old)
            )
        else:
            recording.host.set(partial(_set, self, key, value), self, key)

    def __delitem__(self, key: Any) -> None:
        recording = self._recording()
        if recording is None:
            self._put(key, _MISSING)
        else:
            recording.host.set(partial(_set, self, key, _MISSING), self, key)

    def _converted(self, value: Any) -> Any:
        """The stored form of ``value``."""
        return value

    def _put(self, key: Any, value: Any) -> None:
        before = self._token(key)
        if value is not _MISSING:
            dict.__setitem__(self, key, value)
        elif dict.__contains__(self, key):
            dict.__delitem__(self, key)
        else:
            raise KeyError(key)
        writes.tick()
        if self._token(key) != before:
            changes.tick()

    def _restore(self, key: Any, old: Any) -> None:
        if old is not _MISSING or dict.__contains__(self, key):
            self._put(key, old)

    get = Mapping.get  # type: ignore[assignment]
    items = Mapping.items  # type: ignore[assignment]
    values = Mapping.values  # type: ignore[assignment]
    keys = Mapping.keys  # type: ignore[assignment]

    def copy(self) -> dict[str, Any]:
        return dict(self)

    # Guarding

    def structure(self, asked: Collection[Hashable] = ()) -> tuple[tuple[Hashable, Any], ...]:
        """The values that compiled steps have baked in that looked at the keys ``asked``."""
        found = []
        for key, value in dict.items(self):
            token = _baked(value, key in self.exact, key in self.switches)
            if token is not None or key in asked or _ALL in asked:
                found.append((_key(key), token))
        return tuple(found)

    def _token(self, key: Any) -> Any:
        value = dict.get(self, key, _MISSING)
        return value if value is _MISSING else (_baked(value, key in self.exact, key in self.switches),)


def _key(key: Any) -> Hashable:
    return key._cell if isinstance(key, Tensor) else key


def _baked(value: Any, exact: bool = False, switch: bool = False) -> Any:
    """The part of a value that a step bakes in; None for a number."""
    if is_number(value):
        return value if exact else bool(value) if switch else None
    if isinstance(value, bool | str | None):
        return type(value), value
    if isinstance(value, Tensor):
        return value._cell, value._type
    if isinstance(value, LiveDict):
        return IdentityKey(value)
    if isinstance(value, tuple | list):
        return type(value), *(_baked(item, exact) for item in value)
    return IdentityKey(value)


# Inside a step


def shown(
    recording: Recording,
    holder: Holder,
    key: Hashable,
    value: Any,
    label: Callable[..., str],
    get: Callable[[], Any],
) -> Any:
    """``value``, which ``get`` reads, as the step that is being recorded sees it: run-time scalars for its numbers.

    ``label`` names the number, or the number at a place in a tuple.
    """
    if recording.host.is_known(holder, key):
        return value
    if is_number(value):
        return _live(recording, holder, key, label(), get)
    if isinstance(value, tuple | list) and any(map(is_number, value)):
        return tuple(
            _live(recording, holder, (key, i), label(i), partial(_item, get, i)) if is_number(x) else x
            for i, x in enumerate(value)
        )
    return value


def _item(get: Callable[[], Any], i: int) -> Any:
    return get()[i]


def _live(recording: Recording, holder: Holder, key: Hashable, label: str, read: Callable[[], float]) -> Tensor:
    """The number that ``read`` finds at this place of the program in every call, as a rank-0 f64 tensor."""
    value = recording.host.scalar(holder, key, label, read)
    with using(recording.builder):
        return wrap(value)


def as_f64(number: Any) -> Value:
    """A Python number, NumPy number or tensor of one element as f64[]."""
    if not isinstance(number, Tensor):
        return o.constant(value=float(number), dtype=f64)
    value: Value = number.value
    if value.type.size != 1:
        raise OpError(
            f"a number or a tensor of one element is needed, not a {value.type} tensor\n  at {user_location()}"
        )
    if value.shape:
        value = o.reshape(value, shape=())
    return value if value.dtype is f64 else o.cast(value, to=f64)


def saved(group: dict[str, Any]) -> Undo:
    """How to bring a group of hyper-parameters back to what it holds now."""
    before = dict(dict.items(group))

    def restore() -> None:
        for key in {**before, **dict(dict.items(group))}:
            if isinstance(group, LiveDict):
                group._restore(key, before.get(key, _MISSING))
            elif key in before:
                group[key] = before[key]
            else:
                del group[key]

    return restore


# At a call


def _set(holder: LiveDict, key: Any, value: Any, numbers: Numbers) -> Undo:
    old = dict.get(holder, key, _MISSING)
    holder._put(key, value)
    return partial(holder._restore, key, old)


def _is_on(holder: LiveDict, key: str) -> bool:
    value = dict.__getitem__(holder, key)
    return isinstance(value, Tensor) or bool(value)


def _is_traced(recording: Recording, value: Any) -> bool:
    found = False

    def look(path: str, leaf: Any) -> None:
        nonlocal found
        found = found or (isinstance(leaf, Tensor) and leaf._cell.home is recording)

    map_leaves(look, value)
    return found


def _store_later(recording: Recording, holder: LiveDict, key: Any, old: Any) -> None:
    """Plan that ``holder[key]``, a value of the graph, gets to the host: in place where ``old`` is a tensor like it."""
    value = dict.__getitem__(holder, key)
    if isinstance(value, Tensor) and _is_like(old, value):
        recording.write(old._cell, value.value)
    else:
        recording.host.act_late(_stored(recording, holder, key, value, old), holder)


def _is_like(old: Any, value: Tensor) -> bool:
    return (
        isinstance(old, Tensor)
        and not old._views
        and not old._cell.requires_grad
        and old._cell.home is None
        and old._type == value._type
    )


def _stored(
    recording: Recording, holder: LiveDict, key: Any, value: Any, old: Any
) -> Callable[[Sequence[np.ndarray]], None]:
    """Puts ``value``, with the results of the call for its tensors, under ``key``."""
    pattern = awaited(recording, value)
    number = is_number(old) or (old is not _MISSING and not isinstance(old, Tensor))
    whole = isinstance(old, int)

    def store(results: Sequence[np.ndarray]) -> None:
        holder._put(key, pattern(results, lambda array: as_held(array, number, whole)))

    return store
