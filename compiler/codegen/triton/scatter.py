"""Scatters without atomics: every place of the result looks for what goes to it, in the order of the index."""

from __future__ import annotations

from math import prod

from compiler.codegen.triton.body import Body, Scope
from compiler.codegen.triton.reduction import join as joined
from compiler.codegen.triton.spelling import COMPUTE, index_text, variables
from compiler.codegen.triton.task import Argument, Status, Task, ceil_div, power_of_two, warps_for
from compiler.index import Index, Var, join, split
from compiler.ir.graph import Node, Value

GLANCE = 1024  # indices a program looks at together
PICK = 16  # rows it adds together where one of them is its own
COLUMNS = 256
BLOCK = 1024


def scatter_task(node: Node) -> Task:
    """The launch of a ``scatter_rows`` or ``scatter_add``."""
    graph = node.body
    assert graph is not None
    scatter = graph.outputs[0].producer
    assert scatter is not None
    write = _scatter_rows if scatter.op.name == "scatter_rows" else _scatter_add
    params = graph.inputs()
    names = {v: f"a{i}" for i, v in enumerate(params)}
    body, lines, grid, warps, summary = write(scatter, names, graph)
    read = {value for value, _ in body.loaded}
    inputs = [Argument(f"a{i}", node.inputs[i]) for i, v in enumerate(params) if v in read]
    outputs = [Argument("o0", node.outputs[0])]
    outputs += [Argument(f"status{k}", Status(check)) for k, check in enumerate(body.checks)]
    places = [a.place for a in inputs], [a.place for a in outputs]
    return Task(scatter.op.name, summary, lines, inputs + outputs, grid, warps, [node], *places)


Written = tuple[Body, list[str], tuple[int, int, int], int, str]


def _scatter_rows(scatter: Node, names: dict[Value, str], graph: object) -> Written:
    """A program adds up the rows that go to one row of the result.

    It looks at many indices at a time and reads source rows only where one of them is its own.
    """
    index, source = scatter.inputs
    rows, count = scatter.attrs["rows"], index.type.size
    width = prod(source.shape[index.type.rank :])
    columns = min(COLUMNS, power_of_two(width))
    pick = min(PICK, power_of_two(count))
    glance = max(min(GLANCE, power_of_two(count)), pick)
    masks = {"n": "near"} if count % pick else {}
    if width % columns:
        masks["c"] = "cols"
    body = Body(graph, names, masks)
    c, n = Var("c", width), Var("n", max(count, 2))
    top = Scope(frozenset({"c"}))
    if width > 1:
        start = f"tl.program_id(1) * {columns} + " if width > columns else ""
        top(f"c = {start}tl.arange(0, {columns})[None, :]", *[f"cols = c < {width}"] * ("c" in masks))
    inner = Scope(frozenset({"n"}))
    inner(f"n = begin + tl.arange(0, {pick})[:, None]", *[f"near = n < {count}"] * ("n" in masks))
    mine = body.value(index, Index.of(n), inner)
    hit = body.assign(inner, "hit", f"{'near & ' * ('n' in masks)}({mine} == row)")
    value = body.value(source, Index.of(n) * width + Index.of(c), inner, hit)
    dtype = COMPUTE[source.dtype]
    inner(f"total += tl.sum(tl.where({hit}, {value}, {0 if source.dtype.kind != 'float' else 0.0}), 0, keep_dims=True).to({dtype})")
    glance_masks = {"m": "far"} if count % glance else {}
    outer_body = Body(graph, names, glance_masks)
    outer_body.counts = body.counts
    outer = Scope(frozenset({"m"}))
    outer(f"m = start + tl.arange(0, {glance})", *[f"far = m < {count}"] * bool(glance_masks))
    seen = outer_body.value(index, Index.of(Var("m", max(count, 2))), outer)
    outer(f"here = {'far & ' * bool(glance_masks)}({seen} == row)")
    nested = Scope()
    nested.block(f"for begin in range(start, start + {glance}, {pick}):", inner.lines)
    outer.block("if tl.max(here.to(tl.int32), 0) > 0:", nested.lines)
    top("row = tl.program_id(0)", f"total = tl.zeros((1, {columns if width > 1 else 1}), {dtype})")
    top.block(f"for start in range(0, {count}, {glance}):", outer.lines)
    place = [f"row * {width}" if width > 1 else "row", *["c"] * (width > 1)]
    where = " + ".join(["o0", *place])
    if width > 1:
        top(f"tl.store({where}, total{body.mask(['c'])})")
    else:
        top(f"tl.store({where} + tl.arange(0, 1)[None, :], total)")
    blocks = ceil_div(width, columns)
    summary = f"Adds {count} rows of {width} into {rows}, each row of the result by its own program."
    return body, top.lines, (rows, blocks, 1), warps_for(pick * columns), summary


def _scatter_add(scatter: Node, names: dict[Value, str], graph: object) -> Written:
    """A program goes through all indices along the axis for each place of its block."""
    base, index, source = scatter.inputs
    axis, size = scatter.attrs["axis"], scatter.output.type.size
    count = index.shape[axis]
    block = min(BLOCK, power_of_two(size))
    ragged = bool(size % block)
    body = Body(graph, names, {"i": "mask"} if ragged else {})
    body.depends |= {"i": frozenset({"i"}), "n": frozenset({"n"})}
    i, n = Var("i", max(size, 2)), Var("n", max(count, 2))
    scope = Scope(frozenset({"i"}))
    start = f"tl.program_id(0) * {block} + " if size > block else ""
    scope(f"i = {start}tl.arange(0, {block})", *[f"mask = i < {size}"] * ragged)
    old = body.value(base, Index.of(i), scope)
    scope(f"total = {old}")
    coordinates = split(Index.of(i), base.shape)
    inner = Scope(frozenset({"n"}), scope)
    narrow = [
        f"({index_text(c)} < {n_})"
        for a, (c, n_, whole) in enumerate(zip(coordinates, index.shape, base.shape, strict=True))
        if a != axis and n_ < whole
    ]
    guard = ""
    if narrow:
        scope(f"inside = {' & '.join(narrow)}")
        guard = "inside"
        body.depends["inside"] = frozenset({"i"})
    place = join([Index.of(n) if a == axis else c for a, c in enumerate(coordinates)], index.shape)
    mine = body.value(index, place, inner, guard)
    hit = body.assign(inner, "hit", " & ".join([*[guard] * bool(guard), f"({mine} == {index_text(coordinates[axis])})"]))
    value = body.value(source, place, inner, hit if "i" in body.roots(variables(place)) else "")
    zero = 0.0 if source.dtype.kind == "float" else 0
    inner(f"total = {joined('sum', source.dtype, 'total', f'tl.where({hit}, {value}, {zero})')}")
    scope.block(f"for n in range(0, {count}):", inner.lines)
    scope(f"tl.store(o0 + i, total{body.mask(['i'])})")
    grid = (ceil_div(size, block), 1, 1)
    return body, scope.lines, grid, warps_for(block), f"Adds along axis {axis} of {base.type} where the index says."


