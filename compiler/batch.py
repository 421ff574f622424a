"""How the values of a step follow from the values of its micro-batches.

A micro-batch is a part of the batch. :class:`Part` says how the whole batch's value is made of the values of the
micro-batches: rows are put behind each other, sums are added, and so on. :func:`derive` finds the part of an op's
results from the parts of its operands. A rule for each primitive is enough: composites are taken to pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from compiler.ir.ambient import using
from compiler.ir.graph import Graph, Node, Param, Value
from compiler.ir.op import OPS, Op, as_cast
from compiler.ir.replay import ExpandingBuilder
from compiler.ir.types import TensorType
from compiler.ops.loop import Parts as LoopParts


class Part(NamedTuple):
    """How the whole batch's value follows from the values of the micro-batches.

    way: ``"same"``, every micro-batch has the whole batch's value; ``"rows"``, each has its part of dimension ``axis``;
    ``"sum"``, ``"mean"``, ``"max"`` or ``"min"`` of them; ``"own"``, each has its own: the statistics of a batch norm.
    """

    way: str
    axis: int = 0


SAME, SUM, MEAN, OWN = Part("same"), Part("sum"), Part("mean"), Part("own")
Found = tuple[Part, ...] | None
"""The parts of an op's results; None where they do not follow from the micro-batches."""


def derive(node: Node, parts: Sequence[Part]) -> Found:
    """The parts of the results of ``node``, whose operands have ``parts``.

    Known by name are composites of which the expansion would tell less.
    """
    name, ways = node.op.name, {p.way for p in parts}
    if node.op.statistics and parts[0] == ("rows", 0) and ways == {"rows", "same"}:
        return parts[0], *(OWN,) * (len(node.outputs) - 1)
    if name == "unbiased" and parts[0] == OWN:
        return (OWN,)
    if ways <= {"same", "own"}:
        return (SAME if ways <= {"same"} else OWN,) * len(node.outputs)
    if node.op.kind == "grad":
        return _gradients(node, parts)
    if node.op.kind == "loop":
        return _loop(node, parts)
    if name == "mean":
        return _averaged(_reduction(OPS["sum"], node, parts[0]), node.attrs["axes"], parts[0])
    if name in ("linear", "matmul") and _maps_rows(node, parts):
        return (parts[0],)
    if node.op.expand is not None:
        found = _composite(node, parts)
        if node.attrs.get("reduction") == "mean" and found is not None:
            return tuple([MEAN if p == SUM else p for p in found])
        return found
    return _primitive(node, parts, None)


def micro_type(type: TensorType, part: Part, count: int) -> TensorType:
    """The type of one of ``count`` micro-batches' parts of a value of ``type``."""
    if part.way != "rows":
        return type
    return TensorType(type.dtype, tuple(n // count if a == part.axis else n for a, n in enumerate(type.shape)))


def micro_node(node: Node, inputs: Sequence[Value], parts: Sequence[Part], found: Sequence[Part], count: int) -> Node:
    """``node`` on the values of one micro-batch; ``parts`` and ``found`` are the parts of its operands and results."""
    attrs, body = dict(node.attrs), node.body
    for key in ("shape", "stop"):
        first = found[0] if found else SAME
        if key in attrs and first.way == "rows" and node.op.kind in ("view", "index"):
            attrs[key] = tuple(n // count if a == first.axis else n for a, n in enumerate(attrs[key]))
    if node.op.kind == "loop" and body is not None:
        body = _micro_body(body, _inner(node, parts), count)
    types = tuple([micro_type(v.type, p, count) for v, p in zip(node.outputs, found, strict=True)])
    return node.copy(tuple(inputs), types=types, attrs=attrs, body=body)


# Structure


def _gradients(node: Node, parts: Sequence[Part]) -> Found:
    """Gradients of a sum are sums, those of rows are rows; gradients of a mean are means."""
    loss, seed = parts[0], parts[1] if node.attrs["seed"] else SAME
    sources = parts[2:] if node.attrs["seed"] else parts[1:]
    if loss.way == "rows" and seed == loss:
        loss = SUM
    elif seed != SAME:
        return None
    if loss == SUM and all(p.way in ("same", "rows") for p in sources):
        return tuple([p if p.way == "rows" else SUM for p in sources])
    return (MEAN,) * len(sources) if loss == MEAN and all(p == SAME for p in sources) else None


def _inner(node: Node, parts: Sequence[Part]) -> list[Part]:
    """The parts of the inputs of a loop's body."""
    first, second = node.attrs["carries"], node.attrs["carries"] + node.attrs["sequences"]
    return [_shifted(p, -1) if first <= i < second else p for i, p in enumerate(parts)]


def _shifted(part: Part, by: int) -> Part:
    return Part(part.way, part.axis + by) if part.way == "rows" else part


def _loop(node: Node, parts: Sequence[Part]) -> Found:
    if any(p.way not in ("rows", "same") for p in parts):
        return None
    inner = _inner(node, parts)
    if any(p.axis < 0 for p in inner):
        return None
    loop = LoopParts.of(node)
    found = _body_parts(loop.body, inner)
    if found is None or [found[v] for v in loop.next] != inner[: loop.carries]:
        return None
    return *inner[: loop.carries], *(_shifted(found[v], 1) for v in loop.slices)


def _body_parts(body: Graph, inputs: Sequence[Part]) -> dict[Value, Part] | None:
    found = dict(zip(body.inputs(), inputs, strict=True))
    for node in body.nodes:
        parts = derive(node, [found[v] for v in node.inputs])
        if parts is None or any(p.way not in ("rows", "same") for p in parts):
            return None
        found.update(zip(node.outputs, parts, strict=True))
    return found


def _micro_body(body: Graph, inputs: Sequence[Part], count: int) -> Graph:
    found = _body_parts(body, inputs)
    assert found is not None
    env = {v: Value(micro_type(v.type, found[v], count), v.name) for v in body.inputs()}
    nodes = []
    for node in body.nodes:
        parts = [found[v] for v in node.inputs]
        made = micro_node(node, [env[v] for v in node.inputs], parts, [found[v] for v in node.outputs], count)
        nodes.append(made)
        env.update(zip(node.outputs, made.outputs, strict=True))
    params = [Param(env[p.value], p.kind, p.label) for p in body.params]
    return Graph(body.name, params, nodes, [], [env[v] for v in body.outputs])


# Composites


def _maps_rows(node: Node, parts: Sequence[Part]) -> bool:
    """Whether a product maps each row by one matrix; its expansion makes one dimension of all but the last."""
    x, matrix = node.inputs[:2]
    constant = all(p.way in ("same", "own") for p in parts[1:])
    return constant and matrix.type.rank == 2 and parts[0].way == "rows" and parts[0].axis < x.type.rank - 1


def _composite(node: Node, parts: Sequence[Part]) -> Found:
    """The parts of the results, from the expansion of ``node`` on the whole batch; a mean is taken for a sum."""
    types, attrs = as_cast([v.type for v in node.inputs], node.attrs)
    if attrs.get("reduction") == "mean":
        attrs = {**attrs, "reduction": "sum"}
    operands = [Value(t) for t in types]
    builder = ExpandingBuilder()
    with using(builder):
        results = node.op.expansion(*operands, **attrs)
    found: dict[Value, Part | None] = dict(zip(operands, parts, strict=True))
    given = set(operands)
    for inner in builder.nodes:
        known = [found[v] for v in inner.inputs]
        present = [p for p in known if p is not None]
        ways = {p.way for p in present}
        if len(present) < len(known):
            made: Found = None
        elif ways <= {"same", "own"}:
            made = ((SAME if ways <= {"same"} else OWN),) * len(inner.outputs)
        else:
            made = _primitive(inner, present, given)
        found.update(zip(inner.outputs, made or (None,) * len(inner.outputs), strict=True))
    out = [found[v] for v in results]
    first = parts[0]
    if first.way == "rows":  # such as the places of maxima in windows of one element
        size = node.inputs[0].shape[first.axis]
        out = [
            first if p == SAME and _repeated(v, first.axis, size, given) else p
            for v, p in zip(results, out, strict=True)
        ]
    return None if None in out else tuple([p for p in out if p is not None])


def _repeated(value: Value, axis: int, size: int, given: set[Value]) -> bool:
    return axis < value.type.rank and value.shape[axis] == size and _even(value, axis, given)


def _even(value: Value, axis: int, given: set[Value] | None) -> bool:
    """Whether a value that no batch goes into is the same along ``axis``, so that a micro-batch may make its part.

    ``given`` are the operands of the composite whose expansion ``value`` belongs to; None: it belongs to none. A draw
    counts, for one of a micro-batch's size is as random.
    """
    if value.shape[axis] == 1:
        return True
    node = value.producer
    if given is None or value in given or node is None:
        return False
    return repeats(value, axis) or node.op.kind == "random" or _views(node, axis, given)


def _views(node: Node, axis: int, given: set[Value]) -> bool:
    if node.op.keeps == "elements":
        return _even(node.inputs[0], node.attrs["dims"][axis], given)
    if node.op.keeps == "order":
        source, shape = node.inputs[0], node.output.shape
        back = _through_reshape(shape, source.shape, axis)
        return back is not None and source.shape[back] == shape[axis] and _even(source, back, given)
    if (node.op.kind == "pointwise" and node.inputs) or node.op.name == "expand":
        rank = node.output.type.rank
        return all(axis < rank - v.type.rank or _even(v, axis - rank + v.type.rank, given) for v in node.inputs)
    return False


def repeats(value: Value, axis: int) -> bool:
    """Whether ``value`` is made by repeating one slice along ``axis``."""
    node = value.producer
    if node is None:
        return False
    if node.op.kind == "pointwise" and node.op.is_free and not node.op.numbered:
        return True
    if node.op.name != "expand":
        return False
    inner = axis - value.type.rank + node.inputs[0].type.rank
    return inner < 0 or node.inputs[0].shape[inner] == 1 or repeats(node.inputs[0], inner)


# Primitives


def _primitive(node: Node, parts: Sequence[Part], given: set[Value] | None) -> Found:
    """The rule of a primitive some of whose operands depend on the batch."""
    kind = node.op.kind
    if kind == "pointwise":
        found = _pointwise(node, parts, given)
    elif kind == "reduce":
        found = _reduction(node.op, node, parts[0])
    elif kind == "contract":
        found = _dot(node, parts, given)
    elif kind == "view":
        found = _view(node, parts[0])
    elif kind == "index":
        found = _index(node, parts, given)
    else:
        found = None
    return None if found is None else (found,)


def _aligned(node: Node, parts: Sequence[Part], given: set[Value] | None, rank: int) -> Part | None:
    """The rows that operands broadcast to ``rank`` dimensions agree on."""
    places = set()
    for value, part in zip(node.inputs, parts, strict=True):
        if part.way == "rows":
            places.add((part.axis + rank - value.type.rank, value.shape[part.axis]))
        elif part.way not in ("same", "own"):
            return None
    if len(places) != 1:
        return None
    ((axis, _),) = places
    for value, part in zip(node.inputs, parts, strict=True):
        inner = axis - rank + value.type.rank
        if part.way != "rows" and inner >= 0 and not _even(value, inner, given):
            return None
    return Part("rows", axis)


def _pointwise(node: Node, parts: Sequence[Part], given: set[Value] | None) -> Part | None:
    """How a result joins, given how operands do."""
    if any(p.way == "rows" for p in parts):
        return _aligned(node, parts, given, node.output.type.rank)
    algebra, ways = node.op.algebra, [p.way for p in parts]
    varying = [w for w in ways if w != "same"]
    way = varying[0] if len(set(varying)) == 1 else ""
    linear = way in ("sum", "mean")
    floating = node.output.dtype.is_floating_point
    if node.op.converts:
        keeps = floating or (way != "mean" and node.output.dtype.kind == "int" and not _floats(node))
        return parts[0] if keeps else None
    if algebra == "negative":
        return Part({"max": "min", "min": "max"}.get(way, way))
    if algebra in ("product", "quotient") and linear and len(varying) == 1:
        return Part(way) if algebra == "product" or ways[1] == "same" else None
    if algebra == "sum" and linear and (way == "mean" or len(varying) == 2):
        return Part(way)
    if way in ("max", "min") and algebra == way:
        return Part(way)
    return None


def _floats(node: Node) -> bool:
    return any(v.dtype.is_floating_point for v in node.inputs)


def _reduction(op: Op, node: Node, part: Part) -> Part | None:
    axes = node.attrs["axes"]
    algebra = OPS[op.join].algebra if op.join else ""
    if part.way != "rows":
        return part if part.way == algebra or (algebra == "sum" and part.way == "mean") else None
    if part.axis not in axes:
        return part if node.attrs["keepdim"] else Part("rows", part.axis - sum(a < part.axis for a in axes))
    return Part(algebra) if algebra in ("sum", "max", "min") else None


def _averaged(found: Part | None, axes: Sequence[int], part: Part) -> Found:
    if found is None:
        return None
    return (MEAN if part.way == "rows" and part.axis in axes else found,)


def _dot(node: Node, parts: Sequence[Part], given: set[Value] | None) -> Part | None:
    """``[*batch, M, K]`` with ``[*batch, K, N]``."""
    (a, b), rank = parts, node.output.type.rank
    ways = (a.way, b.way)
    if "rows" not in ways:
        linear = SAME in parts and (SUM in parts or MEAN in parts)
        return (a if b == SAME else b) if linear else None
    if a == ("rows", rank - 1) and b == ("rows", rank - 2):
        return SUM
    if (a == ("rows", rank - 2) and b.way in ("same", "own")) or (b == ("rows", rank - 1) and a.way in ("same", "own")):
        return a if a.way == "rows" else b
    found = _aligned(node, parts, given, rank)
    return found if found is not None and found.axis < rank - 2 else None


def _through_reshape(shape: Sequence[int], new: Sequence[int], axis: int) -> int | None:
    """The dimension of ``new`` whose first part is the first part of ``axis`` of ``shape``, in memory order."""
    outer = prod(shape[:axis])
    for place in range(len(new)):
        if prod(new[:place]) == outer and new[place] > 1:
            return place
    return None


def _view(node: Node, part: Part) -> Part | None:
    name, source = node.op.name, node.inputs[0]
    if part.way != "rows":
        return None if node.op.reads == "window" else part
    axis, shape = part.axis, node.output.shape
    if node.op.keeps == "order":
        place = _through_reshape(source.shape, shape, axis)
        return None if place is None else Part("rows", place)
    if node.op.keeps == "elements":
        return Part("rows", node.attrs["dims"].index(axis))
    if name == "expand":
        return Part("rows", axis + len(shape) - source.type.rank)
    if name == "slice":
        return part if _takes_all(node, axis, source) else None
    if node.op.reads == "window":
        return part if axis < source.type.rank - 2 * len(node.attrs["size"]) else None
    return None


def _takes_all(node: Node, axis: int, source: Value) -> bool:
    given = tuple(node.attrs[key][axis] for key in ("start", "stop", "step"))
    return given == (0, source.shape[axis], 1)


def _index(node: Node, parts: Sequence[Part], given: set[Value] | None) -> Part | None:
    name, first, second = node.op.name, parts[0], parts[1] if len(parts) > 1 else SAME
    if node.op.reads == "rows":
        return second if first.way in ("same", "own") and second.way == "rows" else None
    if name == "scatter_rows":
        return SUM if first == second and first.way == "rows" and first.axis < node.inputs[0].type.rank else None
    found = _aligned(node, parts, given, node.output.type.rank)
    if found is None:
        return None
    if "axis" in node.attrs:
        return found if found.axis != node.attrs["axis"] else None
    if node.op.reads == "slice":
        return found if _takes_all(node, found.axis, node.inputs[0]) else None
    if node.op.anchor == "sort":
        return found if found.axis < node.output.type.rank - 1 else None
    return None
