"""Gradient accumulation: one step over several micro-batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

from compiler.batch import OWN, SAME, SUM, Part, derive, micro_node, micro_type, repeats
from compiler.errors import OpError, TraceError
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Node, Param, Update, Value
from compiler.ir.op import o
from compiler.ir.replay import copy_node
from compiler.ir.types import TensorType, i64
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
    (:mod:`compiler.batch`): rows are put together, sums added, means averaged. What depends on a gradient, or does not
    follow from micro-batches, is computed on the whole behind the loop. What a micro-batch needs of the whole batch is
    computed before it, if no gradient flows through it: the number of labels that count, say. Exceptions: a batch norm
    takes the statistics of each micro-batch, and its running statistics move once per micro-batch.

    Raises :class:`TraceError` for a loss that does not follow from micro-batches, and for a step without ``backward``.
    """
    if not any(n.op.kind == "grad" for n in graph.nodes):
        raise TraceError("accumulate= needs a step that calls backward()")
    graph = picked(plain_means(graph))
    for _ in range(sum(n.op.kind == "grad" for n in graph.nodes)):
        plan = _Plan(graph, count, split)
        graph = _Looped(plan, draws).graph()
        if plan.complete:
            break
    return graph


class Role(NamedTuple):
    """How a node of the loop reads an operand.

    kind: ``"part"``, as the micro-batch has it; ``"whole"``, the whole batch's value, computed before the loop;
    ``"cut"``, the micro-batch's part of dimension ``axis`` of such a value; ``"head"``, the first part of a value that
    repeats along ``axis``; ``"share"``, the value divided by the number of micro-batches.
    """

    kind: str
    axis: int = 0


PART, WHOLE, SHARE = Role("part"), Role("whole"), Role("share")
COST = {"part": 0, "cut": 1, "head": 1, "share": 2, "whole": 5}
"""In what order ways to read operands are tried; whole batches are the last resort, as they take memory."""


class _Unknown(Exception):
    """A node that a gradient needs does not follow from micro-batches."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self.node = node


class _Plan:
    """What is computed where.

    Attributes:
        targets: the ``grad`` nodes that run in the loop.
        parts: how a value follows from micro-batches; None where it does not.
        roles: node of the loop -> how it reads its operands.
        live: the values that gradients of the loop flow through.
        complete: whether no ``grad`` node needs another loop, behind this one.
        carried: state -> its new value, of the states that move from micro-batch to micro-batch.
    """

    def __init__(self, graph: Graph, count: int, split: Sequence[Value]) -> None:
        self.graph, self.count, self.split = graph, count, set(split)
        self.carried = _moved_states(graph)
        grads = self.targets = [n for n in graph.nodes if n.op.kind == "grad"]
        while True:
            try:
                self._classify()
                break
            except _Unknown as unknown:
                before = self._before(unknown.node)
                if not before:
                    raise self._refused(unknown.node) from None
                self.targets = before
        self.complete = len(self.targets) == len(grads)

    def _before(self, node: Node) -> list[Node]:
        """The targets whose gradients ``node`` is computed from, if there are any: they make a loop of their own."""
        cone = _cone(self.graph.nodes, node.inputs)
        return [g for g in self.targets if g in cone and len(cone & set(self.targets)) < len(self.targets)]

    def _refused(self, node: Node) -> TraceError:
        operands = ", ".join(str(v.type) for v in node.inputs)
        return TraceError(
            f"accumulate= cannot compute {node.op.name}({operands}), which backward() needs, from micro-batches: it "
            f"mixes examples other than by a sum or mean over them\n  at {node.loc}\n"
            "  make the loss a sum or mean over examples, or leave accumulate= away"
        )

    def _classify(self) -> None:
        graph = self.graph
        self.parts: dict[Value, Part | None] = {
            v: Part("rows", 0) if v in self.split else OWN if v in self.carried else SAME for v in graph.inputs()
        }
        self.roles: dict[Node, tuple[Role, ...]] = {}
        self._early: dict[Value, bool] = {}
        self.needed = _cone(graph.nodes, [v for g in self.targets for v in g.inputs]) | set(self.targets)
        self.live = self._live()
        behind: set[Value] = set()
        for node in graph.nodes:
            later = node.op.kind == "grad" and node not in self.targets
            if later or not behind.isdisjoint(node.inputs):
                behind.update(node.outputs)
                if node not in self.needed:
                    self.parts.update(dict.fromkeys(node.outputs))
                    continue
            found = self._read(node)
            known = not node.attrs.get("micro") and all(self.parts[v] is not None for v in node.inputs)
            if found is None and node in self.needed and (known or node.op.kind == "grad"):
                raise _Unknown(node)
            self.parts.update(zip(node.outputs, found or (None,) * len(node.outputs), strict=True))
            if node in self.targets and found is not None and any(p != SAME for p in found):
                behind.update(node.outputs)

    def _live(self) -> set[Value]:
        found: set[Value] = set()
        for target in self.targets:
            found.update(target.inputs[1 + target.attrs["seed"] :])
        for node in self.graph.nodes:
            if (node.op.differentiable or node.op.kind == "grad") and not found.isdisjoint(node.inputs):
                found.update(v for v in node.outputs if v.dtype.is_floating_point)
        return found

    def early(self, value: Value) -> bool:
        """Whether the whole batch's value can be computed before the loop, without losing a gradient."""
        return value not in self.live and self._computable(value)

    def _computable(self, value: Value) -> bool:
        stack = [value]
        while stack:
            v = stack[-1]
            node = v.producer
            if v in self._early:
                stack.pop()
            elif node is None or v not in self.parts or v in self.carried:
                self._early[stack.pop()] = v not in self.carried
            elif node in self.targets or (node.op.kind == "grad" or node.op.name == "batch_norm"):
                self._early[stack.pop()] = False
            else:
                open = [i for i in node.inputs if i not in self._early]
                if not open:
                    self._early[stack.pop()] = all(self._early[i] for i in node.inputs)
                stack += open
        return self._early[value]

    def _read(self, node: Node) -> tuple[Part, ...] | None:
        """Find how ``node`` can read its operands in the loop; returns the parts of its results."""
        known = [self.parts[v] for v in node.inputs]
        if all(p == SAME for p in known):
            drawn = _draws(node) and not self.live.isdisjoint(node.inputs)
            self.roles[node] = (PART,) * len(known)
            return (OWN if drawn else SAME,) * len(node.outputs)
        sizes = {v.shape[p.axis] for v, p in zip(node.inputs, known, strict=True) if p and p.way == "rows"}
        fixed = range(1 + node.attrs["seed"], len(known)) if node.op.kind == "grad" else ()
        choices = [
            list(self._choices(v, sizes, i in fixed or not node.op.differentiable, i in fixed))
            for i, v in enumerate(node.inputs)
        ]
        for chosen in _combinations(choices):
            parts = [part for _, part in chosen]
            found = derive(node, parts)
            if found is None or not self._fits(node, parts, found):
                continue
            if SAME not in found or self.live.isdisjoint(node.outputs):
                self.roles[node] = tuple([role for role, _ in chosen])
                return found
        return None

    def _choices(self, value: Value, sizes: Iterable[int], ends: bool, fixed: bool) -> Iterator[tuple[Role, Part]]:
        part = self.parts[value]
        if part is not None:
            yield PART, part
        elif self._computable(value) and (ends or value not in self.live):
            yield WHOLE, SAME
            part = SAME
        if fixed or part is None:
            return
        floating = value.dtype.is_floating_point
        if part == SAME:
            for axis, size in enumerate(value.shape):
                if size in sizes and value not in self.live:
                    yield Role("cut", axis), Part("rows", axis)
                elif size in sizes and repeats(value, axis):
                    yield Role("head", axis), Part("rows", axis)
        elif part != OWN and self.early(value):
            yield WHOLE, SAME
        if floating and part in (SAME, Part("mean")) and self.parts[value] is not None:
            yield SHARE, SUM

    def _fits(self, node: Node, parts: Sequence[Part], found: Sequence[Part]) -> bool:
        """Whether the parts divide evenly and the op takes one micro-batch's."""
        for value, part in zip((*node.inputs, *node.outputs), (*parts, *found), strict=True):
            if part.way == "rows" and value.shape[part.axis] % self.count:
                return False
        inputs = [Value(micro_type(v.type, p, self.count)) for v, p in zip(node.inputs, parts, strict=True)]
        made = micro_node(node, inputs, parts, found, self.count)
        try:
            types = node.op.result_types([v.type for v in inputs], made.attrs, made.body)
        except OpError:
            return False
        return types == tuple(v.type for v in made.outputs)


def _combinations(choices: Sequence[Sequence[tuple[Role, Part]]]) -> Iterable[Sequence[tuple[Role, Part]]]:
    """One choice for each operand, the cheapest first; of many operands all first choices, then all last ones."""
    if not all(choices):
        return []
    if len(choices) > 8:
        return [[c[0] for c in choices], [next((x for x in c if x[0] == WHOLE), c[0]) for c in choices]]
    return sorted(product(*choices), key=lambda chosen: sum(COST[role.kind] for role, _ in chosen))


def _draws(node: Node) -> bool:
    """Whether ``node`` draws from the generator whose offset is its last operand."""
    return "index" in node.attrs and bool(node.inputs) and node.inputs[-1].type == TensorType(i64, ())


def _cone(nodes: Sequence[Node], values: Iterable[Value]) -> set[Node]:
    """The nodes that ``values`` are computed from."""
    wanted, found = set(values), set()
    for node in reversed(nodes):
        if not wanted.isdisjoint(node.outputs):
            found.add(node)
            wanted.update(node.inputs)
    return found


def _moved_states(graph: Graph) -> dict[Value, Value]:
    """The states that a batch norm moves, and those that their new values are computed with: state -> new value."""
    moved = {v for n in graph.nodes if n.op.name == "batch_norm" for v in n.outputs[1:]}
    if not moved:
        return {}
    behind: set[Value] = set()
    for node in graph.nodes:
        if node.op.kind == "grad" or not behind.isdisjoint(node.inputs):
            behind.update(node.outputs)
        elif node.op.name != "batch_norm" and not moved.isdisjoint(node.inputs):
            moved.update(node.outputs)
    updates = {u.value: u.state for u in graph.updates if u.value not in behind}
    carried = {value for value in updates if value in moved}
    reached = {v for n in _cone(graph.nodes, carried) for v in n.outputs}
    carried |= {value for value in updates if value in reached}
    return {updates[value]: value for value in updates if value in carried}


class _Looped:
    """The graph of a plan."""

    def __init__(self, plan: _Plan, draws: int) -> None:
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
        return found & _cone(nodes, later)

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
        for node in _cone(self.source.nodes, [value]) if value.producer is not None else ():
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

    def _emit(self, node: Node) -> None:
        roles = self.plan.roles[node]
        self.body.at(node, "accumulate")
        last = len(roles) - 1 if _draws(node) else len(roles)
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
