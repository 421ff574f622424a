"""A quick test that a call is like the last one: then the same program serves it, and no key is built."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Any, NamedTuple

import numpy as np

from compiler.ir.types import TensorType
from genesis.capture.guards.reachable import Reachable
from genesis.eager.calls import EagerBuilder
from genesis.live import changes as optimizer_changes
from genesis.memory.cells import changes as module_changes
from genesis.memory.values import TensorValue
from genesis.pytree import is_tensor_like, structure
from genesis.recording import RecordingBuilder
from genesis.tensor import Tensor

Session = EagerBuilder | RecordingBuilder

_FLOAT = object()
"""Stands for an argument that is a float."""


class _ArrayKind(NamedTuple):
    """Stands for an argument that is a NumPy array."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]


class LastCall:
    """The next call is compared with this: arguments, modes, the clocks of modules and optimizers, what is around.

    A plain tensor or an array counts by type and shape, a float by being one, any other argument by which
    object it is. ``kinds``: for a step that keeps tensors, what its program depends on of these and of the arguments.
    """

    __slots__ = ("_around", "_autocast", "_grad_enabled", "_kinds", "_module_time", "_optimizer_time", "kinds")

    def __init__(
        self,
        args: tuple[Any, ...],
        here: Session,
        times: tuple[int, int],
        reachable: Reachable,
        inputs: Collection[int],
        kinds: Hashable = None,
    ) -> None:
        """``times``: of both clocks, when ``reachable`` was found. ``inputs``: as :meth:`Reachable.snapshot` takes."""
        self._kinds = list(map(_kind, args))
        self._grad_enabled, self._autocast = here.grad_enabled, here.autocast
        self._module_time, self._optimizer_time = times
        self._around = reachable.snapshot(inputs)
        self.kinds = kinds

    def inputs(self, args: tuple[Any, ...], here: Session) -> list[np.ndarray] | None:
        """The arrays, and those of the tensors, in a call that is like this one; None where something may be other."""
        kinds = self._kinds
        if (
            module_changes.time != self._module_time
            or optimizer_changes.time != self._optimizer_time
            or here.grad_enabled is not self._grad_enabled
            or here.autocast != self._autocast
            or len(args) != len(kinds)
        ):
            return None
        inputs = []
        for x, kind in zip(args, kinds):
            if type(kind) is TensorType and (value := plain_value(x)) is not None:
                found = value.type
                if found is not kind and (found.dtype is not kind.dtype or found.shape != kind.shape):
                    return None
                inputs.append(value.data)
            elif type(kind) is _ArrayKind and type(x) is np.ndarray:
                if x.dtype != kind.dtype or x.shape != kind.shape:
                    return None
                inputs.append(x)
            elif x is not kind and (kind is not _FLOAT or type(x) is not float):
                return None
        return inputs if self._around.holds() else None


def can_repeat(args: tuple[Any, ...]) -> bool:
    """Whether :class:`LastCall` can tell these arguments from others: no views, states, containers and the like."""
    return all(
        plain_value(x) is not None or type(x) is np.ndarray or not (is_tensor_like(x) or structure(x) is not None)
        for x in args
    )


def plain_value(x: Any) -> TensorValue | None:
    """The value of a row-major tensor that is no view and no state, needs no gradient and is at hand, else None."""
    if type(x) is not Tensor or x._views:
        return None
    cell = x._cell
    value = cell.value
    if cell.home is not None or cell.remote is not None or cell.bound or cell.strides is not None:
        return None
    return None if value.requires_grad else value


def _kind(x: Any) -> Any:
    if type(x) is np.ndarray:
        return _ArrayKind(x.dtype, x.shape)
    value = plain_value(x)
    return value.type if value is not None else _FLOAT if type(x) is float else x
