"""Running results along an axis: a program has some lanes, and carries their results from block to block."""

from __future__ import annotations

from math import prod

from compiler.codegen.kernel import only_op
from compiler.codegen.sizes import ceil_div, power_of_two
from compiler.codegen.triton.body import Body, Scope
from compiler.codegen.triton.spelling import COMPUTE, HELPERS, SCANS, index_text, literal, spell, variable
from compiler.codegen.triton.task import Task, task_of, warps_for
from compiler.ir.graph import Node

BLOCK = 1024
"""Elements of a program."""


def scan_tasks(node: Node) -> list[Task]:
    """The launch of a scan."""
    scan = only_op(node)
    value = scan.output
    op, dtype, axis, shape = scan.op, value.dtype, scan.attrs["axis"], value.shape
    length, inner = shape[axis], prod(shape[axis + 1 :])
    lanes = value.type.size // length
    along = min(BLOCK, power_of_two(length))
    beside = min(power_of_two(lanes), BLOCK // along)
    masks = {"r": "lanes"} if lanes % beside else {}
    masks |= {"n": "inside"} if length % along else {}
    body = Body(node.inner, masks)

    top = Scope()
    top(f"r = tl.program_id(0) * {beside} + tl.arange(0, {beside})[:, None]")
    top(*[f"lanes = r < {lanes}"] * ("r" in masks))

    blocks = length > along
    step = Scope(frozenset({"n"}), top)
    first = "start + " * blocks
    step(f"n = {first}tl.arange(0, {along})[None, :]", *[f"inside = n < {length}"] * ("n" in masks))
    lane, column = variable("r", lanes).divmod(inner)
    place = (lane * length + variable("n", length)) * inner + column
    *factors, term = [body.block(v, place, step, "rn", (beside, along)) for v in scan.inputs]
    if factors:
        step(f"shrunk, y = tl.associative_scan(({factors[0]}, {term}), 1, chained)")
        step(*["y += shrunk * h"] * blocks)
    else:
        block = SCANS.get(op.join, f"tl.associative_scan({{0}}, 1, {HELPERS.get(op.join)})").format(term)
        step(f"y = {block}.to({COMPUTE[dtype]})")
        step(*[f"y = {spell(op.join, dtype, ['h', 'y'])}"] * blocks)
    step(f"tl.store(o0 + {index_text(place)}, y{body.mask(['r', 'n'])})")
    if blocks:
        last = f"tl.where(n == start + {along - 1}, y, {literal(0, dtype)})"
        step(f"h = tl.sum({last}, 1, keep_dims=True).to({COMPUTE[dtype]})")
        top(f"h = tl.full(({beside}, 1), {literal(op.neutral(dtype), dtype)}, {COMPUTE[dtype]})")
        top.block(f"for start in range(0, {length}, {along}):", step.lines)
    else:
        top(*step.lines)
    summary = f"{op.name} along axis {axis} of {value.type}."
    grid = (ceil_div(lanes, beside), 1, 1)
    return [task_of(node, body, op.name, summary, top.lines, grid, warps_for(along * beside))]
