"""Comparing whole tensors, copying, converting, filling in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from compiler.errors import ArgumentError, AutogradError, ChoiceError, OpError, UnsupportedError
from compiler.ir.location import here
from compiler.ir.op import o
from compiler.ir.types import DType, f32, f64
from compiler.ir.types import dtype as to_dtype
from compiler.ops.elementwise import broadcast_shapes
from genesis.context import current_recording
from genesis.device import Device, on_cpu
from genesis.functions.creation import draw, zeros
from genesis.functions.indexing import as_operand
from genesis.functions.pointwise import add, cast, mul
from genesis.functions.shapes import narrow, view
from genesis.functions.table import api, function_only, method_only
from genesis.memory.bits import BITS, bits_attrs
from genesis.memory.values import held
from genesis.random import Generator
from genesis.scope import ANSWERED, BY_NUMPY, OF_MEMORY
from genesis.size import Size
from genesis.tensor import Tensor, copied, from_array, on_memory, row_major, tensor, wrap

DLPack = Any
"""An object with ``__dlpack__``."""

Memory = Any
"""An object with the buffer protocol: bytes, a bytearray, a memoryview, an array."""


@api(eager_only=ANSWERED)
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and elements."""
    return input.shape == other.shape and bool(np.array_equal(input._array("equal"), other._array("equal")))


@api(eager_only=ANSWERED)
def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether ``|input - other| <= atol + rtol * |other|`` everywhere."""
    broadcast_shapes(input.shape, other.shape)
    a, b = input._array("allclose"), other._array("allclose")
    return bool(np.allclose(a.astype(np.float64), b.astype(np.float64), rtol, atol, equal_nan))


@function_only
def from_numpy(array: np.ndarray | Tensor) -> Tensor:
    """A tensor on the memory of ``array``: writing either changes both.

    Inside a step that is being compiled, an array from outside is read at every call and must not be written; one that
    is an argument is a tensor already. Raises ValueError for negative strides.
    """
    recording = current_recording()
    if recording is not None and isinstance(array, Tensor):
        return array
    if not isinstance(array, np.ndarray):
        raise ArgumentError(f"expected np.ndarray (got {type(array).__name__})")
    if recording is None:
        return on_memory(np.asarray(array))
    made = tensor(array)
    recording.shown.append((made._cell, made._cell.value))
    return made


@function_only
def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """``data`` as a tensor: a tensor of the right dtype itself, an array's own memory, or else a copy."""
    on_cpu(device)
    if isinstance(data, np.ndarray):
        data = from_numpy(data)
    if not isinstance(data, Tensor) or data.value.number:
        return tensor(data, dtype=dtype)
    return data if dtype is None or to_dtype(dtype) is data.dtype else cast(data, to_dtype(dtype))


@function_only
def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False
) -> Tensor:
    """``obj`` as a tensor, on the memory that it has if it can be: True copies always, False raises where it must."""
    source = from_numpy(obj) if isinstance(obj, np.ndarray) else obj
    made = clone(as_tensor(source, dtype, device)) if copy else as_tensor(source, dtype, device)
    if copy is False and made is not source:
        raise ChoiceError(here(f"asarray(copy=False): a {type(obj).__name__} cannot be shown without a copy"))
    return detach(made).requires_grad_() if requires_grad and not made.requires_grad else made


@function_only
def frombuffer(buffer: Memory, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False) -> Tensor:
    """A vector on the memory of ``buffer``, from ``offset`` bytes on; a copy of one that must not be written."""
    array = np.frombuffer(buffer, to_dtype(dtype).numpy, count, offset)
    made = on_memory(array) if array.flags.writeable else from_array(np.array(array))
    return made.requires_grad_() if requires_grad else made


@api(method=False, eager_only=OF_MEMORY)
def from_dlpack(ext_tensor: DLPack) -> Tensor:
    """A tensor on the memory of another library's CPU tensor, by the DLPack protocol."""
    array = np.from_dlpack(ext_tensor)
    return on_memory(array) if array.flags.writeable else from_array(array)


@api(method=False, eager_only=OF_MEMORY)
def to_dlpack(tensor: Tensor) -> Any:
    """What ``from_dlpack`` of any library takes, once; it shares the memory."""
    return tensor.__dlpack__()


@function_only
def is_tensor(obj: Any) -> bool:
    """Whether ``obj`` is a Genesis tensor."""
    return isinstance(obj, Tensor)


@function_only
def numel(input: Tensor) -> int:
    """The number of elements."""
    return input.numel()


@api()
def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy with its own storage, in the order of its dimensions that ``input`` has; gradients flow through."""
    return wrap(copied(input))


@api()
def detach(input: Tensor) -> Tensor:
    """The same storage without gradient history."""
    return input.view_as_op(o.detach)


@method_only
def contiguous(input: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor itself if its elements stand in row-major order, else a copy."""
    return input if input.is_contiguous() else row_major(copied(input))


@method_only
def to(
    input: Tensor,
    *targets: Any,
    dtype: Any = None,
    device: Any = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """``to(dtype)``, ``to(device, dtype)`` or ``to(other)``, each with ``non_blocking, copy``: converted.

    The tensor itself if nothing has to change, unless ``copy``. A device other than the CPU is refused: a step that is
    compiled with ``backend="cuda"`` runs there.
    """
    flags = [t for t in targets if isinstance(t, bool)]
    if len(flags) > 1:
        copy = flags[1]
    for target in targets:
        if isinstance(target, Tensor):
            dtype = target.dtype
        elif isinstance(target, str | Device):
            device = target
        elif not isinstance(target, bool) and target is not None:
            dtype = target
    on_cpu(device)
    if dtype is None or to_dtype(dtype) is input.dtype:
        return clone(input) if copy else input
    return cast(input, to_dtype(dtype))


@method_only
def cuda(input: Tensor, device: Any = None, non_blocking: bool = False) -> Tensor:
    """Refused, as ``to("cuda")`` is: a step that is compiled with ``backend="cuda"`` runs on a GPU."""
    return to(input, device="cuda" if device is None or isinstance(device, int) else device)


def reinterpreted(input: Tensor, to: DType) -> Tensor:
    """A view of the bits of ``input`` as another dtype; not in compiled steps."""
    if to is input.dtype:
        return input.view_as_op(o.reshape, shape=tuple(input.shape))
    if current_recording() is not None:
        raise UnsupportedError(
            here(f"view({to!r}) of a {input._type} tensor in a compiled step", "x.to(dtype) converts the numbers")
        )
    return input.view_as_op(BITS, **bits_attrs(input._type, to))


@api(function=False, name="view")
def _view_method(input: Tensor, *size: Any, dtype: Any = None) -> Tensor:
    """In another shape, without a copy; of a dtype: the same memory read as that dtype."""
    kind = size[0] if size and isinstance(size[0], DType) else dtype
    return view(input, *size) if kind is None else reinterpreted(input, to_dtype(kind))


@method_only
def copy_(input: Tensor, source: Any) -> Tensor:
    """Take the contents of ``source``, broadcast and cast."""
    spread = held(o.expand(as_operand(source, input.dtype), shape=tuple(input.shape)))
    if spread.data is not None and not spread.requires_grad:
        spread = from_array(np.array(spread.data)).value  # a broadcast array is no storage
    return input.write(spread)


@api()
def fill_(input: Tensor, value: Any) -> Tensor:
    """Set every element to a number."""
    if isinstance(value, Tensor) and value.ndim:
        raise OpError(f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions")
    return copy_(input, value)


@api()
def zero_(input: Tensor) -> Tensor:
    """Set every element to zero."""
    return copy_(input, 0)


@api()
def narrow_copy(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """A copy of ``length`` elements from ``start`` along ``dim``."""
    return clone(narrow(input, dim, start, length))


def _of_each(name: str, count: int) -> Callable[..., Tensor]:
    """The method that calls a function of Python for each element."""

    def method(input: Tensor, *others: Any) -> Tensor:
        if len(others) != count or not callable(others[-1]):
            raise ArgumentError(f"{name}() takes {count - 1} tensors and a function, not {others}")
        if input.requires_grad:
            raise AutogradError(f"{name}() of a tensor that requires grad: use x.detach().{name}()")
        tensors, function = (input, *others[:-1]), others[-1]
        rows = np.broadcast_arrays(*(t._array(f"{name}()", "use functions of genesis") for t in tensors))
        found = [function(*numbers) for numbers in zip(*(row.ravel().tolist() for row in rows), strict=True)]
        return copy_(input, from_array(np.array(found, input.dtype.numpy).reshape(rows[0].shape)))

    method.__name__ = method.__qualname__ = name
    also = f" and of {count - 1} other tensors" if count > 1 else ""
    method.__doc__ = f"Write what a function of Python gives for each element{also}. Eager only."
    return api(function=False, eager_only=BY_NUMPY)(method)


apply_ = _of_each("apply_", 1)
map_ = _of_each("map_", 2)
map2_ = _of_each("map2_", 3)


@method_only
def new(input: Tensor, *data: Any) -> Tensor:
    """Zeros of the given sizes, or the numbers of a sequence or a tensor, in the dtype of ``input``."""
    if len(data) == 1 and not isinstance(data[0], int | Size):
        return tensor(data[0], dtype=input.dtype)
    return zeros(*(data or (0,)), dtype=input.dtype)


@method_only
def uniform_(input: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with uniform draws from ``[a, b)``."""
    if a > b:
        raise OpError(f"uniform_ expects to return a [from, to) range, but found from={a} > to={b}")
    return copy_(input, add(mul(draw("uniform", tuple(input.shape), generator, _drawn(input)), b - a), a))


def _drawn(input: Tensor) -> DType:
    """The dtype in which numbers for ``input`` are drawn, before they are scaled and rounded."""
    return f64 if input.dtype is f64 else f32


@method_only
def normal_(input: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with normal draws."""
    if std < 0:
        raise OpError(f"normal expects std >= 0.0, but found std {std}")
    return copy_(input, add(mul(draw("normal", tuple(input.shape), generator, _drawn(input)), std), mean))


def into(input: Tensor, result: Tensor, inplace: bool) -> Tensor:
    """``result``, or with ``inplace`` the input, which then holds it."""
    return input.write(result.value) if inplace else result
