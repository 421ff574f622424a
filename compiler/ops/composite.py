"""Composites: means, softmaxes and losses.

They stay whole in the traced IR, so that it reads like the user's program and autocast decides on the op the user
wrote; ``expand`` breaks them up. Every expansion computes in f32 for 16-bit inputs and rounds once, at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from math import prod
from typing import Any

from compiler.errors import OpError
from compiler.ir.graph import Value
from compiler.ir.op import REQUIRED, Op, register
from compiler.ir.types import Shape, TensorType, f32
from compiler.ops.contract import accumulator
from compiler.ops.elementwise import FP32_ON_CUDA, broadcast_shapes, promoted
from compiler.ops.reduce import normalize_axis

FP32 = {"cpu": "fp32", "cuda": "fp32"}


def rounded(expansion: Callable[..., Any]) -> Callable[..., Any]:
    """An expansion of one result that computes 16-bit floats in f32 and rounds once, at its end."""

    def expand(o: Any, x: Value, *rest: Value, **attrs: Any) -> Value:
        wide = [o.cast(v, to=f32) if v.dtype.is_half else v for v in (x, *rest)]
        return o.cast(expansion(o, *wide, **attrs), to=x.dtype)

    return expand


def floating(x: TensorType, **_: Any) -> TensorType:
    """``x``; raises :class:`OpError` for integers and bools."""
    if x.dtype.kind != "float":
        raise OpError(f"the op is not defined for {x.dtype.name} tensors; convert with .float()")
    return x


def composite(name: str, expansion: Callable[..., Any], infer: Callable[..., Any] = floating, **options: Any) -> Op:
    """Register a composite of one result, of its operand's floating type unless ``infer`` says otherwise."""
    return register(Op(name, infer, "composite", expand=rounded(expansion), **options))


# Means, softmaxes


def count(shape: Shape, axes: Sequence[int]) -> int:
    return prod(shape[a] for a in axes)


def infer_mean(x: TensorType, axes: tuple[int, ...], keepdim: bool) -> TensorType:
    """The floating type of ``x`` without ``axes``, or with them of size 1."""
    return TensorType(
        floating(x).dtype, tuple(1 if a in axes else n for a, n in enumerate(x.shape) if keepdim or a not in axes)
    )


def mean(o: Any, x: Value, axes: tuple[int, ...], keepdim: bool) -> Value:
    return o.div(o.sum(x, axes=axes, keepdim=keepdim), float(count(x.shape, axes)))


composite("mean", mean, infer_mean, attrs={"axes": REQUIRED, "keepdim": False})


def _check_axis(x: TensorType, axis: int) -> TensorType:
    if normalize_axis(axis, x.rank) != axis:
        raise OpError(f"axis {axis} must be counted from the front")
    return floating(x)


def _along(axis: int, x: Value) -> tuple[int, ...]:
    return (axis,) if x.type.rank else ()


def _log_sum_exp(o: Any, x: Value, axes: tuple[int, ...]) -> Value:
    """With ``axes`` kept; an infinite maximum is not subtracted, so that all -inf gives -inf, not NaN."""
    top = o.amax(x, axes=axes, keepdim=True)
    safe = o.where(o.isinf(top), 0, top)
    return o.add(o.log(o.sum(o.exp(o.sub(x, safe)), axes=axes, keepdim=True)), safe)


def _softmax(o: Any, x: Value, axis: int) -> Value:
    axes = _along(axis, x)
    e = o.exp(o.sub(x, o.amax(x, axes=axes, keepdim=True)))
    return o.div(e, o.sum(e, axes=axes, keepdim=True))


def _softmax_vjp(o: Any, node: Any, g: Value) -> tuple[Value]:
    y = node.output
    wide = accumulator(y.dtype)
    axes = _along(node.attrs["axis"], y)
    gy = o.mul(o.cast(g, to=wide), o.cast(y, to=wide))
    inner = o.sum(gy, axes=axes, keepdim=True)
    return (o.cast(o.sub(gy, o.mul(o.cast(y, to=wide), inner)), to=y.dtype),)


def _log_softmax(o: Any, x: Value, axis: int) -> Value:
    axes = _along(axis, x)
    shifted = o.sub(x, o.amax(x, axes=axes, keepdim=True))
    return o.sub(shifted, o.log(o.sum(o.exp(shifted), axes=axes, keepdim=True)))


def _log_softmax_vjp(o: Any, node: Any, g: Value) -> tuple[Value]:
    y = node.output
    wide = accumulator(y.dtype)
    g = o.cast(g, to=wide)
    total = o.sum(g, axes=_along(node.attrs["axis"], y), keepdim=True)
    return (o.cast(o.sub(g, o.mul(o.exp(o.cast(y, to=wide)), total)), to=y.dtype),)


composite("softmax", _softmax, _check_axis, vjp=_softmax_vjp, attrs={"axis": REQUIRED}, autocast=FP32_ON_CUDA)
composite(
    "log_softmax", _log_softmax, _check_axis, vjp=_log_softmax_vjp, attrs={"axis": REQUIRED}, autocast=FP32_ON_CUDA
)


def _logsumexp(o: Any, x: Value, axes: tuple[int, ...], keepdim: bool) -> Value:
    return o.reshape(_log_sum_exp(o, x, axes), shape=infer_mean(x.type, axes, keepdim).shape)


composite("logsumexp", _logsumexp, infer_mean, attrs={"axes": REQUIRED, "keepdim": False}, autocast=FP32_ON_CUDA)

# Losses


def reduced(o: Any, loss: Value, reduction: str) -> Value:
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


def _mse(o: Any, x: Value, y: Value, reduction: str) -> Value:
    difference = o.sub(x, y)
    return reduced(o, o.mul(difference, difference), reduction)


def _bce_with_logits(o: Any, x: Value, y: Value, *rest: Value, reduction: str, weight: bool, pos_weight: bool) -> Value:
    """The stable form ``(1 - y) x + w (log(1 + exp(-|x|)) + max(-x, 0))`` with ``w = 1 + (pos_weight - 1) y``."""
    softplus = o.add(o.log1p(o.exp(o.neg(o.abs(x)))), o.maximum(o.neg(x), 0))
    if pos_weight:
        softplus = o.mul(o.add(o.mul(o.sub(rest[-1], 1), y), 1), softplus)
    loss = o.add(o.mul(o.sub(1, y), x), softplus)
    if weight:
        loss = o.mul(loss, rest[0])
    return reduced(o, loss, reduction)


composite("mse_loss", _mse, _infer_pair, attrs={"reduction": "mean"}, prepare=promoted, autocast=FP32)
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

    def vjp(o: Any, node: Any, g: Value) -> tuple[Any, ...]:
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


def _opposite(o: Any, slope: Value) -> tuple[Any, Any]:
    """The gradients of a function of ``x - y``."""
    return (lambda: slope), (lambda: o.neg(slope))


def _limited(o: Any, x: Value, limit: float) -> Value:
    return o.minimum(o.maximum(x, -limit), limit)


def _huber(o: Any, x: Value, y: Value, reduction: str, delta: float) -> Value:
    """Huber, "Robust estimation of a location parameter", 1964."""
    d = o.abs(o.sub(x, y))
    near, far = o.mul(o.mul(d, d), 0.5), o.mul(o.sub(d, delta / 2), delta)
    return reduced(o, o.where(o.lt(d, delta), near, far), reduction)


def _huber_slopes(o: Any, g: Value, x: Value, y: Value, delta: float) -> tuple[Any, Any]:
    """The expansion's own gradient is ``0 * inf`` at an infinite difference."""
    return _opposite(o, o.mul(g, _limited(o, o.sub(x, y), delta)))


def _smooth_l1(o: Any, x: Value, y: Value, reduction: str, beta: float) -> Value:
    """Girshick, "Fast R-CNN", 2015: :func:`_huber` divided by ``beta``, the absolute difference for 0."""
    d = o.abs(o.sub(x, y))
    if not beta:
        return reduced(o, d, reduction)
    return reduced(o, o.where(o.lt(d, beta), o.mul(o.mul(d, d), 0.5 / beta), o.sub(d, beta / 2)), reduction)


def _smooth_l1_slopes(o: Any, g: Value, x: Value, y: Value, beta: float) -> tuple[Any, Any]:
    d = o.sub(x, y)
    return _opposite(o, o.mul(g, o.div(_limited(o, d, beta), beta) if beta else o.sign(d)))


def _kl_div(o: Any, x: Value, y: Value, reduction: str, log_target: bool) -> Value:
    """``y (log y - x)`` for log-probabilities ``x``, where 0 log 0 is 0; NaN for a negative ``y``."""
    if log_target:
        return reduced(o, o.mul(o.exp(y), o.sub(y, x)), reduction)
    zero = o.eq(y, 0)
    entropy = o.mul(y, o.log(o.where(zero, 1, y)))
    return reduced(o, o.sub(entropy, o.mul(y, x)), reduction)


def _kl_div_slopes(o: Any, g: Value, x: Value, y: Value, log_target: bool) -> tuple[Any, Any]:
    """To the target ``log y + 1 - x``, in PyTorch's terms: ``y / y`` is NaN at 0."""
    if log_target:
        e = o.exp(y)
        return (lambda: o.neg(o.mul(g, e))), (lambda: o.mul(g, o.add(o.mul(e, o.sub(y, x)), e)))
    logarithm = o.where(o.eq(y, 0), 0, o.log(y))
    return (lambda: o.neg(o.mul(g, y))), (lambda: o.mul(g, o.sub(o.add(logarithm, o.div(y, y)), x)))


def _bounded_log(o: Any, x: Value) -> Value:
    return o.maximum(o.log(x), -100.0)


def _bce_elements(o: Any, x: Value, y: Value) -> Value:
    return o.neg(o.add(o.mul(y, _bounded_log(o, x)), o.mul(o.sub(1, y), _bounded_log(o, o.sub(1, x)))))


def _bce(o: Any, x: Value, y: Value, *rest: Value, reduction: str, weight: bool) -> Value:
    """Binary cross-entropy of probabilities; logarithms below -100 count as -100."""
    loss = _bce_elements(o, x, y)
    return reduced(o, o.mul(loss, rest[0]) if weight else loss, reduction)


def _bce_slopes(o: Any, g: Value, x: Value, y: Value, *given: Value, weight: bool) -> tuple[Any, ...]:
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


def class_axis(rank: int) -> int:
    """Where the classes are in ``[C]``, ``[N, C]`` or ``[N, C, d1, ...]``."""
    return 0 if rank == 1 else 1


def _infer_class_loss(x: TensorType, target: TensorType, *weight: TensorType, reduction: str, **_: Any) -> TensorType:
    check_reduction(reduction)
    axis = class_axis(x.rank)
    if floating(x).rank == 0 or target.dtype.kind != "int":
        raise OpError(f"expected logits [N, C, ...] and integer class indices [N, ...], not {x} and {target}")
    if target.shape != (*x.shape[:axis], *x.shape[axis + 1 :]):
        raise OpError(
            f"the input {list(x.shape)} needs a target of shape {[*x.shape[:axis], *x.shape[axis + 1 :]]}, "
            f"not {list(target.shape)}"
        )
    if weight and weight[0].shape != (x.shape[axis],):
        raise OpError(f"weight tensor should be defined for all {x.shape[axis]} classes, not {list(weight[0].shape)}")
    return TensorType(x.dtype, target.shape if reduction == "none" else ())


def _rows(o: Any, x: Value) -> Value:
    """Logits as ``[rows, classes]``."""
    axis = class_axis(x.type.rank)
    if axis != x.type.rank - 1:
        x = o.permute(x, dims=(*(a for a in range(x.type.rank) if a != axis), axis))
    return o.reshape(x, shape=(prod(x.shape[:-1]), x.shape[-1]))


def _unrows(o: Any, rows: Value, shape: Shape) -> Value:
    """The inverse of :func:`_rows` for a result of ``shape``."""
    axis = class_axis(len(shape))
    others = tuple(n for a, n in enumerate(shape) if a != axis)
    moved = o.reshape(rows, shape=(*others, shape[axis]))
    if axis == len(shape) - 1:
        return moved
    order = list(range(len(others)))
    order.insert(axis, len(others))
    return o.permute(moved, dims=tuple(order))


class _Classes:
    """The pieces that the class losses and their gradients share, as ``[rows, 1]`` columns in the wide type."""

    def __init__(self, o: Any, rows: Value, target: Value, weight: Sequence[Value], ignore_index: int) -> None:
        count = rows.shape[1]
        self.o = o
        column = o.reshape(target, shape=(rows.shape[0], 1))
        self.valid = o.ne(column, ignore_index)
        label = o.bounded(o.where(self.valid, column, 0), size=count, what="class index")
        self.hit = o.eq(o.iota(shape=(1, count), axis=1), label)
        self.weight = o.cast(o.reshape(weight[0], shape=(1, count)), to=rows.dtype) if weight else None
        one: Any = self.pick(self.weight) if self.weight is not None else o.ones(shape=(1, 1), dtype=rows.dtype)
        self.scale = o.where(self.valid, one, 0)

    def pick(self, values: Value) -> Value:
        """``values`` at each row's class."""
        return self.o.sum(self.o.where(self.hit, values, 0), axes=(1,), keepdim=True)

    def total(self) -> Value:
        """What the mean divides by: the weights of the rows that count."""
        return self.o.sum(self.scale, axes=(0, 1))


def _reduce_rows(o: Any, loss: Value, classes: _Classes, reduction: str, shape: Shape) -> Value:
    if reduction == "none":
        return o.reshape(loss, shape=shape)
    total = o.sum(loss, axes=(0, 1))
    return o.div(total, classes.total()) if reduction == "mean" else total


def _row_gradient(o: Any, g: Value, classes: _Classes, reduction: str, rows: int) -> Value:
    """The gradient of each row's loss as a column, given that of the reduced loss."""
    if reduction == "none":
        return o.reshape(g, shape=(rows, 1))
    return o.reshape(o.div(g, classes.total()) if reduction == "mean" else g, shape=(1, 1))


def _smoothing_share(o: Any, classes: _Classes, count: int, smoothing: float) -> Any:
    """Per class, the weight of the uniform part of a smoothed target."""
    share = smoothing / count
    return share if classes.weight is None else o.mul(classes.weight, share)


def _expand_cross_entropy(
    o: Any,
    x: Value,
    target: Value,
    *weight: Value,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
) -> tuple[Value, Value]:
    """Softmax cross-entropy; label smoothing by Szegedy et al., 2016. The second result is the log-sum-exp.

    A row with an infinite logit is NaN, as its log-softmax is.
    """
    rows = _rows(o, o.cast(x, to=accumulator(x.dtype)))
    top = o.amax(rows, axes=(1,), keepdim=True)
    lse = o.add(o.log(o.sum(o.exp(o.sub(rows, top)), axes=(1,), keepdim=True)), top)
    classes = _Classes(o, rows, target, weight, ignore_index)
    nll = o.mul(classes.scale, o.sub(lse, classes.pick(rows)))
    if label_smoothing:
        spread = o.mul(_smoothing_share(o, classes, rows.shape[1], label_smoothing), o.sub(lse, rows))
        smooth = o.where(classes.valid, o.sum(spread, axes=(1,), keepdim=True), 0)
        nll = o.add(o.mul(nll, 1 - label_smoothing), smooth)
    nll = o.where(classes.valid, nll, 0)
    return o.cast(_reduce_rows(o, nll, classes, reduction, target.shape), to=x.dtype), lse


def _no_weight_gradient(node: Any) -> Callable[[], Value]:
    def refuse() -> Value:
        raise NotImplementedError(f"the gradient of {node.op.name} with respect to its class weights")

    return refuse


def _cross_entropy_vjp(o: Any, node: Any, g: Value | None, g_lse: Value | None) -> tuple[Any, ...]:
    x, target, *weight = node.inputs
    wide = accumulator(x.dtype)
    rows = _rows(o, o.cast(x, to=wide))
    probability = o.exp(o.sub(rows, node.outputs[1]))
    parts = [] if g_lse is None else [o.mul(probability, g_lse)]
    if g is not None:
        smoothing = node.attrs["label_smoothing"]
        classes = _Classes(o, rows, target, weight, node.attrs["ignore_index"])
        g_row = _row_gradient(o, o.cast(g, to=wide), classes, node.attrs["reduction"], rows.shape[0])
        d = o.mul(classes.scale, o.sub(probability, o.cast(classes.hit, to=wide)))
        if smoothing:
            share = _smoothing_share(o, classes, rows.shape[1], smoothing)
            total = o.sum(share, axes=(1,), keepdim=True) if isinstance(share, Value) else smoothing
            d = o.add(o.mul(d, 1 - smoothing), o.sub(o.mul(probability, total), share))
        parts.append(o.where(classes.valid, o.mul(d, g_row), 0))
    d = reduce(o.add, parts)
    return (o.cast(_unrows(o, d, x.shape), to=x.dtype), None, *(_no_weight_gradient(node) for _ in weight))


register(
    Op(
        "cross_entropy",
        lambda x, target, *weight, **attrs: (
            _infer_class_loss(x, target, *weight, **attrs),
            TensorType(accumulator(x.dtype), (target.size, 1)),
        ),
        "composite",
        vjp=_cross_entropy_vjp,
        expand=_expand_cross_entropy,
        attrs={"reduction": "mean", "ignore_index": -100, "label_smoothing": 0.0},
        autocast=FP32,
    )
)


def _expand_nll(o: Any, x: Value, target: Value, *weight: Value, reduction: str, ignore_index: int) -> Value:
    rows = _rows(o, o.cast(x, to=accumulator(x.dtype)))
    classes = _Classes(o, rows, target, weight, ignore_index)
    nll = o.where(classes.valid, o.mul(classes.scale, o.neg(classes.pick(rows))), 0)
    return o.cast(_reduce_rows(o, nll, classes, reduction, target.shape), to=x.dtype)


def _nll_vjp(o: Any, node: Any, g: Value) -> tuple[Any, ...]:
    x, target, *weight = node.inputs
    wide = accumulator(x.dtype)
    rows = _rows(o, o.cast(x, to=wide))
    classes = _Classes(o, rows, target, weight, node.attrs["ignore_index"])
    g_row = _row_gradient(o, o.cast(g, to=wide), classes, node.attrs["reduction"], rows.shape[0])
    d = o.where(o.logical_and(classes.hit, classes.valid), o.neg(o.mul(classes.scale, g_row)), 0)
    return (o.cast(_unrows(o, d, x.shape), to=x.dtype), None, *(_no_weight_gradient(node) for _ in weight))


register(
    Op(
        "nll_loss",
        _infer_class_loss,
        "composite",
        vjp=_nll_vjp,
        expand=_expand_nll,
        attrs={"reduction": "mean", "ignore_index": -100},
        autocast=FP32,
    )
)
