"""Reads the last step of a recurrent layer where the layer leaves it."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.index import view_chain
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import o
from compiler.ir.replay import noted, rewrite
from compiler.ops.layout import slice_length
from compiler.ops.loop import Parts


def last_steps(graph: Graph) -> Graph:
    """Replace the slice of a stacked result that the last iteration makes by the carry that it is.

    before::

        %h: f32[2,4], %hs: f32[9,2,4] = loop(%h0, %xs) {length=9, ...} @body { ... return %1, %1 }
        %0: f32[2,9,4] = permute(%hs) {dims=[1,0,2]}
        %1: f32[2,1,4] = slice(%0) {start=[0,8,0], stop=[2,9,4], step=[1,1,1]}

    after::

        %h: f32[2,4], %hs: f32[9,2,4] = loop(%h0, %xs) {length=9, ...} @body { ... return %1, %1 }
        %0: f32[1,2,4] = reshape(%h) {shape=[1,2,4]}
        %1: f32[2,1,4] = permute(%0) {dims=[1,0,2]}
        %2: f32[2,1,4] = slice(%1) {start=[0,0,0], stop=[2,1,4], step=[1,1,1]}

    If nothing else reads the stack there is none; its gradient, zeros but for one step, is the carry's gradient.
    """
    return rewrite(graph, _last)


def _last(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
    if node.op.name != "slice":
        return None
    stack, views = view_chain(inputs[0])
    if stack.producer is None or stack.producer.op.kind != "loop" or any(v.op.keeps != "elements" for v in views):
        return None
    parts, made = Parts.of(stack.producer), stack.producer.attrs
    value = dict(zip(parts.stacks, parts.slices, strict=True)).get(stack)
    if value not in parts.next:
        return None
    dims = tuple(range(stack.type.rank))
    for view in views:
        dims = tuple([dims[d] for d in view.attrs["dims"]])
    axis = dims.index(0)
    start, stop, step = (list(node.attrs[key]) for key in ("start", "stop", "step"))
    end = 0 if made["reverse"] else made["length"] - 1
    if start[axis] != end or slice_length(start[axis], stop[axis], step[axis]) != 1:
        return None
    start[axis], stop[axis], step[axis] = 0, 1, 1
    carry = stack.producer.outputs[parts.next.index(value)]
    with noted("last_steps"):
        one = o.permute(o.reshape(carry, shape=(1, *carry.shape)), dims=dims)
        return (o.slice(one, start=tuple(start), stop=tuple(stop), step=tuple(step)),)
