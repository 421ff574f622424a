"""Reductions over axes. ``axes`` are non-negative and sorted; an empty tuple means no axis (the identity)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, prod
from typing import Any

import numpy as np

from compiler.errors import AxisError, OpError, OpTypeError
from compiler.ir.graph import Value
from compiler.ir.op import REQUIRED, Op, OpSet, register
from compiler.ir.types import Shape, TensorType, boolean, i64
from compiler.ops.elementwise import Gradient, as_type
from compiler.ops.layout import before, reverse


def normalize_axis(axis: Any, rank: int) -> int:
    """``axis`` counted from the front.

    Raises :class:`AxisError` outside ``[-rank, rank)`` (rank 0 counts as 1), :class:`OpTypeError` for no integer.
    """
    bound = max(rank, 1)
    if isinstance(axis, bool) or not hasattr(axis, "__index__"):
        raise OpTypeError(f"dim must be int, not {axis!r}")
    if not -bound <= axis < bound:
        raise AxisError(f"Dimension out of range (expected to be in range of [{-bound}, {bound - 1}], but got {axis})")
    return axis % bound


def normalize_axes(axes: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """``dim=`` as users write it (int, tuple, None for all) as sorted non-negative axes."""
    if axes is None:
        return tuple(range(rank))
    given = list(axes) if isinstance(axes, list | tuple) else [axes]
    result = sorted(normalize_axis(a, rank) for a in given)
    if len(set(result)) < len(result):
        raise OpError(f"dim {tuple(given)} names a dimension twice")
    return tuple(a for a in result if a < rank)


def reduced_shape(shape: Shape, axes: Sequence[int], keepdim: bool) -> Shape:
    if keepdim:
        return tuple(1 if a in axes else n for a, n in enumerate(shape))
    return tuple(n for a, n in enumerate(shape) if a not in axes)


def kept_shape(node: Any) -> Shape:
    """The shape of a reduction's result as if ``keepdim`` were set."""
    return reduced_shape(node.inputs[0].shape, node.attrs["axes"], True)


def spread(o: OpSet, node: Any, value: Value) -> Value:
    """A value of the result's shape with the reduced axes kept, so that it broadcasts against the input."""
    return o.reshape(value, shape=kept_shape(node))


def _infer(x: TensorType, axes: tuple[int, ...], keepdim: bool) -> TensorType:
    if any(not 0 <= a < x.rank for a in axes) or list(axes) != sorted(set(axes)):
        raise OpError(f"axes {axes} of a rank-{x.rank} tensor must be sorted, distinct and in range")
    return TensorType(x.dtype, reduced_shape(x.shape, axes, keepdim))


def refuse_empty(x: TensorType, axes: Sequence[int]) -> None:
    """Raise AxisError for a reduction over no elements that has no value then."""
    if any(x.shape[a] == 0 for a in axes):
        raise AxisError(f"the reduction has no identity and the dimension is empty (shape {list(x.shape)})")


def _needs_elements(infer: Callable[..., TensorType]) -> Callable[..., TensorType]:
    def check(x: TensorType, axes: tuple[int, ...], keepdim: bool) -> TensorType:
        result = infer(x, axes=axes, keepdim=keepdim)
        refuse_empty(x, axes)
        return result

    return check


def reduction(name: str, ufunc: Any, vjp: Gradient | None, **options: Any) -> Op:
    """Register a reduction; ``options`` are fields of its record, ``join`` among them."""

    def reference(x: np.ndarray, axes: tuple[int, ...], keepdim: bool) -> np.ndarray:
        return ufunc(x, axis=axes, keepdims=keepdim)

    infer = options.pop("infer", _infer)
    return register(
        Op(
            name,
            infer,
            "reduce",
            reference,
            vjp,
            attrs={"axes": REQUIRED, "keepdim": False},
            differentiable=vjp is not None,
            **options,
        )
    )


def sums(operands: Sequence[Any]) -> list[Value]:
    """Integers and bools are added up and multiplied as int64."""
    (x,) = operands
    return [x if x.dtype.kind == "float" else as_type(x, i64)]


def _sum_vjp(o: OpSet, node: Any, g: Value) -> tuple[Value]:
    return (o.expand(spread(o, node, g), shape=node.inputs[0].shape),)


def _extremum_vjp(o: OpSet, node: Any, g: Value) -> tuple[Value]:
    """Split evenly among the elements that attain the extremum, as PyTorch's ``amax`` does; NaN where it is NaN."""
    x = node.inputs[0]
    hit = o.cast(o.eq(x, spread(o, node, node.output)), to=x.dtype)
    count = o.sum(hit, axes=node.attrs["axes"], keepdim=True)
    return (o.mul(hit, o.div(spread(o, node, g), count)),)


def _prod_vjp(o: OpSet, node: Any, g: Value) -> tuple[Value]:
    """The product before each element times the one behind it, so that it is right at zeros, for a second one too."""
    (x,), axes = node.inputs, node.attrs["axes"]
    order = (*(a for a in range(x.type.rank) if a not in axes), *axes)
    moved = o.permute(x, dims=order)
    row = o.reshape(moved, shape=(*moved.shape[: len(order) - len(axes)], prod(x.shape[a] for a in axes)))
    last = row.type.rank - 1
    turned = reverse(o, row, last)
    behind = reverse(o, before(o, o.cumprod(turned, axis=last), last, 1), last)
    others = o.reshape(o.mul(before(o, o.cumprod(row, axis=last), last, 1), behind), shape=moved.shape)
    back = tuple(sorted(range(len(order)), key=order.__getitem__))
    return (o.mul(o.permute(others, dims=back), spread(o, node, g)),)


reduction("sum", np.add.reduce, _sum_vjp, join="add", prepare=sums, autocast={"cuda": "fp32"}, spreads=True)
reduction("amax", np.maximum.reduce, _extremum_vjp, start=-inf, join="maximum", infer=_needs_elements(_infer))
reduction("amin", np.minimum.reduce, _extremum_vjp, start=inf, join="minimum", infer=_needs_elements(_infer))
reduction(
    "prod",
    np.multiply.reduce,
    _prod_vjp,
    start=1,
    join="mul",
    prepare=sums,
    autocast={"cuda": "fp32", "cpu": "fp32"},
)


def _infer_bool(x: TensorType, axes: tuple[int, ...], keepdim: bool) -> TensorType:
    return _infer(x, axes, keepdim).with_dtype(boolean)


def _prepare_bool(operands: Sequence[Any]) -> list[Value]:
    return [as_type(operands[0], boolean)]


reduction("any", np.any, None, join="logical_or", infer=_infer_bool, prepare=_prepare_bool)
reduction("all", np.all, None, start=1, join="logical_and", infer=_infer_bool, prepare=_prepare_bool)


def _arg(name: str, function: Any, finds: str) -> Op:
    """Index of the first extremum along one axis; NaN counts as the extremum, as in NumPy and PyTorch."""

    def infer(x: TensorType, axes: tuple[int, ...], keepdim: bool) -> TensorType:
        if len(axes) != 1:
            raise OpError(f"{name} reduces one axis, not {axes}")
        return _infer(x, axes, keepdim).with_dtype(i64)

    def reference(x: np.ndarray, axes: tuple[int, ...], keepdim: bool) -> np.ndarray:
        return function(x, axis=axes[0], keepdims=keepdim).astype(np.int64)

    return register(
        Op(
            name,
            _needs_elements(infer),
            "reduce",
            reference,
            attrs={"axes": REQUIRED, "keepdim": False},
            differentiable=False,
            finds=finds,
        )
    )


_arg("argmax", np.argmax, "amax")
_arg("argmin", np.argmin, "amin")
