"""Methods that convert a tensor to a dtype, or to what another tensor is.

They bear the names of Python's types, and stand apart from code that needs these.
"""

from __future__ import annotations

from typing import Any

from compiler.ir.types import bf16, boolean, f16, f32, f64, i8, i16, i32, i64, u8
from compiler.ir.types import dtype as to_dtype
from genesis.functions.pointwise import cast
from genesis.functions.shapes import expand, reshape, view
from genesis.functions.table import method_only
from genesis.kinds import NAMES, dtype_named
from genesis.tensor import Tensor


@method_only
def float(input: Tensor) -> Tensor:
    """In float32."""
    return cast(input, f32)


@method_only
def double(input: Tensor) -> Tensor:
    """In float64."""
    return cast(input, f64)


@method_only
def half(input: Tensor) -> Tensor:
    """In float16."""
    return cast(input, f16)


@method_only
def bfloat16(input: Tensor) -> Tensor:
    """In bfloat16."""
    return cast(input, bf16)


@method_only
def byte(input: Tensor) -> Tensor:
    """In uint8."""
    return cast(input, u8)


@method_only
def char(input: Tensor) -> Tensor:
    """In int8."""
    return cast(input, i8)


@method_only
def short(input: Tensor) -> Tensor:
    """In int16."""
    return cast(input, i16)


@method_only
def int(input: Tensor) -> Tensor:
    """In int32."""
    return cast(input, i32)


@method_only
def long(input: Tensor) -> Tensor:
    """In int64."""
    return cast(input, i64)


@method_only
def bool(input: Tensor) -> Tensor:
    """As bool: false for zero."""
    return cast(input, boolean)


@method_only
def type_as(input: Tensor, other: Tensor) -> Tensor:
    """In the dtype of ``other``."""
    return cast(input, other.dtype)


@method_only
def type(input: Tensor, dtype: Any = None, non_blocking: Any = False) -> Any:
    """Converted to ``dtype``, also ``FloatTensor`` or ``"genesis.FloatTensor"``; without it, the text of its own."""
    if dtype is None:
        return f"genesis.{NAMES[input.dtype]}"
    return cast(input, to_dtype(dtype_named(dtype)))


@method_only
def view_as(input: Tensor, other: Tensor) -> Tensor:
    """In the shape of ``other``, without a copy."""
    return view(input, *other.shape)


@method_only
def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """In the shape of ``other``."""
    return reshape(input, *other.shape)


@method_only
def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """Dimensions of size 1 repeated, without copying, to the shape of ``other``."""
    return expand(input, *other.shape)


@method_only
def cpu(input: Tensor) -> Tensor:
    """The tensor itself: eager tensors are on the CPU."""
    return input
