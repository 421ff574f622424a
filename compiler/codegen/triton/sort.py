"""Order along the last axis: each element counts those that come before it, which is its place in the order.

All elements do so at the same time, so a row takes time that grows with its length squared over the processors of the
GPU. There is no limit to its length.
"""

from __future__ import annotations

from compiler.codegen.kernel import only_op
from compiler.codegen.sizes import ceil_div, power_of_two
from compiler.codegen.triton.body import Body, Scope
from compiler.codegen.triton.spelling import spell, variable
from compiler.codegen.triton.task import Task, task_of, warps_for
from compiler.ir.graph import Node

ELEMENTS = 128
"""Elements of a program."""

GLANCE = 32
"""Elements that it compares them with at a time."""


def sort_tasks(node: Node) -> list[Task]:
    """The launch of an ``argsort``."""
    sort = only_op(node)
    (x,), count, dtype = sort.inputs, sort.attrs["count"], sort.inputs[0].dtype
    length = x.shape[-1]
    rows = x.type.size // length
    own, glance = min(ELEMENTS, power_of_two(length)), min(GLANCE, power_of_two(length))
    masks = {"c": "cols"} if length % own else {}
    masks |= {"n": "near"} if length % glance else {}
    body = Body(node.inner, masks)
    row = variable("r", rows) * length

    top = Scope()
    top("r = tl.program_id(0)")
    top(f"c = tl.program_id(1) * {own} + tl.arange(0, {own})[:, None]", *[f"cols = c < {length}"] * ("c" in masks))
    mine = body.block(x, row + variable("c", length), top, "c", (own, 1))
    top(f"place = tl.zeros(({own}, 1), tl.int32)")
    look = Scope(frozenset({"n"}), top)
    look(f"n = start + tl.arange(0, {glance})[None, :]", *[f"near = n < {length}"] * ("n" in masks))
    other = body.block(x, row + variable("n", length), look, "n", (1, glance))
    less, more = (f"({spell('lt', dtype, pair)})" for pair in ([other, mine], [mine, other]))
    if dtype.kind == "float":
        less = f"({less} | (({mine} != {mine}) & ({other} == {other})))"
        more = f"({more} | (({other} != {other}) & ({mine} == {mine})))"
    if sort.attrs["descending"]:
        less, more = more, less
    look(f"before = {less} | (({more} == 0) & (n < c))")
    counted = "before & near" if "n" in masks else "before"
    look(f"place += tl.sum(({counted}).to(tl.int32), 1, keep_dims=True)")
    top.block(f"for start in range(0, {length}, {glance}):", look.lines)
    kept = f"(place < {count})" if count < length else ""
    top(f"tl.store(o0 + r * {count} + place, c{body.mask(['c'], kept)})")
    summary = f"The places of the first {count} of {x.type} in {'descending ' * sort.attrs['descending']}order."
    grid = (rows, ceil_div(length, own), 1)
    return [task_of(node, body, "argsort", summary, top.lines, grid, warps_for(own * glance))]
