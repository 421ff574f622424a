"""Writes ops that look at the whole batch, as they are recorded, so that they follow from micro-batches."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.ir import ambient
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import o
from compiler.ir.replay import rewrite
from compiler.ops.contract import accumulator
from compiler.ops.elementwise import as_type
from compiler.ops.structure import is_constant, made_by


def plain_means(graph: Graph) -> Graph:
    """Write means over the labels that count as a sum by their number (by their weights), which is known beforehand.

    before::

        %0: f32[], %1: f32[8,1] = cross_entropy(%x, %y)

    after::

        %0: f32[], %1: f32[8,1] = cross_entropy(%x, %y) {reduction="sum"}
        %2: f32[] = div(%0, sum(%y != -100))
    """

    def rule(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        if node.op.name not in ("cross_entropy", "nll_loss") or node.attrs["reduction"] != "mean":
            return None
        x, target, *weight = inputs
        low = node.outputs[0].dtype
        wide = as_type(x, accumulator(low)) if low.is_half else x
        types = tuple([v.type.with_dtype(accumulator(v.dtype)) for v in node.outputs])
        copied = node.copy((wide, target, *weight), types=types, attrs={**node.attrs, "reduction": "sum"})
        _builder().nodes.append(copied)
        counted = o.ne(target, node.attrs["ignore_index"])
        each = o.cast(counted, to=copied.outputs[0].dtype)
        if weight:
            label = o.bounded(o.where(counted, target, 0), size=weight[0].shape[0], what="class index")
            each = o.mul(each, o.cast(o.take(weight[0], label), to=each.dtype))
        total = o.sum(each, axes=tuple(range(target.type.rank)))
        return as_type(o.div(copied.outputs[0], total), low), *copied.outputs[1:]

    return rewrite(graph, rule)


def picked(graph: Graph) -> Graph:
    """Write the reading of one element of each row by its place in all rows as a gather along rows.

    before::

        %0: i64[8] = add(mul(iota() {shape=[8], axis=0}, 4), bounded(%y) {size=4})
        %1: f32[8] = take(reshape(%x) {shape=[32]}, %0)

    after, for ``%x: f32[8,4]``::

        %1: f32[8] = reshape(gather(%x, reshape(bounded(%y) {size=4}) {shape=[8,1]}) {axis=1}) {shape=[8]}
    """

    def rule(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        if node.op.reads != "rows" or (place := made_by(inputs[1], "add")) is None:
            return None
        table, (start, column) = inputs[0], place.inputs
        check = made_by(column, "bounded")
        width = check.attrs["size"] if check is not None else 0
        rows, rest = column.shape[0] if column.type.rank == 1 else 0, table.shape[1:]
        if not width or table.shape[0] != rows * width or not _starts_of_rows(start, rows, width):
            return None
        each = o.reshape(column, shape=(rows, 1, *(1 for _ in rest)))
        found = o.gather(o.reshape(table, shape=(rows, width, *rest)), o.expand(each, shape=(rows, 1, *rest)), axis=1)
        return (o.reshape(found, shape=(rows, *rest)),)

    return rewrite(graph, rule)


def _starts_of_rows(value: Value, rows: int, width: int) -> bool:
    """Whether ``value`` is 0, ``width``, 2 ``width``, ...: where ``rows`` rows begin."""
    product = made_by(value, "mul")
    if product is None or not is_constant(product.inputs[1], width):
        return False
    number = product.inputs[0]
    while (node := made_by(number, "bounded", "where")) is not None:
        if not node.op.checks and not _wraps(node):
            return False
        number = node.inputs[-1]
    count = made_by(number, "iota")
    return count is not None and count.attrs["shape"] == (rows,)


def _wraps(node: Node) -> bool:
    """Whether a ``where`` counts negative indices, which an iota has none of, from the end."""
    test = made_by(node.inputs[0], "lt")
    return test is not None and test.inputs[0] is node.inputs[2] and is_constant(test.inputs[1], 0)


def _builder() -> GraphBuilder:
    builder = ambient.builder()
    assert isinstance(builder, GraphBuilder)
    return builder
