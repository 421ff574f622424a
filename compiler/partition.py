"""A graph with gradients cut in two: a forward half that is run at once, and a backward half that is run later."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Node, Param, Value
from compiler.ir.location import Phase
from compiler.ir.op import o
from compiler.ir.replay import live_nodes


@dataclass(frozen=True)
class Halves:
    """Two graphs that together compute what one did.

    Attributes:
        forward: the results and updates; its last outputs are those residuals that are no result anyway.
        residuals: which outputs of ``forward`` the backward half reads.
        borrowed: which inputs of ``forward`` it reads, as places among its parameters.
        backward: reads the residuals, then borrowed values, then the seeds; returns the gradients.
    """

    forward: Graph
    residuals: tuple[int, ...]
    borrowed: tuple[int, ...]
    backward: Graph


def partition(joint: Graph, seeds: Sequence[Value], gradients: int, kept: Collection[Value] = ()) -> Halves:
    """Cut ``joint``, whose last ``gradients`` outputs are gradients, linear in the inputs ``seeds``.

    ``kept``: states whose contents before the call are residuals in any case, if the call updates them.

    before::

        graph @f(state %w: f32[4], input %x: f32[4], input %seed: f32[4]) {
          %0: f32[4] = mul(%w, %x)
          %1: f32[4] = exp(%0)
          %2: f32[4] = backward mul(%seed, %1)
          %3: f32[4] = backward mul(%2, %x)
          return %1, %3
        }

    after, with ``residuals=(0,)`` and ``borrowed=(1,)``::

        graph @f(state %w: f32[4], input %x: f32[4]) {
          %0: f32[4] = mul(%w, %x)
          %1: f32[4] = exp(%0)
          return %1
        }
        graph @f_backward(input %residual: f32[4], input %x: f32[4], input %seed: f32[4]) {
          %0: f32[4] = backward mul(%seed, %residual)
          %1: f32[4] = backward mul(%0, %x)
          return %1
        }

    The forward half computes what results and updates need. The backward half is the rest: it computes views and
    constants again, reads states and arguments where they are, and all else as residuals. A state that the call updates
    is a residual, with its contents from before.
    """
    return _Partition(joint, seeds, gradients, kept).halves()


class _Partition:
    def __init__(self, joint: Graph, seeds: Sequence[Value], gradients: int, kept: Collection[Value]) -> None:
        count = len(joint.outputs) - gradients
        self.joint, self.seeds, self.kept = joint, seeds, kept
        self.gradients = joint.outputs[count:]
        self.params = [p for p in joint.params if p.value not in set(seeds)]
        self.outputs = joint.outputs[:count]
        self.nodes = live_nodes(Graph(joint.name, self.params, joint.nodes, joint.updates, self.outputs))
        self.made = {v for node in self.nodes for v in node.outputs}
        self.updated = {update.state for update in joint.updates}
        self.builder = GraphBuilder()
        self.back = Graph(f"{joint.name}_backward")
        self.new: dict[Value, Value] = {}
        self.residuals: dict[Value, Param] = {}
        self.borrowed: dict[int, Param] = {}
        self.places = {p.value: i for i, p in enumerate(self.params)}

    def halves(self) -> Halves:
        seeds = [self.back.add_param(v.type, "input", "", v.name or "seed") for v in self.seeds]
        self.new.update(zip(self.seeds, seeds, strict=True))
        given = list(self.back.params)
        forward = set(self.nodes)
        wanted = live_nodes(Graph(self.joint.name, [], self.joint.nodes, [], self.gradients))
        with using(self.builder):
            for node in wanted:
                if node not in forward:
                    self._copy(node)
            self.back.outputs = [self._read(v) for v in self.gradients]
            for value in self.kept:
                if value in self.updated:
                    self._read(value)
        self.back.nodes = self.builder.nodes
        self.back.params = [*self.residuals.values(), *self.borrowed.values(), *given]
        outputs = list(self.outputs)
        outputs += [v for v in self.residuals if v not in outputs]
        forward_half = Graph(self.joint.name, self.params, self.nodes, self.joint.updates, outputs)
        places = tuple([outputs.index(v) for v in self.residuals])
        return Halves(forward_half, places, tuple(self.borrowed), self.back)

    def _copy(self, node: Node) -> None:
        inputs = tuple([self._read(v) for v in node.inputs])
        if node.op.reads == "memory":
            self.new[node.output] = inputs[0]
            return
        phase: Phase = "recomputed" if node.phase == "recomputed" else "backward"
        copied = node.copy(inputs, loc=node.loc.noted("grad"), phase=phase)
        self.builder.nodes.append(copied)
        self.new.update(zip(node.outputs, copied.outputs, strict=True))

    def _read(self, value: Value) -> Value:
        """``value`` in the backward half."""
        if value in self.new:
            return self.new[value]
        if value in self.places and value not in self.updated:
            found = self.params[self.places[value]]
            kind = "scalar" if found.kind == "scalar" else "input"
            self.new[value] = self.back.add_param(value.type, kind, found.label, value.name)
            self.borrowed[self.places[value]] = self.back.params[-1]
        elif value in self.made and value.producer is not None and value.producer.op.is_free:
            self._copy(value.producer)
        else:
            self.new[value] = self.back.add_param(value.type, "input", "", value.name or "residual")
            self.residuals[value] = self.back.params[-1]
        return self.new[value]


def _dependent(graph: Graph, sources: Collection[Value]) -> set[Value]:
    """``sources`` and everything computed from them."""
    found = set(sources)
    for node in graph.nodes:
        if not found.isdisjoint(node.inputs):
            found.update(node.outputs)
    return found


def without_seeds(backward: Graph, seeds: Collection[Value], missing: Collection[Value]) -> tuple[Graph, list[bool]]:
    """``backward`` with the seeds in ``missing`` zero, and for each gradient whether it is there.

    Gradients are linear in the seeds: a node all of whose operands that depend on a seed are zero makes zeros, and is
    left out, also where its other operands are infinite. Inputs that nothing reads any more stay.
    """
    dependent = _dependent(backward, seeds)
    zero = set(missing)
    builder = GraphBuilder()
    new: dict[Value, Value] = {}

    def read(value: Value) -> Value:
        if value in zero:
            return o.zeros(shape=value.shape, dtype=value.dtype)
        return new.get(value, value)

    with using(builder):
        for node in backward.nodes:
            linear = [v for v in node.inputs if v in dependent]
            left = [v for v in linear if v not in zero]
            if linear and not left:
                zero.update(node.outputs)
            elif node.op.name == "add" and len(left) < len(linear) == 2 and left[0].type == node.output.type:
                new[node.output] = read(left[0])
            else:
                builder.at(node)
                copied = node.copy(tuple(map(read, node.inputs)))
                builder.nodes.append(copied)
                new.update(zip(node.outputs, copied.outputs, strict=True))
        found = [v in dependent and v not in zero for v in backward.outputs]
        outputs = [read(v) for v, there in zip(backward.outputs, found, strict=True) if there]
    return Graph(backward.name, backward.params, builder.nodes, [], outputs), found
