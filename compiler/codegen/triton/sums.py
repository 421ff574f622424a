"""Sums of what a product makes, in the product's own kernel: of its rows, of everything, or of heads, parts of a row.

Whether any element is true is found in the same way. A program joins the elements of its tile while it holds it and
leaves one partial result; ``combine`` joins these in the order of the tiles. So the sums have one order, and nothing is
read again. A tile holds whole heads.
"""

from __future__ import annotations

from math import prod

from compiler.codegen.sizes import ceil_div
from compiler.codegen.triton.body import Body, Scope
from compiler.codegen.triton.combine import Combine
from compiler.codegen.triton.matmul import MatmulSpec, Tile, numbers
from compiler.codegen.triton.reduction import collapse, start
from compiler.codegen.triton.task import Argument
from compiler.domain import reduction_class, reduction_of
from compiler.index import Index
from compiler.ir.graph import Graph, Node
from compiler.ir.types import TensorType
from compiler.placement import Scratch


class TileSums:
    """The sums among the results of the product ``node``, whose programs hold one ``tile`` each.

    ``arguments``: where they go, by number of the result; ``combines``: the launches that join partial results.
    """

    def __init__(self, node: Node, spec: MatmulSpec, tile: Tile) -> None:
        self.node, self.tile = node, tile
        self.reductions = {i: r for i, r in enumerate(map(reduction_of, node.inner.outputs)) if r is not None}
        self.batch, self.m, self.n = prod(spec.batch), spec.m, spec.n
        self.rows, self.columns = ceil_div(spec.m, tile.m), ceil_div(spec.n, tile.n)
        self.arguments: dict[int, Argument] = {}
        self.combines: list[Combine] = []
        for number, reduction in self.reductions.items():
            self.arguments[number] = self._argument(number, reduction)

    def _by_column(self, reduction: Node) -> bool:
        return reduction_class(reduction.inputs[0].shape, reduction.attrs["axes"]) == "column"

    def _argument(self, number: int, reduction: Node) -> Argument:
        """The target of a sum: the result if one tile makes it, else partial results."""
        target, by_column = self.node.outputs[number], self._by_column(reduction)
        chunks = self.batch * self.rows * (1 if by_column else self.columns)
        if chunks == 1 or _head(reduction) > 1:
            return Argument(f"o{number}", target)
        partial = Scratch(TensorType(target.dtype, (chunks, self.n if by_column else 1)))
        self.combines.append(Combine(reduction.op.name, partial, target, by_column, self.node))
        return Argument(f"p{number}", partial)

    def store(self, number: int, body: Body, place: Index, scope: Scope, written: Scope) -> None:
        """Add up a tile of the operand of sum ``number``, whose element is at ``place``; ``written`` stores it."""
        reduction = self.reductions[number]
        operand, by_column, op = reduction.inputs[0], self._by_column(reduction), reduction.op.name
        name = body.block(operand, place, scope, ("i", "j"), (self.tile.m, self.tile.n))
        if _head(reduction) > 1:
            return self._store_heads(number, name, _head(reduction), body, written)
        outside = [mask for v, mask in body.masks.items() if v == "i" or not by_column]
        if outside:
            text = f"tl.where({' & '.join(outside)}, {name}, {start(op, operand.dtype)})"
            name = body.assign(scope, "valid", text, operand.dtype)
        where = " + ".join([self.arguments[number].name, *self._chunk(by_column), *["j"] * by_column])
        text = collapse(op, operand.dtype, name, "0, keep_dims=True" if by_column else "None")
        written(f"tl.store({where}, {text}{body.mask(['j']) if by_column else ''})")

    def _store_heads(self, number: int, name: str, size: int, body: Body, scope: Scope) -> None:
        """Add up heads of ``size`` columns of a tile, and store what each comes to."""
        parts = self.tile.n // size
        scope(f"head = tl.max(tl.reshape(j // {size}, ({parts}, {size})), 1)[None, :]")
        sums = f"tl.sum(tl.reshape({name}, ({self.tile.m}, {parts}, {size})), 2)"
        batch = [f"b * {self.m * self.n // size}"] * (self.batch > 1)
        where = " + ".join([self.arguments[number].name, *batch, f"i * {self.n // size}", "head"])
        limits = [mask if v == "i" else f"(head < {self.n // size})" for v, mask in body.masks.items()]
        mask = f", mask={' & '.join(limits)}" if limits else ""
        scope(f"tl.store({where}, {sums}{mask})")

    def _chunk(self, by_column: bool) -> list[str]:
        """How far into the partial results this program's results stand."""
        if by_column:
            terms = [("row", 1, self.rows), ("b", self.rows, self.batch)]
            width = self.n
        else:
            tiles = self.rows * self.columns
            own, _ = numbers(tiles, self.batch)
            terms = [(f"({own})" if "%" in own else own, 1, tiles), ("b", tiles, self.batch)]
            width = 1
        steps = [(name, step * width) for name, step, count in terms if count > 1]
        return [name if step == 1 else f"{name} * {step}" for name, step in steps]


def head_of(graph: Graph) -> int:
    """The elements of the longest head that a product adds up, 1 where there is none."""
    return max((_head(r) for r in map(reduction_of, graph.outputs) if r is not None), default=1)


def _head(reduction: Node) -> int:
    shape = reduction.inputs[0].shape
    return shape[-1] if reduction_class(shape, reduction.attrs["axes"]) == "row" else 1
