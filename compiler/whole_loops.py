"""Loops that a target runs as one kernel: each a fused node of kind "loop", in place of the loop of kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from compiler.ir import ambient
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import OPS, o
from compiler.ir.replay import in_loops, inline, rewrite

K = TypeVar("K")


class Unfit(Exception):
    """Why a loop is not one kernel."""


def gathered(graph: Graph, kernel: Callable[[Graph], K]) -> tuple[Graph, dict[Graph, K], list[str]]:
    """The graph, the ``kernel`` of each loop in it by the body of its fused node, and why other loops have none.

    ``kernel`` takes a graph of one loop, with ops in place of kernels in its body, and may raise :class:`Unfit`.

    before::

        %h: f32[2,3] = loop(%h0, %w) {length=5, carries=1, sequences=0} @body { ... }

    after::

        %h: f32[2,3] = fused(%h0, %w) {kind="loop"} { ... loop ... }
    """
    kernels: dict[Graph, K] = {}
    unfit: list[str] = []

    def gather(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node.op.kind != "loop" or node.attrs["micro"]:  # a micro-batch is a whole training step
            return None
        whole = Graph(node.inner.name)
        params = [whole.add_param(v.type, "input", "", f"a{i}") for i, v in enumerate(inputs)]
        whole.nodes = [node.copy(tuple(params), body=_flat(node.inner))]
        whole.outputs = list(whole.nodes[0].outputs)
        try:
            kernels[whole] = kernel(whole)
        except Unfit as reason:
            unfit.append(f"{node.attrs['length']} iterations at {node.loc} launch kernels of their own: {reason}")
            return None
        builder, types = ambient.builder(), tuple(v.type for v in node.outputs)
        assert isinstance(builder, GraphBuilder)
        return builder.add(Node(OPS["fused"], inputs, types, {"kind": "loop"}, whole, node.loc, node.phase))

    return in_loops(lambda inner: rewrite(inner, gather))(graph), kernels, unfit


def _flat(body: Graph) -> Graph:
    """A loop's body without kernels; a cast of a concatenation is one of casts."""

    def flatten(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        whole = node.op.kind != "fused" or any(inner.body is not None for inner in node.inner.nodes)
        return None if whole else inline(node.inner, inputs)

    def divide(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        joined = inputs[0].producer if node.op.converts else None
        if joined is None or joined.op.reads != "parts":
            return None
        return [o.concat(*[o.cast(v, to=node.output.dtype) for v in joined.inputs], axis=joined.attrs["axis"])]

    return rewrite(rewrite(body, flatten), divide)
