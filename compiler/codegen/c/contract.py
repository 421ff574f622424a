"""Matrix products: through the tile templates, or, of doubles and integers, as three loops."""

from __future__ import annotations

from math import prod

from compiler.codegen.c.body import Body, Run, Scope
from compiler.codegen.c.gemm import gemm_kernel
from compiler.codegen.c.gemm_plan import GemmSpec, Operand, Plan
from compiler.codegen.c.isa import Isa
from compiler.codegen.c.kernels import LoopKernel, TeamKernel, parameters_of, range_kernel, window_of
from compiler.codegen.c.spelling import COMPUTE
from compiler.codegen.c.writer import Writer
from compiler.codegen.indices import index_text
from compiler.codegen.kernel import Sink, Touched, own_rows
from compiler.domain import reduction_of
from compiler.index import Index, Var, join, split
from compiler.ir.graph import Node, Value
from compiler.ir.types import bf16, f16, f32


def contract_kernel(isa: Isa, node: Node, aliases: dict[int, int], fixed: frozenset[int]) -> TeamKernel | LoopKernel:
    """A matrix product with everything fused behind it; operands in ``fixed`` are the same in many runs."""
    graph = node.inner
    dot = next(n for n in graph.nodes if n.op.kind == "contract")
    if dot.inputs[0].dtype not in (f32, bf16, f16):
        return _plain_product(node, dot, aliases)
    (left, root, strides), (right, other, across) = (window_of(graph, v, casts=True) for v in dot.inputs)
    *batch, m, k = dot.inputs[0].shape
    n = dot.inputs[1].shape[-1]
    body = Body(graph, aliases)
    coordinates = [f"b{d}" for d in range(len(batch))]
    place, first_place = (
        join(
            [Index.of(Var(x, s)) for x, s in zip((*coordinates, "i", j), dot.output.shape, strict=True)],
            dot.output.shape,
        )
        for j in ("j", "j0")
    )
    inner, ahead = Scope(), Scope()
    body.run = Run(place, first_place, "j - j0", "width", ahead)
    body.know_sum(dot, place, inner)
    sums = {i: found.inputs[0] for i, v in enumerate(graph.outputs) if (found := reduction_of(v)) is not None}
    terms = {i: (f"part{i}", body.value(value, place, inner)) for i, value in sums.items()}
    by_column = {i for i in sums if graph.outputs[i].type.size > 1}
    totals = tuple(term for i, term in terms.items() if i not in by_column)
    column_totals = tuple(term for i, term in terms.items() if i in by_column)
    texts = {i: body.to_store(v, place, inner) for i, v in enumerate(graph.outputs) if i not in sums}
    result = next((i for i, text in texts.items() if text == "acc" and i not in aliases), None)
    for i, text in texts.items():
        if i != result:
            inner(f"{body.target(i)}[{index_text(place)}] = {text};")
    streams = [(f"a{i}", v.dtype.itemsize) for i, v in enumerate(graph.inputs()) if (v, place) in body.loaded]
    streams += [(f"o{i}", graph.outputs[i].dtype.itemsize) for i in texts if i not in aliases]
    parameters, operands = parameters_of(body, sums)
    compute = "bf16" if dot.inputs[0].dtype is bf16 else "f32"
    spec = GemmSpec(
        tuple(batch), m, n, k, Operand(root.dtype.short, strides), Operand(other.dtype.short, across), compute,
        ", ".join(parameters), inner.text(), "" if result is None else f"o{result}", totals, column_totals,
        ahead.text(), tuple(streams), right[1] in fixed,
    )  # fmt: skip
    plan = Plan(isa, spec)
    touched: Touched = frozenset()
    if prod(batch) == 1:
        touched = own_rows(graph, Var("i", m), body.loaded, [(i, place) for i in texts]) - {right[:2]}
        if not _row_by_row(root, left[2], strides, m, k):
            touched -= {left[:2]}
    sinks = [Sink(i, "sum", f32, n, plan.row_parts) if i in by_column else Sink(i, "sum", f32, 1) for i in sums]
    return TeamKernel(
        gemm_kernel(plan), [left, right, *operands], plan.shared_bytes, plan.private_bytes, body.checks, touched,
        plan.even, sinks, plan.parts, plan.packed_bytes,
    )  # fmt: skip


def _row_by_row(root: Value, offset: int, strides: tuple[int, ...], m: int, k: int) -> bool:
    """Whether row i of a matrix [m, k] lies in the i-th of m equal parts of the memory it is a window of."""
    row, column = strides[-2:]
    return row * m == root.type.size and offset + (k - 1) * column < row


def _plain_product(node: Node, dot: Node, aliases: dict[int, int]) -> LoopKernel:
    """A product of f64 or integer matrices: three loops."""
    graph = node.inner
    body = Body(graph, aliases)
    *batch, m, k = dot.inputs[0].shape
    n = dot.inputs[1].shape[-1]
    rows = prod(batch) * m
    row, column, inner = Var("r", rows), Var("c", n), Var("k", k)
    lead = split(Index.of(row), (*batch, m))
    scope = Scope("rck")
    a = body.value(dot.inputs[0], join([*lead, Index.of(inner)], dot.inputs[0].shape), scope)
    b = body.value(dot.inputs[1], join([*lead[:-1], Index.of(inner), Index.of(column)], dot.inputs[1].shape), scope)
    scope(f"acc += {a} * {b};")
    place = Index.of(row) * n + Index.of(column)
    after = Scope("rc")
    after.known[dot.output, place] = "acc"
    texts = [body.to_store(value, place, after) for value in graph.outputs]  # a result may overwrite an operand
    for i, text in enumerate(texts):
        after(f"{body.target(i)}[{index_text(place)}] = {text};")
    out = Writer()
    with out.block("for (long r = begin; r < end; r++)"), out.block(f"for (long c = 0; c < {n}; c++)"):
        out(f"{COMPUTE[dot.output.dtype]} acc = 0;")
        out.nest(f"for (long k = 0; k < {k}; k++)", scope.lines)
        out(*after.lines)
    return range_kernel(body, out, rows)
