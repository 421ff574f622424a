"""Losses of classes: cross-entropy, and the negative log-likelihood behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from math import prod
from typing import Any

from compiler.errors import OpError
from compiler.ir.graph import Value
from compiler.ir.op import Op, OpSet, register
from compiler.ir.types import Shape, TensorType
from compiler.ops.composite import FP32, floating
from compiler.ops.contract import accumulator
from compiler.ops.loss import check_reduction


def class_axis(rank: int) -> int:
    """The dimension of the classes in ``[C]``, ``[N, C]`` or ``[N, C, d1, ...]``."""
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


def _rows(o: OpSet, x: Value) -> Value:
    """Logits as ``[rows, classes]``."""
    axis = class_axis(x.type.rank)
    if axis != x.type.rank - 1:
        x = o.permute(x, dims=(*(a for a in range(x.type.rank) if a != axis), axis))
    return o.reshape(x, shape=(prod(x.shape[:-1]), x.shape[-1]))


def _unrows(o: OpSet, rows: Value, shape: Shape) -> Value:
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

    def __init__(self, o: OpSet, rows: Value, target: Value, weight: Sequence[Value], ignore_index: int) -> None:
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
        """The divisor of the mean: the weights of the rows that count."""
        return self.o.sum(self.scale, axes=(0, 1))


def _reduce_rows(o: OpSet, loss: Value, classes: _Classes, reduction: str, shape: Shape) -> Value:
    if reduction == "none":
        return o.reshape(loss, shape=shape)
    total = o.sum(loss, axes=(0, 1))
    return o.div(total, classes.total()) if reduction == "mean" else total


def _row_gradient(o: OpSet, g: Value, classes: _Classes, reduction: str, rows: int) -> Value:
    """The gradient of each row's loss as a column, given the gradient of the reduced loss."""
    if reduction == "none":
        return o.reshape(g, shape=(rows, 1))
    return o.reshape(o.div(g, classes.total()) if reduction == "mean" else g, shape=(1, 1))


def _smoothing_share(o: OpSet, classes: _Classes, count: int, smoothing: float) -> Any:
    """Per class, the weight of the uniform part of a smoothed target."""
    share = smoothing / count
    return share if classes.weight is None else o.mul(classes.weight, share)


def _expand_cross_entropy(
    o: OpSet,
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


def _cross_entropy_vjp(o: OpSet, node: Any, g: Value | None, g_lse: Value | None) -> tuple[Any, ...]:
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


def _expand_nll(o: OpSet, x: Value, target: Value, *weight: Value, reduction: str, ignore_index: int) -> Value:
    rows = _rows(o, o.cast(x, to=accumulator(x.dtype)))
    classes = _Classes(o, rows, target, weight, ignore_index)
    nll = o.where(classes.valid, o.mul(classes.scale, o.neg(classes.pick(rows))), 0)
    return o.cast(_reduce_rows(o, nll, classes, reduction, target.shape), to=x.dtype)


def _nll_vjp(o: OpSet, node: Any, g: Value) -> tuple[Any, ...]:
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
