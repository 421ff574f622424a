"""How the serial target spells expressions: plain C, with the functions of its library.

Integers are computed in 64 bits, f16 and bf16 in f32; every result is rounded to its type.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from compiler.codegen import body
from compiler.codegen.indices import bracketed
from compiler.index import Index
from compiler.ir.graph import Node, Value
from compiler.ir.types import DType, bf16, boolean, f16, f32, f64, i8, i16, i32, i64, u8

STORAGE: dict[DType, str] = {
    boolean: "uint8_t", u8: "uint8_t", i8: "int8_t", i16: "int16_t", i32: "int32_t", i64: "int64_t",
    f16: "_Float16", bf16: "bf16", f32: "float", f64: "double",
}  # fmt: skip

FLOAT = {
    "div": "{0} / {1}", "abs": "fabs({0})", "floor": "floor({0})", "ceil": "ceil({0})", "trunc": "trunc({0})",
    "round": "rint({0})", "exp": "exp({0})", "expm1": "expm1({0})", "log": "log({0})", "log1p": "log1p({0})",
    "log2": "log2({0})", "sqrt": "sqrt({0})", "rsqrt": "1 / sqrt({0})", "reciprocal": "1 / {0}", "sin": "sin({0})",
    "cos": "cos({0})", "tanh": "tanh({0})", "erf": "erf({0})", "pow": "pow({0}, {1})",
    "floor_divide": "floor_divide({0}, {1})", "remainder": "remainder_({0}, {1})",
    "isinf": "fabs({0}) == INFINITY", "isfinite": "fabs({0}) < INFINITY",
    "signbit": "signbit({0}) != 0", "high_half": "high_half({0})", "low_half": "bits({0})",
}  # fmt: skip

INTEGER = {
    "abs": "{0} < 0 ? -{0} : {0}", "floor": "{0}", "ceil": "{0}", "trunc": "{0}", "round": "{0}",
    "pow": "whole_power({0}, {1})", "floor_divide": "whole_quotient({0}, {1})",
    "remainder": "whole_remainder({0}, {1})", "isinf": "0", "isfinite": "1",
    "bitwise_and": "{0} & {1}", "bitwise_or": "{0} | {1}", "bitwise_xor": "{0} ^ {1}",
    "shift_left": "shift_left({0}, {1})", "shift_right": "shift_right({0}, {1})",
    "join_halves": "from_bits(bits({0}) + {1})",
}  # fmt: skip

ANY = {
    "add": "{0} + {1}", "sub": "{0} - {1}", "mul": "{0} * {1}", "neg": "-{0}", "sign": "({0} > 0) - ({0} < 0)",
    "maximum": "{0} > {1} || {0} != {0} ? {0} : {1}", "minimum": "{0} < {1} || {0} != {0} ? {0} : {1}",
    "eq": "{0} == {1}", "ne": "{0} != {1}", "lt": "{0} < {1}", "le": "{0} <= {1}", "gt": "{0} > {1}",
    "ge": "{0} >= {1}", "isnan": "{0} != {0}", "where": "{0} ? {1} : {2}", "logical_not": "!{0}",
    "logical_and": "{0} && {1}", "logical_or": "{0} || {1}", "logical_xor": "!{0} != !{1}",
}  # fmt: skip

PRELUDE = Path(__file__).with_name("prelude.h").read_text()


def spell(op: str, dtype: DType, operands: list[str]) -> str:
    """An op on operands of ``dtype``."""
    return (ANY | (FLOAT if dtype.kind == "float" else INTEGER))[op].format(*map(bracketed, operands))


class Scope(body.Scope):
    """A place where C statements go."""

    def __init__(self, inner: str = "", around: body.Scope | None = None) -> None:
        super().__init__(frozenset(inner), around)
        self.lines: list[str] = []

    def __call__(self, *lines: str) -> None:
        self.lines += lines

    def define(self, kind: str, name: str, text: str) -> str:
        self(f"const {kind} {name} = {text};")
        return name


class Body(body.Body):
    """The expressions of one kernel; ``reduced`` computes a reduction that later expressions use."""

    divide = "/"
    reduced: Callable[[Node, body.Scope], str]

    def reduction(self, node: Node, scope: body.Scope) -> str:
        return self.reduced(node, scope)

    def fresh(self, prefix: str) -> str:
        return super().fresh(f"{prefix}_")  # log2 is a function

    def kind(self, dtype: DType) -> str:
        return "float" if dtype.is_half else STORAGE[dtype] if dtype.kind == "float" else "int64_t"

    def literal(self, value: float | int | bool, dtype: DType) -> str:
        with np.errstate(over="ignore", invalid="ignore"):
            number = np.array(value).astype(dtype.numpy).item()
        if dtype.kind != "float":
            return "INT64_MIN" if number == -(2**63) else f"INT64_C({int(number)})"
        if not math.isfinite(number):
            return "NAN" if math.isnan(number) else "INFINITY" if number > 0 else "-INFINITY"
        return f"{number!r}{'' if dtype is f64 else 'f'}"

    def load(self, value: Value, linear: Index, guard: str) -> str:
        text = f"{self.names[value]}[{self.index(linear)}]"
        text = f"from_bf16({text})" if value.dtype is bf16 else text
        return f"{guard} ? {text} : 0" if guard else text

    @staticmethod
    def stored(place: str, value: str, dtype: DType) -> str:
        """The statement that writes a value, rounded to its type, to a place in memory."""
        return f"{place} = {f'to_bf16({value})' if dtype is bf16 else value};"

    def select(self, condition: str, yes: str, no: str) -> str:
        return f"{condition} ? {yes} : {no}"

    def cast(self, operand: str, source: DType, to: DType) -> str:
        return f"whole({operand}, {max(to.bits, 32)})" if source.kind == "float" and to.kind == "int" else operand

    def spelled(self, node: Node, operands: list[str]) -> str:
        return spell(node.op.name, node.inputs[-1].dtype, operands)

    def rounded(self, text: str, node: Node) -> str:
        return self.narrowed(text, node.output.dtype)

    def narrowed(self, text: str, dtype: DType) -> str:
        """An expression as a value of ``dtype``."""
        if text in self.defined and dtype in (f64, i64):
            return text
        if dtype is bf16:
            return f"from_bf16(to_bf16({text}))"
        return f"({text}) != 0" if dtype is boolean else f"({STORAGE[dtype]})({text})"

    def checked(self, node: Node, number: int, operand: str, linear: Index, scope: body.Scope) -> str:
        holds, other = f"{operand} != 0", 1
        if node.op.name == "bounded":
            holds, other = f"{operand} >= 0 && {operand} < {node.attrs['size']}", 0
        return f"checked({holds}, {operand}, {other}, status, check + {number}, {self.index(linear)})"

    def uniform(self, node: Node, linear: Index, scope: body.Scope) -> str:
        seed, offset = (self.value(v, Index(), scope) for v in node.inputs)
        return f"uniform({seed}, {offset} + {node.attrs['index']}, {self.index(linear)})"
