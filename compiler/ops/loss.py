"""Losses of pairs: an element of the input against one of the target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from compiler.errors import OpError
from compiler.ir.graph import Value
from compiler.ir.op import OpSet
from compiler.ir.types import TensorType
from compiler.ops.composite import FP32, composite
from compiler.ops.contract import accumulator
from compiler.ops.elementwise import broadcast_shapes, promoted
from compiler.ops.softmax import mean


def reduced(o: OpSet, loss: Value, reduction: str) -> Value:
    """``loss`` by ``reduction``: "none", "sum" or "mean"."""
    axes = tuple(range(loss.type.rank))
    if reduction == "mean":
        return mean(o, loss, axes, False)
    return o.sum(loss, axes=axes) if reduction == "sum" else loss


def check_reduction(reduction: str) -> None:
    if reduction not in ("none", "sum", "mean"):
        raise OpError(f"{reduction!r} is not a valid value for reduction: 'none', 'sum' or 'mean'")


def _infer_pair(x: TensorType, y: TensorType, *rest: TensorType, reduction: str, **_: Any) -> TensorType:
    check_reduction(reduction)
    shape = broadcast_shapes(x.shape, y.shape)
    if x.dtype is not y.dtype or not x.dtype.is_floating_point:
        raise OpError(f"input and target must share a floating dtype, not {x.dtype.name} and {y.dtype.name}")
    return TensorType(x.dtype, shape if reduction == "none" else ())


def _mse(o: OpSet, x: Value, y: Value, reduction: str) -> Value:
    difference = o.sub(x, y)
    return reduced(o, o.mul(difference, difference), reduction)


def _bce_with_logits(
    o: OpSet, x: Value, y: Value, *rest: Value, reduction: str, weight: bool, pos_weight: bool
) -> Value:
    """The stable form ``(1 - y) x + w (log(1 + exp(-|x|)) + max(-x, 0))`` with ``w = 1 + (pos_weight - 1) y``."""
    softplus = o.add(o.log1p(o.exp(o.neg(o.abs(x)))), o.maximum(o.neg(x), 0))
    if pos_weight:
        softplus = o.mul(o.add(o.mul(o.sub(rest[-1], 1), y), 1), softplus)
    loss = o.add(o.mul(o.sub(1, y), x), softplus)
    if weight:
        loss = o.mul(loss, rest[0])
    return reduced(o, loss, reduction)


composite("mse_loss", _mse, _infer_pair, attrs={"reduction": "mean"}, prepare=promoted, autocast=FP32, spreads=True)
composite(
    "l1_loss",
    lambda o, x, y, reduction: reduced(o, o.abs(o.sub(x, y)), reduction),
    _infer_pair,
    attrs={"reduction": "mean"},
    prepare=promoted,
    autocast=FP32,
)
composite(
    "binary_cross_entropy_with_logits",
    _bce_with_logits,
    _infer_pair,
    attrs={"reduction": "mean", "weight": False, "pos_weight": False},
    prepare=promoted,
    autocast=FP32,
)


def _loss_vjp(slopes: Callable[..., Sequence[Callable[[], Value]]]) -> Callable[..., tuple[Any, ...]]:
    """The VJP of a loss of pairs, from the gradient of each operand of the loss of one pair.

    ``slopes(o, g, *operands, **attrs)`` gives one function per operand, called where that gradient is wanted.
    """

    def vjp(o: OpSet, node: Any, g: Value) -> tuple[Any, ...]:
        wide = accumulator(g.dtype)
        operands = [o.cast(v, to=wide) for v in node.inputs]
        g = o.cast(g, to=wide)
        if node.attrs["reduction"] == "mean":
            g = o.div(g, float(prod(broadcast_shapes(*(v.shape for v in operands[:2])))))
        attrs = {name: node.attrs[name] for name in node.op.attrs if name != "reduction"}
        rules = slopes(o, g, *operands, **attrs)
        return tuple(
            (lambda rule=rule, v=v: o.cast(rule(), to=v.dtype)) for rule, v in zip(rules, node.inputs, strict=True)
        )

    return vjp


def _opposite(o: OpSet, slope: Value) -> tuple[Any, Any]:
    """The gradients of a function of ``x - y``."""
    return (lambda: slope), (lambda: o.neg(slope))


def _limited(o: OpSet, x: Value, limit: float) -> Value:
    return o.minimum(o.maximum(x, -limit), limit)


def _huber(o: OpSet, x: Value, y: Value, reduction: str, delta: float) -> Value:
    """Huber, "Robust estimation of a location parameter", 1964."""
    d = o.abs(o.sub(x, y))
    near, far = o.mul(o.mul(d, d), 0.5), o.mul(o.sub(d, delta / 2), delta)
    return reduced(o, o.where(o.lt(d, delta), near, far), reduction)


def _huber_slopes(o: OpSet, g: Value, x: Value, y: Value, delta: float) -> tuple[Any, Any]:
    """The expansion's own gradient is ``0 * inf`` at an infinite difference."""
    return _opposite(o, o.mul(g, _limited(o, o.sub(x, y), delta)))


def _smooth_l1(o: OpSet, x: Value, y: Value, reduction: str, beta: float) -> Value:
    """Girshick, "Fast R-CNN", 2015: :func:`_huber` divided by ``beta``, the absolute difference for 0."""
    d = o.abs(o.sub(x, y))
    if not beta:
        return reduced(o, d, reduction)
    return reduced(o, o.where(o.lt(d, beta), o.mul(o.mul(d, d), 0.5 / beta), o.sub(d, beta / 2)), reduction)


def _smooth_l1_slopes(o: OpSet, g: Value, x: Value, y: Value, beta: float) -> tuple[Any, Any]:
    d = o.sub(x, y)
    return _opposite(o, o.mul(g, o.div(_limited(o, d, beta), beta) if beta else o.sign(d)))


def _kl_div(o: OpSet, x: Value, y: Value, reduction: str, log_target: bool) -> Value:
    """``y (log y - x)`` for log-probabilities ``x``, where 0 log 0 is 0; NaN for a negative ``y``."""
    if log_target:
        return reduced(o, o.mul(o.exp(y), o.sub(y, x)), reduction)
    zero = o.eq(y, 0)
    entropy = o.mul(y, o.log(o.where(zero, 1, y)))
    return reduced(o, o.sub(entropy, o.mul(y, x)), reduction)


def _kl_div_slopes(o: OpSet, g: Value, x: Value, y: Value, log_target: bool) -> tuple[Any, Any]:
    """To the target ``log y + 1 - x``, in PyTorch's terms: ``y / y`` is NaN at 0."""
    if log_target:
        e = o.exp(y)
        return (lambda: o.neg(o.mul(g, e))), (lambda: o.mul(g, o.add(o.mul(e, o.sub(y, x)), e)))
    logarithm = o.where(o.eq(y, 0), 0, o.log(y))
    return (lambda: o.neg(o.mul(g, y))), (lambda: o.mul(g, o.sub(o.add(logarithm, o.div(y, y)), x)))


def _bounded_log(o: OpSet, x: Value) -> Value:
    return o.maximum(o.log(x), -100.0)


def _bce_elements(o: OpSet, x: Value, y: Value) -> Value:
    return o.neg(o.add(o.mul(y, _bounded_log(o, x)), o.mul(o.sub(1, y), _bounded_log(o, o.sub(1, x)))))


def _bce(o: OpSet, x: Value, y: Value, *rest: Value, reduction: str, weight: bool) -> Value:
    """Binary cross-entropy of probabilities; logarithms below -100 count as -100."""
    loss = _bce_elements(o, x, y)
    return reduced(o, o.mul(loss, rest[0]) if weight else loss, reduction)


def _bce_slopes(o: OpSet, g: Value, x: Value, y: Value, *given: Value, weight: bool) -> tuple[Any, ...]:
    """The denominator is kept from 0 and the logarithms are not bounded, as in PyTorch."""
    weighed = o.mul(g, given[0]) if weight else g
    rules = (
        lambda: o.mul(weighed, o.div(o.sub(x, y), o.maximum(o.mul(o.sub(1, x), x), 1e-12))),
        lambda: o.mul(weighed, o.sub(o.log(o.sub(1, x)), o.log(x))),
        lambda: o.mul(g, _bce_elements(o, x, y)),
    )
    return rules[: 2 + len(given)]


for _name, _loss, _slopes, _attrs in (
    ("huber_loss", _huber, _huber_slopes, {"delta": 1.0}),
    ("smooth_l1_loss", _smooth_l1, _smooth_l1_slopes, {"beta": 1.0}),
    ("kl_div", _kl_div, _kl_div_slopes, {"log_target": False}),
):
    composite(
        _name,
        _loss,
        _infer_pair,
        vjp=_loss_vjp(_slopes),
        attrs={"reduction": "mean", **_attrs},
        prepare=promoted,
        autocast=FP32,
    )
composite(
    "binary_cross_entropy",
    _bce,
    _infer_pair,
    vjp=_loss_vjp(_bce_slopes),
    attrs={"reduction": "mean", "weight": False},
    prepare=promoted,
    autocast={"cpu": "fp32"},  # CUDA's autocast refuses it
)
