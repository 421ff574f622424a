"""Sums, means, extrema, softmaxes and norms over dimensions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compiler.ir.graph import Value
from compiler.ir.op import Op, o
from compiler.ir.types import dtype as to_dtype
from compiler.ops.reduce import normalize_axes, normalize_axis
from genesis.functions.gathering import gather
from genesis.functions.pointwise import Dim
from genesis.functions.shapes import squeeze
from genesis.tensor import Tensor, wrap


def _keep(x: Value, dim: Dim, keepdim: bool) -> dict[str, Any]:
    return {"axes": normalize_axes(dim, x.type.rank), "keepdim": keepdim}


def _reduction(op: Op) -> Callable[..., Tensor]:
    def function(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
        x = input.value if dtype is None else o.cast(input.value, to=to_dtype(dtype))
        return wrap(op(x, **_keep(x, dim, keepdim)))

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = f"``{op.name}`` over ``dim`` (an int, several, or None for all)."
    return function


sum, mean = map(_reduction, (o.sum, o.mean))
amax, amin, any, all, logsumexp = map(_reduction, (o.amax, o.amin, o.any, o.all, o.logsumexp))


def var(
    input: Tensor, dim: Dim = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    """Variance over ``dim``, divided by ``n - correction`` (1 by default)."""
    x = input.value
    return wrap(o.var(x, correction=float(unbiased if correction is None else correction), **_keep(x, dim, keepdim)))


def std(
    input: Tensor, dim: Dim = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    """Standard deviation over ``dim``."""
    x = input.value
    return wrap(o.std(x, correction=float(unbiased if correction is None else correction), **_keep(x, dim, keepdim)))


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Index of the (first) maximum along ``dim``, or in the flattened tensor."""
    return _arg(o.argmax, input, dim, keepdim)


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Index of the (first) minimum along ``dim``, or in the flattened tensor."""
    return _arg(o.argmin, input, dim, keepdim)


def _arg(op: Op, input: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    x = input.value
    if dim is None or not x.type.rank:
        return wrap(op(o.reshape(x, shape=(x.type.size,)), axes=(0,)))
    return wrap(op(x, axes=(normalize_axis(dim, x.type.rank),), keepdim=keepdim))


def _extremum(name: str, reduce: Op, binary: Op, arg: Op) -> Callable[..., Any]:
    def function(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
        if isinstance(dim, Tensor):
            return wrap(binary(input.value, dim.value))
        if dim is None:
            return wrap(reduce(input.value, **_keep(input.value, None, False)))
        index = _arg(arg, input, dim, True)
        values = gather(input, dim, index)
        return ValuesIndices(values, index) if keepdim else ValuesIndices(squeeze(values, dim), squeeze(index, dim))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"``{name}`` of all elements, along ``dim`` (values and indices), or of two tensors."
    return function


class ValuesIndices(tuple[Tensor, Tensor]):
    """``(values, indices)``, also by name."""

    def __new__(cls, values: Tensor, indices: Tensor) -> ValuesIndices:
        return super().__new__(cls, (values, indices))

    values = property(lambda self: self[0])
    indices = property(lambda self: self[1])


max = _extremum("max", o.amax, o.maximum, o.argmax)
min = _extremum("min", o.amin, o.minimum, o.argmin)


def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """``exp(x) / sum(exp(x))`` along ``dim``."""
    x = input.value if dtype is None else o.cast(input.value, to=to_dtype(dtype))
    return wrap(o.softmax(x, axis=normalize_axis(dim, x.type.rank)))


def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """``log(softmax(x))`` along ``dim``."""
    x = input.value if dtype is None else o.cast(input.value, to=to_dtype(dtype))
    return wrap(o.log_softmax(x, axis=normalize_axis(dim, x.type.rank)))


def norm(input: Tensor, p: Any = "fro", dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Vector norm of order ``p`` ("fro" is 2) over ``dim`` or all elements."""
    order = 2.0 if p in ("fro", None) else float(p)
    return wrap(o.vector_norm(input.value, p=order, **_keep(input.value, dim, keepdim)))
