"""States in 16 bits: what products read of a 32-bit state stands in the device's memory from call to call.

That is half the bytes, and nothing to convert on the way to the tensor cores. The kernel that updates the state writes
it. A state that is read in bf16 stands there in *halves* (:mod:`compiler.halves`): products read the first one, other
kernels join the two. Where products read f16, or a kernel cannot join halves, the state is whole and has a *shadow*
beside it, its rounded copy. If anybody else has changed the state, the runtime makes halves and shadows again before
the step runs; see :class:`compiler.plan.Plan`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Node, Param, Update, Value, users
from compiler.ir.op import OPS, o
from compiler.ir.replay import Rewrite, live_nodes, replay, rewrite
from compiler.ir.types import DType, TensorType, bf16, f32, i16

JOINING = ("pointwise", "row", "column", "full", "contract", "convolution")
"""Kinds of kernels that may join halves, and write them: they compute element by element, behind a product or not."""


@dataclass(frozen=True, eq=False)
class Narrow:
    """The 16-bit numbers ``rounded`` of a ``state``; with the ``low`` halves, they stand in its place."""

    state: Value
    rounded: Value
    low: Value | None

    @property
    def parts(self) -> tuple[Value, ...]:
        """What stands in memory."""
        return (self.rounded,) if self.low is None else (self.rounded, self.low)

    @property
    def kind(self) -> str:
        """The kind of the parameters for the parts."""
        return "shadow" if self.low is None else "half"

    def made_of(self, whole: Value) -> list[Value]:
        """The parts of the new contents ``whole``, recorded with the ambient builder."""
        rounded = o.high_half(whole) if self.rounded.dtype is bf16 else o.cast(whole, to=self.rounded.dtype)
        return [rounded] if self.low is None else [rounded, o.low_half(whole)]

    def refresh(self) -> Node:
        """A kernel that makes a shadow again."""
        body = Graph("shadow")
        with using(GraphBuilder()) as recorded:
            body.outputs = self.made_of(body.add_param(self.state.type, "input", "", "a0"))
        body.nodes = recorded.nodes
        attrs = {"kind": "pointwise", "rows": 1, "columns": self.state.type.size}
        return Node(OPS["fused"], (self.state,), (self.rounded.type,), attrs, body)


def narrowed(graph: Graph) -> tuple[Graph, list[Narrow]]:
    """The graph with halves of every f32 state that products read in bf16, or with a shadow beside the state.

    before::

        %1: bf16[8,4] = fused(%x, %w) {kind="contract"} ...            # dot(%a0, cast(%a1) {to=bf16})
        %2: f32[4,4] = fused(%w, %1) {kind="pointwise"} ...            # sub(%a0, %a1)
        update %w = %2

    after, with parameters %h: bf16[4,4] and %l: i16[4,4] that stand for %w::

        %1: bf16[8,4] = fused(%x, %h) {kind="contract"} ...            # dot(%a0, %a1)
        %2: bf16[4,4], %3: i16[4,4] = fused(%h, %l, %1) {kind="pointwise"} ...
                                                                       # %b = sub(join_halves(%a0, %a1), %a2)
        update %h = %2                                                 # high_half(%b)
        update %l = %3                                                 # low_half(%b)

    after, with a parameter %s: bf16[4,4], the shadow of %w::

        %1: bf16[8,4] = fused(%x, %s) {kind="contract"} ...
        %2: f32[4,4], %3: bf16[4,4] = fused(%w, %1) {kind="pointwise"} ...
        update %w = %2
        update %s = %3
    """
    forms = {form.state: form for form in _forms(graph)}
    graph = _written(_read(graph, forms), forms)
    touched = {*graph.results(), *(u.state for u in graph.updates), *(v for n in graph.nodes for v in n.inputs)}
    for param in [p for p in graph.params if p.value in forms]:
        form = forms[param.value]
        parts = [Param(v, form.kind, f"{param.label} in {v.dtype.short}") for v in form.parts if v in touched]
        graph.params += parts
    return graph, list(forms.values())


def _forms(graph: Graph) -> Iterator[Narrow]:
    """The states that are to be narrow."""
    updated = {u.state: u.value for u in graph.updates}
    results, readers = set(graph.results()), users(graph)
    for state in graph.inputs("state"):
        mine = readers.get(state, [])
        dtype = _wanted(state, mine)
        if dtype is None or not _can_follow(updated.get(state)):
            continue
        rounded = Value(TensorType(dtype, state.shape), f"{state.name}_{dtype.short}")
        low = Value(TensorType(i16, state.shape), f"{state.name}_low")
        halves = dtype is bf16 and state not in results and all(_can_join(node, state) for node in mine)
        yield Narrow(state, rounded, low if halves else None)


def _wanted(state: Value, readers: Sequence[Node]) -> DType | None:
    """The 16-bit type in which products, or kernels that only store the rounded state, read it."""
    if state.dtype is not f32 or state.type.rank < 2:
        return None
    for node in readers:
        if node.op.kind == "fused":
            dtype = _read_as(node, state)
            stored = node.attrs["kind"] in ("contract", "convolution") or _only_casts(node)
            if dtype is not None and stored:
                return dtype
    return None


def _read_as(node: Node, state: Value) -> DType | None:
    """The one 16-bit type to which a kernel casts a state, or a view of it, wherever it reads it."""
    shown = {p for p, v in zip(node.inner.inputs(), node.inputs, strict=True) if v is state}
    found = set()
    for reader in node.inner.nodes:
        if not shown.isdisjoint(reader.inputs):
            if _only_shows(reader):
                shown.update(reader.outputs)
            else:
                found.add(_cast_to(reader))
    return found.pop() if len(found) == 1 and shown.isdisjoint(node.inner.outputs) else None


def _only_shows(node: Node) -> bool:
    """Whether an op is a view that adds nothing of its own, as a window's padding."""
    return node.op.kind == "view" and node.op.reads != "window"


def _cast_to(node: Node) -> DType | None:
    dtype: DType | None = node.attrs["to"] if node.op.converts else None
    return dtype if dtype is not None and dtype.is_half else None


def _only_casts(node: Node) -> bool:
    """Whether a kernel stores its one operand cast, and as it is but for views."""
    return len(node.inputs) == 1 and all(n.op.converts or n.op.kind == "view" for n in node.inner.nodes)


def _can_follow(value: Value | None) -> bool:
    """Whether the kernel that makes the new state can write its parts; None: the state stays as it is."""
    if value is None or value.producer is None:
        return value is None
    node = value.producer
    made = node.inner.outputs[node.outputs.index(value)].producer if node.op.kind == "fused" else None
    adds = made is not None and made.op.kind == "reduce"
    kinds = ("row", "full") if adds else JOINING  # the others compute nothing behind a sum
    return node.attrs.get("kind") in kinds


def _can_join(node: Node, state: Value) -> bool:
    """Whether a kernel needs only one half of a state, or can join the two."""
    if node.op.kind != "fused":
        return False
    return _read_as(node, state) is bf16 or (node.attrs["kind"] in JOINING and not _is_factor(node, state))


def _is_factor(node: Node, state: Value) -> bool:
    """Whether a product in the kernel ``node`` reads the memory of ``state``, and more of it than the bf16 numbers."""
    shown = node.inner.inputs()[node.inputs.index(state)]
    for value in (v for n in node.inner.nodes if n.op.is_product for v in n.inputs):
        while value.producer is not None and _cast_to(value.producer) is not bf16:
            value = value.producer.inputs[0]
        if value is shown:
            return True
    return False


def _read(graph: Graph, forms: Mapping[Value, Narrow]) -> Graph:
    """``graph`` with kernels that read parts in place of states; one that would only copy a part is left out."""
    builder = GraphBuilder()

    def read(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        if node.op.kind != "fused" or not any(v in forms for v in inputs):
            return None
        kernel = _reading(node, inputs, forms)
        copies = not kernel.inner.nodes and kernel.inner.outputs == kernel.inner.inputs()
        return kernel.inputs if copies else builder.add(kernel)

    return rewrite(graph, read, builder)


def _reading(node: Node, inputs: tuple[Value, ...], forms: Mapping[Value, Narrow]) -> Node:
    """``node`` on the parts of states that stand in halves, and on the shadows of those that it only rounds."""
    body, given, new = Graph(node.inner.name), list[Value](), dict[Value, Value]()

    def param(value: Value) -> Value:
        given.append(value)
        return body.add_param(value.type, "input", "", f"a{len(given) - 1}")

    builder = GraphBuilder()
    with using(builder):
        builder.at(node)
        for old, value in zip(node.inner.inputs(), inputs, strict=True):
            form = forms.get(value)
            if form is None or (form.low is None and _read_as(node, value) is not form.rounded.dtype):
                new[old] = param(value)
            else:
                parts = [param(part) for part in form.parts]
                new[old] = parts[0] if form.low is None else o.join_halves(*parts)
        replay(builder, node.inner.nodes, _on_parts(builder), new)
    body.nodes, body.outputs = builder.nodes, [new.get(v, v) for v in node.inner.outputs]
    body.nodes = live_nodes(body)
    read = {*body.outputs, *(v for n in body.nodes for v in n.inputs)}
    kept = [(p, v) for p, v in zip(body.params, given, strict=True) if p.value in read]
    body.params = [p for p, _ in kept]
    return node.copy(tuple(v for _, v in kept), body=body)


def _on_parts(builder: GraphBuilder) -> Rewrite:
    """A rule for the body of a kernel that reads shadows, or joins halves.

    A cast is the shadow, or the first half. Views and look-ups are those of both halves, so that a kernel reads no more
    of them than it would of the state.
    """

    def rule(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        def on(part: Value) -> Value:
            return builder.add(node.copy((part, *inputs[1:]), types=(TensorType(part.dtype, node.output.shape),)))[0]

        first = inputs[0] if inputs else None
        if first is None:
            return None
        if first.dtype is not node.inputs[0].dtype:
            return (first,) if node.op.converts else (on(first),)
        join = first.producer
        if join is None or join.op is not OPS["join_halves"]:
            return None
        if _cast_to(node) is bf16:
            return join.inputs[:1]
        return (o.join_halves(*map(on, join.inputs)),) if _only_shows(node) or node.op.is_lookup else None

    return rule


def _written(graph: Graph, forms: Mapping[Value, Narrow]) -> Graph:
    """``graph`` with kernels that write the parts of states that they update; no one else needs a halved state."""
    follow: dict[Value, list[Narrow]] = {}
    for update in graph.updates:
        if update.state in forms:
            follow.setdefault(update.value, []).append(forms[update.state])
    graph.updates = [u for u in graph.updates if u.state not in forms or forms[u.state].low is None]
    needed = {*graph.results(), *(v for n in graph.nodes for v in n.inputs)}
    builder, updates = GraphBuilder(), list[Update]()

    def write(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        mine = [(v, form) for v in node.outputs for form in follow.get(v, ())]
        if not mine:
            return None
        kept = [v for v in node.outputs if v in needed]
        outputs = builder.add(_writing(node, inputs, kept, mine))
        updates.extend(map(Update, [part for _, form in mine for part in form.parts], outputs[len(kept) :]))
        found = dict(zip(kept, outputs, strict=False))
        return [found.get(v, v) for v in node.outputs]

    graph = rewrite(graph, write, builder)
    graph.updates += updates
    return graph


def _writing(
    node: Node, inputs: tuple[Value, ...], kept: Sequence[Value], forms: Sequence[tuple[Value, Narrow]]
) -> Node:
    """``node`` with the results ``kept``, and behind them the parts of results that are new states."""
    old, inside = node.inner, dict(zip(node.outputs, node.inner.outputs, strict=True))
    builder = GraphBuilder()
    with using(builder):
        builder.at(node)
        parts = [part for value, form in forms for part in form.made_of(inside[value])]
    results = [*(inside[v] for v in kept), *parts]
    body = Graph(old.name, list(old.params), [*old.nodes, *builder.nodes], outputs=results)
    return Node(node.op, inputs, tuple(v.type for v in results), node.attrs, body, node.loc, node.phase)


def slots_of(forms: Sequence[Narrow], graph: Graph) -> Iterator[tuple[int, int]]:
    """The slots of each part and of its state."""
    slots = {param.value: i for i, param in enumerate(graph.params)}
    for form in forms:
        yield from ((slots[part], slots[form.state]) for part in form.parts if part in slots)
