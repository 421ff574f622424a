"""Inserts flags that say which ops made an infinity or a NaN."""

from __future__ import annotations

from math import isfinite
from typing import Literal

from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Node, Update, Value
from compiler.ir.op import o
from compiler.ir.types import boolean, f32

Wanted = Literal["finite", "numbers"]
"""What a result must be: finite, or where infinities are meant, no NaN."""


def check_numerics(graph: Graph, hold: bool) -> Graph:
    """Add a last output, bool[n]: for each of the :func:`watched` ops whether its results are not what they must be.

    One that is not set says as much of the ops whose results it passes on.

    With ``hold`` no state changes in a call in which one is set.

    before::

        %0: f32[4] = log(%x)
        %1: f32[4] = mul(%w, %0)
        update %w = %1
        return %0

    after::

        %0: f32[4] = log(%x)
        %1: f32[4] = mul(%w, %0)
        %2: bool[4] = isfinite(%0)
        %3: bool[4] = logical_not(%2)
        %4: bool[] = any(%3) {axes=[0]}
        %5: bool[1] = reshape(%4) {shape=[1]}
        ...
        %10: bool[2] = concat(%5, %9) {axis=0}
        %11: bool[] = any(%10) {axes=[0]}
        %12: f32[] = cast(%11) {to=f32}
        %13: f32[4] = skip_if(%12, %w, %1)
        update %w = %13
        return %0, %10
    """
    builder = GraphBuilder()
    result = graph.copy()
    wanted = watched(graph)
    last = max((i for i, node in enumerate(graph.nodes) if node in wanted), default=-1)
    updates: dict[Value, list[Update]] = {}
    for update in graph.updates if hold else ():
        updates.setdefault(update.value, []).append(update)
    held: dict[Update, Value] = {}
    flags: list[Value] = []
    with using(builder):
        for node in graph.nodes[: last + 1]:
            builder.add(node)
            if node in wanted:
                builder.at(node, "numerics", node.phase)
                flags.append(_flag(node, wanted[node]))
        builder.phase = "forward"
        found = o.concat(*flags, axis=0) if flags else o.zeros(shape=(1,), dtype=boolean)
        bad = o.cast(o.any(found, axes=(0,)), to=f32) if hold else found

        def hold_back(value: Value) -> None:
            for update in updates.pop(value, ()):
                held[update] = o.skip_if(bad, update.state, value)

        for node in graph.nodes[last + 1 :]:  # the optimizer, whose kernels hold back what they compute
            builder.add(node)
            builder.at(node, "numerics")
            for value in node.outputs:
                hold_back(value)
        for value in [*updates]:
            hold_back(value)
    result.nodes = builder.nodes
    result.outputs = [*graph.outputs, found]
    result.updates = [Update(u.state, held.get(u, u.value)) for u in graph.updates]
    return result


def watched(graph: Graph) -> dict[Node, Wanted]:
    """The ops whose results are looked at, in order, so that nothing escapes that any op of the graph makes.

    Those of :func:`suspects` whose result no op reads that passes everything on (:attr:`compiler.ir.op.Op.spreads`):
    what such an op reads shows in what it makes.
    """
    found = suspects(graph)
    covered: set[Value] = set()
    flagged: dict[Node, Wanted] = {}
    for node in reversed(graph.nodes):
        if node in found and any(v not in covered for v in node.outputs if v.dtype.kind == "float"):
            flagged[node] = found[node]
        shown = flagged.get(node) == "finite" or any(v in covered for v in node.outputs)
        if shown and (node.op.spreads or node.op.keeps):
            covered.update(node.inputs)
    return {node: flagged[node] for node in graph.nodes if node in flagged}


def suspects(graph: Graph) -> dict[Node, Wanted]:
    """The ops that may make an infinity or a NaN: those that compute floats, or round them to 16 bits.

    An infinity that the program writes itself, such as the -inf of a mask, is meant: what is made of it by ops of
    elements and by views may be infinite. Clipped gradients, new parameters and moments are not looked at: what makes
    them infinite shows before, or in the next call.
    """
    meant: set[Value] = set()
    found: dict[Node, Wanted] = {}
    for node in graph.nodes:
        value = node.attrs.get("value")
        writes = isinstance(value, float) and not isfinite(value)
        passes_on = writes or (node.op.kind in ("pointwise", "view", "index") and not meant.isdisjoint(node.inputs))
        if passes_on:
            meant.update(node.outputs)
        widens = node.op.converts and node.inputs[0].dtype.bits <= node.outputs[0].dtype.bits
        makes = (node.op.rounds or node.op.converts) and node.op.differentiable and not (node.op.is_free or widens)
        if makes and any(v.dtype.kind == "float" for v in node.outputs):
            found[node] = "numbers" if passes_on else "finite"
    return found


def _flag(node: Node, wanted: Wanted) -> Value:
    """bool[1]: whether a float result of ``node`` is not what it must be."""
    flags = []
    for value in node.outputs:
        if value.dtype.kind == "float":
            bad = o.isnan(value) if wanted == "numbers" else o.logical_not(o.isfinite(value))
            flags.append(o.any(bad, axes=tuple(range(value.type.rank))))
    flag = flags[0]
    for other in flags[1:]:
        flag = o.logical_or(flag, other)
    return o.reshape(flag, shape=(1,))
