"""Loading what an optimizer remembers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from copy import deepcopy
from typing import Any, ClassVar, Protocol

import numpy as np

from compiler.errors import ChoiceError
from compiler.ir.types import defaults, f64
from genesis.tensor import Tensor, from_array, tensor

States = dict[Any, dict[str, Any]]


class Keeper(Protocol):
    """The part of an optimizer that loading needs."""

    param_groups: list[Any]
    numbers: ClassVar[tuple[str, ...]]

    @property
    def keeps_tensors(self) -> bool:
        """Whether all that is remembered is a number that parameters share, or a tensor of :meth:`shape_of`."""

    def shape_of(self, p: Tensor, key: str) -> tuple[int, ...]:
        """The shape of the state of ``p`` under ``key``."""


def number(value: float) -> Tensor:
    """A number that parameters remember: f32[], or f64[] where this is the default dtype, as in PyTorch."""
    return from_array(np.full((), value, np.float64 if defaults.float is f64 else np.float32))


def restored(owner: Keeper, places: dict[Tensor, Any], saved: Mapping[Any, Any]) -> States:
    """Copies of the states in ``saved`` by parameter; ``places``: where each parameter stands there.

    Tensors of floats get the dtype of their parameter. Parameters whose numbers are equal share them again. Raises
    ValueError for another shape. Optimizers of users keep numbers as numbers, and any shape.
    """
    states: States = {}
    shared: dict[Any, Tensor] = {}
    groups = {p: index for index, group in enumerate(owner.param_groups) for p in group["params"]}
    for p, place in places.items():
        for key, value in saved.get(place, {}).items():
            if not owner.keeps_tensors:
                states.setdefault(p, {})[key] = _converted(key, value, p)
                continue
            if value is None:
                continue
            if np.shape(value) != (shape := owner.shape_of(p, key)):
                raise ChoiceError(
                    f"state {key!r} of parameter {place} has shape {list(np.shape(value))}, "
                    f"but the parameter has {list(p.shape)}, which needs {list(shape)}"
                )
            if key in owner.numbers:
                sharers = (key, float(value), *(() if key == "step" else (groups[p], float(saved[place]["step"]))))
                found = shared.setdefault(sharers, number(float(value)))
            else:
                found = tensor(value, dtype=p.dtype)
            states.setdefault(p, {})[key] = found
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


def alike(old: Mapping[Any, Any], new: States, numbers: Collection[str]) -> bool:
    """Whether the tensors of ``old`` can take the values of ``new``: the same ones, and no number gets two values."""
    values: dict[Tensor, Tensor] = {}
    for p in {**old, **new}:
        mine, other = old.get(p, {}), new.get(p, {})
        if not isinstance(mine, Mapping) or {k: _kind(v) for k, v in mine.items()} != {
            k: _kind(v) for k, v in other.items()
        }:
            return False
        for key in numbers:
            number = other.get(key)
            if isinstance(number, Tensor) and values.setdefault(mine[key], number) is not number:
                return False
    return True


def _kind(value: Any) -> Any:
    return value._type if isinstance(value, Tensor) else None
