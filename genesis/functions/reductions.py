"""Sums, means, extrema, softmaxes and norms over dimensions."""

from __future__ import annotations

from typing import Any, Protocol, overload

from compiler.errors import ArgumentError, OpError
from compiler.ir.graph import Value
from compiler.ir.location import here
from compiler.ir.op import Op, o
from compiler.ir.types import boolean
from compiler.ir.types import dtype as to_dtype
from compiler.ops.reduce import normalize_axes, normalize_axis
from genesis.functions.gathering import gather
from genesis.functions.pointwise import Dim, cast
from genesis.functions.shapes import squeeze
from genesis.functions.table import api
from genesis.tensor import Tensor, wrap


def _keep(x: Value, dim: Dim, keepdim: bool) -> dict[str, Any]:
    """The attributes of a reduction; no dimensions at all mean all of them, as in PyTorch."""
    if not isinstance(keepdim, bool):
        raise ArgumentError(
            f"keepdim must be bool, not {type(keepdim).__name__}; several dimensions are a tuple: dim=(0, 1)"
        )
    return {"axes": normalize_axes(None if dim in ((), []) else dim, x.type.rank), "keepdim": keepdim}


class Reduction(Protocol):
    """A function of all elements, or of those along dimensions."""

    def __call__(self, input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor: ...


def _reduction(op: Op) -> Reduction:
    def function(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
        x = input.value if dtype is None else o.cast(input.value, to=to_dtype(dtype))
        if op in (o.any, o.all) and dim in ((), []):
            return wrap(op(x, axes=()))
        return wrap(op(x, **_keep(x, dim, keepdim)))

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = f"``{op.name}`` over ``dim`` (an int, several, or None for all)."
    return api()(function)


sum = _reduction(o.sum)
mean = _reduction(o.mean)
amax = _reduction(o.amax)
amin = _reduction(o.amin)
any = _reduction(o.any)
all = _reduction(o.all)


@api()
def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The product of all elements, or of those along ``dim``; of integers and bools in int64."""
    x = input.value if dtype is None else o.cast(input.value, to=to_dtype(dtype))
    return wrap(o.prod(x, **_keep(x, dim, keepdim)))


@api()
def var(
    input: Tensor, dim: Dim = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    """Variance over ``dim``, divided by ``n - correction`` (1 by default). ``var(x, False)`` means ``unbiased``."""
    if isinstance(dim, bool):
        unbiased, dim = dim, None
    x = input.value
    return wrap(o.var(x, correction=float(unbiased if correction is None else correction), **_keep(x, dim, keepdim)))


@api()
def std(
    input: Tensor, dim: Dim = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    """Standard deviation over ``dim``: the root of :func:`var`, with the same arguments."""
    if isinstance(dim, bool):
        unbiased, dim = dim, None
    x = input.value
    return wrap(o.std(x, correction=float(unbiased if correction is None else correction), **_keep(x, dim, keepdim)))


@api()
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Index of the (first) maximum along ``dim``, or in the flattened tensor."""
    return _arg(o.argmax, input, dim, keepdim)


@api()
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Index of the (first) minimum along ``dim``, or in the flattened tensor."""
    return _arg(o.argmin, input, dim, keepdim)


def _arg(op: Op, input: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    x = input.value
    if x.dtype is boolean:
        raise OpError(f"{op.name} does not support bool input")
    if dim is None or not x.type.rank:
        return wrap(op(o.reshape(x, shape=(x.type.size,)), axes=(0,)))
    return wrap(op(x, axes=(normalize_axis(dim, x.type.rank),), keepdim=keepdim))


class ValuesIndices(tuple[Tensor, Tensor]):
    """``(values, indices)``, also by name."""

    def __new__(cls, values: Tensor, indices: Tensor) -> ValuesIndices:
        return super().__new__(cls, (values, indices))

    @property
    def values(self) -> Tensor:
        return self[0]

    @property
    def indices(self) -> Tensor:
        return self[1]


@overload
def max(input: Tensor, dim: None = None) -> Tensor: ...
@overload
def max(input: Tensor, dim: int, keepdim: bool = False) -> ValuesIndices: ...
@overload
def max(input: Tensor, dim: Tensor) -> Tensor: ...
@overload
def max(input: Tensor, *, other: Tensor) -> Tensor: ...
@api()
def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Tensor | None = None) -> Any:
    """The largest of all elements, of those along ``dim`` (values and indices), or of each pair of two tensors."""
    return _extremum("max", o.amax, o.maximum, o.argmax, input, dim, keepdim, other)


@overload
def min(input: Tensor, dim: None = None) -> Tensor: ...
@overload
def min(input: Tensor, dim: int, keepdim: bool = False) -> ValuesIndices: ...
@overload
def min(input: Tensor, dim: Tensor) -> Tensor: ...
@overload
def min(input: Tensor, *, other: Tensor) -> Tensor: ...
@api()
def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Tensor | None = None) -> Any:
    """The smallest of all elements, of those along ``dim`` (values and indices), or of each pair of two tensors."""
    return _extremum("min", o.amin, o.minimum, o.argmin, input, dim, keepdim, other)


def _extremum(
    name: str, reduce: Op, binary: Op, arg: Op, input: Tensor, dim: Any, keepdim: bool, other: Tensor | None
) -> Any:
    if isinstance(dim, Tensor):
        dim, other = None, dim
    if other is not None:
        return wrap(binary(input.value, other.value))
    if dim is None:
        if keepdim:
            raise ArgumentError(f"{name}: keepdim needs dim; {reduce.name}(x, keepdim=True) reduces all dimensions")
        return wrap(reduce(input.value, **_keep(input.value, None, False)))
    index = _arg(arg, input, dim, True)
    values = gather(input, dim, index)
    return ValuesIndices(values, index) if keepdim else ValuesIndices(squeeze(values, dim), squeeze(index, dim))


def _along(op: Op, input: Tensor, dim: int, dtype: Any) -> Tensor:
    x = input.value if dtype is None else o.cast(input.value, to=to_dtype(dtype))
    axis = normalize_axis(dim, x.type.rank)
    return wrap(op(x, axis=axis) if x.type.size else o.mul(x, 1.0))


@api()
def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """``exp(x) / sum(exp(x))`` along ``dim``."""
    return _along(o.softmax, input, dim, dtype)


@api()
def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """``log(softmax(x))`` along ``dim``."""
    return _along(o.log_softmax, input, dim, dtype)


@api()
def logsumexp(input: Tensor, dim: Dim, keepdim: bool = False) -> Tensor:
    """``log(sum(exp(x)))`` over ``dim``, without overflow; -inf where there is nothing to sum."""
    x = input.value
    kept = _keep(x, dim, keepdim)
    if x.type.size or not kept["axes"]:
        return wrap(o.logsumexp(x, **kept))
    return wrap(o.log(o.sum(o.exp(x), **kept)))


@api()
def norm(input: Tensor, p: Any = "fro", dim: Dim = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """Vector norm of order ``p`` ("fro" is 2) over ``dim`` or all elements."""
    if isinstance(p, str) and p != "fro":
        raise OpError(here(f"norm of order {p!r}; there are numbers and 'fro'"))
    input = input if dtype is None else cast(input, to_dtype(dtype))
    if not input.dtype.is_floating_point:
        raise OpError(f"norm: expected a floating point tensor, not {input._type}; convert with .float()")
    if p is not None and not isinstance(p, str) and not hasattr(p, "__float__"):
        raise ArgumentError(here(f"norm(): argument 'p' must be a number or a text, not {type(p).__name__}"))
    order = 2.0 if p in ("fro", None) else float(p)
    return wrap(o.vector_norm(input.value, p=order, **_keep(input.value, dim, keepdim)))
