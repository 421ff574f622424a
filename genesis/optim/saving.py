"""Loading what an optimizer remembers."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from compiler.errors import ChoiceError
from genesis.tensor import Tensor, tensor

States = dict[Any, dict[str, Any]]


def restored(places: dict[Tensor, Any], saved: Mapping[Any, Any], counted: bool) -> States:
    """Copies of the states in ``saved`` by parameter; ``places``: where each parameter stands there.

    Tensors of floats get the dtype of their parameter. ``counted``: the state is that of an optimizer of Genesis, where
    ``"step"`` is a tensor that parameters which count alike share, and all else has the shape of the parameter; raises
    ValueError for another shape. Optimizers of users keep numbers as numbers, and any shape.
    """
    states: States = {}
    counters: dict[float, Tensor] = {}
    for p, place in places.items():
        for key, value in saved.get(place, {}).items():
            if not counted:
                states.setdefault(p, {})[key] = _converted(key, value, p)
            elif key == "step":
                states.setdefault(p, {})[key] = counters.setdefault(float(value), tensor(float(value)))
            elif value is not None:
                found = states.setdefault(p, {})[key] = tensor(value, dtype=p.dtype)
                if found.shape != p.shape:
                    raise ChoiceError(
                        f"state {key!r} of parameter {place} has shape {list(found.shape)}, "
                        f"but the parameter has {list(p.shape)}"
                    )
    known = set(places.values())
    return states | {key: deepcopy(value) for key, value in saved.items() if key not in known}


def _converted(key: str, value: Any, p: Tensor) -> Any:
    """A copy of one entry: tensors of floats as the parameter's dtype, except step counts."""
    if isinstance(value, Mapping):
        return {k: _converted(k, v, p) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([_converted(key, v, p) for v in value])
    if not hasattr(value, "shape") or not hasattr(value, "dtype"):
        return deepcopy(value)
    copy = tensor(value)
    return tensor(copy, dtype=p.dtype) if key != "step" and copy.dtype.is_floating_point else copy


def alike(old: Mapping[Any, Any], new: States) -> bool:
    """Whether the tensors of ``old`` can take the values of ``new``: the same ones, and no counter gets two values."""
    counts: dict[Tensor, Tensor] = {}
    for p in {**old, **new}:
        mine, other = old.get(p, {}), new.get(p, {})
        if not isinstance(mine, Mapping) or {k: _kind(v) for k, v in mine.items()} != {
            k: _kind(v) for k, v in other.items()
        }:
            return False
        step = other.get("step")
        if isinstance(step, Tensor) and counts.setdefault(mine["step"], step) is not step:
            return False
    return True


def _kind(value: Any) -> Any:
    return value._type if isinstance(value, Tensor) else None
