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

    Micro-batch i draws ``i * draws`` further on; gradients are added up as they come, and divided unless the loss is a
    sum. Sums and counts are added, means averaged, results with one row per example joined, also where the step
    computes them behind ``backward``; TraceError for others. States that the forward pass moves, such as running
    statistics, move once per micro-batch. Kernels that do not read the batch itself serve every micro-batch.
    """
    grads = [i for i, n in enumerate(graph.nodes) if n.op.name == "grad"]
    if not grads:
        raise TraceError("accumulate= needs a step that calls backward()")
    forward = {v for n in graph.nodes[: grads[0]] for v in n.outputs}
    moved = {u.state: u.value for u in graph.updates if u.value in forward}
    varying = _varying(graph.nodes, {*split, *moved})
    behind = _behind(graph.nodes, grads)
    candidates = [n for i, n in enumerate(graph.nodes) if i <= grads[-1] or n not in behind]
    looked_at = {v for n in behind for v in n.inputs if v in varying}
    repeated = _needed(candidates, graph, grads, [*moved.values(), *looked_at])
    builder = GraphBuilder()
    inside = set(repeated)
    params, whole = _longer(graph.params, count, split)
    outside = [n for n in graph.nodes if n not in inside]
    read = {v for n in outside for v in n.inputs} | set(graph.outputs)
    joined = {v: _joining(v, varying, split) for n in repeated for v in n.outputs if v in read and v in varying}
    with using(builder):
        parts: dict[Value, list[Value]] = {v: [] for v in joined}
        totals: dict[Value, Value] = {}
        new: dict[Value, Value] = {}
        for k in range(count):
            states = {state: new[value] for state, value in moved.items()} if k else {}
            new = _round(builder, repeated, whole, states, k, draws)
            builder.loc = repeated[-1].loc.noted("accumulate")
            for value, way in joined.items():
                if way == "rows":
                    parts[value].append(new[value])
                else:
                    totals[value] = o.add(totals[value], new[value]) if k else new[value]
        for value, way in joined.items():
            if way == "rows":
                new[value] = o.concat(*parts[value], axis=0)
            else:
                new[value] = o.div(totals[value], float(count)) if way == "mean" else totals[value]
        for node in outside:
            outputs = copy_node(builder, node, tuple([new.get(v, v) for v in node.inputs]))
            new.update(zip(node.outputs, outputs, strict=True))
        updates = [Update(u.state, new.get(u.value, u.value)) for u in graph.updates]
    return Graph(graph.name, params, builder.nodes, updates, [new.get(v, v) for v in graph.outputs])


def _varying(nodes: Sequence[Node], given: set[Value]) -> set[Value]:
    """The values that differ between micro-batches: what comes from ``given`` or from a draw."""
    found = set(given)
    for node in nodes:
        if "index" in node.attrs or not found.isdisjoint(node.inputs):
            found.update(node.outputs)
    return found


def _behind(nodes: Sequence[Node], grads: Sequence[int]) -> set[Node]:
    """The nodes that depend on a gradient."""
    reached: set[Value] = set()
    found = set()
    for i, node in enumerate(nodes):
        if i in grads or not reached.isdisjoint(node.inputs):
            reached.update(node.outputs)
            found.add(node)
    return found


KEEPS = frozenset(("cast", "reshape", "neg", "detach", "expand", "permute"))


def _joining(value: Value, varying: set[Value], split: Sequence[Value]) -> str:
    """How the values of the micro-batches make the whole batch's: "rows", "sum" or "mean"; else TraceError."""
    node = value.producer
    if node is not None and node.op.name == "grad":
        return "sum" if _scalar(node.inputs[0], varying, split) == "sum" else "mean"
    rows = {v.shape[0] for v in split}
    if value.type.rank and value.shape[0] in rows:
        return "rows"
    way = _scalar(value, varying, split)
    if way is None or (way == "mean" and not value.dtype.is_floating_point):
        place = "" if node is None else f", made by {node.op.name} at {node.loc}"
        raise TraceError(
            f"accumulate= cannot tell how a {value.type}{place}, is joined over micro-batches: it is neither a row per "
            "example nor a sum or mean over them; return rows, sums or means, and compute the rest outside"
        )
    return way


def _counts_rows(divisors: Sequence[Value], split: Sequence[Value]) -> bool:
    """Whether a divisor may be the number of rows of a micro-batch, which the whole batch has more of."""
    numbers = [v.producer.attrs["value"] for v in divisors if v.producer and v.producer.op.name == "constant"]
    return any(n and n % v.shape[0] == 0 for n in numbers for v in split)


def _scalar(value: Value, varying: set[Value], split: Sequence[Value]) -> str | None:
    """Whether a value is a sum or a mean over the examples; None where that cannot be told."""
    node = value.producer
    if value not in varying:
        return "mean"
    if node is None:
        return None
    if node.op.name in ("sum", "mean"):
        return node.op.name if 0 in node.attrs["axes"] else None
    if "reduction" in node.attrs:
        return {"sum": "sum", "mean": "mean"}.get(node.attrs["reduction"])
    ways = {_scalar(v, varying, split) for v in node.inputs if v in varying}
    fixed = [v for v in node.inputs if v not in varying]
    if len(ways) != 1 or (node.op.name == "div" and _counts_rows(fixed, split)):
        return None
    (way,) = ways
    if node.op.name in KEEPS or (
        fixed and (node.op.name == "mul" or (node.op.name == "div" and fixed[-1] is node.inputs[1]))
    ):
        return way
    if node.op.name in ("add", "sub"):
        return way if way == "mean" or not fixed else None
    return None


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
