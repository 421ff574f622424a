"""Contractions: ``dot`` on windows of memory, with casts as prologue and everything that follows as epilogue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod

from compiler.codegen.triton.body import Body, Scope
from compiler.codegen.triton.factors import Operand
from compiler.codegen.triton.matmul import MatmulSpec, Tile, grid, matmul_lines, parts
from compiler.codegen.triton.spelling import TYPES, names_in, variable
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
class Product:
    """The product ``op`` of the kernel ``node``, from which it computes all the rest.

    ``factors`` are the inputs of the node's body that hold the factors, and from which element on. The sum of row `i`
    and column `j` of product `b` is element ``place`` of the result.
    """

    node: Node
    op: Node
    spec: MatmulSpec
    factors: list[tuple[Value, int]]
    place: Index

    @property
    def operands(self) -> list[Value]:
        """The values that hold the factors."""
        params = self.node.inner.inputs()
        return [self.node.inputs[params.index(root)] for root, _ in self.factors]


def contraction(node: Node) -> Product:
    """The product of a kernel of kind "contract"."""
    graph = node.inner
    dot = next(n for n in graph.nodes if n.op.kind == "contract")
    *batch, m, k = dot.inputs[0].shape
    n = dot.output.shape[-1]
    (lhs, start, a), (rhs, other, b) = (_factor(value, tile) for value, tile in zip(dot.inputs, ("x", "y")))
    spec = MatmulSpec(tuple(batch), m, n, k, a, b, dot.inputs[0].dtype, head=head_of(graph))
    place = (Index.of(Var("b", prod(batch))) * m + variable("i", m)) * n + variable("j", n)
    return Product(node, dot, spec, [(lhs, start), (rhs, other)], place)


def product_tasks(name: str, product: Product, choose: Choice, windows: Windows) -> list[Task | Shareable]:
    """The launch of a kernel with a product, and those that join its sums.

    ``windows``: which results are stored in others.
    """
    node, spec, place = product.node, product.spec, product.place
    sums = TileSums(node, spec, choose(spec))
    spec = replace(spec, epilogue=tuple(_epilogue(product, {}, windows, sums)[1]))
    tile = choose(spec)
    masks = {v: mask for v, mask, ragged in (("i", "rows", spec.m % tile.m), ("j", "cols", spec.n % tile.n)) if ragged}
    sums = TileSums(node, spec, tile)
    body, lines = _epilogue(product, masks, windows, sums)
    spec = replace(spec, epilogue=tuple(lines))
    pairs = zip(("lhs", "rhs"), product.operands, product.factors, strict=True)
    sides = [Argument(side, value, offset) for side, value, (_, offset) in pairs]
    outputs = [sums.arguments.get(p) or output_argument(p, v, windows) for p, v in enumerate(node.outputs)]
    written = prod(spec.batch) * spec.m * spec.n
    if written < product.op.output.type.size:  # other launches write the rest
        for argument in outputs:
            argument.part = TensorType(argument.place.type.dtype, (written,))
    shared = _shared(spec, tile, accumulator(product.op.inputs[0].dtype))
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


def _epilogue(product: Product, masks: dict[str, str], windows: Windows, sums: TileSums) -> tuple[Body, list[str]]:
    """The statements that follow a product, on a block ``acc`` of its elements."""
    node, op, place = product.node, product.op, product.place
    graph = node.inner
    body = Body(graph, masks)
    varying = names_in(place)
    body.depends["acc"] = varying - {"b"}
    scope = Scope(varying | {"b"})
    result = "acc"
    if op.output.dtype.is_half:
        result = body.assign(scope, op.op.name, body.narrowed(result, op.output.dtype))
    scope.known[op.output, place] = result
    # Every load stands before the first store, which may overwrite what was loaded.
    written = Scope(frozenset(), scope)
    for position, value in enumerate(graph.outputs):
        if position in sums.reductions:
            sums.store(position, body, place, scope, written)
            continue
        window = windows.get(node.outputs[position])
        where = place if window is None else window.index(value, place)
        body.value(value, place, scope)
        body.store(written, f"o{position}", value, place, where)
    return body, [*scope.lines, *written.lines]


def _streamed(node: Node, body: Body, place: Index) -> frozenset[Value]:
    """Inputs of the epilogue that are read only where its results are written."""
    read = {root: all(index == place for r, index in body.loaded if r is root) for root, _ in body.loaded}
    pairs = zip(node.inner.inputs(), node.inputs, strict=True)
    return frozenset(value for param, value in pairs if read.get(param))


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
    return root, offset, Operand(root.dtype, strides, tuple(reversed(casts[1:])))
