"""A float32 number as two numbers of 16 bits; see :mod:`compiler.halves`. A code generator puts these ops in."""

from __future__ import annotations

from compiler import halves
from compiler.errors import OpError
from compiler.ir.op import Op, register
from compiler.ir.types import TensorType, bf16, f32, i16


def _infer_high(x: TensorType) -> TensorType:
    return _of_float32(x).with_dtype(bf16)


def _infer_low(x: TensorType) -> TensorType:
    return _of_float32(x).with_dtype(i16)


def _of_float32(x: TensorType) -> TensorType:
    if x.dtype is not f32:
        raise OpError(f"only float32 has halves, not {x.dtype.name}")
    return x


def _infer_join(high: TensorType, low: TensorType) -> TensorType:
    if high.dtype is not bf16 or low != high.with_dtype(i16):
        raise OpError(f"the halves of float32 are bf16 and i16 of one shape, not {high} and {low}")
    return high.with_dtype(f32)


for _name, _infer, _reference in (
    ("high_half", _infer_high, halves.high_half),
    ("low_half", _infer_low, halves.low_half),
    ("join_halves", _infer_join, halves.join_halves),
):
    register(Op(_name, _infer, "pointwise", _reference, differentiable=False, work=lambda node: 0, rounds=False))
