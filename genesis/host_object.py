"""Objects whose methods a compiled step leaves to the host: schedules."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from functools import partial, wraps
from typing import Any, TypeVar

import numpy as np

from compiler.errors import TraceError
from compiler.ir.location import user_location
from genesis.awaited import as_held, awaited
from genesis.context import current_recording
from genesis.host import Holder, Numbers, Undo
from genesis.live import LiveDict, is_number, on_host, recording_of_step, shown
from genesis.memory.identity import IdentityKey
from genesis.pytree import leaves, map_leaves
from genesis.recording import Recording
from genesis.tensor import Tensor

F = TypeVar("F", bound=Callable[..., Any])
_MISSING = object()


def _left_to_host(method: F) -> F:
    """``method``, which every call of a compiled step runs on the host at its place in the program."""

    @wraps(method)
    def wrapper(self: HostObject, *args: Any, **kwargs: Any) -> Any:
        recording = recording_of_step()
        if recording is None:
            return method(self, *args, **kwargs)
        name = f"{type(self).__name__}.{method.__name__}()"
        if current_recording() is not recording:
            raise TraceError(f"{name} in the body of a loop\n  at {user_location()}\n  call it behind the loop")
        _leave_to_host(recording, partial(method, self), self, (args, kwargs))
        return None

    return wrapper  # type: ignore[return-value]


class HostObject:
    """An object that lives on the host and changes hyper-parameters: a schedule.

    A step that is being compiled leaves its :meth:`step` to the host: every call runs it before the launch, at its
    place in the program, or behind the launch where it takes a result. Its numbers read as those of a group.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if recording_of_step() is not None:
            raise TraceError(
                f"{cls.__name__} is made inside a step that is being compiled\n  at {user_location()}\n"
                "  make it outside"
            )
        return super().__new__(cls)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in ("step", "load_state_dict"):
            if name in vars(cls):
                setattr(cls, name, _left_to_host(vars(cls)[name]))

    def holders(self) -> Sequence[Holder]:
        """Itself and everything else that its methods read or change."""
        raise NotImplementedError

    def save(self) -> Undo:
        """How to bring all of that back to what it is now."""
        raise NotImplementedError

    def structure(self, asked: Collection[Hashable] = ()) -> Any:
        return IdentityKey(self)

    def __getattribute__(self, name: str) -> Any:
        value = object.__getattribute__(self, name)
        if name.startswith("__") or name not in object.__getattribute__(self, "__dict__"):
            return value
        recording = recording_of_step()
        if recording is None:
            return value
        recording.host.look(self, name)
        if is_number(value) or isinstance(value, tuple | list):
            recording.host.refuse_late(self, name)
        kind = type(self).__name__

        def label(item: int | None = None) -> str:
            return f"{kind}.{name}" if item is None else f"{kind}.{name}[{item}]"

        return shown(recording, self, name, value, label, partial(object.__getattribute__, self, name))

    def __setattr__(self, name: str, value: Any) -> None:
        recording = recording_of_step()
        if recording is None:
            object.__setattr__(self, name, value)
        elif isinstance(value, Tensor):
            raise TraceError(
                f"{type(self).__name__}.{name} is set to a tensor inside a step that is being compiled\n"
                f"  at {user_location()}\n  return the tensor and set it outside"
            )
        else:
            recording.host.set(partial(_set_attribute, self, name, value), self, name)


def _set_attribute(holder: Any, name: str, value: Any, numbers: Numbers) -> Undo:
    old = vars(holder).get(name, _MISSING)
    object.__setattr__(holder, name, value)
    return partial(vars(holder).pop, name) if old is _MISSING else partial(object.__setattr__, holder, name, old)


def _leave_to_host(recording: Recording, method: Callable[..., Any], owner: HostObject, given: Any) -> None:
    host = recording.host
    holders = owner.holders()
    computed = {
        path: host.host_value(leaf.value)
        for path, leaf in leaves(given)
        if isinstance(leaf, Tensor) and leaf._cell.home is recording
    }
    if host.waits(*holders) or None in computed.values() or any(map(_has_tensors, holders)):
        filled = awaited(recording, given)

        def act_late(results: Sequence[np.ndarray]) -> None:
            args, kwargs = filled(results, lambda array: as_held(array, False, False))
            method(*args, **kwargs)

        host.act_late(act_late, *holders)
        return

    def act(numbers: Numbers) -> Undo:
        undo = owner.save()
        args, kwargs = map_leaves(lambda path, x: c(numbers) if (c := computed.get(path)) else x, given)
        try:
            method(*args, **kwargs)
        except BaseException:
            undo()
            raise
        return undo

    with on_host():
        host.act(act, *holders)


def _has_tensors(holder: Any) -> bool:
    """Whether hyper-parameters are tensors, which a launch reads as they are then, not as they were in between."""
    return isinstance(holder, LiveDict) and any(
        isinstance(value, Tensor) and key != "params" for key, value in dict.items(holder)
    )
