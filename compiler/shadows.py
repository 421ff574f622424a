"""Shadows: states rounded to 16 bits, which the device keeps from call to call beside the states themselves.

Products read a shadow in place of a 32-bit state: half the bytes, and nothing to convert on the way to the tensor
cores. The kernel that updates the state writes the shadow too. If anybody else has changed the state, the runtime
makes the shadow again before the step runs; see :class:`compiler.plan.Plan`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from compiler.ir.graph import Graph, Node, Param, Update, Value
from compiler.ir.op import OPS
from compiler.ir.replay import copied
from compiler.ir.types import DType, TensorType, f32


@dataclass(frozen=True, eq=False)
class Shadow:
    """The rounded copy ``value`` of a ``state``."""

    state: Value
    value: Value

    def refresh(self) -> Node:
        """A kernel that makes it again."""
        body = Graph("shadow")
        whole = body.add_param(self.state.type, "input", "", "a0")
        body.nodes.append(_cast(whole, self.value.dtype))
        body.outputs = [body.nodes[0].output]
        attrs = {"kind": "pointwise", "rows": 1, "columns": whole.type.size}
        return Node(OPS["fused"], (self.state,), (self.value.type,), attrs, body)


def shadowed(graph: Graph) -> tuple[Graph, list[Shadow]]:
    """The graph with a shadow of every f32 state that products read in 16 bits.

    before::

        %1: bf16[8,4] = fused(%x, %w) {kind="contract"} ...   # dot(%a0, cast(%a1) {to=bf16})
        %2: f32[4,4] = fused(%w, %1) {kind="pointwise"} ...
        update %w = %2

    after, with a parameter %s: bf16[4,4]::

        %1: bf16[8,4] = fused(%x, %s) {kind="contract"} ...   # dot(%a0, %a1)
        %2: f32[4,4], %3: bf16[4,4] = fused(%w, %1) {kind="pointwise"} ...
        update %w = %2
        update %s = %3
    """
    updated = {u.state: u.value for u in graph.updates}
    shadows: dict[Value, Shadow] = {}
    params = list(graph.params)
    for param in graph.params:
        dtype = _narrow(graph, param.value) if param.kind == "state" else None
        if dtype is not None and _can_follow(updated.get(param.value)):
            value = Value(TensorType(dtype, param.value.shape), f"{param.value.name}_{dtype.short}")
            shadows[param.value] = Shadow(param.value, value)
            params.append(Param(value, "shadow", f"{param.label} in {dtype.short}"))
    follow: dict[Value, list[Shadow]] = {}
    for state, shadow in shadows.items():
        if state in updated:
            follow.setdefault(updated[state], []).append(shadow)
    new: dict[Value, Value] = {}
    nodes, updates = [], [Update(u.state, u.value) for u in graph.updates]
    for old in graph.nodes:
        node = _reading(old, shadows)
        if node is not old and _is_nothing(node):
            new[old.output] = node.inputs[0]
            continue
        node = node.copy(tuple(new.get(v, v) for v in node.inputs)) if any(v in new for v in node.inputs) else node
        made = [(i, shadow) for i, v in enumerate(old.outputs) for shadow in follow.get(v, ())]
        if made:
            node = _writing(node, [(i, shadow.value.dtype) for i, shadow in made])
            written = node.outputs[len(old.outputs) :]
            updates += [Update(shadow.value, v) for (_, shadow), v in zip(made, written, strict=True)]
        if node is not old:
            new.update(zip(old.outputs, node.outputs, strict=False))
        nodes.append(node)
    for update in updates:
        update.value = new.get(update.value, update.value)
    outputs = [new.get(v, v) for v in graph.outputs]
    return Graph(graph.name, params, nodes, updates, outputs), list(shadows.values())


def _narrow(graph: Graph, state: Value) -> DType | None:
    """The 16-bit type in which products, or kernels that only store the rounded state, read it."""
    if state.dtype is not f32 or state.type.rank < 2:
        return None
    for node in graph.nodes:
        if node.op.kind == "fused" and state in node.inputs:
            dtype = _read_as(node, state)
            stored = node.attrs["kind"] in ("contract", "convolution") or _only_casts(node)
            if dtype is not None and stored:
                return dtype
    return None


def _read_as(node: Node, state: Value) -> DType | None:
    """The one 16-bit type to which a kernel casts a state wherever it reads it."""
    params = {p for p, v in zip(node.inner.inputs(), node.inputs, strict=True) if v is state}
    found = {_cast_to(reader) for reader in node.inner.nodes for v in reader.inputs if v in params}
    if len(found) != 1 or params.intersection(node.inner.outputs):
        return None
    return found.pop()


def _cast_to(node: Node) -> DType | None:
    dtype: DType | None = node.attrs["to"] if node.op.converts else None
    return dtype if dtype is not None and dtype.is_half else None


def _only_casts(node: Node) -> bool:
    """Whether a kernel stores its one operand cast, and as it is but for views."""
    return len(node.inputs) == 1 and all(n.op.converts or n.op.kind == "view" for n in node.inner.nodes)


def _can_follow(value: Value | None) -> bool:
    """Whether the kernel that makes the new state can write the shadow too; None: the state stays as it is."""
    if value is None:
        return True
    return value.producer is not None and value.producer.attrs.get("kind") == "pointwise"


def _reading(node: Node, shadows: dict[Value, Shadow]) -> Node:
    """``node`` on shadows in place of states that it rounds anyway."""
    if node.op.kind != "fused" or node.body is None:
        return node
    mine = {v: shadows[v] for v in node.inputs if v in shadows}
    mine = {v: shadow for v, shadow in mine.items() if _read_as(node, v) is shadow.value.dtype}
    if not mine:
        return node
    body, inside = Graph(node.body.name), {}
    for param, value in zip(node.body.inputs(), node.inputs, strict=True):
        shown = mine[value].value if value in mine else value
        inside[param] = body.add_param(shown.type, "input", "", param.name)
    rounded = {p for p, v in zip(node.body.inputs(), node.inputs, strict=True) if v in mine}
    for inner in node.body.nodes:
        if inner.inputs and inner.inputs[0] in rounded:
            inside[inner.output] = inside[inner.inputs[0]]
        else:
            body.nodes += copied([inner], inside)
    body.outputs = [inside[v] for v in node.body.outputs]
    return node.copy(tuple(mine[v].value if v in mine else v for v in node.inputs), body=body)


def _is_nothing(node: Node) -> bool:
    """Whether a kernel would copy its one operand."""
    return not node.inner.nodes and node.inner.outputs == node.inner.inputs()


def _writing(node: Node, which: list[tuple[int, DType]]) -> Node:
    """``node`` with the results of these numbers once more, cast to these types."""
    casts = [_cast(node.inner.outputs[i], dtype) for i, dtype in which]
    old, results = node.inner, tuple(cast.output for cast in casts)
    body = Graph(old.name, list(old.params), [*old.nodes, *casts], outputs=[*old.outputs, *results])
    types = (*(v.type for v in node.outputs), *(v.type for v in results))
    return Node(node.op, node.inputs, types, node.attrs, body, node.loc, node.phase)


def _cast(value: Value, to: DType) -> Node:
    return Node(OPS["cast"], (value,), (TensorType(to, value.shape),), {"to": to})


def kept(shadows: list[Shadow], graph: Graph) -> Iterator[tuple[int, int]]:
    """The slots of each shadow and of its state."""
    slots = {param.value: i for i, param in enumerate(graph.params)}
    for shadow in shadows:
        yield slots[shadow.value], slots[shadow.state]
