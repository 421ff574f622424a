"""Horizontal fusion: kernels of one body over different tensors run as one kernel over a table of tensors."""

from __future__ import annotations

from collections.abc import Hashable

from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import Op
from compiler.ir.replay import with_nodes

_SHAPES = ("shape", "axes", "keepdim", "rows", "columns")


def horizontal(graph: Graph) -> Graph:
    """Bring fused nodes of the same body together and number them as one ``table``.

    before::

        %2: f32[8,4] = fused(%w, %g) {kind="pointwise"} ...
        %3: f32[9] = fused(%h) {kind="row"} ...
        %4: f32[5] = fused(%b, %k) {kind="pointwise"} ...     # the same ops as %2

    after::

        %3: f32[9] = fused(%h) {kind="row"} ...
        %2: f32[8,4] = fused(%w, %g) {kind="pointwise", table=1} ...
        %4: f32[5] = fused(%b, %k) {kind="pointwise", table=1} ...

    A node moves down to the last of its kind as long as nobody in between reads it. This is what makes the optimizer
    one kernel for all parameters.
    """
    position = {node: i for i, node in enumerate(graph.nodes)}
    first_reader = _first_readers(graph, position)
    alike: dict[Hashable, list[Node]] = {}
    for node in graph.nodes:
        key = _signature(node)
        if key is not None:
            alike.setdefault(key, []).append(node)
    target: dict[Node, tuple[Node, int]] = {}
    tables = 0
    for members in alike.values():
        run: list[Node] = []
        for node in reversed(members):
            if run and first_reader.get(node, len(position)) <= position[run[0]]:
                tables += _close(run, target, tables + 1)
                run = []
            run.append(node)
        tables += _close(run, target, tables + 1)
    new: dict[Value, Value] = {}
    nodes: list[Node] = []
    order = sorted(graph.nodes, key=lambda n: (position[target[n][0]] if n in target else position[n], position[n]))
    for node in order:
        nodes.append(_numbered(node, target[node][1], new) if node in target else _renamed(node, new))
    return with_nodes(graph, nodes, new)


def _close(run: list[Node], target: dict[Node, tuple[Node, int]], number: int) -> int:
    """Send a run of two or more to its last node; returns how many tables that made."""
    if len(run) < 2:
        return 0
    target.update((node, (run[0], number)) for node in run)
    return 1


def _first_readers(graph: Graph, position: dict[Node, int]) -> dict[Node, int]:
    found: dict[Node, int] = {}
    for node in graph.nodes:
        for value in node.inputs:
            if value.producer is not None:
                found.setdefault(value.producer, position[node])
    return found


def _renamed(node: Node, new: dict[Value, Value]) -> Node:
    if not any(v in new for v in node.inputs):
        return node
    return _copy(node, node.attrs, new)


def _numbered(node: Node, number: int, new: dict[Value, Value]) -> Node:
    return _copy(node, {**node.attrs, "table": number}, new)


def _copy(node: Node, attrs: dict[str, object], new: dict[Value, Value]) -> Node:
    inputs = tuple([new.get(v, v) for v in node.inputs])
    copied = node.copy(inputs, attrs=attrs)
    new.update(zip(node.outputs, copied.outputs, strict=True))
    return copied


def _signature(node: Node) -> Hashable | None:
    """The body without sizes, for kernels that run over the elements of their tensors one by one."""
    body = node.body
    if body is None or node.op.kind != "fused":
        return None
    size = node.attrs["rows"] * node.attrs["columns"]
    if node.attrs["kind"] not in ("pointwise", "full") or size <= 1:
        return None
    number: dict[Value, int] = {}
    parts: list[Hashable] = []
    for value in body.inputs():
        if value.type.size not in (1, size):
            return None
        number[value] = len(number)
        parts.append((value.dtype, value.type.size == 1))
    for inner in body.nodes:
        if inner.op.kind == "index" or inner.op.numbered or inner.op.checks or _moves(inner.op):
            return None
        attrs = tuple((k, type(v), v) for k, v in inner.attrs.items() if k not in _SHAPES)
        parts.append((inner.op.name, attrs, tuple([number[v] for v in inner.inputs])))
        for value in inner.outputs:
            number[value] = len(number)
    return node.attrs["kind"], tuple(parts), tuple([number[v] for v in body.outputs])


def _moves(op: Op) -> bool:
    """Whether ``op`` is a view that shows elements at other places."""
    return op.kind == "view" and op.keeps != "order"
