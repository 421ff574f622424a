"""Running results along an axis: threads share the lanes, and a block of neighbouring lanes runs side by side."""

from __future__ import annotations

from math import prod

from compiler.codegen.c.body import Body, Scope
from compiler.codegen.c.kernels import LoopKernel, range_kernel
from compiler.codegen.c.spelling import COMPUTE, literal, spell
from compiler.codegen.c.writer import Writer
from compiler.codegen.indices import index_text
from compiler.codegen.kernel import only_op
from compiler.codegen.sizes import ceil_div
from compiler.index import Index, Var
from compiler.ir.graph import Node
from compiler.ir.types import f64

LANES = 64
"""Lanes that run side by side where the axis is not the last one."""


def scan_kernel(node: Node) -> LoopKernel:
    """A scan along its axis; what adds up does so in double."""
    scan = only_op(node)
    value, body = scan.output, Body(node.inner)
    axis, shape, op = scan.attrs["axis"], value.shape, scan.op
    length, inner, outer = shape[axis], prod(shape[axis + 1 :]), prod(shape[:axis])
    wide = f64 if value.dtype.kind == "float" and op.join == "add" else value.dtype
    width = min(LANES, inner)
    blocks = ceil_div(inner, max(width, 1))

    each = Scope("cn")
    row = (Index.of(Var("r", outer)) * length + Index.of(Var("n", length))) * inner
    place = row + Index.of(Var("c", inner))
    *factors, term = [body.value(v, place, each) for v in scan.inputs]
    running = " * ".join(["h[j]", *factors])
    each(f"h[j] = {spell(op.join, wide, [running, term])};")
    each(f"o0[{index_text(place)}] = {body.stored(value, 'h[j]')};")

    out = Writer()
    with out.block("for (long b = begin; b < end; b++)"):
        out(f"const long r = b / {blocks}, first = b % {blocks} * {width};")
        out(f"const long lanes = {inner} - first < {width} ? {inner} - first : {width};")
        out(f"{COMPUTE[wide]} h[{max(width, 1)}];")
        out(f"for (long j = 0; j < lanes; j++) h[j] = {literal(op.neutral(wide), wide)};")
        with out.block(f"for (long n = 0; n < {length}; n++)"), out.block("for (long j = 0; j < lanes; j++)"):
            out("const long c = first + j;")
            out(*each.lines)
    return range_kernel(body, out, outer * blocks)
