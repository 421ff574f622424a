"""Concatenations, and slices written into a tensor, as copies row by row."""

from __future__ import annotations

from math import prod

from compiler.codegen.c.body import Body, Scope
from compiler.codegen.c.kernels import LoopKernel, range_kernel
from compiler.codegen.c.writer import Writer
from compiler.codegen.indices import index_text
from compiler.codegen.kernel import only_op
from compiler.index import Index, Var, concat_starts, join, split
from compiler.ir.graph import Node, Value


def concat_kernel(node: Node) -> LoopKernel:
    """``concat``: each part copied to its place; ``slice_scatter``: the base copied, then the part over it."""
    joined, body, rows = only_op(node), Body(node.inner), Writer()
    whole, shape = joined.op.reads == "parts", joined.output.shape
    axis = joined.attrs["axis"] if whole else 1
    row, width = Index.of(Var("r", prod(shape[:axis]))), prod(shape[axis:])
    copied = zip(joined.inputs, concat_starts(joined), strict=True) if whole else [(joined.inputs[0], 0)]
    for part, start in copied:
        columns = prod(part.shape[axis:])
        if not columns:
            continue
        outer = Scope("r")
        inner, column = Scope("c", outer), Index.of(Var("c", columns))
        text = body.to_store(part, row * columns + column, inner)
        place = (row * width + column).shifted(start * prod(shape[axis + 1 :]))
        inner(f"o0[{index_text(place)}] = {text};")
        with rows.block():
            rows(*outer.lines, "#pragma omp simd")
            rows.nest(f"for (long c = 0; c < {columns}; c++)", inner.lines)
    if not whole:
        _scatter_row(body, rows, joined, joined.inputs[1], width)
    out = Writer()
    out.nest("for (long r = begin; r < end; r++)", rows.lines)
    return range_kernel(body, out, prod(shape[:axis]))


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
        out.nest(f"for (long c = 0; c < {columns}; c++)", inner.lines)
