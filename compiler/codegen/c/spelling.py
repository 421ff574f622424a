"""How C spells types, indices, constants and every pointwise primitive."""

from __future__ import annotations

import math

import numpy as np

from compiler.ir.types import DType, bf16, boolean, f16, f32, f64, i8, i16, i32, i64, u8

STORAGE: dict[DType, str] = {
    boolean: "uint8_t", u8: "uint8_t", i8: "int8_t", i16: "int16_t", i32: "int32_t", i64: "int64_t",
    f16: "f16", bf16: "bf16", f32: "float", f64: "double",
}  # fmt: skip
"""Element types in memory."""

NARROW = (u8, i8, i16)
"""Integers that are computed as int and brought back into their range: so vectors are as wide as those beside them."""

COMPUTE: dict[DType, str] = STORAGE | dict.fromkeys((boolean, *NARROW), "int") | {f16: "float", bf16: "float"}
"""Types of local variables: 16-bit floats are held in f32, already rounded."""

FLOAT = {
    "add": "{0} + {1}", "sub": "{0} - {1}", "mul": "{0} * {1}", "div": "{0} / {1}", "neg": "-{0}",
    "abs": "fabsf({0})", "sign": "(float)(({0} > 0) - ({0} < 0))",
    "floor": "floorf({0})", "ceil": "ceilf({0})",
    "trunc": "truncf({0})", "round": "rintf({0})", "exp": "gen_expf({0})", "expm1": "gen_expm1f({0})",
    "log": "gen_logf({0})", "log1p": "gen_log1pf({0})", "log2": "gen_log2f({0})",
    "sqrt": "sqrtf({0})",
    "rsqrt": "1.0f / sqrtf({0})", "reciprocal": "1.0f / {0}", "sin": "gen_sinf({0})", "cos": "gen_cosf({0})",
    "tanh": "gen_tanhf({0})", "erf": "gen_erff({0})", "pow": "powf({0}, {1})",
    "maximum": "{0} > {1} || {0} != {0} ? {0} : {1}", "minimum": "{0} < {1} || {0} != {0} ? {0} : {1}",
    "floor_divide": "gen_floor_divide_f32({0}, {1})", "remainder": "gen_remainder_f32({0}, {1})",
    "isnan": "{0} != {0}", "isinf": "fabsf({0}) == INFINITY", "isfinite": "fabsf({0}) < INFINITY",
    "signbit": "signbit({0}) != 0", "high_half": "gen_high_half({0})", "low_half": "float_bits({0})",
}  # fmt: skip

DOUBLE = FLOAT | {
    "abs": "fabs({0})", "sign": "(double)(({0} > 0) - ({0} < 0))", "floor": "floor({0})", "ceil": "ceil({0})",
    "trunc": "trunc({0})", "round": "rint({0})", "exp": "exp({0})", "expm1": "expm1({0})", "log": "log({0})",
    "log1p": "log1p({0})", "log2": "log2({0})", "sqrt": "sqrt({0})", "rsqrt": "1.0 / sqrt({0})",
    "reciprocal": "1.0 / {0}", "sin": "sin({0})", "cos": "cos({0})", "tanh": "tanh({0})", "erf": "erf({0})",
    "pow": "pow({0}, {1})", "floor_divide": "gen_floor_divide_f64({0}, {1})",
    "remainder": "gen_remainder_f64({0}, {1})", "isinf": "fabs({0}) == INFINITY", "isfinite": "fabs({0}) < INFINITY",
}  # fmt: skip
"""Doubles take the functions of C's library."""

INTEGER = {
    "add": "{0} + {1}", "sub": "{0} - {1}", "mul": "{0} * {1}", "neg": "-{0}", "abs": "{0} < 0 ? -{0} : {0}",
    "sign": "({0} > 0) - ({0} < 0)", "floor": "{0}", "ceil": "{0}", "trunc": "{0}", "round": "{0}",
    "maximum": "{0} > {1} ? {0} : {1}", "minimum": "{0} < {1} ? {0} : {1}", "pow": "gen_ipow({0}, {1})",
    "floor_divide": "gen_floor_divide({0}, {1})", "remainder": "gen_remainder({0}, {1})",
    "bitwise_and": "{0} & {1}", "bitwise_or": "{0} | {1}", "bitwise_xor": "{0} ^ {1}",
    "shift_left": "gen_shift_left({0}, {1})", "shift_right": "gen_shift_right({0}, {1})",
    "isnan": "0", "isinf": "0", "isfinite": "1", "join_halves": "bits_float(float_bits({0}) + {1})",
}  # fmt: skip

ANY = {
    "eq": "{0} == {1}", "ne": "{0} != {1}", "lt": "{0} < {1}", "le": "{0} <= {1}",
    "gt": "{0} > {1}", "ge": "{0} >= {1}",
    "logical_and": "({0} != 0) & ({1} != 0)",
    "logical_or": "({0} != 0) + ({1} != 0) > 0",
    "logical_xor": "({0} != 0) ^ ({1} != 0)", "logical_not": "{0} == 0", "where": "{0} ? {1} : {2}",
}  # fmt: skip

BOOLEAN = {
    "logical_and": "{0} & {1}", "logical_or": "{0} + {1} > 0", "logical_xor": "{0} != {1}", "logical_not": "!{0}",
}  # fmt: skip
"""Joins operands that are 0 or 1; with | gcc does not vectorise choices of narrow integers."""

JOINS = {
    "add": ("{0} += {1};", "+"), "mul": ("{0} *= {1};", "*"),
    "maximum": ("{0} = {1} > {0} ? {1} : {0};", "max"), "minimum": ("{0} = {1} < {0} ? {1} : {0};", "min"),
    "logical_or": ("{0} |= {1};", "|"), "logical_and": ("{0} &= {1};", "&"),
    "bitwise_or": ("{0} |= {1};", "|"), "bitwise_and": ("{0} &= {1};", "&"), "bitwise_xor": ("{0} ^= {1};", "^"),
}  # fmt: skip
"""How a vector loop joins a term to a total, and OpenMP's name for that, by the op that joins."""


def spell(op: str, dtype: DType, operands: list[str]) -> str:
    """The expression for ``op`` on operands of ``dtype``. Raises KeyError where C has no spelling."""
    floats = DOUBLE if dtype is f64 else FLOAT
    logical = BOOLEAN if dtype is boolean and op in BOOLEAN else ANY
    template = (logical if op in logical else floats if dtype.kind == "float" else INTEGER)[op]
    # -{0} of a negative number would be --1, which C takes for something else
    safe = [f"({x})" if x.startswith("-") and f"-{{{i}}}" in template else x for i, x in enumerate(operands)]
    return template.format(*safe)


def literal(value: float | int | bool, dtype: DType) -> str:
    """A constant of ``dtype``, rounded to it; ``value`` is one that NumPy can convert."""
    with np.errstate(over="ignore", invalid="ignore"):
        number = np.array(value).astype(dtype.numpy).item()
    if dtype.kind != "float":
        if number in (-(2**31), -(2**63)):  # C has no negative literals, and 2^31 is no int
            return "INT32_MIN" if number == -(2**31) else "INT64_MIN"
        return f"INT64_C({number})" if abs(number) > 2**31 - 1 else str(int(number))
    if math.isnan(number):
        return "NAN"
    if math.isinf(number):
        return "INFINITY" if number > 0 else "-INFINITY"
    return repr(number) if dtype is f64 else f"{np.float32(number)!s}f"
