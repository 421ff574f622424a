"""Every pointwise op of every type at its special points, value and gradient: C against the interpreter.

All are one program, which is compiled once: ties, zeros of both signs, infinities, NaN, the largest, the least and
subnormal numbers, each with each.
"""

from typing import NamedTuple

import numpy as np

from compiler.codegen.c import unit
from compiler.errors import OpError
from compiler.interpret import interpret
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Value
from compiler.ir.op import OPS, Op
from compiler.ir.types import DType, bf16, boolean, f16, f32, f64, i8, i16, i32, i64, u8
from compiler.pipeline import Stages, lowering
from tests.compiler.codegen.c.harness import MAX_ULP
from tests.compiler.codegen.c.plans import native, run
from tests.samples import type_of

SKIPPED = ("bounded", "divisor", "take", "gather", "cast", "where", "constant")
"""Ops whose operands are no numbers of one type; casts have a test of their own."""

APPROXIMATE = {"exp", "expm1", "log", "log1p", "log2", "sin", "cos", "tanh", "erf", "rsqrt", "pow"}
"""Ops that are not exact: of f32 to the ulps of the prelude, of f64 to a few."""


class Case(NamedTuple):
    """One output of the program: ``op`` computed in ``dtype``."""

    op: str
    dtype: DType


def points(dtype: DType) -> np.ndarray:
    """Numbers where an op may go wrong."""
    if dtype is boolean:
        return np.array([False, True])
    if dtype.kind == "int":
        limits = np.iinfo(dtype.numpy)
        near = [0, 1, 2, 3, 7, 63, limits.max, limits.max - 1, limits.min, limits.min + 1, limits.max // 2]
        return np.array(near + ([-1, -2, -7] if limits.min else []), dtype.numpy)
    narrow = {bf16: f32.numpy, f16: f16.numpy}.get(dtype, dtype.numpy)
    limits = np.finfo(narrow)
    with np.errstate(over="ignore"):
        sizes = [0.0, limits.tiny, 0.5, 1.0, 1.5, 2.5, 3.0, 64.0, 100.0, float(limits.max), np.inf]
        tiny = [] if dtype is bf16 else [limits.smallest_subnormal]
        return np.array([s * x for x in [*sizes, *tiny] for s in (1, -1)] + [np.nan]).astype(dtype.numpy)


def applied(op: Op, operands: list[Value]) -> Value | None:
    """The op on all operands, or on the first; None where it takes other ones."""
    for count in (2, 1):
        try:
            return op(*operands[:count])
        except OpError:
            continue
    return None


def program() -> tuple[Graph, list[Case], list[np.ndarray]]:
    """Every op on all points, or on all pairs of points."""
    graph, builder = Graph("special"), GraphBuilder()
    cases, arrays = [], []
    with using(builder):
        for dtype in (boolean, u8, i8, i16, i32, i64, f16, bf16, f32, f64):
            column = points(dtype)[:, None]
            row = column[column != 0][None] if dtype.kind == "int" else column.T  # it divides
            arrays += [column, row]
            operands = [graph.add_param(type_of(x), "input", "", "x") for x in (column, row)]
            for name, op in sorted(OPS.items()):
                result = applied(op, operands) if op.kind == "pointwise" and name not in SKIPPED else None
                if result is not None and result.producer is not None:
                    graph.outputs.append(result)
                    cases.append(Case(name, result.producer.inputs[0].dtype))
    graph.nodes = builder.nodes
    return graph, cases, arrays


def tolerance(case: Case, want: np.ndarray) -> np.ndarray:
    """How far from the interpreter's a result may be."""
    ulps = {f32: MAX_ULP.get(f"gen_{case.op}f", 2.0), f64: 4.0}.get(case.dtype, 1.0)
    digits, least = {f32: (23, -126), f64: (52, -1022), f16: (10, -14), bf16: (7, -126)}[case.dtype]
    return ulps * 2.0 ** (np.maximum(np.frexp(want)[1] - 1, least) - digits)


def different(case: Case, got: np.ndarray, want: np.ndarray) -> np.ndarray:
    """The places where two results differ: in the sign of zero too, and in that they are NaN."""
    if want.dtype.kind in "biu":
        return got != want
    a, b = got.astype(np.float64), want.astype(np.float64)
    with np.errstate(all="ignore"):
        same = (np.isnan(a) & np.isnan(b)) | ((a == b) & (np.signbit(a) == np.signbit(b)))
        if case.op in ("maximum", "minimum"):
            same |= a == b  # of two zeros either
        if case.op in APPROXIMATE:
            same |= (abs(a - b) <= tolerance(case, b)) & np.isfinite(b) & (b != 0)
    return ~same


def test_special_points() -> None:
    graph, cases, arrays = program()
    plan = unit.emit(Stages(graph).run(lowering(unit.FEATURES)), native())
    results, _ = run(plan, arrays)
    with np.errstate(all="ignore"):
        wanted = interpret(graph, arrays)[0]
    found = []
    for case, got, want in zip(cases, results[len(arrays) :], wanted, strict=True):
        wrong = different(case, got, want)
        for place in map(tuple, np.argwhere(wrong)):
            found.append(f"{case.op} in {case.dtype.short}, points {place}: {got[place]!r}, not {want[place]!r}")
    assert not found, f"{len(found)}\n" + "\n".join(found[:: max(len(found) // 60, 1)])
    assert len(cases) > 250
