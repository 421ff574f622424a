"""Which part of a step can run in a loop over micro-batches, and how that part reads its operands.

:class:`compiler.batch.Part` says how a value follows from micro-batches. Among the ways in which a node could read its
operands, the plan takes the cheapest one from which the result follows. The pass ``accumulate`` makes the loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

from compiler.batch import OWN, SAME, SUM, Part, derive, micro_node, micro_type, repeats
from compiler.errors import OpError, TraceError
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.types import TensorType, i64


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


class MicroPlan:
    """How a step runs in a loop over micro-batches: the place at which each value is computed.

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
        behind = cone(self.graph.nodes, node.inputs)
        return [g for g in self.targets if g in behind and len(behind & set(self.targets)) < len(self.targets)]

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
        self.needed = cone(graph.nodes, [v for g in self.targets for v in g.inputs]) | set(self.targets)
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
            elif node in self.targets or node.op.kind == "grad" or node.op.statistics:
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
            drawn = draws_at_random(node) and not self.live.isdisjoint(node.inputs)
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


def draws_at_random(node: Node) -> bool:
    """Whether ``node`` draws from the generator whose offset is its last operand."""
    return "index" in node.attrs and bool(node.inputs) and node.inputs[-1].type == TensorType(i64, ())


def cone(nodes: Sequence[Node], values: Iterable[Value]) -> set[Node]:
    """The nodes that ``values`` are computed from."""
    wanted, found = set(values), set()
    for node in reversed(nodes):
        if not wanted.isdisjoint(node.outputs):
            found.add(node)
            wanted.update(node.inputs)
    return found


def _moved_states(graph: Graph) -> dict[Value, Value]:
    """The states that a batch norm moves, and those that their new values are computed with: state -> new value."""
    moved = {v for n in graph.nodes if n.op.statistics for v in n.outputs[1:]}
    if not moved:
        return {}
    behind: set[Value] = set()
    for node in graph.nodes:
        if node.op.kind == "grad" or not behind.isdisjoint(node.inputs):
            behind.update(node.outputs)
        elif not node.op.statistics and not moved.isdisjoint(node.inputs):
            moved.update(node.outputs)
    updates = {u.value: u.state for u in graph.updates if u.value not in behind}
    carried = {value for value in updates if value in moved}
    reached = {v for n in cone(graph.nodes, carried) for v in n.outputs}
    carried |= {value for value in updates if value in reached}
    return {updates[value]: value for value in updates if value in carried}
