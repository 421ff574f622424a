"""Reductions whose axes do not stand together, one end at a time."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import Op, o
from compiler.ir.replay import noted, rewrite
from compiler.ir.types import Shape, f32


def split_reductions(graph: Graph) -> Graph:
    """Reduce over the last axes first, or over the leading ones: memory is read in order, and sums are short.

    before::

        %0: f32[32] = sum(%x) {axes=[0,2,3]}              # %x: f32[64,32,28,28]

    after::

        %0: f32[64,32,1,1] = sum(%x) {axes=[2,3], keepdim=true}
        %1: f32[1,32,1,1] = sum(%0) {axes=[0], keepdim=true}
        %2: f32[32] = reshape(%1) {shape=[32]}

    16-bit sums are still rounded once, at the end.
    """
    return rewrite(graph, _split)


def _split(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
    if node.op.kind != "reduce" or not node.op.join:
        return None
    x, axes = inputs[0], node.attrs["axes"]
    if not _first(x.shape, axes):
        return None
    with noted("split_reductions"):
        half = x.dtype.is_half
        result = _reduced(node.op, o.cast(x, to=f32) if half else x, axes)
        if result.shape != node.output.shape:
            result = o.reshape(result, shape=node.output.shape)
        return (o.cast(result, to=x.dtype) if half else result,)


def _reduced(op: Op, x: Value, axes: tuple[int, ...]) -> Value:
    """``op`` over ``axes``, which are kept."""
    first = _first(x.shape, axes)
    if not first:
        return op(x, axes=axes, keepdim=True)
    rest = tuple(a for a in axes if a not in first)
    return _reduced(op, op(x, axes=first, keepdim=True), rest)


def _first(shape: Shape, axes: tuple[int, ...]) -> tuple[int, ...]:
    """Those of ``axes`` at one end of ``shape``, if there are others."""
    kept = [a for a, n in enumerate(shape) if n != 1 and a not in axes]
    gone = [a for a in axes if shape[a] != 1]
    if not kept:
        return ()
    first = tuple(a for a in gone if a > kept[-1]) or tuple(a for a in gone if a < kept[0])
    return first if len(first) < len(gone) else ()
