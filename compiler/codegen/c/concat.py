"""Concatenations, and slices written into a tensor, as copies row by row."""

from __future__ import annotations

from math import prod

from compiler.codegen.c.body import Body, Scope
from compiler.codegen.c.kernels import LoopKernel, range_kernel
from compiler.codegen.c.writer import Writer
from compiler.codegen.indices import index_text
from compiler.codegen.kernel import only_op
from compiler.index import Index, Var, join, split
from compiler.ir.graph import Node, Value


def concat_kernel(node: Node) -> LoopKernel:
    """``concat``: each part copied to its place; ``slice_scatter``: the base copied, then the part over it."""
    join_node, body = only_op(node), Body(node.inner)
    value = join_node.output
    out = Writer()
    if join_node.op.reads == "parts":
        axis = join_node.attrs["axis"]
        rows = prod(value.shape[:axis])
        width = prod(value.shape[axis:])
        start = 0
        for part in join_node.inputs:
            columns = prod(part.shape[axis:])
            _copy_row(body, out, value, part, rows, columns, Index.of(Var("r", rows)) * width, start)
            start += columns
    else:
        base, part = join_node.inputs
        rows = value.shape[0]
        width = prod(value.shape[1:])
        _copy_row(body, out, value, base, rows, width, Index.of(Var("r", rows)) * width, 0)
        _scatter_row(body, out, join_node, part, width)
    text = Writer()
    with text.block("for (long r = begin; r < end; r++)"):
        text(*out.lines)
    return range_kernel(body, text, rows)


def _copy_row(
    body: Body, out: Writer, value: Value, part: Value, rows: int, columns: int, row: Index, start: int
) -> None:
    if not columns:
        return
    outer = Scope("r")
    inner = Scope("c", outer)
    linear = Index.of(Var("r", rows)) * columns + Index.of(Var("c", columns))
    text = body.to_store(part, linear, inner)
    inner(f"o0[{index_text((row + Index.of(Var('c', columns))).shifted(start))}] = {text};")
    with out.block():
        out(*outer.lines)
        out("#pragma omp simd")
        with out.block(f"for (long c = 0; c < {columns}; c++)"):
            out(*inner.lines)


def _scatter_row(body: Body, out: Writer, scatter: Node, part: Value, width: int) -> None:
    """Write the rows of ``part`` that fall on row r of the result."""
    start, step = scatter.attrs["start"], scatter.attrs["step"]
    if not part.type.size:
        return
    columns = prod(part.shape[1:])
    outer = Scope("q")
    inner = Scope("c", outer)
    column = Var("c", columns)
    text = body.value(part, Index.of(Var("q", part.shape[0])) * columns + Index.of(column), inner)
    coordinates = split(Index.of(column), part.shape[1:])
    moved = [(c * s).shifted(a) for c, a, s in zip(coordinates, start[1:], step[1:], strict=True)]
    place = join(moved, scatter.output.shape[1:])
    inner(f"o0[r * {width} + {index_text(place)}] = {body.stored(scatter.output, text)};")
    out(f"const long q = (r - {start[0]}) / {step[0]};")
    with out.block(f"if (q >= 0 && q < {part.shape[0]} && q * {step[0]} + {start[0]} == r)"):
        out(*outer.lines)
        with out.block(f"for (long c = 0; c < {columns}; c++)"):
            out(*inner.lines)
