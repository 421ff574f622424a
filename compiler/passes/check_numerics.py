"""Inserts flags that say which ops made an infinity or a NaN."""

from __future__ import annotations

from math import isfinite
from typing import Literal

from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Node, Update, Value
from compiler.ir.op import o
from compiler.ir.replay import copy_node
from compiler.ir.types import boolean, f32
from compiler.ops.contract import accumulator
from compiler.ops.elementwise import as_type

Wanted = Literal["finite", "numbers"]
"""The demand on a result: finite, or where infinities are meant, no NaN."""


def check_numerics(graph: Graph, hold: bool) -> Graph:
    """Add a last output, bool[n]: for each of the :func:`watched` ops whether its results are not what they must be.

    One that is not set says as much of the ops whose results it passes on.

    With ``hold`` no state changes in a call in which one is set.

    before::

        %0: f32[4] = log(%x)
        %1: f32[4] = sgd_update(%w, %0, %lr)
        update %w = %1
        return %0

    after::

        %0: f32[4] = log(%x)
        %1: f32[4] = mul(%0, 0)
        %2: f32[] = sum(%1) {axes=[0]}
        ...
        %9: f32[2] = concat(%4, %8) {axis=0}
        %10: bool[2] = isnan(%9)
        %11: bool[] = any(%10) {axes=[0]}
        %12: f32[] = cast(%11) {to=f32}
        %13: bool[] = ne(%12, 0)
        %14: f32[4] = where(%13, 0, %0)
        %15: f32[4] = sgd_update(%w, %14, %lr)
        %16: f32[4] = skip_if(%12, %w, %15)
        update %w = %16
        return %0, %10

    Zero times an infinity or a NaN is no number, nor is a sum with one: kernels add up what they make without storing
    flags. The optimizer reads gradients through the flags, so that one kernel makes all that is new of a parameter.
    """
    builder = GraphBuilder()
    result = graph.copy()
    wanted = watched(graph)
    last = max((i for i, node in enumerate(graph.nodes) if node in wanted), default=-1)
    updates: dict[Value, list[Update]] = {}
    for update in graph.updates if hold else ():
        updates.setdefault(update.value, []).append(update)
    made = {v for node in graph.nodes[: last + 1] for v in node.outputs if v.dtype.kind == "float"}
    of_states = {*graph.inputs("state")}
    held: dict[Update, Value] = {}
    new: dict[Value, Value] = {}
    gradients: dict[Value, Value] = {}
    with using(builder):
        residues = []
        for node in graph.nodes[: last + 1]:
            builder.add(node)
            if node in wanted:
                builder.at(node, "numerics", node.phase)
                residues.append(_residue(node, wanted[node]))
        builder.phase = "forward"
        found = o.isnan(o.concat(*residues, axis=0)) if residues else o.zeros(shape=(1,), dtype=boolean)
        bad = o.cast(o.any(found, axes=(0,)), to=f32) if hold else found

        def behind(value: Value) -> Value:
            """The stand-in for an operand of an op that reads a state, too."""
            if value in made and value not in gradients:
                gradients[value] = o.where(o.ne(bad, 0.0), 0.0, value)
            return gradients.get(value) or new.get(value, value)

        def hold_back(value: Value) -> None:
            for update in updates.pop(value, ()):
                held[update] = o.skip_if(bad, update.state, new.get(value, value))

        for node in graph.nodes[last + 1 :]:  # the optimizer, whose kernels hold back what they compute
            builder.at(node, "numerics")
            updating = hold and not of_states.isdisjoint(node.inputs)
            if updating:
                of_states.update(node.outputs)
            inputs = [behind(v) if updating else new.get(v, v) for v in node.inputs]
            new.update(zip(node.outputs, copy_node(builder, node, tuple(inputs)), strict=True))
            builder.at(node, "numerics")
            for value in node.outputs:
                hold_back(value)
        for value in [*updates]:
            hold_back(value)
    result.nodes = builder.nodes
    result.outputs = [*(new.get(v, v) for v in graph.outputs), found]
    result.updates = [Update(u.state, held.get(u, new.get(u.value, u.value))) for u in graph.updates]
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


def _residue(node: Node, wanted: Wanted) -> Value:
    """f32[1]: 0, or NaN where a float result of ``node`` is not what it must be."""
    residue: Value | None = None
    for value in node.outputs:
        if value.dtype.kind == "float":
            wide = as_type(value, accumulator(value.dtype))
            bare = o.mul(wide, 0.0) if wanted == "finite" else o.where(o.isnan(wide), wide, 0.0)
            part = as_type(o.sum(bare, axes=tuple(range(value.type.rank))), f32)
            residue = part if residue is None else o.add(residue, part)
    assert residue is not None
    return o.reshape(residue, shape=(1,))
