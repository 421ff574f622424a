"""Writes out loops over micro-batches, for targets without loops."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.ir import ambient
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import o
from compiler.ir.replay import rewrite
from compiler.ops.layout import slice_along
from compiler.ops.loop import Parts


def unroll(graph: Graph) -> Graph:
    """Replace every loop over micro-batches by one copy of its body per micro-batch; other loops stay.

    before::

        %0: f32[], %1: f32[2,3] = loop(%zero, %xs, %w) {length=2, carries=1, sequences=1, micro=true} @body {
          ...
          %0: f32[3] = mul(%x, %w)
          %1: f32[] = add(%total, sum(%0))
          return %1, %0
        }

    after::

        %0: f32[3] = mul(reshape(slice(%xs)), %w)
        %1: f32[] = add(%zero, sum(%0))
        %2: f32[3] = mul(reshape(slice(%xs)), %w)
        %3: f32[] = add(%1, sum(%2))
        %4: f32[2,3] = concat(reshape(%0), reshape(%2)) {axis=0}
    """
    return rewrite(graph, _written_out)


def _written_out(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
    if node.op.kind != "loop" or not node.attrs["micro"]:
        return None
    parts = Parts.of(node)
    carries, sequences, fixed = parts.split(inputs)
    carried, sliced, invariants = parts.split(parts.body.inputs())
    builder = ambient.builder()
    assert isinstance(builder, GraphBuilder)
    stacks: list[list[Value]] = [[] for _ in parts.slices]
    for t in range(node.attrs["length"]):
        env = dict(zip((*carried, *invariants), (*carries, *fixed), strict=True))
        for value, stack in zip(sliced, sequences, strict=True):
            env[value] = o.reshape(slice_along(o, stack, 0, t, t + 1), shape=value.shape)
        for inner in parts.body.nodes:
            operands = tuple([env[v] for v in inner.inputs])
            copied = inner.copy(operands)
            builder.nodes.append(copied)
            env.update(zip(inner.outputs, copied.outputs, strict=True))
        carries = [env[v] for v in parts.next]
        for pieces, value in zip(stacks, parts.slices, strict=True):
            pieces.append(o.reshape(env[value], shape=(1, *value.shape)))
    return [*carries, *(o.concat(*pieces, axis=0) for pieces in stacks)]
