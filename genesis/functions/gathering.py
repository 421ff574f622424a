"""Elements and slices picked by index tensors."""

from __future__ import annotations

from compiler.errors import IndexingError, OpError
from compiler.ir.graph import Value
from compiler.ir.op import o
from compiler.ir.types import i64
from compiler.ops.elementwise import broadcast_shapes
from compiler.ops.reduce import normalize_axis
from genesis.functions.shapes import expand, reshape, unsqueeze
from genesis.functions.table import api, functional_only
from genesis.tensor import Tensor, wrap


@api()
def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """``input`` along ``dim`` at ``index``, which has as many dimensions and may be smaller in the others."""
    axis = normalize_axis(dim, input.ndim)
    x, places = at_least_1d(input.value), at_least_1d(index.value)
    return wrap(as_shape(o.gather(x, checked_index(places, x.shape[axis]), axis=axis), index.shape))


@api()
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices along ``dim`` at ``index``, a vector or a single number."""
    axis = normalize_axis(dim, input.ndim)
    if index.ndim > 1:
        raise IndexingError(f"index_select(): index is expected to be a vector, not {index._type}")
    x = at_least_1d(input.value)
    order = (axis, *(a for a in range(x.type.rank) if a != axis))
    table = x if axis == 0 else o.permute(x, dims=order)
    rows = o.take(table, checked_index(at_least_1d(index.value), x.shape[axis]))
    if not input.ndim:
        return wrap(o.reshape(rows, shape=()))
    return wrap(rows if axis == 0 else o.permute(rows, dims=tuple(sorted(range(len(order)), key=order.__getitem__))))


@api()
def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at ``index`` of the tensor as a vector; a negative index counts from the end."""
    if index.dtype is not i64:
        raise OpError(f"take(): Expected a long tensor for index, but got {index._type}")
    row = o.reshape(input.value, shape=(input.numel(),))
    return wrap(o.take(row, from_the_front(index.value, input.numel())))


@api()
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """:func:`gather` where the other dimensions broadcast; without ``dim``, of the tensors as vectors."""
    if dim is None:
        return gather(reshape(input, -1), 0, reshape(indices, -1))
    if input.ndim != indices.ndim:
        raise OpError(
            f"take_along_dim(): input and indices should have the same number of dimensions, but got {input.ndim} "
            f"dimensions for input, and {indices.ndim} dimensions for indices"
        )
    axis = normalize_axis(dim, input.ndim)
    whole = broadcast_shapes(*((*t.shape[:axis], 1, *t.shape[axis + 1 :]) for t in (input, indices)))
    sizes = ((*whole[:axis], t.shape[axis], *whole[axis + 1 :]) for t in (input, indices))
    x, places = (expand(t, *size) for t, size in zip((input, indices), sizes, strict=True))
    return gather(x, axis, places)


def from_the_front(index: Value, size: int) -> Value:
    """``index``, where a negative one counts from the end, checked against ``size``."""
    return o.bounded(o.where(o.lt(index, 0), o.add(index, size), index), size=size)


def at_least_1d(x: Value) -> Value:
    return x if x.type.rank else o.reshape(x, shape=(1,))


def as_shape(x: Value, shape: tuple[int, ...]) -> Value:
    return x if x.shape == tuple(shape) else o.reshape(x, shape=tuple(shape))


def checked_index(index: Value, size: int) -> Value:
    return o.bounded(index, size=size)


@functional_only
def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 rows that are 1 at each class."""
    if tensor.dtype.kind != "int":
        raise OpError(f"one_hot is only applicable to index tensors of integers, not {tensor._type}")
    if num_classes == -1:
        if not tensor.numel():
            raise OpError("Can not infer total number of classes from empty tensor.")
        num_classes = int(tensor._array("one_hot without num_classes").max()) + 1
    classes = o.iota(shape=(num_classes,), axis=0)
    label = o.bounded(unsqueeze(tensor, -1).value, size=num_classes, what="class value")
    return wrap(o.cast(o.eq(label, classes), to=i64))
