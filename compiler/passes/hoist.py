"""Takes work out of loops: what every iteration does alike, and products that are better done for all at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from compiler.fixpoint import turns
from compiler.ir.builder import Call, GraphBuilder
from compiler.ir.graph import Graph, Node, Param, Value, users
from compiler.ir.op import o
from compiler.ir.replay import copy_node, live_nodes, rewrite
from compiler.ir.types import bf16, f32
from compiler.ops.loop import Parts, loop
from compiler.ops.structure import is_constant, made_by

DEEP = 1024
"""Rows of a weight up to which a product reads it transposed as well as laid out, or once for all iterations."""

FEW = 8
"""Rows of a product up to which it reads its weight anew in every iteration."""


def hoist(graph: Graph) -> Graph:
    """Take out of every loop what does not need one iteration to follow the other.

    before::

        %h: f32[2,4], %hs: f32[9,2,4], %dw: f32[4,4] = loop(%h0, %zero, %xs, %w, %u) {length=9, ...} @body {
          input %h: f32[2,4]
          input %dw: f32[4,4]
          input %x: f32[2,3]
          input %w: f32[4,4]
          input %u: f32[3,4]
          %0: f32[4,4] = permute(%w) {dims=[1,0]}
          %1: f32[2,4] = dot(%h, %0)
          %2: f32[2,4] = dot(%x, %u)
          %3: f32[2,4] = add(%1, %2)
          %4: f32[4,2] = permute(%3) {dims=[1,0]}
          %5: f32[4,4] = dot(%4, %h)
          %6: f32[4,4] = add(%dw, %5)
          return %3, %6, %3
        }

    after::

        %0: f32[4,4] = permute(%w) {dims=[1,0]}   # because %h has few rows
        %1: f32[18,3] = reshape(%xs) {shape=[18,3]}
        %2: f32[18,4] = dot(%1, %u)
        %3: f32[9,2,4] = reshape(%2) {shape=[9,2,4]}
        %h: f32[2,4], %hs: f32[9,2,4], %before: f32[9,2,4] = loop(%h0, %3, %0) {length=9, ...} @body {
          input %h: f32[2,4]
          input %2: f32[2,4]
          input %0: f32[4,4]
          %1: f32[2,4] = dot(%h, %0)
          %3: f32[2,4] = add(%1, %2)
          return %3, %3, %h
        }
        %4: f32[4,9,2] = permute(%hs) {dims=[2,0,1]}
        %5: f32[4,4] = dot(reshape(%4), reshape(%before))

    Out come: ops on invariants only; transposed weights of deep products or such of few rows, so that memory holds them
    as a product reads them; products of a sequence with an invariant, as one product over all iterations, and what
    follows them elementwise; products that only a stacked result needs, or that are only added up. Sums over all
    iterations at once add in another order. Results, carries and operands that nobody needs are dropped. A sum over
    rows is taken out where its operand is stacked anyway. Of a loop over micro-batches only ops on invariants come out.
    """
    if not any(n.op.kind == "loop" for n in graph.nodes):
        return graph
    graph = _pruned(graph)
    builder = _Numbering()

    def rule(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value]:
        if node.op.kind == "loop":
            return _Loop(builder, node, inputs).results()
        outputs = copy_node(builder, node, inputs)
        builder.remember(node, inputs, outputs)
        return outputs

    return _pruned(rewrite(graph, rule, builder))


class _Numbering(GraphBuilder):
    """Records an expression once."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[tuple[Any, ...], tuple[Value, ...]] = {}

    def remember(self, node: Node, inputs: tuple[Value, ...], outputs: tuple[Value, ...]) -> None:
        if node.body is None and node.op.is_shareable:
            self.known.setdefault((node.op.name, inputs, repr(node.attrs)), tuple(outputs))

    def emit(self, call: Call) -> tuple[Value, ...]:
        found = self.known.get((call.op.name, call.inputs, repr(call.attrs))) if call.body is None else None
        if found is None:
            found = super().emit(call)
            self.remember(self.nodes[-1], call.inputs, found)
        return found


# What nobody needs


def _pruned(graph: Graph) -> Graph:
    """Without the results, carries and operands of loops that no result of the graph needs."""
    wanted = set(graph.results())
    kept: dict[Node, Graph] = {}
    for node in reversed(graph.nodes):
        if node.op.kind == "loop" and any(v in wanted for v in node.outputs):
            kept[node] = body = _needed(node, wanted)
            there = set(body.inputs())
            wanted.update(v for v, p in zip(node.inputs, node.inner.inputs(), strict=True) if p in there)
        elif any(v in wanted for v in node.outputs):
            wanted.update(node.inputs)

    def rule(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        if node in kept:
            found = _narrowed(node, inputs, kept[node], wanted)
            return [found.get(v, v) for v in node.outputs]
        return None if any(v in wanted for v in node.outputs) else node.outputs

    return rewrite(graph, rule)


def _needed(node: Node, wanted: set[Value]) -> Graph:
    """The body with the inputs, nodes and results (of carries: those that matter) that ``wanted`` needs."""
    parts = Parts.of(node)
    carried = parts.split(parts.body.inputs())[0]
    live = {v for v, r in zip(parts.slices, parts.stacks, strict=True) if r in wanted}
    live |= {p for p, r in zip(carried, node.outputs, strict=False) if r in wanted}
    following = dict(zip(carried, parts.next, strict=True))
    for _ in turns(f"what a loop needs at {node.loc}", len(carried) + 1):  # the first turn adds inner values
        reached = set(live)
        reached.update(following[p] for p in carried if p in live)
        for inner in reversed(parts.body.nodes):
            if any(v in reached for v in inner.outputs):
                reached.update(inner.inputs)
        if reached == live:
            break
        live = reached
    carries = [p for p in carried if p in live]
    outputs = [following[p] for p in carries]
    outputs += [v for v, r in zip(parts.slices, parts.stacks, strict=True) if r in wanted]
    nodes = [n for n in parts.body.nodes if any(v in live for v in n.outputs)]
    params = [p for p in parts.body.params if p.value in live]
    return Graph(parts.body.name, params, nodes, [], outputs)


def _narrowed(node: Node, inputs: Sequence[Value], body: Graph, wanted: set[Value]) -> dict[Value, Value]:
    """Record ``node`` with the smaller ``body``; returns its old results -> new ones."""
    parts = Parts.of(node)
    there = set(body.inputs())
    carried, sliced, _ = parts.split(parts.body.inputs())
    operands = [v for v, p in zip(inputs, parts.body.inputs(), strict=True) if p in there]
    carries = [i for i, p in enumerate(carried) if p in there]
    sequences = sum(p in there for p in sliced)
    results = loop(operands, body, **{**node.attrs, "carries": len(carries), "sequences": sequences})
    old = [node.outputs[i] for i in carries] + [r for r in parts.stacks if r in wanted]
    for before, after in zip(old, results, strict=True):
        after.name = before.name
    return dict(zip(old, results, strict=True))


# Taking out


class _Loop:
    """One loop, taken apart.

    Attributes:
        fixed: values of the body that are the same in every iteration.
        separate: whether only what every iteration does alike is taken out.
        along: values that depend on sequences and fixed values only, through ops that work on all iterations at once.
        ready: those of ``along`` that are computed before the loop.
        outside: fixed value -> the same outside.
        stacks: value -> all its iterations outside.
        slices: values that the loop returns for every iteration.
        params, operands: of the new loop: carries, sequences, invariants.
        new: value of the body -> of the new body.
    """

    def __init__(self, builder: GraphBuilder, node: Node, inputs: Sequence[Value]) -> None:
        self.builder, self.node, self.parts = builder, node, Parts.of(node)
        self.body, self.length = self.parts.body, node.attrs["length"]
        self.carried, sliced, invariants = self.parts.split(self.body.inputs())
        self.starts, sequences, others = self.parts.split(inputs)
        self.outside = dict(zip(invariants, others, strict=True))
        self.stacks = dict(zip(sliced, sequences, strict=True))
        self.readers = users(self.body)
        self.uses: dict[Value, int] = {}
        for value in [*(v for n in self.body.nodes for v in n.inputs), *self.body.outputs]:
            self.uses[value] = self.uses.get(value, 0) + 1
        self.separate = node.attrs["micro"]
        self.fixed, self.along, self.ready = set(invariants), set(sliced), set[Value]()
        for inner in self.body.nodes:
            self._classify(inner)
        self.slices = dict.fromkeys(self.parts.slices)
        self.params: tuple[list[Value], list[Value], list[Value]] = ([], [], [])
        self.operands: tuple[list[Value], list[Value], list[Value]] = ([], [], [])
        self.new: dict[Value, Value] = {}
        self.nodes: list[Node] = []

    def _classify(self, node: Node) -> None:
        if not node.op.is_shareable or len(node.outputs) != 1:
            return
        value = node.output
        if all(v in self.fixed for v in node.inputs):
            self.fixed.add(value)
            return
        if self.separate or not all(v in self.fixed or v in self.along for v in node.inputs):
            return
        if not _works_on_all(node, self.fixed):
            return
        self.along.add(value)
        follows = [v for v in node.inputs if v in self.ready]
        larger = all(v.type.nbytes < value.type.nbytes for v in follows)
        if node.op.kind == "contract" or (node.op.kind in ("pointwise", "view") and follows and not larger):
            self.ready.add(value)

    def results(self) -> list[Value]:
        """Record the loop and what was taken out around it; returns the values that stand for the old results."""
        sums = {} if self.separate else self._sums()
        slices = [] if self.separate else self.parts.slices
        late = {v: p for v in slices if (p := self._product(v)) is not None and p.inputs[-1] in self.fixed}
        for value in self.parts.slices:
            if value in late or value in self.along or value in self.fixed:
                self.slices.pop(value, None)
        for product in (*late.values(), *(p for p in sums.values() if p.op.kind == "contract")):
            for operand in product.inputs:
                self._keep(operand)
        there = self.along | self.fixed | self.slices.keys()
        sums = {i: p for i, p in sums.items() if p.op.kind == "contract" or _root(p.inputs[0]) in there}
        carries = [i for i in range(self.parts.carries) if i not in sums]
        found = self._record(carries)
        last = dict(zip(carries, found, strict=False))
        for value, stack in zip(self.slices, found[len(carries) :], strict=True):
            self.stacks[value] = stack
        first = [last[i] if i in last else self._total(i, sums[i]) for i in range(self.parts.carries)]
        return first + [self._all(v) for v in self.parts.slices]

    # What can be done behind the loop

    def _product(self, value: Value) -> Node | None:
        """The product, of two dimensions, that ``value`` is a view or cast of, if nothing else needs it."""
        node = value.producer
        while node is not None and (node.op.kind == "view" or node.op.converts) and self.uses[value] == 1:
            value, node = node.inputs[0], node.inputs[0].producer
        if node is None or self.uses[value] > 1:
            return None
        if node.op.kind != "contract" and (node.op.kind != "reduce" or node.op.join != "add"):
            return None
        return node if node.op.kind == "reduce" or node.output.type.rank == 2 else None

    def _sums(self) -> dict[int, Node]:
        """Carries to which every iteration only adds a product or a sum, by place."""
        found = {}
        for i, (carry, after) in enumerate(zip(self.carried, self.parts.next, strict=True)):
            node = made_by(after, "add")
            if node is None or self.uses[carry] > 1 or self.uses[after] > 1:
                continue
            if carry in node.inputs and node.inputs[0].type == node.inputs[1].type:
                term = node.inputs[1 - node.inputs.index(carry)]
                product = self._product(term)
                if product is not None and product.output not in self.fixed:
                    found[i] = product
        return found

    def _keep(self, value: Value) -> None:
        """Let the loop return what is needed to have all iterations of ``value``."""
        root = _root(value)
        if root not in self.along and root not in self.fixed:
            self.slices[root] = None

    def _total(self, place: int, product: Node) -> Value:
        """The carry at ``place`` behind the loop."""
        start, after = self.starts[place], self.parts.next[place].producer
        assert after is not None
        carry = self.carried[place]
        if product.op.kind == "reduce":
            operand = self._all(product.inputs[0])
            self._at(product.output)
            axes = (0, *(a + 1 for a in product.attrs["axes"]))
            keepdim = product.attrs["keepdim"]
            total = o.sum(operand, axes=axes)
            total = o.reshape(total, shape=product.output.shape) if keepdim else total
        else:
            a, b = (self._all(v) for v in product.inputs)
            self._at(product.output)
            steps, m, k = a.shape
            a = o.reshape(o.permute(a, dims=(1, 0, 2)), shape=(m, steps * k))
            b = o.reshape(b, shape=(steps * k, b.shape[2]))
            total = o.dot(a, b, dtype=product.attrs["dtype"])
        chain = []
        node = after.inputs[1 - after.inputs.index(carry)].producer
        while node is not product:
            assert node is not None
            chain.append(node)
            node = node.inputs[0].producer
        for node in reversed(chain):
            total = node.op(total, **node.attrs)
        return total if _is_zero(start) else o.add(start, total)

    # The values outside

    def _at(self, value: Value) -> Node:
        """The node that makes ``value``; what is recorded next stands for it."""
        assert value.producer is not None
        self.builder.at(value.producer, "hoist")
        return value.producer

    def _lift(self, value: Value) -> Value:
        """A fixed value, computed outside."""
        if value not in self.outside:
            assert value.producer is not None
            node = value.producer
            inputs = [self._lift(v) for v in node.inputs]
            self.outside[value] = self._at(value).op(*inputs, **node.attrs)
        return self.outside[value]

    def _all(self, value: Value) -> Value:
        """All iterations of a value, stacked, outside."""
        if value in self.fixed:
            lifted = self._lift(value)
            return o.expand(lifted, shape=(self.length, *lifted.shape))
        if value not in self.stacks:
            self.stacks[value] = self._on_all(self._at(value))
        return self.stacks[value]

    def _on_all(self, node: Node) -> Value:
        """``node`` on all iterations at once."""
        name, attrs, shape, n = node.op.name, node.attrs, node.output.shape, self.length
        if node.op.kind == "contract" and node.inputs[1] in self.fixed:
            a, b = self._all(node.inputs[0]), self._lift(node.inputs[1])
            self._at(node.output)
            rows = o.reshape(a, shape=(n * a.shape[1], a.shape[2]))
            return o.reshape(o.dot(rows, b, **attrs), shape=(n, *shape))
        if node.op.kind == "pointwise":
            operands = [self._aligned(v, len(shape)) for v in node.inputs]
            return self._at(node.output).op(*operands, **attrs)
        x = self._all(node.inputs[0])
        self._at(node.output)
        if node.op.keeps == "order":
            return o.reshape(x, shape=(n, *shape))
        if node.op.keeps == "elements":
            return o.permute(x, dims=(0, *(d + 1 for d in attrs["dims"])))
        if node.op.name == "expand":
            return o.expand(self._aligned(node.inputs[0], len(shape)), shape=(n, *shape))
        if name == "slice":
            first = {"start": (0,), "stop": (n,), "step": (1,)}
            return o.slice(x, **{k: (*v, *attrs[k]) for k, v in first.items()})
        return node.op(x, **attrs)

    def _aligned(self, value: Value, rank: int) -> Value:
        """All iterations of an operand that broadcasts to ``rank`` dimensions; a fixed one by itself."""
        if value in self.fixed:
            return self._lift(value)
        x, missing = self._all(value), rank - value.type.rank
        return o.reshape(x, shape=(self.length, *(1,) * missing, *value.shape)) if missing else x

    # The loop that is left

    def _record(self, carries: Sequence[int]) -> tuple[Value, ...]:
        for i in carries:
            self._param(0, self.carried[i], self.starts[i])
        following = [self.parts.next[i] for i in carries]
        for node in live_nodes(Graph("", nodes=self.body.nodes, outputs=[*following, *self.slices])):
            if node.outputs[0] in self.fixed or node.outputs[0] in self.ready:
                continue
            inputs = [self._use(v) for v in node.inputs]
            if node.op.kind == "contract" and node.inputs[1] in self.fixed and _lies_badly(node):
                inputs[1] = self._param(2, node.inputs[1], self._lift(node.inputs[1]))
            self._copy(node, tuple(inputs))
        outputs = [self._use(v) for v in (*following, *self.slices)]
        params = [Param(v, "input") for group in self.params for v in group]
        body = Graph(self.body.name, params, self.nodes, [], outputs)
        operands = [v for group in self.operands for v in group]
        self.builder.at(self.node)
        attrs = {**self.node.attrs, "carries": len(carries), "sequences": len(self.params[1])}
        results = loop(operands, body, **attrs)
        names = [self.node.outputs[i].name for i in carries]
        for result, name in zip(results, names, strict=False):
            result.name = name
        return results

    def _copy(self, node: Node, inputs: tuple[Value, ...]) -> None:
        copied = node.copy(inputs)
        self.nodes.append(copied)
        self.new.update(zip(node.outputs, copied.outputs, strict=True))

    def _param(self, role: int, value: Value, operand: Value) -> Value:
        """An input of the new body that stands for ``value``: 0 a carry, 1 a slice, 2 an invariant."""
        if value not in self.new or self.new[value].producer is not None:
            param = Value(value.type, value.name or (value.producer.op.name if value.producer is not None else ""))
            self.params[role].append(param)
            self.operands[role].append(operand)
            self.new[value] = param
        return self.new[value]

    def _rounded_by_products(self, node: Node) -> bool:
        """Whether ``node`` rounds a weight to bf16 for products only, which do so as they pack it."""
        if not node.op.converts or node.output.dtype is not bf16 or node.inputs[0].dtype is not f32:
            return False
        pending = [node.output]
        while pending:
            value = pending.pop()
            if value in self.body.outputs:
                return False
            for reader in self.readers.get(value, ()):
                if reader.op.kind == "view":
                    pending.append(reader.output)
                elif reader.op.kind != "contract" or reader.inputs[0] in self.fixed or reader.output.shape[-2] <= FEW:
                    return False
        return True

    def _use(self, value: Value) -> Value:
        """``value`` in the new body."""
        if value in self.new:
            return self.new[value]
        node = value.producer
        if value in self.fixed and (node is None or not (node.op.is_free or self._rounded_by_products(node))):
            return self._param(2, value, self._lift(value))
        if value in self.ready or node is None:
            return self._param(1, value, self._all(value))
        self._copy(node, tuple([self._use(v) for v in node.inputs]))
        return self.new[value]


def _works_on_all(node: Node, fixed: set[Value]) -> bool:
    """Whether :meth:`_Loop._on_all` can do ``node``."""
    if node.op.kind == "contract":
        return node.inputs[1] in fixed and node.output.type.rank == 2
    return node.op.kind == "pointwise" or (node.op.kind == "view" and node.op.reads == "place")


def _root(value: Value) -> Value:
    """What ``value`` shows through views and casts from 16 bits."""
    node = value.producer
    while node is not None and (node.op.kind == "view" or _widens(node)):
        value, node = node.inputs[0], node.inputs[0].producer
    return value


def _widens(node: Node) -> bool:
    return node.op.converts and node.inputs[0].dtype.is_half and not node.output.dtype.is_half


def _lies_badly(product: Node) -> bool:
    """Whether memory holds the right side of ``product`` otherwise than row by row, and that matters."""
    value = product.inputs[1]
    if product.output.shape[-2] > FEW and value.shape[-2] <= DEEP:
        return False
    while value.producer is not None and value.producer.op.kind == "view":
        if value.producer.op.keeps != "order":
            return True
        value = value.producer.inputs[0]
    return False


def _is_zero(value: Value) -> bool:
    while value.producer is not None and value.producer.op.kind == "view":
        value = value.producer.inputs[0]
    return is_constant(value, 0)
