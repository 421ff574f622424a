"""Gradients of embeddings that have few rows: these rows alone, and where each row of the table is among them.

A step meets few words of a large vocabulary. The gradient of the table is not in memory; who reads it looks up rows.
"""

from __future__ import annotations

from compiler.domain import inner_columns
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Node, Value, users
from compiler.ir.op import o
from compiler.ir.replay import copied, with_nodes
from compiler.ir.types import TensorType, i32

NOWHERE = -1
"""The place of a row of the table that no index names."""

LOOKING = ("pointwise", "full")
"""Kinds of kernels that may look up rows."""


def is_sparse(scatter: Node) -> bool:
    """Whether rows go to fewer rows than the result has."""
    return scatter.op.name == "scatter_rows" and scatter.attrs["rows"] > scatter.inputs[0].type.size


def compacted(graph: Graph) -> Graph:
    """The graph without tables of zeros and few other rows.

    before::

        %1: f32[50304,768] = fused(%ids, %g) {kind="scatter"} ...
        %2: f32[50304,768] = fused(%w, %1) {kind="pointwise"} ...                  # sub(%a0, %a1)

    after, with the rows of each index that is the first of its value::

        %1: f32[8192,768], %2: i32[50304] = fused(%ids, %g) {kind="scatter"} ...
        %3: f32[50304,768] = fused(%w, %1, %2) {kind="pointwise"} ...              # sub(%a0, 0 or a row of %a1)
    """
    readers, results = users(graph), set(graph.results())
    found: dict[Value, Node] = {}
    new: dict[Value, Value] = {}
    nodes = []
    for node in graph.nodes:
        scatter = _scatter(node)
        if scatter is not None and node.output not in results and all(map(_may_look_up, readers[node.output])):
            index, source = scatter.inputs
            rows = TensorType(source.dtype, (index.type.size, *source.shape[index.type.rank :]))
            places = TensorType(i32, (scatter.attrs["rows"],))
            inputs = tuple(new.get(v, v) for v in node.inputs)
            found[node.output] = Node(node.op, inputs, (rows, places), node.attrs, node.body, node.loc, node.phase)
            nodes.append(found[node.output])
            continue
        if any(v in new or v in found for v in node.inputs):
            old, node = node, _looking_up(node, found, new)
            new.update(zip(old.outputs, node.outputs, strict=True))
        nodes.append(node)
    return with_nodes(graph, nodes, new)


def _scatter(node: Node) -> Node | None:
    """The sparse scatter that a kernel is."""
    scatter = node.body.outputs[0].producer if node.body is not None and node.attrs.get("kind") == "scatter" else None
    return scatter if scatter is not None and is_sparse(scatter) else None


def _may_look_up(reader: Node) -> bool:
    return reader.attrs.get("kind") in LOOKING


def _looking_up(node: Node, found: dict[Value, Node], new: dict[Value, Value]) -> Node:
    """``node`` with rows in place of whole tables."""
    if not any(v in found for v in node.inputs):
        return node.copy(tuple(new.get(v, v) for v in node.inputs))
    body, inside, inputs = Graph(node.inner.name), dict[Value, Value](), list[Value]()

    def param(value: Value) -> Value:
        inputs.append(value)
        return body.add_param(value.type, "input", "", f"a{len(inputs) - 1}")

    with using(GraphBuilder(node.loc)) as builder:
        for old, value in zip(node.inner.inputs(), node.inputs, strict=True):
            if value not in found:
                inside[old] = param(new.get(value, value))
                continue
            rows, places = map(param, found[value].outputs)
            there = o.reshape(o.ge(places, 0), shape=(*places.shape, *[1] * (rows.type.rank - 1)))
            inside[old] = o.where(there, o.take(rows, o.maximum(places, 0)), 0.0)
    body.nodes = [*builder.nodes, *copied(node.inner.nodes, inside)]
    body.outputs = [inside[v] for v in node.inner.outputs]
    size = node.attrs["rows"] * node.attrs["columns"]
    columns = inner_columns(body, size)
    attrs = node.attrs | {"rows": size // columns, "columns": columns}
    return node.copy(tuple(inputs), attrs=attrs, body=body)
