"""Scatters: elements are joined at places that an index tells, in its order, so that the result never varies."""

from __future__ import annotations

from math import prod

from compiler.codegen.c.body import Body, Scope
from compiler.codegen.c.kernels import LoopKernel, range_kernel
from compiler.codegen.c.spelling import STORAGE, spell
from compiler.codegen.c.writer import Writer
from compiler.codegen.indices import bracketed, index_text
from compiler.codegen.kernel import only_op
from compiler.index import Index, Var, join, split
from compiler.ir.graph import Node
from compiler.ir.types import boolean


def scatter_kernel(node: Node) -> LoopKernel:
    """``scatter_rows``, and scatters along an axis."""
    scatter, body = only_op(node), Body(node.inner)
    if scatter.output.dtype.is_half and scatter.op.join:
        raise NotImplementedError(
            f"{scatter.op.name} of 16-bit values in C; cast the source to float32 first\n  at {scatter.loc}"
        )
    text, total = (_scatter_rows if len(scatter.inputs) == 2 else _scatter_along)(body, scatter)
    return range_kernel(body, text, total, 16 if total > 1 else 1)


def _scatter_rows(body: Body, scatter: Node) -> tuple[Writer, int]:
    """A range of columns: cleared, then every source row added to its target."""
    index, source = scatter.inputs
    rows, count = scatter.attrs["rows"], index.type.size
    width = source.type.size // count if count else 1
    out = Writer()
    out(f"for (long r = 0; r < {rows}; r++)")
    out(f"  for (long c = begin; c < end; c++) o0[r * {width} + c] = 0;")
    outer = Scope("n")
    inner = Scope("c", outer)
    n, c = Var("n", count), Var("c", width)
    target = body.value(index, Index.of(n), outer)
    text = body.value(source, Index.of(n) * width + Index.of(c), inner)
    with out.block(f"for (long n = 0; n < {count}; n++)"):
        out(*outer.lines)
        out(f"{STORAGE[scatter.output.dtype]} *restrict row = o0 + {bracketed(target)} * {width};")
        out("#pragma omp simd")
        out.nest("for (long c = begin; c < end; c++)", [*inner.lines, f"row[c] += {text};"])
    return out, width


def _scatter_along(body: Body, scatter: Node) -> tuple[Writer, int]:
    """One thread: the base copied, then every source element joined to, or written over, its place."""
    base, index, source = scatter.inputs
    axis = scatter.attrs["axis"]
    out = Writer()
    copy = Scope("i")
    i = Var("i", base.type.size)
    text = body.value(base, Index.of(i), copy)
    copy(f"o0[i] = {body.stored(scatter.output, text)};")
    out.nest(f"for (long i = 0; i < {base.type.size}; i++)", copy.lines)
    add = Scope("n")
    n = Index.of(Var("n", source.type.size))
    target = body.value(index, n, add)
    value = body.value(source, n, add)
    coordinates = list(split(n, source.shape))
    coordinates[axis] = Index()
    width = prod(base.shape[axis + 1 :])
    place, dtype = f"o0[{index_text(join(coordinates, base.shape))} + {bracketed(target)} * {width}]", base.dtype
    with out.block(f"for (long n = 0; n < {source.type.size}; n++)"):
        out(*add.lines)
        if scatter.op.join == "add" and dtype is not boolean:
            out(f"{place} += {value};")
        else:
            joined = spell(scatter.op.join, dtype, [place, value]) if scatter.op.join else value
            joined = f"({joined}) != 0" if dtype is boolean else joined
            out(f"{place} = {body.stored(scatter.output, joined)};")
    return out, 1
