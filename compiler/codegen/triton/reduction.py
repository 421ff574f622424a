"""How Triton spells reductions: where they start, how two partial results join, how a block collapses."""

from __future__ import annotations

from compiler.codegen.triton.spelling import BLOCKS, COMPUTE, HELPERS, literal, spell
from compiler.ir.op import OPS
from compiler.ir.types import DType


def start(op: str, dtype: DType) -> str:
    """The neutral element of a reduction of ``dtype``."""
    return literal(OPS[op].neutral(dtype), dtype)


def join(op: str, dtype: DType, left: str, right: str) -> str:
    """Two partial results as one."""
    return spell(OPS[op].join, dtype, [left, right])


def collapse(op: str, dtype: DType, block: str, axis: str) -> str:
    """A block reduced along ``axis``: ``"0"``, ``"1, keep_dims=True"``, or ``"None"`` for all. NaN wins an extremum."""
    name = OPS[op].join
    if dtype.kind == "bool":
        extreme = "max" if name in ("logical_or", "maximum") else "min"
        return f"tl.{extreme}({block}.to(tl.int32), {axis}) != 0"
    if name in HELPERS and (dtype.kind == "float" or name not in BLOCKS):
        first, _, rest = axis.partition(", ")
        return f"tl.reduce({block}, {first}, {HELPERS[name]}{', ' + rest if rest else ''})"
    text = f"tl.{BLOCKS[name]}({block}, {axis})"
    return f"{text}.to({COMPUTE[dtype]})" if dtype.kind == "int" and dtype.bits < 32 else text
