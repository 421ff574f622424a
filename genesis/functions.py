"""The functions of the top level (``genesis.softmax``) and the Tensor methods of the same names.

Every function takes tensors or numbers, records ops through the one op set, and wraps the result. Names, arguments
and errors are PyTorch's; shapes broadcast and dtypes promote as there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from compiler.errors import AutogradError, OpError, TraceError
from compiler.ir.graph import Value
from compiler.ir.location import user_location
from compiler.ir.op import Op, o
from compiler.ir.types import DType, boolean, dtype, f32, f64, i64
from compiler.ops.reduce import normalize_axes, normalize_axis
from genesis.context import current_recording
from genesis.device import Device
from genesis.random import Generator, default_generator
from genesis.tensor import Tensor, from_array, tensor, wrap

Dim = int | Sequence[int] | None


def value_of(x: Any) -> Any:
    """The IR operand for a tensor, a number, or anything NumPy understands as an array."""
    if isinstance(x, Tensor):
        return x.value
    if isinstance(x, bool | int | float):
        return x
    if isinstance(x, np.ndarray | np.generic):
        return tensor(x).value
    raise TypeError(f"expected a Tensor or a number, not {type(x).__name__}")


def _pointwise(op: Op) -> Callable[..., Tensor]:
    def function(*operands: Any) -> Tensor:
        return wrap(op(*[value_of(x) for x in operands]))

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = f"``{op.name}`` of each element; operands broadcast and promote."
    return function


abs = _pointwise(o.abs)
exp, expm1, log, log1p, log2 = map(_pointwise, (o.exp, o.expm1, o.log, o.log1p, o.log2))
sqrt, rsqrt, reciprocal, sin, cos = map(_pointwise, (o.sqrt, o.rsqrt, o.reciprocal, o.sin, o.cos))
tanh, erf, sigmoid, relu = map(_pointwise, (o.tanh, o.erf, o.sigmoid, o.relu))
neg, sign, floor, ceil, trunc, round = map(_pointwise, (o.neg, o.sign, o.floor, o.ceil, o.trunc, o.round))
mul, true_divide, pow = map(_pointwise, (o.mul, o.div, o.pow))
maximum, minimum, floor_divide, remainder = map(_pointwise, (o.maximum, o.minimum, o.floor_divide, o.remainder))
eq, ne, lt, le, gt, ge = map(_pointwise, (o.eq, o.ne, o.lt, o.le, o.gt, o.ge))
isnan, isinf, isfinite = map(_pointwise, (o.isnan, o.isinf, o.isfinite))


def _as_bool(x: Any) -> Any:
    value = value_of(x)
    return o.cast(value, to=boolean) if isinstance(value, Value) else bool(value)


def logical_and(input: Tensor, other: Any) -> Tensor:
    """Elementwise ``and``; anything not zero is true."""
    return wrap(o.logical_and(_as_bool(input), _as_bool(other)))


def logical_or(input: Tensor, other: Any) -> Tensor:
    """Elementwise ``or``; anything not zero is true."""
    return wrap(o.logical_or(_as_bool(input), _as_bool(other)))


def logical_xor(input: Tensor, other: Any) -> Tensor:
    """Elementwise exclusive ``or``; anything not zero is true."""
    return wrap(o.logical_xor(_as_bool(input), _as_bool(other)))


def logical_not(input: Tensor) -> Tensor:
    """Elementwise ``not``; anything not zero is true."""
    return wrap(o.logical_not(_as_bool(input)))


def _bitwise(name: str) -> Callable[..., Tensor]:
    op: Op = getattr(o, name)

    def function(input: Any, other: Any) -> Tensor:
        a, b = value_of(input), value_of(other)
        for x in (a, b):
            if isinstance(x, Value) and x.dtype.kind == "float":
                raise NotImplementedError(f"{name} not implemented for floating tensors")
        return wrap(op(a, b))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"``{name}`` of bool or integer tensors."
    return function


bitwise_and, bitwise_or, bitwise_xor = map(_bitwise, ("bitwise_and", "bitwise_or", "bitwise_xor"))


def bitwise_not(input: Tensor) -> Tensor:
    """Bit complement; ``not`` for bool."""
    return logical_not(input) if input.dtype is boolean else bitwise_xor(input, -1)


def add(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """``input + alpha * other``."""
    scaled = value_of(other) if alpha == 1 else o.mul(value_of(other), alpha)
    return wrap(o.add(value_of(input), scaled))


def sub(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """``input - alpha * other``."""
    scaled = value_of(other) if alpha == 1 else o.mul(value_of(other), alpha)
    return wrap(o.sub(value_of(input), scaled))


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """True division, or rounded down (``"floor"``) or towards zero (``"trunc"``)."""
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode is None:
        return true_divide(input, other)
    if rounding_mode != "trunc":
        raise OpError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found {rounding_mode!r}")
    whole = floor_divide(abs(input), abs(other))
    if whole.dtype.is_floating_point:
        return trunc(true_divide(input, other))
    return mul(whole, mul(sign(input), sign(other)))


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Each element limited to ``[min, max]``; NaN stays. The gradient of elements inside, bounds included, passes."""
    if min is None and max is None:
        raise OpError("clamp: at least one of 'min' or 'max' must not be None")
    x = value = input.value
    inside: Any = None
    if min is not None:
        value, inside = o.maximum(value, value_of(min)), o.ge(x, value_of(min))
    if max is not None:
        below = o.le(x, value_of(max))
        value, inside = o.minimum(value, value_of(max)), below if inside is None else o.logical_and(inside, below)
    if not x.requires_grad:
        return wrap(value)
    learned = builtin_any(isinstance(bound, Tensor) and bound.requires_grad for bound in (min, max))
    return wrap(o.where(inside, x, value if learned else o.detach(value)))


def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """``input`` where ``condition`` holds, else ``other``."""
    if input is None:
        raise NotImplementedError("where(condition) without values; its shape depends on the data")
    return wrap(o.where(value_of(condition), value_of(input), value_of(other)))


def square(input: Tensor) -> Tensor:
    """``input * input``."""
    return wrap(o.mul(input.value, input.value))


def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """``input + weight * (end - input)``."""
    return wrap(o.add(input.value, o.mul(value_of(weight), o.sub(end.value, input.value))))


def addcmul(input: Tensor, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
    """``input + value * tensor1 * tensor2``."""
    return add(input, mul(tensor1, tensor2), alpha=value)


def addcdiv(input: Tensor, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
    """``input + value * tensor1 / tensor2``."""
    return add(input, div(tensor1, tensor2), alpha=value)


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """``value`` where ``mask`` is true."""
    if mask.dtype is not boolean:
        raise OpError(f"masked_fill only supports boolean masks, but got mask with dtype {mask.dtype!r}")
    return wrap(
        o.where(
            mask.value, o.cast(value_of(value), to=input.dtype) if isinstance(value, Tensor) else value, input.value
        )
    )


def cast(input: Tensor, to: DType) -> Tensor:
    """``input`` in another dtype; itself when it has it already."""
    return input if input.dtype is to else wrap(o.cast(input.value, to=to))


# Reductions


def _keep(x: Value, dim: Dim, keepdim: bool) -> dict[str, Any]:
    return {"axes": normalize_axes(dim, x.type.rank), "keepdim": keepdim}


def _reduction(op: Op) -> Callable[..., Tensor]:
    def function(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
        x = input.value if dtype is None else o.cast(input.value, to=_dtype(dtype))
        return wrap(op(x, **_keep(x, dim, keepdim)))

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = f"``{op.name}`` over ``dim`` (an int, several, or None for all)."
    return function


_dtype = dtype
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
    return sqrt(var(input, dim, unbiased, keepdim, correction=correction))


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
    x = input.value if dtype is None else o.cast(input.value, to=_dtype(dtype))
    return wrap(o.softmax(x, axis=normalize_axis(dim, x.type.rank)))


def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """``log(softmax(x))`` along ``dim``."""
    x = input.value if dtype is None else o.cast(input.value, to=_dtype(dtype))
    return wrap(o.log_softmax(x, axis=normalize_axis(dim, x.type.rank)))


def norm(input: Tensor, p: Any = "fro", dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Vector norm of order ``p`` ("fro" is 2) over ``dim`` or all elements."""
    order = 2.0 if p in ("fro", None) else float(p)
    if order == 2.0:
        squares = sum(square(input), dim, keepdim)
        zero = eq(squares, 0)
        return where(zero, 0.0, sqrt(where(zero, 1.0, squares)))
    size = abs(input)
    if order in (np.inf, -np.inf):
        return (amax if order > 0 else amin)(size, dim, keepdim)
    if order == 0.0:
        return sum(cast(ne(input, 0), input.dtype), dim, keepdim)
    return pow(sum(pow(size, order), dim, keepdim), 1 / order)


# Shapes


def _sizes(shape: tuple[Any, ...]) -> tuple[int, ...]:
    if len(shape) == 1 and isinstance(shape[0], tuple | list):
        shape = tuple(shape[0])
    return tuple(int(n) for n in shape)


def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape; one size may be -1."""
    sizes = list(_sizes(shape))
    if -1 in sizes:
        known = -prod(sizes)
        if sizes.count(-1) > 1:
            raise OpError("only one dimension can be inferred")
        if known == 0 or input.numel() % known:
            raise OpError(f"shape '{sizes}' is invalid for input of size {input.numel()}\n  at {user_location()}")
        sizes[sizes.index(-1)] = input.numel() // known
    if tuple(sizes) == input.shape:
        return input.view_as_op(o.reshape, shape=tuple(sizes)) if input.requires_grad else input
    return input.view_as_op(o.reshape, shape=tuple(sizes))


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions ``start_dim`` to ``end_dim`` as one."""
    if not input.ndim:
        return reshape(input, 1)
    a, b = normalize_axis(start_dim, input.ndim), normalize_axis(end_dim, input.ndim)
    if a > b:
        raise OpError("flatten() has invalid args: start_dim cannot come after end_dim")
    return reshape(input, *input.shape[:a], prod(input.shape[a : b + 1]), *input.shape[b + 1 :])


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Dimension ``dim`` as several."""
    a = normalize_axis(dim, input.ndim)
    inner = list(sizes)
    if -1 in inner:
        inner[inner.index(-1)] = input.shape[a] // -prod(inner)
    return reshape(input, *input.shape[:a], *inner, *input.shape[a + 1 :])


def permute(input: Tensor, *dims: Any) -> Tensor:
    """The dimensions in another order."""
    return input.view_as_op(o.permute, dims=tuple(normalize_axis(d, input.ndim) for d in _sizes(dims)))


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged."""
    if not input.ndim:
        return input
    order = list(range(input.ndim))
    a, b = normalize_axis(dim0, input.ndim), normalize_axis(dim1, input.ndim)
    order[a], order[b] = order[b], order[a]
    return input.view_as_op(o.permute, dims=tuple(order))


def t(input: Tensor) -> Tensor:
    """A matrix transposed; vectors as they are."""
    if input.ndim > 2:
        raise OpError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return transpose(input, 0, 1) if input.ndim == 2 else input


def expand(input: Tensor, *sizes: Any) -> Tensor:
    """Dimensions of size 1 repeated without copying; -1 keeps a size."""
    target = list(_sizes(sizes))
    lead = len(target) - input.ndim
    for axis, n in enumerate(target):
        if n == -1 and axis >= lead:
            target[axis] = input.shape[axis - lead]
    return input.view_as_op(o.expand, shape=tuple(target))


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A new dimension of size 1 at ``dim``."""
    axis = normalize_axis(dim, input.ndim + 1)
    return input.view_as_op(o.reshape, shape=(*input.shape[:axis], 1, *input.shape[axis:]))


def squeeze(input: Tensor, dim: Dim = None) -> Tensor:
    """Without the dimensions of size 1 (those in ``dim``, or all)."""
    axes = normalize_axes(dim, input.ndim)
    return input.view_as_op(o.reshape, shape=tuple(n for a, n in enumerate(input.shape) if a not in axes or n != 1))


def broadcast_to(input: Tensor, shape: Sequence[int]) -> Tensor:
    """``expand`` to ``shape``."""
    return expand(input, *shape)


def repeat(input: Tensor, *sizes: Any) -> Tensor:
    """The tensor tiled ``sizes`` times along each dimension."""
    counts = _sizes(sizes)
    lead = len(counts) - input.ndim
    shape = (1,) * lead + tuple(input.shape)
    spaced = reshape(input, *(m for n in shape for m in (1, n)))
    tiled = expand(spaced, *(m for c, n in zip(counts, shape, strict=True) for m in (c, n)))
    return reshape(tiled, *(c * n for c, n in zip(counts, shape, strict=True)))


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """``length`` elements from ``start`` along ``dim``."""
    axis = normalize_axis(dim, input.ndim)
    first = start + input.shape[axis] if start < 0 else start
    return _slice(input, axis, first, first + length, 1)


def _slice(input: Tensor, axis: int, start: int, stop: int, step: int) -> Tensor:
    return input.view_as_op(
        o.slice,
        start=tuple(start if a == axis else 0 for a in range(input.ndim)),
        stop=tuple(stop if a == axis else n for a, n in enumerate(input.shape)),
        step=tuple(step if a == axis else 1 for a in range(input.ndim)),
    )


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at ``index``, without that dimension."""
    axis = normalize_axis(dim, input.ndim)
    n = input.shape[axis]
    if not -n <= index < n:
        raise IndexError(f"index {index} is out of bounds for dimension {axis} with size {n}\n  at {user_location()}")
    return squeeze(narrow(input, axis, index % n, 1), axis)


def flip(input: Tensor, *dims: Any) -> Tensor:
    """Reversed along ``dims``."""
    axes = normalize_axes(_sizes(dims), input.ndim)
    return input.view_as_op(
        o.slice,
        start=tuple(n - 1 if a in axes else 0 for a, n in enumerate(input.shape)),
        stop=tuple(-1 if a in axes else n for a, n in enumerate(input.shape)),
        step=tuple(-1 if a in axes else 1 for a in range(input.ndim)),
    )


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors joined along ``dim``."""
    values = [x.value for x in tensors]
    if not values:
        raise ValueError("cat(): expected a non-empty list of Tensors")
    return wrap(o.concat(*values, axis=normalize_axis(dim, values[0].type.rank)))


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension."""
    return cat([unsqueeze(x, dim) for x in tensors], dim)


def split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of a size (the last may be smaller), or of the sizes given."""
    axis = normalize_axis(dim, tensor.ndim)
    n = tensor.shape[axis]
    if isinstance(split_size_or_sections, int):
        step = split_size_or_sections
        sizes = [step] * (n // step) + ([n % step] if n % step else [])
    else:
        sizes = list(split_size_or_sections)
        if np.sum(sizes) != n:
            raise OpError(f"split_with_sizes expects split_sizes to sum exactly to {n}, but got {sizes}")
    starts = np.cumsum([0, *sizes[:-1]])
    return tuple(narrow(tensor, axis, int(a), size) for a, size in zip(starts, sizes, strict=True))


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most ``chunks`` pieces of equal size."""
    if chunks < 1:
        raise OpError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    return split(input, -(-input.shape[dim] // chunks), dim)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along ``dim``."""
    return tuple(select(input, dim, i) for i in range(input.shape[dim]))


def _triangle(input: Tensor, keep: Op, diagonal: int) -> Tensor:
    shape = tuple(input.shape[-2:])
    if len(shape) < 2:
        raise OpError("a triangle needs at least 2 dimensions")
    rows, columns = o.iota(shape=shape, axis=0), o.iota(shape=shape, axis=1)
    nothing = False if input.dtype is boolean else 0
    return wrap(o.where(keep(o.sub(columns, rows), diagonal), input.value, nothing))


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of the last two dimensions; zero elsewhere."""
    return _triangle(input, o.le, diagonal)


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of the last two dimensions; zero elsewhere."""
    return _triangle(input, o.ge, diagonal)


# Products


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product, batched over leading dimensions."""
    return wrap(o.matmul(input.value, other.value))


mm = bmm = mv = dot = matmul


def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * (batch1 @ batch2)``."""
    return add(mul(input, beta), matmul(batch1, batch2), alpha=alpha)


addmm = baddbmm


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """Outer product of two vectors."""
    return mul(unsqueeze(input, 1), vec2)


# Indexing


def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """``input`` along ``dim`` at ``index``."""
    axis = normalize_axis(dim, input.ndim)
    return wrap(o.gather(input.value, _checked(index.value, input.shape[axis]), axis=axis))


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """``input`` with ``src`` added along ``dim`` at ``index``."""
    axis = normalize_axis(dim, input.ndim)
    return wrap(o.scatter_add(input.value, _checked(index.value, input.shape[axis]), src.value, axis=axis))


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices along ``dim`` at ``index``."""
    axis = normalize_axis(dim, input.ndim)
    moved = input if axis == 0 else transpose(input, 0, axis)
    rows = wrap(o.take(moved.value, _checked(index.value, input.shape[axis])))
    return rows if axis == 0 else transpose(rows, 0, axis)


def _checked(index: Value, size: int) -> Value:
    return o.bounded(index, size=size)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 rows that are 1 at each class."""
    if num_classes == -1:
        num_classes = int(tensor._array("one_hot without num_classes").max()) + 1
    classes = o.iota(shape=(num_classes,), axis=0)
    label = o.bounded(unsqueeze(tensor, -1).value, size=num_classes, what="class value")
    return wrap(o.cast(o.eq(label, classes), to=i64))


def getitem(x: Tensor, index: Any) -> Tensor:
    """``x[index]`` with ints, slices, None, Ellipsis (views), long tensors and, at once only, bool ones (copies)."""
    items = _places_of_masks(x, _full_index(x, index if isinstance(index, tuple) else (index,)))
    arrays = [(i, item) for i, item in enumerate(items) if isinstance(item, Tensor)]
    view = _basic(x, [slice(None) if isinstance(item, Tensor) else item for item in items])
    if not arrays:
        return view
    return _advanced(view, _positions(items, arrays))


def _full_index(x: Tensor, items: tuple[Any, ...]) -> list[Any]:
    """The index with Ellipsis and missing dimensions written out, sequences and arrays as tensors."""
    result: list[Any] = []
    used = np.sum([0 if i is None or i is Ellipsis else _dims_of(i) for i in items], dtype=int)
    if used > x.ndim:
        raise IndexError(f"too many indices for tensor of dimension {x.ndim}\n  at {user_location()}")
    for item in items:
        if item is Ellipsis:
            result.extend([slice(None)] * (x.ndim - used))
        elif isinstance(item, list | np.ndarray):
            result.append(tensor(item))
        else:
            result.append(item)
    if not builtin_any(i is Ellipsis for i in items):
        result.extend([slice(None)] * (x.ndim - used))
    return result


def builtin_any(flags: Any) -> bool:
    """Python's ``any``, whose name this module gives to the tensor reduction."""
    return next((True for f in flags if f), False)


def _dims_of(item: Any) -> int:
    return item.ndim if isinstance(item, Tensor) and item.dtype is boolean else 1


def _basic(x: Tensor, items: list[Any]) -> Tensor:
    start, stop, step, shape, axis = [], [], [], [], 0
    for item in items:
        if item is None:
            shape.append(1)
            continue
        n = x.shape[axis]
        if isinstance(item, slice):
            a, b, s = item.indices(n)
            if s < 1:
                raise ValueError("step must be greater than zero")
            b = a if b < a else b
            shape.append(len(range(a, b, s)))
        else:
            i = int(item)
            if not -n <= i < n:
                raise IndexError(
                    f"index {i} is out of bounds for dimension {axis} with size {n}\n  at {user_location()}"
                )
            a, b, s = i % n, i % n + 1, 1
        start.append(a)
        stop.append(b)
        step.append(s)
        axis += 1
    if stop != list(x.shape) or builtin_any(start) or builtin_any(s != 1 for s in step):
        x = x.view_as_op(o.slice, start=tuple(start), stop=tuple(stop), step=tuple(step))
    return x if tuple(shape) == x.shape else x.view_as_op(o.reshape, shape=tuple(shape))


def _positions(items: list[Any], arrays: list[tuple[int, Tensor]]) -> list[tuple[int, Tensor]]:
    """Index tensors with the dimension each stands at once the basic items are applied."""
    gone = 0
    result = []
    for i, item in enumerate(items):
        if isinstance(item, Tensor):
            result.append((i - gone, item))
        elif item is not None and not isinstance(item, slice):
            gone += 1
    return result


def _advanced(x: Tensor, arrays: list[tuple[int, Tensor]]) -> Tensor:
    """Index tensors as one gather of rows; unless they stand at neighbouring dimensions, their shape comes first."""
    table, flat, dims = _rows_of(x, arrays)
    taken = wrap(o.take(table.value, flat))
    first, rank = dims[0], len(flat.shape)
    if not first or dims != list(range(first, first + len(dims))):
        return taken
    return permute(taken, *range(rank, rank + first), *range(rank), *range(rank + first, taken.ndim))


def _rows_of(x: Tensor, arrays: list[tuple[int, Tensor]]) -> tuple[Tensor, Value, list[int]]:
    """``x`` as a table with the indexed dimensions as its rows, the rows that are meant, and those dimensions."""
    dims = [d for d, _ in arrays]
    flat: Any = 0
    for d, index in arrays:
        n, v = x.shape[d], index.value
        if v.dtype.kind != "int":
            raise IndexError(f"tensors used as indices must be integer or bool tensors, not {v.dtype!r}")
        inside = o.bounded(o.where(o.lt(v, 0), o.add(v, n), v), size=n)
        flat = o.add(o.mul(flat, n), inside) if isinstance(flat, Value) else inside
    others = [d for d in range(x.ndim) if d not in dims]
    table = reshape(permute(x, *dims, *others), prod(x.shape[d] for d in dims), *(x.shape[d] for d in others))
    return table, flat, dims


def _put(x: Tensor, arrays: list[tuple[int, Tensor]], value: Any) -> None:
    """Write rows; of several for one place the last stays, as in NumPy."""
    table, flat, dims = _rows_of(x, arrays)
    first, rank, others = dims[0], len(flat.shape), table.ndim - 1
    shape = [*table.shape[1:]]
    front = bool(first) and dims == list(range(first, first + len(dims)))
    place = first if front else 0
    spread = o.expand(_like(value, x.dtype), shape=(*shape[:place], *flat.shape, *shape[place:]))
    if place:
        spread = o.permute(
            spread, dims=(*range(place, place + rank), *range(place), *range(place + rank, rank + others))
        )
    written = o.put_rows(table.value, flat, spread)
    order = [*dims, *(d for d in range(x.ndim) if d not in dims)]
    whole = o.reshape(written, shape=tuple(x.shape[d] for d in order))
    x.write(o.permute(whole, dims=tuple(sorted(range(x.ndim), key=order.__getitem__))))


def _places_of_masks(x: Tensor, items: list[Any]) -> list[Any]:
    """The index with each bool tensor replaced by the places where it is true, one tensor a dimension."""
    result: list[Any] = []
    axis = 0
    for item in items:
        if not (isinstance(item, Tensor) and item.dtype is boolean):
            result.append(item)
            axis += item is not None
            continue
        shape = x.shape[axis : axis + item.ndim]
        if item.shape != shape:
            raise IndexError(
                f"The shape of the mask {list(item.shape)} at index {axis} does not match the shape of the indexed "
                f"tensor {list(x.shape)} at index {axis}"
            )
        if current_recording() is not None:
            raise TraceError(
                "indexing with a bool tensor gives a shape that depends on the data\n"
                f"  at {user_location()}\n  use genesis.where or masked_fill, which keep the shape"
            )
        result.extend(from_array(places.astype(np.int64)) for places in np.nonzero(item.numpy()))
        axis += item.ndim
    return result


def setitem(x: Tensor, index: Any, value: Any) -> None:
    """``x[index] = value`` for ints, slices, None, Ellipsis, integer tensors, a bool mask over leading dimensions."""
    items = _full_index(x, index if isinstance(index, tuple) else (index,))
    arrays = [(i, item) for i, item in enumerate(items) if isinstance(item, Tensor)]
    if builtin_any(item.dtype is not boolean for _, item in arrays):
        items = _places_of_masks(x, items)
        arrays = [(i, item) for i, item in enumerate(items) if isinstance(item, Tensor)]
        view = _basic(x, [slice(None) if isinstance(item, Tensor) else item for item in items])
        _put(view, _positions(items, arrays), value)
        return
    if isinstance(items[0] if items else None, Tensor):
        mask = items[0]
        spread = reshape(mask, *mask.shape, *([1] * (x.ndim - mask.ndim)))
        x.write(o.where(spread.value, _like(value, x.dtype), x.value))
        return
    view = _basic(x, items)
    view.write(o.expand(_like(value, x.dtype), shape=tuple(view.shape)))


def _like(value: Any, to: DType) -> Value:
    v = value_of(value)
    return o.cast(v, to=to) if isinstance(v, Value) else o.constant(value=v, dtype=to)


# Making tensors


def _filled(value: Any, shape: tuple[int, ...], to: Any, requires_grad: bool) -> Tensor:
    if to is None:
        to = boolean if isinstance(value, bool) else i64 if isinstance(value, int) else f32
    made = wrap(o.expand(o.constant(value=value, dtype=_dtype(to)), shape=shape))
    if current_recording() is None:
        made = from_array(np.array(made._array("full")))
    return made.requires_grad_() if requires_grad else made


def full(
    size: Sequence[int], fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of ``size`` filled with a number."""
    return _filled(fill_value, _sizes(tuple(size)), dtype, requires_grad)


def zeros(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros, float32 unless ``dtype`` says otherwise."""
    return _filled(0, _sizes(size), dtype or f32, requires_grad)


def ones(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones, float32 unless ``dtype`` says otherwise."""
    return _filled(1, _sizes(size), dtype or f32, requires_grad)


def empty(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """The same as :func:`zeros`: contents are never left undefined."""
    return _filled(0, _sizes(size), dtype or f32, requires_grad)


def full_like(input: Tensor, fill_value: Any, *, dtype: Any = None) -> Tensor:
    """A tensor of the same shape and dtype filled with a number."""
    return _filled(fill_value, tuple(input.shape), dtype or input.dtype, False)


def zeros_like(input: Tensor, *, dtype: Any = None) -> Tensor:
    """Zeros of the same shape and dtype."""
    return full_like(input, 0, dtype=dtype)


def ones_like(input: Tensor, *, dtype: Any = None) -> Tensor:
    """Ones of the same shape and dtype."""
    return full_like(input, 1, dtype=dtype)


empty_like = zeros_like


def arange(start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None) -> Tensor:
    """``start, start + step, ...`` before ``end``; int64 for ints, float32 otherwise."""
    first, last = (0, start) if end is None else (start, end)
    count = builtin_max(int(np.ceil((last - first) / step)), 0)
    whole = isinstance(first, int) and isinstance(last, int) and isinstance(step, int)
    line = o.iota(shape=(count,), axis=0)
    to = _dtype(dtype) if dtype is not None else i64 if whole else f32
    if whole:
        line = o.add(o.mul(line, step), first) if step != 1 or first else line
    else:
        line = o.add(o.mul(o.cast(line, to=f64), float(step)), float(first))
    return wrap(line if line.dtype is to else o.cast(line, to=to))


def builtin_max(a: int, b: int) -> int:
    """The larger of two ints; ``max`` is the tensor reduction here."""
    return a if a > b else b


def linspace(start: float, end: float, steps: int, *, dtype: Any = None) -> Tensor:
    """``steps`` evenly spaced numbers from ``start`` to ``end``, both included."""
    return tensor(np.linspace(start, end, steps), dtype=dtype or f32)


def eye(n: int, m: int | None = None, *, dtype: Any = None) -> Tensor:
    """The identity matrix."""
    return tensor(np.eye(n, m), dtype=dtype or f32)


def rand(*size: Any, generator: Generator | None = None, dtype: Any = None, device: Any = None) -> Tensor:
    """Uniform on [0, 1)."""
    return _drawn(o.uniform, 1, _sizes(size), generator, dtype)


def randn(
    *size: Any, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Standard normal."""
    drawn = _drawn(o.normal, 2, _sizes(size), generator, dtype)
    return drawn.requires_grad_() if requires_grad else drawn


def _drawn(op: Op, draws: int, shape: tuple[int, ...], generator: Generator | None, to: Any) -> Tensor:
    seed, offset, index = (generator or default_generator).reserve(draws)
    drawn = op(seed, offset, shape=shape, index=index)
    return wrap(drawn if to is None else o.cast(drawn, to=_dtype(to)))


def rand_like(input: Tensor) -> Tensor:
    """Uniform on [0, 1) in the same shape and dtype."""
    return rand(*input.shape, dtype=input.dtype)


def randn_like(input: Tensor) -> Tensor:
    """Standard normal in the same shape and dtype."""
    return randn(*input.shape, dtype=input.dtype)


def randint(
    low: int, high: Any = None, size: Any = None, *, generator: Generator | None = None, dtype: Any = None
) -> Tensor:
    """Whole numbers in ``[low, high)``, int64."""
    if size is None:
        low, high, size = 0, low, high
    uniform = _drawn(o.uniform, 1, _sizes((size,)), generator, None)
    whole = o.add(o.floor(o.mul(uniform.value, float(high - low))), float(low))
    return wrap(o.cast(whole, to=_dtype(dtype or i64)))


def randperm(n: int, *, generator: Generator | None = None) -> Tensor:
    """A random permutation of ``range(n)``."""
    if current_recording() is not None:
        raise TraceError(
            f"randperm inside a compiled step\n  at {user_location()}\n  make the permutation outside and pass it in"
        )
    return from_array((generator or default_generator).permutation(n))


# Comparing, converting


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and elements."""
    return input.shape == other.shape and bool(np.array_equal(input._array("equal"), other._array("equal")))


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether ``|input - other| <= atol + rtol * |other|`` everywhere."""
    a, b = input._array("allclose"), other._array("allclose")
    return bool(np.allclose(a.astype(np.float64), b.astype(np.float64), rtol, atol, equal_nan))


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor on the memory of ``array`` (a copy when it is not contiguous)."""
    return from_array(array)


def from_dlpack(ext_tensor: Any) -> Tensor:
    """A tensor on the memory of another library's CPU tensor, by the DLPack protocol."""
    return from_array(np.from_dlpack(ext_tensor))


def is_tensor(obj: Any) -> bool:
    """Whether ``obj`` is a Genesis tensor."""
    return isinstance(obj, Tensor)


def clone(input: Tensor) -> Tensor:
    """A copy with its own storage; gradients flow through."""
    return wrap(o.mul(input.value, 1) if input.requires_grad else _copied(input))


def _copied(input: Tensor) -> Value:
    value = input.value
    return from_array(np.array(value.data)).value if value.data is not None else o.detach(value)


def detach(input: Tensor) -> Tensor:
    """The same storage without gradient history."""
    return input.view_as_op(o.detach)


def contiguous(input: Tensor) -> Tensor:
    """The tensor itself: layout is the compiler's business."""
    return input


def to(input: Tensor, *targets: Any, dtype: Any = None, device: Any = None, **_: Any) -> Tensor:
    """Converted to a dtype; a device other than the CPU needs a step compiled with ``backend="cuda"``."""
    for target in targets:
        if isinstance(target, Tensor):
            dtype = target.dtype
        elif isinstance(target, DType):
            dtype = target
        elif isinstance(target, str | Device):
            device = target
    if device is not None and str(device).split(":")[0] != "cpu":
        raise NotImplementedError(f"eager tensors on {device}; compile the step with backend='cuda' to run it there")
    return input if dtype is None else cast(input, _dtype(dtype))


def copy_(input: Tensor, source: Any) -> Tensor:
    """Take the contents of ``source``, broadcast and cast."""
    spread = o.expand(_like(source, input.dtype), shape=tuple(input.shape))
    if spread.data is not None and not spread.requires_grad:
        spread = from_array(np.array(spread.data)).value  # a broadcast array is no storage
    return input.write(spread)


def fill_(input: Tensor, value: Any) -> Tensor:
    """Set every element."""
    return copy_(input, value)


def zero_(input: Tensor) -> Tensor:
    """Set every element to zero."""
    return copy_(input, 0)


def uniform_(input: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with uniform draws from ``[a, b)``."""
    return copy_(input, add(mul(_drawn(o.uniform, 1, tuple(input.shape), generator, None), b - a), a))


def normal_(input: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with normal draws."""
    return copy_(input, add(mul(_drawn(o.normal, 2, tuple(input.shape), generator, None), std), mean))


# Methods

_METHODS = (
    "abs exp expm1 log log1p log2 sqrt rsqrt reciprocal sin cos tanh erf sigmoid relu neg sign floor ceil trunc "
    "round add sub mul div true_divide pow maximum minimum floor_divide remainder eq ne lt le gt ge isnan isinf "
    "isfinite logical_and logical_or logical_xor logical_not clamp where square lerp addcmul addcdiv masked_fill "
    "sum mean amax amin any all logsumexp var std argmax argmin max min softmax log_softmax norm reshape flatten "
    "unflatten permute transpose t expand unsqueeze squeeze broadcast_to repeat narrow select flip split chunk "
    "unbind tril triu matmul mm bmm mv dot baddbmm addmm outer gather scatter_add index_select clone detach "
    "contiguous to copy_ fill_ zero_ uniform_ normal_ equal allclose"
).split()
_IN_PLACE = (
    "add sub mul div clamp masked_fill exp sqrt neg abs relu sigmoid tanh lerp addcmul addcdiv pow round scatter_add"
).split()


def _in_place(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        result = function(self, *args, **kwargs).value
        if tuple(result.shape) != self.shape:
            raise AutogradError(
                f"output with shape {list(self.shape)} doesn't match the broadcast shape {list(result.shape)}"
            )
        if result.dtype.is_floating_point and not self.dtype.is_floating_point:
            raise AutogradError(f"result type {result.dtype!r} can't be cast to the desired output type {self.dtype!r}")
        return self.write(o.cast(result, to=self.dtype) if result.dtype is not self.dtype else result)

    method.__doc__ = f"In-place :func:`{function.__name__}`."
    return method


def _swapped(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda self, other: function(other, self)


def _operator(function: Callable[..., Tensor]) -> Callable[..., Any]:
    """A binary operator that leaves operands it does not know to the other side."""

    def method(self: Tensor, other: Any) -> Any:
        return (
            function(self, other)
            if isinstance(other, Tensor | int | float | np.ndarray | np.generic)
            else NotImplemented
        )

    return method


def _attach() -> None:
    here = globals()
    for name in _METHODS:
        setattr(Tensor, name, here[name])
    for name in _IN_PLACE:
        setattr(Tensor, name + "_", _in_place(here[name]))
    operators = {
        "add": add, "sub": sub, "mul": mul, "truediv": true_divide, "floordiv": floor_divide, "mod": remainder,
        "pow": pow, "matmul": matmul, "and": bitwise_and, "or": bitwise_or, "xor": bitwise_xor,
    }  # fmt: skip
    for name, function in operators.items():
        setattr(Tensor, f"__{name}__", _operator(function))
        setattr(Tensor, f"__r{name}__", _operator(_swapped(function)))
        if name not in ("matmul", "and", "or", "xor"):
            setattr(Tensor, f"__i{name}__", _in_place(function))
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        setattr(Tensor, f"__{name}__", _operator(here[name]))
    for name, to_type in {"float": f32, "double": f64, "long": i64, "bool": boolean}.items():
        setattr(Tensor, name, lambda self, to_type=to_type: cast(self, to_type))
    for name in ("half", "bfloat16", "int"):
        target = dtype({"half": "f16", "bfloat16": "bf16", "int": "i32"}[name])
        setattr(Tensor, name, lambda self, to_type=target: cast(self, to_type))
    for name, attribute in {
        "view": lambda self, *s: to(self, s[0]) if isinstance(s[0], DType) else reshape(self, *s),
        "view_as": lambda self, other: reshape(self, *other.shape),
        "reshape_as": lambda self, other: reshape(self, *other.shape),
        "expand_as": lambda self, other: expand(self, *other.shape),
        "type_as": lambda self, other: cast(self, other.dtype),
        "cpu": lambda self: self,
        "T": property(t),
        "mT": property(lambda self: transpose(self, -2, -1)),
        "data": property(detach, _set_data),
        "__getitem__": getitem,
        "__setitem__": setitem,
        "__neg__": neg,
        "__abs__": abs,
        "__invert__": bitwise_not,
    }.items():
        setattr(Tensor, name, attribute)


def _set_data(self: Tensor, source: Tensor) -> None:
    """``t.data = source``: other contents (of any shape) for the same identity, outside autograd."""
    value = from_array(np.array(source._array("assignment to .data"))).value
    if self._cell.home is None and current_recording() is not None:
        raise TraceError(
            f"assignment to .data inside a compiled step\n  at {user_location()}\n  use copy_ under no_grad"
        )
    self._cell.write(value)


_attach()
