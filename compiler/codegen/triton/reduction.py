"""How Triton spells reductions: where they start, how two partial results join, how a block collapses."""

from __future__ import annotations

from compiler.codegen.triton.spelling import COMPUTE, literal
from compiler.ir.types import DType

_START = {"sum": 0, "prod": 1, "amax": float("-inf"), "amin": float("inf"), "any": False, "all": True}
_JOIN = {"sum": "{0} + {1}", "prod": "{0} * {1}", "any": "{0} | {1}", "all": "{0} & {1}"}
_EXTREMA = {"amax": ("larger", "max"), "amin": ("smaller", "min")}


def start(op: str, dtype: DType) -> str:
    """The neutral element of a reduction of ``dtype``."""
    if op in _EXTREMA and dtype.kind == "bool":
        return str(op == "amin")
    if op in _EXTREMA and dtype.kind == "int":
        signed = dtype.short != "u8"
        lowest, highest = (-(2 ** (dtype.bits - 1)), 2 ** (dtype.bits - 1) - 1) if signed else (0, 2**dtype.bits - 1)
        return str(lowest if op == "amax" else highest)
    return literal(_START[op], dtype)


def join(op: str, dtype: DType, left: str, right: str) -> str:
    """Two partial results as one."""
    if op in _EXTREMA:
        if dtype.kind == "bool":
            return f"{left} | {right}" if op == "amax" else f"{left} & {right}"
        helper, builtin = _EXTREMA[op]
        return f"{helper if dtype.kind == 'float' else 'tl.' + builtin + 'imum'}({left}, {right})"
    return _JOIN[op].format(left, right)


def collapse(op: str, dtype: DType, block: str, axis: str) -> str:
    """A block reduced along ``axis``: ``"0"``, ``"1, keep_dims=True"``, or ``"None"`` for all. NaN wins an extremum."""
    if dtype.kind == "bool":
        extreme = "max" if op in ("any", "amax") else "min"
        return f"tl.{extreme}({block}.to(tl.int32), {axis}) != 0"
    if op == "sum":
        return f"tl.sum({block}, {axis})"
    if op == "prod":
        return _custom(block, axis, "product")
    helper, builtin = _EXTREMA[op]
    if dtype.kind == "float":
        return _custom(block, axis, helper)
    text = f"tl.{builtin}({block}, {axis})"
    return f"{text}.to({COMPUTE[dtype]})" if dtype.bits < 32 else text


def _custom(block: str, axis: str, combine: str) -> str:
    first, _, rest = axis.partition(", ")
    return f"tl.reduce({block}, {first}, {combine}{', ' + rest if rest else ''})"
