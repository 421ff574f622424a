"""Runs Triton kernels on NumPy memory, without a GPU, in a process where TRITON_INTERPRET=1.

Triton's interpreter keeps bfloat16 as raw bits and computes on the bits as if they were integers. `_correct_bfloat16`
puts that right: memory holds the bits, every value in a register is an `ml_dtypes.bfloat16`, whose arithmetic NumPy
knows (in float32, rounded to nearest even).
"""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import triton
import triton.language as tl
from triton.runtime import interpreter

from compiler.halves import joined, split
from compiler.ir.types import dtype
from compiler.plan import UNTOUCHED, Plan, read_word
from runtime.triton.aot import load_module

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
CORRECTED_VERSION = "3.9."

Array = npt.NDArray[np.generic]
Argument = Array | int | float


class _Pointer:
    """An array with the few members the interpreter asks of a tensor argument. The kernel writes into the array."""

    def __init__(self, array: Array) -> None:
        self.array = array
        self.dtype = array.dtype

    def data_ptr(self) -> int:
        return self.array.ctypes.data

    def untyped_storage(self) -> "_Pointer":
        return self

    def cpu(self) -> "_Pointer":
        return self

    def new_empty(self, *shape: int, **options: object) -> "_Pointer":
        return self

    def set_(self, *storage: object) -> "_Pointer":
        return self

    def copy_(self, source: "_Pointer") -> "_Pointer":
        return self

    def storage_offset(self) -> int:
        return 0

    def size(self) -> tuple[int, ...]:
        return self.array.shape

    def stride(self) -> tuple[int, ...]:
        return tuple(stride // self.array.itemsize for stride in self.array.strides)


class _Memory:
    """The address ranges a running kernel may touch."""

    def __init__(self) -> None:
        self.ranges: list[tuple[int, int]] = []

    def check(self, access: str, pointers: interpreter.TensorHandle, mask: interpreter.TensorHandle) -> None:
        """Raises IndexError unless all unmasked `pointers` lie within one range."""
        addresses = pointers.data[np.broadcast_to(mask.data, pointers.data.shape)]
        if addresses.size == 0:
            return
        width = max(1, pointers.get_element_ty().primitive_bitwidth // 8)
        first, last = int(addresses.min()), int(addresses.max()) + width
        if not any(start <= first and last <= end for start, end in self.ranges):
            raise IndexError(f"{access} of {addresses.size} elements, bytes {first:#x} to {last:#x}, leaves its array")


_memory = _Memory()


def run_kernel(
    fn: interpreter.InterpretedFunction,
    grid: tuple[int, ...],
    arguments: Sequence[Argument],
    constexprs: Mapping[str, object] | None = None,
    *,
    reachable: Sequence[Array] = (),
) -> None:
    """Runs every program of `grid` in turn; stores go straight into the arrays among `arguments`.

    `arguments` are the run-time arguments in source order, `constexprs` the others by name. `reachable` are arrays that
    the kernel finds through a table of addresses. An access outside all these arrays raises InterpreterError.
    """
    if not isinstance(fn, interpreter.InterpretedFunction):
        raise TypeError(f"cannot interpret {fn!r}: it was decorated in a process without TRITON_INTERPRET=1")
    _correct_interpreter()
    arrays = [argument for argument in arguments if isinstance(argument, np.ndarray)]
    _memory.ranges = [_bounds(array) for array in (*arrays, *reachable)]
    passed = [_Pointer(argument) if isinstance(argument, np.ndarray) else argument for argument in arguments]
    # A GPU overflows, divides by zero and makes NaN without a word.
    with np.errstate(all="ignore"):
        fn[grid](*passed, **(constexprs or {}))


def _bounds(array: Array) -> tuple[int, int]:
    """First and one-past-last byte address of an array without negative strides."""
    start = array.ctypes.data
    last = sum((size - 1) * stride for size, stride in zip(array.shape, array.strides))
    return (start, start + last + array.itemsize) if array.size else (start, start)


@functools.cache
def _correct_interpreter() -> None:
    """Makes Triton's interpreter compute bfloat16 rightly and check its accesses, once per process."""
    if not triton.__version__.startswith(CORRECTED_VERSION):
        raise NotImplementedError(
            f"the corrections to Triton's interpreter are written for {CORRECTED_VERSION}x, not {triton.__version__}"
        )
    _correct_bfloat16()
    _correct_scalars()
    _correct_reductions()
    _check_accesses()


def _correct_bfloat16() -> None:
    builder, handle = interpreter.InterpreterBuilder, interpreter.TensorHandle
    numpy_dtype, convert = interpreter._get_np_dtype, interpreter._convert_float
    load, store = builder.create_masked_load, builder.create_masked_store

    def register_dtype(dtype: tl.dtype) -> np.dtype[Any]:
        return BFLOAT16 if dtype.scalar == tl.bfloat16 else numpy_dtype(dtype)

    def convert_float(data: Array, source: tl.dtype, target: tl.dtype, rounding: Any) -> Array:
        if tl.bfloat16 in (source, target):
            return data.astype(register_dtype(target))
        return convert(data, source, target, rounding)

    def masked_load(self: Any, pointers: Any, mask: Any, other: Any, *policy: Any) -> Any:
        if pointers.get_element_ty() != tl.bfloat16:
            return load(self, pointers, mask, other, *policy)
        words = handle(pointers.data, tl.pointer_type(tl.uint16))
        fill = None if other is None else handle(other.data.view(np.uint16), tl.uint16)
        return handle(load(self, words, mask, fill, *policy).data.view(BFLOAT16), tl.bfloat16)

    def masked_store(self: Any, pointers: Any, value: Any, mask: Any, *policy: Any) -> None:
        if value.data.dtype == BFLOAT16:
            value = handle(value.data.view(np.uint16), tl.uint16)
        store(self, pointers, value, mask, *policy)

    interpreter._get_np_dtype, interpreter._convert_float = register_dtype, convert_float
    builder.create_masked_load, builder.create_masked_store = masked_load, masked_store


def _correct_scalars() -> None:
    """A comparison of scalars is a truth value, also when it is spread over a block."""
    handle = interpreter.TensorHandle

    def splat(self: Any, block: Any, scalar: Any) -> Any:
        data = np.asarray(scalar.data)
        return handle(np.full(block.shape, data.reshape(-1)[0], data.dtype), scalar.dtype.scalar)

    interpreter.InterpreterBuilder.create_splat = splat


def _correct_reductions() -> None:
    """Reductions by the prelude's functions element by element would take minutes."""
    apply = interpreter.ReduceOps.apply_impl
    known = {"larger": np.max, "smaller": np.min, "product": np.prod}

    def apply_impl(self: Any, operands: Any) -> Any:
        reduce = known.get(getattr(getattr(self.combine_fn, "fn", None), "__name__", ""))
        return apply(self, operands) if reduce is None else self.min_max(operands[0], val_reduce_op=reduce)

    interpreter.ReduceOps.apply_impl = apply_impl


def _check_accesses() -> None:
    builder = interpreter.InterpreterBuilder
    load, store = builder.create_masked_load, builder.create_masked_store

    def masked_load(self: Any, pointers: Any, mask: Any, *rest: Any) -> Any:
        _memory.check("load", pointers, mask)
        return load(self, pointers, mask, *rest)

    def masked_store(self: Any, pointers: Any, value: Any, mask: Any, *rest: Any) -> None:
        _memory.check("store", pointers, mask)
        store(self, pointers, value, mask, *rest)

    builder.create_masked_load, builder.create_masked_store = masked_load, masked_store


def run_program(program: Plan, arrays: Sequence[Array], shadows: list[Array] | None = None) -> list[Array]:
    """Runs a step on arrays for its states, scalars and inputs, in slot order; states are written in place.

    Returns the outputs. Raises IndexError where a check failed. A state in halves is split before and joined behind the
    step. ``shadows`` of the states, in slot order, are used and written where there are any, and made and added where
    the list is empty.
    """
    module = load_module(program.source)
    arena = np.zeros(program.arena_bytes, np.uint8)
    given = iter(arrays)
    memory: list[Array] = []
    fresh = not shadows
    shadows = [] if shadows is None else shadows
    if fresh:
        shadows += [np.zeros(s.shape, dtype(s.dtype).numpy) for s in program.slots if s.kind == "shadow"]
    kept = iter(shadows)
    halves = {state: split(arrays[state]) for state in program.halved}
    owners = dict(program.parts)
    for slot_buffer in program.buffers:
        kind, shape, numpy = slot_buffer.kind, slot_buffer.shape, dtype(slot_buffer.dtype).numpy
        if kind in ("state", "scalar", "input"):
            memory.append(next(given))
        elif kind == "shadow":
            memory.append(next(kept))
        elif kind == "half":
            memory.append(halves[owners[slot_buffer.index]][slot_buffer.dtype])
        elif kind == "temporary":
            nbytes = math.prod(shape) * numpy.itemsize
            memory.append(arena[slot_buffer.index : slot_buffer.index + nbytes].view(numpy).reshape(shape))
        elif kind == "status":
            memory.append(np.full(1, UNTOUCHED, np.int64))
        else:
            memory.append(np.zeros(shape, numpy))
    for number, buffer in enumerate(program.buffers):
        if buffer.kind == "table":
            entries = [
                e if isinstance(e, int) else memory[e.buffer].ctypes.data + e.offset
                for e in program.tables[buffer.index]
            ]
            memory[number][...] = entries
    refresh = [(launch, dict[int, int]()) for launch in program.refresh] if fresh else []
    for launch, iterations in [*refresh, *program.unrolled()]:
        places = [argument.at(iterations) for argument in launch.arguments]
        arguments = [memory[p.buffer].reshape(-1)[p.offset // memory[p.buffer].itemsize :] for p in places]
        run_kernel(getattr(module, launch.kernel), launch.grid, arguments, reachable=memory)
    for number, buffer in enumerate(program.buffers):
        if buffer.kind == "status" and memory[number][0] != UNTOUCHED:
            raise program.checks[buffer.index].error(*read_word(int(memory[number][0])))
    for state in program.halved:
        arrays[state][...] = joined(halves[state])
    outputs = {b.index: memory[n] for n, b in enumerate(program.buffers) if b.kind == "output"}
    return [outputs[i] for i in sorted(outputs)]
