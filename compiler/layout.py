"""Stores results where their readers want them, so that transposed copies and concatenations need no kernel.

A contraction that computes ``[batch, heads, time, size]`` can as well write ``[batch, time, heads, size]``, or its part
of a packed ``[batch, time, 3, heads, size]``: only the strides of its stores change.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

from compiler.index import Index, matrix_strides, split, view_chain
from compiler.ir.graph import Graph, Node, Value, users
from compiler.ir.op import OPS
from compiler.ir.replay import copied, with_nodes

WRITERS = ("contract", "attention")
"""Kinds of kernels that can store a result with any strides."""


@dataclass(frozen=True, eq=False)
class Window:
    """The storage of a value: in ``place``, from element ``offset`` on, with a stride for each of its dimensions."""

    place: Value
    offset: int
    strides: tuple[int, ...]

    def index(self, value: Value, linear: Index) -> Index:
        """The element of ``place``, counted from ``offset``, that holds element ``linear`` of ``value``."""
        total = Index()
        for coordinate, stride in zip(split(linear, value.shape), self.strides, strict=True):
            total = total + coordinate * (stride or 1)  # of a dimension of one: a block still goes along it
        return total


Windows = dict[Value, Window]
Part = tuple[Value, Window]


def arrange(graph: Graph) -> tuple[Graph, Windows]:
    """:func:`_arranged` for a graph and for the bodies of its loops."""
    graph, windows = _arranged(graph)
    nodes = []
    for node in graph.nodes:
        if node.op.kind == "loop" and node.body is not None:
            body, inside = arrange(node.body)
            node, windows = copy(node), windows | inside
            node.body = body
        nodes.append(node)
    return Graph(graph.name, graph.params, nodes, graph.updates, graph.outputs), windows


def _arranged(graph: Graph) -> tuple[Graph, Windows]:
    """The graph without copies whose parts can be stored in place, and where those parts go.

    before::

        %1: f32[2,3,5] = fused(%x, %y) {kind="contract"} ...
        %2: f32[2,5,3] = fused(%1) {kind="pointwise"} ...     # permute(%1) {dims=[0,2,1]}

    after::

        %1: f32[2,3,5] = fused(%x, %y) {kind="contract"} ...  # in %2, with strides 15, 1, 3
    """
    readers, results = users(graph), set(graph.results())
    windows: Windows = {}
    dropped: set[Node] = set()
    moved: dict[Value, tuple[Value, list[Node]]] = {}
    again: dict[Value, Value] = {}
    for node in graph.nodes:
        parts = _parts(node)
        if len(parts) == 1 and node.outputs[0] not in results and _lies_there(parts[0], windows):
            again[node.outputs[0]] = windows[parts[0][0]].place
            dropped.add(node)
            continue
        if not parts or node.outputs[0] in results or not all(_movable(v, results, windows) for v, _ in parts):
            continue
        others = {v: [r for r in readers[v] if r is not node] for v, _ in parts}
        chain = _chain(node)
        if any(others.values()):
            copy = node.outputs[0]
            if chain is None or any(_reread(r, v, copy, chain) is None for v, rs in others.items() for r in rs):
                continue
            moved.update((v, (copy, chain)) for v, _ in parts)
        windows.update(parts)
        dropped.add(node)
    return _rebuilt(graph, dropped, moved, windows, again)


def _lies_there(part: Part, windows: Windows) -> bool:
    """Whether a value is already stored in the way that a copy of it would be."""
    value, wanted = part
    there = windows.get(value)
    return (
        there is not None
        and there.place.type == wanted.place.type
        and (there.offset, there.strides) == (wanted.offset, wanted.strides)
    )


def _rebuilt(
    graph: Graph,
    dropped: set[Node],
    moved: dict[Value, tuple[Value, list[Node]]],
    windows: Windows,
    again: dict[Value, Value],
) -> tuple[Graph, Windows]:
    """The graph without the dropped nodes, readers of moved values reading the copies, those of ``again`` the first."""
    new: dict[Value, Value] = dict(again)
    nodes = []
    for node in graph.nodes:
        if node in dropped:
            continue
        inputs, body = list(node.inputs), node.body
        for value, (place, chain) in moved.items():
            if value in node.inputs:
                reread = _reread(Node(node.op, tuple(inputs), (), node.attrs, body), value, place, chain)
                assert reread is not None
                inputs, body = reread
        inputs = [new.get(v, v) for v in inputs]
        if inputs == list(node.inputs):
            nodes.append(node)
            continue
        nodes.append(node.copy(tuple(inputs), body=body))
        new.update(zip(node.outputs, nodes[-1].outputs, strict=True))
    return with_nodes(graph, nodes, new), {new.get(v, v): window for v, window in windows.items()}


def _movable(value: Value, results: set[Value], windows: Windows) -> bool:
    producer = value.producer
    kind = producer.attrs.get("kind") if producer is not None else None
    return value not in results and value not in windows and kind in WRITERS


def _chain(node: Node) -> list[Node] | None:
    """The views that a copy is made of; None for a concatenation."""
    return view_chain(node.inner.outputs[0])[1] if node.attrs["kind"] == "pointwise" else None


def _parts(node: Node) -> list[Part]:
    """The parts of a mere copy or concatenation, each with its place in the result; [] for other nodes."""
    last = node.inner.outputs[0].producer if node.inner.outputs else None
    if len(node.outputs) != 1 or last is None or node.attrs.get("kind") not in ("pointwise", "concat"):
        return []
    found = pieces(node.inner.outputs[0])
    params = node.inner.inputs()
    if found is None or len({root for root, _, _ in found}) < len(found) or any(r not in params for r, _, _ in found):
        return []
    place = node.outputs[0]
    return [(node.inputs[params.index(root)], Window(place, offset, strides)) for root, offset, strides in found]


def pieces(result: Value) -> list[tuple[Value, int, tuple[int, ...]]] | None:
    """The values that views or a concatenation of them make up ``result``, with offset and strides of each there.

    None where one of them is spread over the result in another way.
    """
    whole = Value(result.type)
    parts = [(result, whole)]
    last = result.producer
    if last is not None and last.op.reads == "parts":
        axis, start, parts = last.attrs["axis"], 0, []
        for operand in last.inputs:
            end = start + operand.shape[axis]
            bounds = [(start, end) if a == axis else (0, n) for a, n in enumerate(whole.shape)]
            attrs = dict(zip(("start", "stop"), zip(*bounds, strict=True), strict=True)) | {"step": (1,) * len(bounds)}
            parts.append((operand, Node(OPS["slice"], (whole,), (operand.type,), attrs).output))
            start = end
    found = []
    for operand, seen in parts:
        root, chain = view_chain(operand)
        inverse = _inverse(seen, chain)
        window = None if inverse is None else matrix_strides(inverse[-1].output if inverse else seen)
        if window is None:
            return None
        found.append((root, window[1], window[2]))
    return found


def _inverse(value: Value, chain: Sequence[Node]) -> list[Node] | None:
    """The views that lead from the end of ``chain`` back to its beginning, applied to ``value``."""
    nodes: list[Node] = []
    for view in reversed(chain):
        source = view.inputs[0].type
        if view.op.keeps == "elements":
            order = view.attrs["dims"]
            back = tuple(sorted(range(len(order)), key=order.__getitem__))
            nodes.append(Node(OPS["permute"], (value,), (source,), {"dims": back}, None, view.loc))
        elif view.op.keeps == "order":
            nodes.append(Node(OPS["reshape"], (value,), (source,), {"shape": source.shape}, None, view.loc))
        else:
            return None
        value = nodes[-1].output
    return nodes


def _reread(reader: Node, value: Value, copy: Value, chain: list[Node]) -> tuple[list[Value], Graph] | None:
    """Inputs and body of ``reader`` when it reads ``copy`` instead of ``value``; None where it cannot."""
    if "loop" in (reader.op.kind, reader.attrs.get("kind")):
        return None
    body = Graph(reader.inner.name)
    inside: dict[Value, Value] = {}
    for operand, param in zip(reader.inputs, reader.inner.inputs(), strict=True):
        if operand is not value:
            inside[param] = body.add_param(param.type, "input", "", param.name)
            continue
        back = _inverse(body.add_param(copy.type, "input", "", param.name), chain)
        if not back:
            return None
        body.nodes += back
        inside[param] = back[-1].output
    for node in reader.inner.nodes:
        body.nodes += copied([node], inside)
        if node.op.anchor in ("contract", "attention"):
            windows = [
                matrix_strides(v, casts=node.op.kind == "contract") for v in body.nodes[-1].inputs if v.type.rank > 1
            ]
            if any(w is None or 1 not in w[2][-2:] for w in windows):
                return None
    body.outputs = [inside[v] for v in reader.inner.outputs]
    return [copy if v is value else v for v in reader.inputs], body
