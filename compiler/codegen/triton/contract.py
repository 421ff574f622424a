"""Contractions: ``dot`` on windows of memory, with casts as prologue and everything that follows as epilogue."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from compiler.codegen.triton.body import Body, Scope
from compiler.codegen.triton.layout import Windows, output_argument
from compiler.codegen.triton.matmul import MatmulSpec, Operand, config, grid, matmul_lines
from compiler.codegen.triton.spelling import SIGNATURE, TYPES
from compiler.codegen.triton.sums import TileSums
from compiler.codegen.triton.task import Argument, Mergeable, Task, extra_arguments, kernel_name
from compiler.index import Index, Var, matrix_strides
from compiler.ir.graph import Node, Value


def contract_tasks(node: Node, target: str, windows: Windows) -> list[Task | Mergeable]:
    """The launch of a contraction, and those that join its sums; ``windows``: which results are stored in others."""
    graph = node.body
    assert graph is not None
    params = graph.inputs()
    dot = next(n for n in graph.nodes if n.op.kind == "contract")
    *batch, m, k = dot.inputs[0].shape
    n = dot.output.shape[-1]
    compute = SIGNATURE[dot.inputs[0].dtype]
    factors = [_factor(value, tile) for value, tile in zip(dot.inputs, ("x", "y"))]
    spec = MatmulSpec("", tuple(batch), m, n, k, factors[0][2], factors[1][2], compute, (), ())
    sums = TileSums(node, spec, config(spec, target))
    spec = replace(spec, epilogue=tuple(_epilogue(node, dot, {}, windows, sums)[1]))
    tile = config(spec, target)
    masks = {v: mask for v, mask, ragged in (("i", "rows", m % tile.m), ("j", "cols", n % tile.n)) if ragged}
    sums = TileSums(node, spec, tile)
    body, lines = _epilogue(node, dot, masks, windows, sums)
    spec = replace(spec, epilogue=tuple(lines))
    used = [p for p, v in enumerate(params) if any(root is v for root, _ in body.loaded)]
    arguments = [Argument("lhs", node.inputs[params.index(factors[0][0])], factors[0][1])]
    arguments.append(Argument("rhs", node.inputs[params.index(factors[1][0])], factors[1][1]))
    arguments += [Argument(f"a{p}", node.inputs[p]) for p in used]
    outputs = [sums.arguments.get(p) or output_argument(p, v, windows) for p, v in enumerate(node.outputs)]
    extra = extra_arguments(body)
    summary, lines = matmul_lines(spec, tile)
    task = Task(
        kernel_name("dot", list(body.ops)),
        summary,
        lines,
        arguments + outputs + extra,
        grid(spec, tile),
        tile.warps,
        [node],
        [a.place for a in arguments],
        [a.place for a in (*outputs, *extra)],
        tile.stages,
        _streamed(node, body) - {a.place for a in arguments[:2]},
    )
    return [task, *sums.combines]


def _epilogue(node: Node, dot: Node, masks: dict[str, str], windows: Windows, sums: TileSums) -> tuple[Body, list[str]]:
    """What follows the product, on a tile of sums ``acc``."""
    graph = node.body
    assert graph is not None
    body = Body(graph, {v: f"a{i}" for i, v in enumerate(graph.inputs())}, masks)
    body.depends["acc"] = frozenset({"i", "j"})
    scope = Scope(frozenset({"b", "i", "j"}))
    place = _place(dot)
    result = "acc"
    if dot.output.dtype.is_half:
        result = body.assign(scope, "dot", body.narrowed("acc", dot.output.dtype))
    scope.known[dot.output, place] = result
    for position, value in enumerate(graph.outputs):
        if position in sums.reductions:
            sums.store(position, body, place, scope)
            continue
        window = windows.get(node.outputs[position])
        where = place if window is None else window.index(value, place)
        body.store(scope, f"o{position}", value, place, where)
    return body, scope.lines


def _place(dot: Node) -> Index:
    """An element of the product. A dimension of one still has a tile's width of places, all but the first masked."""
    *batch, m, n = dot.output.shape
    b, i, j = Var("b", prod(batch)), Var("i", max(m, 2)), Var("j", max(n, 2))
    return Index.of(b) * (m * n) + Index.of(i) * n + Index.of(j)


def _streamed(node: Node, body: Body) -> frozenset[Value]:
    """Inputs of the epilogue that are read only where the one result is written."""
    assert node.body is not None
    place = _place(next(n for n in node.body.nodes if n.op.kind == "contract"))
    read = {root: all(index == place for r, index in body.loaded if r is root) for root, _ in body.loaded}
    pairs = zip(node.body.inputs(), node.inputs, strict=True)
    return frozenset(value for param, value in pairs if read.get(param) and len(node.outputs) == 1)


def _factor(value: Value, tile: str) -> tuple[Value, int, Operand]:
    """The memory behind a factor: body input, offset in elements, and how it is read."""
    window = matrix_strides(value, casts=True)
    if window is None:
        raise NotImplementedError(f"a factor that is no strided window of memory: {value!r}")
    root, offset, strides = window
    casts = []
    while value is not root:
        producer = value.producer
        assert producer is not None
        if producer.op.converts:
            casts.append(f"{tile} = {tile}.to({TYPES[value.dtype]})")
        value = producer.inputs[0]
    # The last cast is the product's own rounding to its type.
    return root, offset, Operand(SIGNATURE[root.dtype], strides, tuple(reversed(casts[1:])))
