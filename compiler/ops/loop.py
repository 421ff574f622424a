"""``loop``: a body run a fixed number of times, with values carried from one iteration to the next.

Operands: the initial carries, sequences (stacked along axis 0, one slice per iteration), invariants. The body takes
carries, slices and invariants, and returns the next carries, then one slice of each stacked result. Results: the last
carries, then the stacked results. Slice t of everything belongs together; with ``reverse`` t runs downwards. With
``micro`` the iterations are micro-batches: they are there to save memory, so their work is not done for all at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from compiler.errors import OpError
from compiler.ir import ambient
from compiler.ir.ambient import using
from compiler.ir.builder import Call, GraphBuilder
from compiler.ir.graph import Graph, Node, Param, Value
from compiler.ir.op import REQUIRED, Op, OpSet, o, register
from compiler.ir.replay import copy_node, live_nodes, rewrite
from compiler.ir.types import TensorType
from compiler.ops.contract import accumulator
from compiler.ops.vjp import pull_back

ATTRS: dict[str, Any] = {
    "length": REQUIRED,
    "carries": REQUIRED,
    "sequences": REQUIRED,
    "reverse": False,
    "micro": False,
}


def stacked(type: TensorType, length: int) -> TensorType:
    """``length`` values of ``type`` along a new first axis."""
    return TensorType(type.dtype, (length, *type.shape))


def loop(
    inputs: Sequence[Value],
    body: Graph,
    length: int,
    carries: int,
    sequences: int,
    reverse: bool = False,
    micro: bool = False,
) -> tuple[Value, ...]:
    """Record a loop with the ambient builder."""
    attrs = {"length": length, "carries": carries, "sequences": sequences, "reverse": reverse, "micro": micro}
    return ambient.builder().emit(Call(LOOP, tuple(inputs), result_types(body, length, carries), attrs, body))


def result_types(body: Graph, length: int, carries: int) -> tuple[TensorType, ...]:
    """The types of the results of a loop over ``body``."""
    last, slices = body.outputs[:carries], body.outputs[carries:]
    return *(v.type for v in last), *(stacked(v.type, length) for v in slices)


@dataclass(frozen=True)
class Parts:
    """A loop's operands, the body's inputs and results, by role."""

    node: Node
    body: Graph
    carries: int
    sequences: int

    @staticmethod
    def of(node: Node) -> Parts:
        return Parts(node, node.inner, node.attrs["carries"], node.attrs["sequences"])

    def split(self, values: Sequence[Value]) -> tuple[list[Value], list[Value], list[Value]]:
        """Operands of the node, or inputs of the body, as carries, sequences (slices), invariants."""
        first, second = self.carries, self.carries + self.sequences
        return list(values[:first]), list(values[first:second]), list(values[second:])

    @property
    def next(self) -> list[Value]:
        """The body's next carries."""
        return self.body.outputs[: self.carries]

    @property
    def slices(self) -> list[Value]:
        """The body's slices of stacked results."""
        return self.body.outputs[self.carries :]

    @property
    def stacks(self) -> tuple[Value, ...]:
        """The stacked results of the node."""
        return self.node.outputs[self.carries :]


# Gradient


def save_residuals(node: Node) -> None:
    """Let the loop ``node``, which nobody shares, also return what its gradient reads of each iteration."""
    back = _Backward(Parts.of(node), [v.dtype.is_floating_point for v in node.outputs])
    node.body = _returning(back.parts.body, back.missing)
    node.outputs += tuple([Value(stacked(v.type, node.attrs["length"]), "", node) for v in back.missing])


def _returning(body: Graph, more: Sequence[Value]) -> Graph:
    return Graph(body.name, body.params, body.nodes, [], [*body.outputs, *more])


def _vjp(o: OpSet, node: Node, *grads: Value | None) -> list[Value | None]:
    """A loop the other way round, over the slices that the forward loop saved.

    Values that were not saved are computed again: eager, nothing knows of the gradient when the loop runs.
    """
    back = _Backward(Parts.of(node), [g is not None for g in grads])
    stacks = dict(zip(back.parts.slices, back.parts.stacks, strict=True))
    if back.missing:
        again = {key: node.attrs[key] for key in ATTRS}
        results = loop(node.inputs, _returning(back.parts.body, back.missing), **again)
        stacks.update(zip(back.missing, results[len(node.outputs) :], strict=True))
    return back.record(grads, stacks)


class _Backward:
    """The body of the backward loop, for those outputs of a loop that have a gradient.

    Attributes:
        parts: the loop, its body in ops that have gradient rules.
        missing: values of the body that the backward loop reads and the loop does not return.
    """

    def __init__(self, parts: Parts, given: Sequence[bool]) -> None:
        body = rewrite(parts.body, _with_rule)
        self.parts = parts = Parts(parts.node, body, parts.carries, parts.sequences)
        self.carried, self.sliced, self.fixed = parts.split(body.inputs())
        builder = GraphBuilder()
        builder.at(parts.node, "grad", "backward")
        self.graph = Graph(body.name)
        adjoints: dict[Value, Value] = {}
        self.seeds: dict[int, Value] = {}
        with using(builder):
            for i, value in enumerate(body.outputs):
                if value.dtype.is_floating_point and (i < parts.carries or given[i]):
                    seed = self.seeds[i] = Value(value.type, f"d{i}")
                    adjoints[value] = o.add(adjoints[value], seed) if value in adjoints else seed
            dependent = _dependent(body)
            pull_back(body.nodes, adjoints, dependent.__contains__, lambda n: builder.at(n, "grad", "backward"))
            builder.at(parts.node, "grad", "backward")
            self.next = [
                adjoints.get(v) or o.zeros(shape=v.shape, dtype=v.dtype)
                for v in self.carried
                if v.dtype.is_floating_point
            ]
            self.pieces = {v: adjoints[v] for v in self.sliced if v in adjoints and v.dtype.is_floating_point}
            self.totals: dict[Value, tuple[Value, Value]] = {}
            for value in self.fixed:
                if value in adjoints and value.dtype.is_floating_point:
                    wide = accumulator(value.dtype)
                    total = Value(value.type.with_dtype(wide), f"total_{value.name}")
                    self.totals[value] = total, o.add(total, o.cast(adjoints[value], to=wide))
        self.missing = self._read_forward(builder.nodes)

    def _results(self) -> list[Value]:
        return [*self.next, *(after for _, after in self.totals.values()), *self.pieces.values()]

    def _read_forward(self, nodes: list[Node]) -> list[Value]:
        """Give the backward body the values that it reads of an iteration; returns those to be saved for that.

        Cheap values are computed again from those that are there.
        """
        kept = live_nodes(Graph("", nodes=nodes, outputs=self._results()))
        made = {v for n in kept for v in n.outputs} | set(self.seeds.values()) | {t for t, _ in self.totals.values()}
        read = dict.fromkeys(v for n in kept for v in n.inputs if v not in made)
        read.update(dict.fromkeys(v for v in self._results() if v not in made))
        there = {*self.sliced, *self.fixed, *self.parts.slices}
        missing = [v for v in read if v not in there and not _costs_nothing(v)]
        for value in read:
            missing += _cheapest(value, there.union(missing))
        there.update(missing)
        self.params: dict[Value, Value] = {}
        builder = GraphBuilder()
        env: dict[Value, Value] = {}

        def have(value: Value) -> Value:
            if value in made:
                return env.get(value, value)
            if value not in env:
                if value in there:
                    env[value] = self.params[value] = Value(value.type, _name(value))
                else:
                    again(value.producer)
            return env[value]

        def again(node: Node | None) -> None:
            assert node is not None
            inputs = tuple([have(v) for v in node.inputs])
            clone = node.copy(inputs, loc=node.loc.noted("grad"), phase="backward")
            builder.nodes.append(clone)
            env.update(zip(node.outputs, clone.outputs, strict=True))

        for node in kept:
            outputs = copy_node(builder, node, tuple([have(v) for v in node.inputs]))
            env.update(zip(node.outputs, outputs, strict=True))
        self.graph.outputs = [have(v) for v in self._results()]
        self.graph.nodes = builder.nodes
        return missing

    def record(self, grads: Sequence[Value | None], stacks: dict[Value, Value]) -> list[Value | None]:
        """Record the backward loop; returns a gradient or None per operand of the loop."""
        node, parts = self.parts.node, self.parts
        _, sequences, fixed = parts.split(node.inputs)
        inits, params = [], []
        for i, seed in self.seeds.items():
            if i < parts.carries:
                g = grads[i]
                inits.append(o.zeros(shape=seed.shape, dtype=seed.dtype) if g is None else g)
                params.append(seed)
        for total, _ in self.totals.values():
            inits.append(o.zeros(shape=total.shape, dtype=total.dtype))
            params.append(total)
        along: list[Value] = []
        for i, seed in self.seeds.items():
            g = grads[i]
            if i >= parts.carries and g is not None:
                along.append(g)
                params.append(seed)
        where = dict(zip(self.sliced, sequences, strict=True)) | stacks
        outside = dict(zip(self.fixed, fixed, strict=True))
        rest: list[Value] = []
        for group, table in ((along, where), (rest, outside)):
            for value, param in self.params.items():
                if value in table:
                    group.append(table[value])
                    params.append(param)
        for param in params:
            self.graph.params.append(Param(param, "input"))
        results = loop(
            [*inits, *along, *rest], self.graph, node.attrs["length"], len(inits), len(along), not node.attrs["reverse"]
        )
        found = iter(results)
        first = [next(found) if v.dtype.is_floating_point else None for v in self.carried]
        totals = {v: o.cast(next(found), to=v.dtype) for v in self.totals}
        pieces = dict(zip(self.pieces, found, strict=True))
        return [*first, *(pieces.get(v) for v in self.sliced), *(totals.get(v) for v in self.fixed)]


def _with_rule(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
    """The expansion of a composite without a gradient rule of its own."""
    return node.op.expansion(*inputs, **node.attrs) if node.op.has_no_rule else None


def _dependent(body: Graph) -> set[Value]:
    """The values through which gradients of the body's inputs flow."""
    found = {v for v in body.inputs() if v.dtype.is_floating_point}
    for node in body.nodes:
        if node.op.differentiable and any(v in found for v in node.inputs):
            found.update(v for v in node.outputs if v.dtype.is_floating_point)
    return found


def _costs_nothing(value: Value) -> bool:
    """Whether computing ``value`` again costs less than keeping it, given what it is computed from."""
    node = value.producer
    if node is None:
        return False
    return node.op.is_free or node.op.is_cheap


def _missing(value: Value, there: set[Value], depth: int = 6) -> dict[Value, None]:
    """The values to save, beside those that are ``there``, to compute ``value`` again."""
    if value in there:
        return {}
    node = value.producer
    if node is None or depth == 0 or not _costs_nothing(value):
        return {value: None}
    found: dict[Value, None] = {}
    for operand in node.inputs:
        found |= _missing(operand, there, depth - 1)
    return found


def _cheapest(value: Value, there: set[Value]) -> list[Value]:
    """:func:`_missing`, or ``value`` itself where that is less to save."""
    found = _missing(value, there)
    return [value] if sum(v.type.nbytes for v in found) > value.type.nbytes else list(found)


def _name(value: Value) -> str:
    return value.name or (value.producer.op.name if value.producer is not None else "")


def _infer(*types: TensorType, **attrs: Any) -> tuple[TensorType, ...]:
    raise OpError("the results of a loop are the results of its body")


def _types(types: Sequence[TensorType], body: Graph, attrs: dict[str, Any]) -> tuple[TensorType, ...]:
    length, carries, sequences = attrs["length"], attrs["carries"], attrs["sequences"]
    if length < 1:
        raise OpError(f"a loop runs at least once, not {length} times")
    inner = [v.type for v in body.inputs()]
    if len(types) != len(inner) or carries + sequences > len(inner) or carries > len(body.outputs):
        raise OpError(
            f"{len(types)} operands and {carries} carries do not fit a body of {len(inner)} inputs and "
            f"{len(body.outputs)} results"
        )
    for i, (outer, inside) in enumerate(zip(types, inner, strict=True)):
        expected = stacked(inside, length) if carries <= i < carries + sequences else inside
        if outer != expected:
            raise OpError(f"operand {i} is {outer}, the body takes {inside}, so it should be {expected}")
    for i, (before, after) in enumerate(zip(inner[:carries], body.outputs, strict=False)):
        if before != after.type:
            raise OpError(f"carry {i} enters the body as {before} and leaves it as {after.type}")
    if body.updates:
        raise OpError("the body of a loop updates no states")
    return result_types(body, length, carries)


LOOP = register(Op("loop", _infer, "loop", vjp=_vjp, attrs=ATTRS, infer_body=_types, anchor="loop"))
