"""Gradient clipping by total norm and by value (Pascanu, Mikolov & Bengio, 2013)."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from types import GeneratorType
from typing import Any

from compiler.errors import AutogradError, GenesisWarning, TraceError
from compiler.ir.graph import Value
from compiler.ir.location import user_location
from compiler.ir.op import o
from compiler.ops.training import total_norm as norm_of
from genesis.context import current_recording, grad_mode
from genesis.functions.pointwise import add, clamp, div, isfinite, mul
from genesis.live import as_f64
from genesis.misuse import explained
from genesis.recording import Recording
from genesis.tensor import Tensor, tensor, wrap

Tensors = Tensor | Iterable[Tensor]


def _listed(tensors: Tensors) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _grads(parameters: Tensors) -> list[Tensor]:
    return [p.grad for p in _listed(parameters) if p.grad is not None]


def _write(grads: list[Tensor], values: Iterable[Value]) -> None:
    for grad, value in zip(grads, values, strict=True):
        grad.write(value)


def _refuse_nonfinite(norm: Tensor, norm_type: float) -> None:
    if current_recording() is not None:
        raise TraceError(
            "error_if_nonfinite=True needs the norm's value, which does not exist while the step is being compiled\n"
            f"  at {user_location()}\n"
            "  leave it out and look at the returned norm, or at step.last.grad_norm, after the call"
        )
    if not bool(isfinite(norm)):
        raise AutogradError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be "
            "clipped. To disable this error and scale the gradients by the non-finite norm anyway, "
            "set `error_if_nonfinite=False`"
        )


@explained
def clip_grad_norm_(
    parameters: Tensors,
    max_norm: float | Tensor,
    norm_type: float | str = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients by ``min(max_norm / (total_norm + 1e-6), 1)``, in place; returns the total norm before.

    ``norm_type`` may be infinity. Parameters without a gradient are left out. A norm that is not finite goes into the
    gradients, or with ``error_if_nonfinite`` raises RuntimeError. ``foreach`` is accepted: all gradients are one op.
    """
    if isinstance(parameters, GeneratorType):
        parameters = list(parameters)
        if not parameters:
            message = "`parameters` is an empty generator, no gradient clipping will occur."
            warnings.warn(message, GenesisWarning, stacklevel=3)
    order = float(norm_type)
    grads = _grads(parameters)
    if not grads:
        return tensor(0.0)
    with grad_mode(False):
        *clipped, norm = o.clip_grad_norm(*(g.value for g in grads), as_f64(max_norm), norm_type=order)
        if error_if_nonfinite:
            _refuse_nonfinite(wrap(norm), order)
        _write(grads, clipped)
    recording = current_recording()
    if isinstance(recording, Recording):
        recording.last["grad_norm"] = norm
    return wrap(norm)


@explained
def clip_grad_value_(parameters: Tensors, clip_value: float | Tensor, foreach: bool | None = None) -> None:
    """Limit every gradient element to ``[-clip_value, clip_value]``, in place; NaN stays."""
    grads = _grads(parameters)
    if not grads:
        return
    with grad_mode(False):
        clipped: Any = o.clip_grad_value(*(g.value for g in grads), as_f64(clip_value))
        _write(grads, clipped if isinstance(clipped, tuple) else (clipped,))


@explained
def get_total_norm(
    tensors: Tensors,
    norm_type: float | str = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all ``tensors`` as one vector."""
    values = tuple(t.value for t in _listed(tensors))
    if not values:
        return tensor(0.0)
    with grad_mode(False):
        norm = wrap(norm_of(o, values, float(norm_type)))
        if error_if_nonfinite:
            _refuse_nonfinite(norm, float(norm_type))
    return norm


@explained
def clip_grads_with_norm_(
    parameters: Tensors, max_norm: float | Tensor, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scale all gradients by ``min(max_norm / (total_norm + 1e-6), 1)`` for a norm from :func:`get_total_norm`."""
    with grad_mode(False):
        factor = clamp(div(wrap(as_f64(max_norm)), add(total_norm, 1e-6)), max=1.0)
        for grad in _grads(parameters):
            grad.write(o.cast(mul(grad, factor).value, to=grad.dtype))
