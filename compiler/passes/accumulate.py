"""Gradient accumulation: one step over several micro-batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from compiler.errors import TraceError
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Node, Param, Update, Value
from compiler.ir.op import o
from compiler.ir.replay import copy_node
from compiler.ir.types import TensorType
from compiler.ops.layout import slice_along


def accumulate(graph: Graph, count: int, split: Sequence[Value], draws: int) -> Graph:
    """Run forward and backward once per micro-batch, and everything behind on the mean of the gradients.

    ``graph`` is the step for one micro-batch; the inputs in ``split`` become ``count`` times as long, and ``draws`` is
    how many draws from the generator one micro-batch takes.

    before::

        input %x: f32[8,4]
        %0: f32[] = mse_loss(%x, %w)
        %1: f32[4] = grad(%0, %w)
        %2: f32[4] = sgd_update(%w, %1, %lr, %wd)

    after, for ``count=2``::

        input %x: f32[16,4]
        %0: f32[8,4] = slice(%x) {start=[0,0], stop=[8,4], step=[1,1]}
        %1: f32[] = mse_loss(%0, %w)
        %2: f32[4] = grad(%1, %w)
        %3: f32[8,4] = slice(%x) {start=[8,0], stop=[16,4], step=[1,1]}
        %4: f32[] = mse_loss(%3, %w)
        %5: f32[4] = grad(%4, %w)
        %6: f32[4] = add(%2, %5)
        %7: f32[4] = div(%6, 2.0)
        %8: f32[4] = sgd_update(%w, %7, %lr, %wd)

    Micro-batch i draws ``i * draws`` further on; gradients are added up as they come. Rank-0 results are averaged,
    results with one row per example joined. States that the forward pass moves, such as running statistics, move once
    per micro-batch. Kernels that do not read the batch itself serve every micro-batch.
    """
    grads = [i for i, n in enumerate(graph.nodes) if n.op.name == "grad"]
    if not grads:
        raise TraceError("accumulate= needs a step that calls backward()")
    forward = {v for n in graph.nodes[: grads[0]] for v in n.outputs}
    moved = {u.state: u.value for u in graph.updates if u.value in forward}
    repeated = _needed(graph.nodes[: grads[-1] + 1], graph, grads, moved.values())
    builder = GraphBuilder()
    inside = set(repeated)
    params, whole = _longer(graph.params, count, split)
    results = [v for n in repeated for v in n.outputs if v in graph.outputs]
    with using(builder):
        summed = [v for n in repeated for v in n.outputs if n.op.name == "grad" or (v in results and not v.type.rank)]
        totals: dict[Value, Value] = {}
        rows: dict[Value, list[Value]] = {v: [] for v in results if v.type.rank}
        new: dict[Value, Value] = {}
        for k in range(count):
            states = {state: new[value] for state, value in moved.items()} if k else {}
            new = _round(builder, repeated, whole, states, k, draws)
            builder.loc = repeated[-1].loc.noted("accumulate")
            for value in summed:
                totals[value] = o.add(totals[value], new[value]) if k else new[value]
            for value, parts in rows.items():
                parts.append(new[value])
        new |= {value: o.div(total, float(count)) for value, total in totals.items()}
        new |= {value: o.concat(*parts, axis=0) for value, parts in rows.items()}
        for node in graph.nodes:
            if node in inside:
                continue
            outputs = copy_node(builder, node, tuple([new.get(v, v) for v in node.inputs]))
            new.update(zip(node.outputs, outputs, strict=True))
        updates = [Update(u.state, new.get(u.value, u.value)) for u in graph.updates]
    return Graph(graph.name, params, builder.nodes, updates, [new.get(v, v) for v in graph.outputs])


def _needed(nodes: Sequence[Node], graph: Graph, grads: Sequence[int], moved: Iterable[Value]) -> list[Node]:
    """The nodes that gradients, and results and new states in front of them, come from."""
    wanted = {v for i in grads for v in graph.nodes[i].outputs} | set(graph.outputs) | set(moved)
    kept = []
    for node in reversed(nodes):
        if any(v in wanted for v in node.outputs):
            kept.append(node)
            wanted.update(node.inputs)
    kept.reverse()
    return kept


def _longer(params: Sequence[Param], count: int, split: Sequence[Value]) -> tuple[list[Param], dict[Value, Value]]:
    result, whole = [], {}
    for param in params:
        value = param.value
        if value in split:
            kind = TensorType(value.dtype, (count * value.shape[0], *value.shape[1:]))
            whole[value] = Value(kind, value.name)
            param = Param(whole[value], param.kind, param.label)
        result.append(param)
    return result, whole


def _round(
    builder: GraphBuilder,
    nodes: Sequence[Node],
    whole: dict[Value, Value],
    states: dict[Value, Value],
    k: int,
    draws: int,
) -> dict[Value, Value]:
    """Micro-batch ``k``, with ``states`` as the one before left them: values of one micro-batch -> their copies."""
    env = dict(states)
    for value, long in whole.items():
        rows = value.shape[0]
        env[value] = slice_along(o, long, 0, k * rows, (k + 1) * rows)
    for node in nodes:
        inputs = tuple([env.get(v, v) for v in node.inputs])
        attrs = node.attrs
        if "index" in attrs and k:
            attrs = {**attrs, "index": attrs["index"] + k * draws}
        copied = Node(node.op, inputs, tuple(v.type for v in node.outputs), attrs, node.body, node.loc)
        builder.nodes.append(copied)
        env.update(zip(node.outputs, copied.outputs, strict=True))
    return env
