"""Gradient accumulation: one step over several micro-batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from compiler.batch import OWN, SAME, SUM, Part, micro_node, micro_type
from compiler.errors import TraceError
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Node, Param, Update, Value
from compiler.ir.op import o
from compiler.ir.replay import copy_node, hand_on
from compiler.ir.types import TensorType
from compiler.micro_plan import SHARE, WHOLE, MicroPlan, Role, cone, draws_at_random
from compiler.ops.contract import accumulator
from compiler.ops.elementwise import as_type
from compiler.ops.layout import slice_along
from compiler.ops.loop import loop
from compiler.per_example import picked, plain_means


def accumulate(graph: Graph, count: int, split: Sequence[Value], draws: int) -> Graph:
    """Run the forward and backward pass of a step in a loop over micro-batches.

    ``graph`` is the step for the whole batch, of which the inputs in ``split`` have a row per example. ``draws`` is how
    many draws from the generator one micro-batch takes: micro-batch i draws ``i * draws`` further on.

    before::

        input %x: f32[6,2]
        %0: f32[6,2] = mul(%x, %w)
        %1: f32[] = mean(%0) {axes=[0,1]}
        %2: f32[2] = grad(%1, %w)
        %3: f32[2] = sub(%w, %2)
        return %1, %0

    after, for ``count=2``::

        input %x: f32[6,2]
        %0: f32[2,3,2] = reshape(%x) {shape=[2,3,2]}
        %loss: f32[], %g: f32[2], %rows: f32[2,3,2] = loop(%zero, %zeros, %0, %w) {..., micro=true} @micro_batch {
          ...
          %0: f32[3,2] = mul(%x, %w)
          %1: f32[] = mean(%0) {axes=[0,1]}
          %2: f32[2] = grad(%1, %w)
          %3: f32[] = add(%total, %1)
          %4: f32[2] = add(%total_1, %2)
          return %3, %4, %0
        }
        %1: f32[] = div(%loss, 2)
        %2: f32[2] = div(%g, 2)
        %3: f32[2] = sub(%w, %2)
        return %1, reshape(%rows)

    The results are those of the whole batch. How a value is joined follows from how it depends on the batch
    (:mod:`compiler.batch`): rows are put together, sums added, means averaged. A value behind a gradient, or one that
    does not follow from parts, is computed on the whole behind it. A value of the whole batch that a part needs is
    computed before it, if no gradient flows through it: the number of labels that count, say. Exceptions: a batch norm
    takes the statistics of each micro-batch, and its running statistics move once per micro-batch.

    Raises :class:`TraceError` for a loss that does not follow from micro-batches, and for a step without ``backward``.
    """
    if not any(n.op.kind == "grad" for n in graph.nodes):
        raise TraceError("accumulate= needs a step that calls backward()")
    graph = picked(plain_means(graph))
    for _ in range(sum(n.op.kind == "grad" for n in graph.nodes)):
        plan = MicroPlan(graph, count, split)
        graph = _Looped(plan, draws).graph()
        if plan.complete:
            break
    return graph


class _Looped:
    """The graph of a plan.

    Attributes:
        joins: the values that the loop returns, and how the parts of each are joined.
        early, inside, late: the nodes in front of the loop, in its body, and behind it.
        before, body, after: the builders of these.
        env: value of the step -> the one in the new graph; inner: -> the one in the body.
        slices, stacks, fixed: inputs of the body: parts of a value along an axis, offsets of draws, invariants.
    """

    def __init__(self, plan: MicroPlan, draws: int) -> None:
        self.plan, self.draws, self.count = plan, draws, plan.count
        self.source = plan.graph
        self.carried = dict(plan.carried)
        self.joins: dict[Value, Part] = {}
        self.early: set[Node] = set()
        self.late: set[Node] = set()
        self.inside: set[Node] = set()
        self._place()
        self.before, self.body, self.after = GraphBuilder(), GraphBuilder(), GraphBuilder()
        self.env: dict[Value, Value] = {}
        self.inner: dict[Value, Value] = {}
        self.slices: dict[tuple[Value, int], Value] = {}
        self.stacks: dict[Value, Value] = {}
        self.fixed: dict[Value, Value] = {}

    # Which node stands where

    def _place(self) -> None:
        plan, source = self.plan, self.source
        carried = set(self.carried.values())
        again = self._again()
        values = [*source.outputs, *(u.value for u in source.updates if u.value not in carried)][::-1]
        seen: set[Value] = set()
        while values:
            value = values.pop()
            node, part = value.producer, plan.parts[value]
            if value in seen or value in carried or node is None:
                continue
            seen.add(value)
            if part is None or part == SAME or node in again:
                self.late.add(node)
                values += node.inputs
            elif part == OWN:
                raise _unjoined(value)
            else:
                self.joins[value] = part
        for value in (*self.joins, *carried):
            self._inside(value)
        self.late -= self.early

    def _again(self) -> set[Node]:
        """The nodes that another loop behind this one runs: gradients do not flow from one loop into the other."""
        nodes, targets = self.source.nodes, self.plan.targets
        later = [v for n in nodes if n.op.kind == "grad" and n not in targets for v in n.inputs]
        behind = {v for g in targets for v in g.outputs}
        found = set()
        for node in nodes:
            if node in targets or not behind.isdisjoint(node.inputs):
                behind.update(node.outputs)
            else:
                found.add(node)
        return found & cone(nodes, later)

    def _inside(self, value: Value) -> None:
        """Put into the loop what makes ``value`` there."""
        pending = [value]
        while pending:
            value = pending.pop()
            node = value.producer
            if node is None or node in self.inside:
                continue
            self.inside.add(node)
            for operand, role in zip(node.inputs, self.plan.roles[node], strict=True):
                if role.kind in ("whole", "cut") or self._given(operand):
                    self._beforehand(operand)
                else:
                    pending.append(operand)

    def _given(self, value: Value) -> bool:
        """Whether the loop reads ``value`` as it is outside."""
        return self.plan.parts[value] == SAME and (value.producer is None or value not in self.plan.live)

    def _beforehand(self, value: Value) -> None:
        for node in cone(self.source.nodes, [value]) if value.producer is not None else ():
            self.early.add(node)

    # The loop

    def graph(self) -> Graph:
        source = self.source
        self._copy(self.before, self.early)
        if self.joins or self.carried:
            self._loop()
        self._copy(self.after, self.late)
        updates = [Update(u.state, self.env.get(u.value, u.value)) for u in source.updates]
        outputs = [self.env.get(v, v) for v in source.outputs]
        return Graph(source.name, list(source.params), [*self.before.nodes, *self.after.nodes], updates, outputs)

    def _copy(self, builder: GraphBuilder, nodes: set[Node]) -> None:
        with using(builder):
            for node in self.source.nodes:
                if node in nodes:
                    outputs = copy_node(builder, node, tuple([self.env.get(v, v) for v in node.inputs]))
                    self.env.update((a, b) for a, b in zip(node.outputs, outputs, strict=True) if a is not b)

    def _loop(self) -> None:
        target = self.plan.targets[-1]
        for state in self.carried:
            self.inner[state] = Value(state.type, state.name)
        with using(self.body):
            for node in self.source.nodes:
                if node in self.inside:
                    self._emit(node)
            self.body.at(target, "accumulate")
            totals = {v: Value(_wide(v), "total") for v, part in self.joins.items() if part.way in ("sum", "mean")}
            sums = [o.add(total, as_type(self._get(v), total.dtype)) for v, total in totals.items()]
            stacked = [v for v in self.joins if v not in totals]
            next = [self._get(v) for v in self.carried.values()]
            slices = [self._get(v) for v in stacked]
        with using(self.before):
            self.before.at(target, "accumulate")
            zeros = [o.zeros(shape=t.shape, dtype=t.dtype) for t in totals.values()]
            sequences = [self._stack(v, axis) for v, axis in self.slices] + self._offsets()
        params = [*(self.inner[s] for s in self.carried), *totals.values(), *self.slices.values()]
        params += [*self.stacks.values(), *self.fixed.values()]
        body = Graph("micro_batch", [Param(v, "input") for v in params], self.body.nodes, [], [*next, *sums, *slices])
        operands = [*self.carried, *zeros, *sequences, *(self.env.get(v, v) for v in self.fixed)]
        carries = len(self.carried) + len(zeros)
        self.after.at(target, "accumulate")
        with using(self.after):
            results = loop(operands, body, self.count, carries, len(sequences), micro=True)
            self.env.update(zip(self.carried.values(), results, strict=False))
            for value, total in zip(totals, results[len(self.carried) : carries], strict=True):
                mean = self.joins[value].way == "mean"
                self.env[value] = as_type(o.div(total, float(self.count)) if mean else total, value.dtype)
            for value, stack in zip(stacked, results[carries:], strict=True):
                self.env[value] = self._joined(value, stack)
        for value in (*self.carried.values(), *self.joins):
            hand_on(value.name, self.env[value])

    def _emit(self, node: Node) -> None:
        roles = self.plan.roles[node]
        self.body.at(node, "accumulate")
        last = len(roles) - 1 if draws_at_random(node) else len(roles)
        inputs = [self._operand(v, role) for v, role in zip(node.inputs[:last], roles[:last], strict=True)]
        inputs += [self._offset(v) for v in node.inputs[last:]]
        parts = [self._part(v, role) for v, role in zip(node.inputs, roles, strict=True)]
        found = [p for v in node.outputs if (p := self.plan.parts[v]) is not None]
        made = micro_node(node, inputs, parts, found, self.count)
        self.body.nodes.append(made)
        self.inner.update(zip(node.outputs, made.outputs, strict=True))

    def _part(self, value: Value, role: Role) -> Part:
        if role.kind in ("cut", "head"):
            return Part("rows", role.axis)
        part = SUM if role == SHARE else SAME if role == WHOLE else self.plan.parts[value]
        assert part is not None
        return part

    def _operand(self, value: Value, role: Role) -> Value:
        if role == WHOLE:
            return self._invariant(value)
        if role.kind == "cut":
            return self._slice(value, role.axis)
        found = self._get(value)
        if role.kind == "head":
            return slice_along(o, found, role.axis, 0, value.shape[role.axis] // self.count)
        return o.div(found, float(self.count)) if role == SHARE else found

    def _get(self, value: Value) -> Value:
        """The micro-batch's ``value``."""
        if value in self.inner:
            return self.inner[value]
        return self._slice(value, 0) if value in self.plan.split else self._invariant(value)

    def _invariant(self, value: Value) -> Value:
        return self.fixed.setdefault(value, Value(value.type, value.name))

    def _slice(self, value: Value, axis: int) -> Value:
        kind = micro_type(value.type, Part("rows", axis), self.count)
        return self.slices.setdefault((value, axis), Value(kind, value.name))

    def _stack(self, value: Value, axis: int) -> Value:
        """The parts of ``value`` along ``axis``, stacked."""
        rows = value.shape[axis] // self.count
        shape = (*value.shape[:axis], self.count, rows, *value.shape[axis + 1 :])
        apart = o.reshape(self.env.get(value, value), shape=shape)
        order = (axis, *(a for a in range(len(shape)) if a != axis))
        return o.permute(apart, dims=order) if axis else apart

    def _joined(self, value: Value, stack: Value) -> Value:
        part = self.joins[value]
        if part.way == "rows":
            order = [*range(1, stack.type.rank)]
            order.insert(part.axis, 0)
            return o.reshape(o.permute(stack, dims=tuple(order)) if part.axis else stack, shape=value.shape)
        if value.dtype.kind == "bool":
            return (o.any if part.way == "max" else o.all)(stack, axes=(0,))
        return (o.amax if part.way == "max" else o.amin)(stack, axes=(0,))

    # Draws

    def _offset(self, start: Value) -> Value:
        """The generator's offset for a micro-batch, where it starts at ``start``."""
        return self.stacks.setdefault(start, Value(start.type, start.name))

    def _offsets(self) -> list[Value]:
        steps: Callable[[], Value] = lambda: o.mul(o.iota(shape=(self.count,), axis=0), self.draws)  # noqa: E731
        return [o.add(self.env.get(start, start), steps()) for start in self.stacks]


def _wide(value: Value) -> TensorType:
    return value.type.with_dtype(accumulator(value.dtype))


def _unjoined(value: Value) -> TraceError:
    node = value.producer
    place = "" if node is None else f", made by {node.op.name} at {node.loc}"
    return TraceError(
        f"accumulate= cannot tell how a {value.type}{place}, is joined over micro-batches: "
        "each micro-batch has its own; leave it out of the results, or leave accumulate= away"
    )
