"""Contractions: ``dot`` on windows of memory, with casts as prologue and everything that follows as epilogue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod

from compiler.codegen.triton.body import Body, Scope
from compiler.codegen.triton.factors import Operand
from compiler.codegen.triton.matmul import MatmulSpec, Tile, grid, matmul_lines, parts
from compiler.codegen.triton.spelling import SIGNATURE, TYPES, names_in
from compiler.codegen.triton.sums import TileSums, head_of
from compiler.codegen.triton.task import Argument, Counts, Task, kernel_name, output_argument, task_of
from compiler.index import Index, Var, matrix_strides
from compiler.ir.graph import Node, Value
from compiler.ir.types import DType, TensorType
from compiler.layout import Windows
from compiler.ops.contract import accumulator
from compiler.placement import Scratch
from compiler.sharing import Shareable

Choice = Callable[[MatmulSpec], Tile]
"""How the tile of a product is chosen."""


@dataclass(frozen=True)
class Contraction:
    """The product ``dot`` of the kernel ``node``, and its factors as :func:`product_tasks` takes them."""

    node: Node
    dot: Node
    spec: MatmulSpec
    factors: list[tuple[Value, int]]

    @property
    def operands(self) -> list[Value]:
        """The values that hold the factors."""
        params = self.node.inner.inputs()
        return [self.node.inputs[params.index(root)] for root, _ in self.factors]


def contraction(node: Node) -> Contraction:
    """The product of a kernel of kind "contract"."""
    graph = node.inner
    dot = next(n for n in graph.nodes if n.op.kind == "contract")
    *batch, m, k = dot.inputs[0].shape
    n = dot.output.shape[-1]
    compute = SIGNATURE[dot.inputs[0].dtype]
    factors = [_factor(value, tile) for value, tile in zip(dot.inputs, ("x", "y"))]
    spec = MatmulSpec(tuple(batch), m, n, k, factors[0][2], factors[1][2], compute, head=head_of(graph))
    return Contraction(node, dot, spec, [(root, offset) for root, offset, _ in factors])


def contract_tasks(node: Node, choose: Choice, windows: Windows) -> list[Task | Shareable]:
    """The launch of a contraction, and those that join its sums; ``windows``: which results are stored in others."""
    one = contraction(node)
    return product_tasks("dot", node, one.dot, one.spec, one.factors, _place(one.dot), choose, windows)


def product_tasks(
    name: str,
    node: Node,
    product: Node,
    spec: MatmulSpec,
    factors: Sequence[tuple[Value, int]],
    place: Index,
    choose: Choice,
    windows: Windows,
) -> list[Task | Shareable]:
    """The launch of ``product``, with all that ``node`` computes from it, and those that join its sums.

    ``factors`` are the inputs of the node's body that hold the factors, and from which element on. The sum of row `i`
    and column `j` of product `b` is element ``place`` of the result.
    """
    graph = node.inner
    params = graph.inputs()
    sums = TileSums(node, spec, choose(spec))
    spec = replace(spec, epilogue=tuple(epilogue(node, product, place, {}, windows, sums)[1]))
    tile = choose(spec)
    masks = {v: mask for v, mask, ragged in (("i", "rows", spec.m % tile.m), ("j", "cols", spec.n % tile.n)) if ragged}
    sums = TileSums(node, spec, tile)
    body, lines = epilogue(node, product, place, masks, windows, sums)
    spec = replace(spec, epilogue=tuple(lines))
    pairs = zip(("lhs", "rhs"), factors, strict=True)
    sides = [Argument(side, node.inputs[params.index(root)], offset) for side, (root, offset) in pairs]
    outputs = [sums.arguments.get(p) or output_argument(p, v, windows) for p, v in enumerate(node.outputs)]
    written = prod(spec.batch) * spec.m * spec.n
    if written < product.output.type.size:  # other launches write the rest
        for argument in outputs:
            argument.part = TensorType(argument.place.type.dtype, (written,))
    shared = _shared(spec, tile, accumulator(product.inputs[0].dtype))
    summary, lines = matmul_lines(spec, tile)
    task = task_of(
        node, body, kernel_name(name, list(body.ops)), summary, lines, grid(spec, tile), tile.warps, sides, outputs,
        shared, tile.stages, _streamed(node, body, place) - {a.place for a in sides},
    )  # fmt: skip
    return [task, *sums.combines]


def _shared(spec: MatmulSpec, tile: Tile, dtype: DType) -> list[Argument]:
    """The memory shared by the programs of one tile: their partial sums, and how many of them have ended."""
    if tile.splits == 1:
        return []
    count, elements = parts(spec, tile)
    partial = Scratch(TensorType(dtype, (tile.splits, elements)))
    return [Argument("parts", partial), Argument("ended", Counts(count))]


def epilogue(
    node: Node,
    product: Node,
    place: Index,
    masks: dict[str, str],
    windows: Windows,
    sums: TileSums | None = None,
) -> tuple[Body, list[str]]:
    """The statements that follow a product, on a block ``acc`` of its elements ``place``."""
    graph = node.inner
    body = Body(graph, masks)
    varying = names_in(place)
    body.depends["acc"] = varying - {"b"}
    scope = Scope(varying | {"b"})
    result = "acc"
    if product.output.dtype.is_half:
        result = body.assign(scope, product.op.name, body.narrowed(result, product.output.dtype))
    scope.known[product.output, place] = result
    for position, value in enumerate(graph.outputs):
        if sums is not None and position in sums.reductions:
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


def _streamed(node: Node, body: Body, place: Index) -> frozenset[Value]:
    """Inputs of the epilogue that are read only where the one result is written."""
    read = {root: all(index == place for r, index in body.loaded if r is root) for root, _ in body.loaded}
    pairs = zip(node.inner.inputs(), node.inputs, strict=True)
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
