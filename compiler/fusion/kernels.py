"""A group becomes a fused node: one kernel with a body graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compiler.domain import inner_columns
from compiler.fusion.placed import Placed
from compiler.groups import Group
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.location import Loc
from compiler.ir.op import OPS


def kernel(placed: Placed, group: Group, outputs: list[Value], new: dict[Value, Value]) -> Node:
    """The fused node of ``group`` with ``outputs``; ``new`` says what stands for the values made so far."""
    body = Graph("body")
    inside: dict[Value, Value] = {}
    operands: list[Value] = []

    def have(value: Value) -> Value:
        if value in inside:
            return inside[value]
        node = value.producer
        outside = placed.group.get(value)
        if node is None or (outside is not group and value in new):
            inside[value] = body.add_param(value.type, "input", "", new[value].name or f"a{len(operands)}")
            operands.append(new[value])
        elif node.op.reads == "memory":
            inside[value] = have(node.inputs[0])
        else:
            _clone(node, body, inside, have)
        return inside[value]

    for node in _needed(placed, group, outputs):
        _clone(node, body, inside, have)
    body.outputs = [have(v) for v in outputs]
    kind = _kind(group)
    body.name = kind
    attrs: dict[str, Any] = {"kind": kind, "rows": 0, "columns": 0, "table": 0}
    if group.anchor is None:
        columns = group.columns if group.columns is not None else inner_columns(body, group.size)
        attrs |= {"rows": group.size // columns if columns else 0, "columns": columns}
    types = tuple([v.type for v in outputs])
    fused = Node(OPS["fused"], tuple(operands), types, attrs, body)
    main = group.anchor or (group.nodes[-1] if group.nodes else outputs[0].producer)
    fused.loc, fused.phase = (main.loc, main.phase) if main is not None else (Loc(note="input returned"), "forward")
    for value, stored in zip(outputs, fused.outputs, strict=True):
        new[value] = stored
        stored.name = value.name
    return fused


def _needed(placed: Placed, group: Group, outputs: list[Value]) -> list[Node]:
    """The nodes of ``group`` that ``outputs`` depend on, in order: of some, each reader has a copy of its own."""
    wanted = {_computed(placed, value) for value in outputs}
    found = []
    for node in sorted(group.nodes, key=placed.order.__getitem__, reverse=True):
        if not wanted.isdisjoint(node.outputs):
            found.append(node)
            wanted.update(_computed(placed, value) for value in node.inputs)
    return found[::-1]


def _computed(placed: Placed, value: Value) -> Value:
    """The value that ``value`` is a view of."""
    while value not in placed.group and value.producer is not None and value.producer.inputs:
        value = value.producer.inputs[0]
    return value


def _clone(node: Node, body: Graph, inside: dict[Value, Value], have: Callable[[Value], Value]) -> None:
    if node.outputs[0] in inside:
        return
    inputs = tuple([have(v) for v in node.inputs])
    clone = node.copy(inputs)
    body.nodes.append(clone)
    inside.update(zip(node.outputs, clone.outputs, strict=True))


def _kind(group: Group) -> str:
    if group.anchor is not None:
        assert group.anchor.op.anchor is not None
        return group.anchor.op.anchor
    reductions = [n for n in group.nodes if n.op.kind == "reduce"]
    if any(n.output not in group.sinks for n in reductions):
        return "row"
    if not reductions:
        return "pointwise"
    return "full" if all(n.output.type.size == 1 for n in reductions) else "column"
