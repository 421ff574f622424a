"""How Triton spells types, indices, constants and every pointwise primitive.

On a GPU quotients and square roots round correctly, and logarithms, sines and the error function come from CUDA's
library, within 2 ulp. Exponentials in float32 are powers of two of a rounded product: their relative error grows to
``|x| * 2**-24``, 5e-6 at the ends of the range. Sums run in an order of their own.
"""

from __future__ import annotations

import math

from compiler.codegen import indices
from compiler.index import Index, Var
from compiler.ir.types import DType, bf16, boolean, f16, f32, f64, i8, i16, i32, i64, u8

TYPES: dict[DType, str] = {
    boolean: "tl.int1", u8: "tl.uint8", i8: "tl.int8", i16: "tl.int16", i32: "tl.int32", i64: "tl.int64",
    f16: "tl.float16", bf16: "tl.bfloat16", f32: "tl.float32", f64: "tl.float64",
}  # fmt: skip
"""Element types in memory."""

COMPUTE: dict[DType, str] = TYPES | {f16: "tl.float32", bf16: "tl.float32"}
"""Types in registers: 16-bit floats are held in float32, already rounded."""

SIGNATURE: dict[DType, str] = {
    boolean: "i1", u8: "u8", i8: "i8", i16: "i16", i32: "i32", i64: "i64",
    f16: "fp16", bf16: "bf16", f32: "fp32", f64: "fp64",
}  # fmt: skip
"""Types in a kernel's signature."""

FLOAT = {
    "add": "{0} + {1}", "sub": "{0} - {1}", "mul": "{0} * {1}", "div": "tl.div_rn({0}, {1})", "neg": "-{0}",
    "abs": "tl.abs({0})", "sign": "sign({0})", "floor": "tl.floor({0})", "ceil": "tl.ceil({0})",
    "trunc": "trunc({0})", "round": "round_half_even({0})", "exp": "tl.exp({0})", "expm1": "expm1({0})",
    "log": "tl.log({0})", "log1p": "log1p({0})", "log2": "tl.log2({0})", "sqrt": "tl.sqrt_rn({0})",
    "rsqrt": "tl.div_rn(1.0, tl.sqrt_rn({0}))", "reciprocal": "tl.div_rn(1.0, {0})", "sin": "tl.sin({0})",
    "cos": "tl.cos({0})", "tanh": "tanh({0})", "erf": "tl.erf({0})", "pow": "power({0}, {1})",
    "maximum": "larger({0}, {1})", "minimum": "smaller({0}, {1})",
    "floor_divide": "floor_divide({0}, {1})", "remainder": "remainder({0}, {1})",
    "isnan": "{0} != {0}", "isinf": 'tl.abs({0}) == float("inf")', "isfinite": 'tl.abs({0}) < float("inf")',
    "signbit": "sign_bit({0})", "high_half": "high_half({0})", "low_half": "low_half({0})",
}  # fmt: skip

DOUBLE = FLOAT | {
    "div": "{0} / {1}", "sqrt": "tl.sqrt({0})", "rsqrt": "1.0 / tl.sqrt({0})", "reciprocal": "1.0 / {0}",
}  # fmt: skip
"""In float64 the plain operators round correctly, and the float32 ones do not exist."""

INTEGER = {
    "add": "{0} + {1}", "sub": "{0} - {1}", "mul": "{0} * {1}", "neg": "-{0}", "abs": "tl.abs({0})",
    "sign": "sign({0})", "floor": "{0}", "ceil": "{0}", "trunc": "{0}", "round": "{0}",
    "maximum": "tl.maximum({0}, {1})", "minimum": "tl.minimum({0}, {1})", "pow": "whole_power({0}, {1})",
    "floor_divide": "floor_divide({0}, {1})", "remainder": "remainder({0}, {1})",
    "bitwise_and": "{0} & {1}", "bitwise_or": "{0} | {1}", "bitwise_xor": "{0} ^ {1}",
    "shift_left": "shift_left({0}, {1})", "shift_right": "shift_right({0}, {1})",
    "isnan": "{0} != {0}", "isinf": "{0} != {0}", "isfinite": "{0} == {0}", "join_halves": "join_halves({0}, {1})",
}  # fmt: skip

BOOL = {
    "add": "{0} | {1}", "mul": "{0} & {1}", "maximum": "{0} | {1}", "minimum": "{0} & {1}", "abs": "{0}",
    "logical_and": "{0} & {1}", "logical_or": "{0} | {1}", "logical_xor": "{0} ^ {1}", "logical_not": "{0} == 0",
    "bitwise_and": "{0} & {1}", "bitwise_or": "{0} | {1}", "bitwise_xor": "{0} ^ {1}",
    **{op: f"{{0}}.to(tl.uint8) {sign} {{1}}.to(tl.uint8)"  # true is -1 as a signed bit
       for op, sign in (("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">="))},
    "floor": "{0}", "ceil": "{0}", "trunc": "{0}", "round": "{0}",
}  # fmt: skip

ANY = {
    "eq": "{0} == {1}", "ne": "{0} != {1}",
    "lt": "{0} < {1}", "le": "{0} <= {1}", "gt": "{0} > {1}", "ge": "{0} >= {1}",
    "logical_and": "({0} != 0) & ({1} != 0)", "logical_or": "({0} != 0) | ({1} != 0)",
    "logical_xor": "({0} != 0) ^ ({1} != 0)", "logical_not": "{0} == 0", "where": "tl.where({0}, {1}, {2})",
}  # fmt: skip

HELPED = frozenset([
    "sign", "signbit", "trunc", "round", "expm1", "log1p", "tanh", "pow", "floor_divide", "remainder", "high_half",
    "low_half", "join_halves",
])  # fmt: skip
"""Ops whose spelling calls a function of the prelude that asks for the type of its operands."""

BLOCKS = {"add": "sum", "maximum": "max", "minimum": "min", "bitwise_xor": "xor_sum"}
"""Triton's functions that reduce a block, by the op that joins two elements."""

SCANS = {"add": "tl.cumsum({0}, 1)", "mul": "tl.cumprod({0}, 1)"}
"""Triton's functions that scan a block along its rows, by the op that joins two elements."""

HELPERS = {"mul": "product", "maximum": "larger", "minimum": "smaller"}
"""Functions of the prelude that join two elements, for ``tl.reduce``: Triton's extrema of floats forget a NaN."""


def spell(op: str, dtype: DType, operands: list[str]) -> str:
    """The expression for ``op`` on operands of ``dtype``, each a name or a literal. KeyError: no spelling."""
    if dtype.kind == "bool":
        table = ANY | BOOL
    elif dtype.kind == "int":
        table = ANY | INTEGER
    else:
        table = ANY | (DOUBLE if dtype is f64 else FLOAT)
    return table[op].format(*operands)


def literal(value: float | int | bool, dtype: DType) -> str:
    """A constant of ``dtype``."""
    if dtype.kind == "bool":
        return str(bool(value))
    if dtype.kind == "int":
        return str(int(value))
    number = float(value) if dtype is f64 else float(dtype.numpy.type(value))
    return repr(number) if math.isfinite(number) else f'float("{number}")'


LARGE = 2**31
"""From so many elements on, places need 64 bits."""


def widened(elements: int) -> str:
    """The text behind a number of 32 bits that makes it one of 64, where places among so many elements need them."""
    return ".to(tl.int64)" if elements >= LARGE else ""


def variable(name: str, size: int) -> Index:
    """An index of a block. A dimension of one still has a block's width of places, all but the first masked."""
    return Index.of(Var(name, max(size, 2)))


def index_text(index: Index) -> str:
    """An index as an expression, in 64 bits where it needs them."""
    return indices.index_text(index, "//", widened(max(index.top, -index.bottom)))


def whole(index: Index) -> str:
    """An index as a number of type int64."""
    if not index.terms:
        return f"tl.full((), {index.constant}, tl.int64)"
    if widened(max(index.top, -index.bottom)):
        return index_text(index)
    return f"{indices.bracketed(index_text(index))}.to(tl.int64)"


def names_in(index: Index) -> frozenset[str]:
    """The names that :func:`index_text` writes."""
    return frozenset().union(*({v.name} if v.of is None or v.op == "=" else names_in(v.of) for v, _ in index.terms))
