"""The domain of a kernel: how reductions lie in it, where its results come from, and how its columns are walked."""

from __future__ import annotations

from collections.abc import Iterable

from compiler.index import Index, Var, broadcast, parts_in_concat, refined, through_view
from compiler.ir.graph import Graph, Node, Value

LOOKUPS = ("take", "gather")
"""Pointwise ops that read their first operand, a table in memory, at a computed place."""

CHECKS = ("bounded", "divisor")
"""Pointwise ops that give their operand back, and report one that is not as it must be."""

SHORT = 4
"""An inner loop of so few elements takes in the dimension around it."""

FEWEST_ROWS = 64
"""The inner loop of a pointwise kernel is made longer only where this many rows remain."""


def reduction_class(shape: tuple[int, ...], axes: Iterable[int]) -> str:
    """``row`` (trailing axes), ``column`` (leading axes), ``full`` (all), or ``mixed``."""
    axes = set(axes)
    kept = [a for a, n in enumerate(shape) if a not in axes and n != 1]
    gone = [a for a, n in enumerate(shape) if a in axes and n != 1]
    if not kept:
        return "full"
    if not gone or max(kept) < min(gone):
        return "row"
    return "column" if max(gone) < min(kept) else "mixed"


def concat_of(value: Value) -> Node | None:
    """The concatenation that ``value`` is, seen through reshapes and casts."""
    while value.producer is not None and value.producer.op.name in ("reshape", "detach", "cast"):
        value = value.producer.inputs[0]
    node = value.producer
    return node if node is not None and node.op.name == "concat" else None


def inner_columns(body: Graph, size: int) -> int:
    """The inner loop of a pointwise kernel: as many last dimensions as can be walked without a division.

    At least the last one that every view in it can be cut along; the rows are what threads share.
    """
    shapes = {v.shape for n in body.nodes for v in (*n.inputs, *n.outputs) if v.type.size == size}
    shapes |= {v.shape for v in body.outputs if v.type.size == size}
    common = refined(sorted(shapes)) if size else None
    if common is None:
        common = max(shapes, key=len, default=())
    if not common or not size:
        return common[-1] if common else size
    columns = common[-1]
    for n in reversed(common[:-1]):
        if size < columns * n * FEWEST_ROWS or not (columns <= SHORT or _walks(body, size, columns * n)):
            break
        columns *= n
    return columns


def _walks(body: Graph, size: int, columns: int) -> bool:
    """Whether no value of a pointwise body is read at a place that is found by dividing the column."""
    column = Var("c", columns)
    element = Index.of(Var("r", size // columns)) * columns + Index.of(column)
    pending = []
    for value in body.outputs:
        concat = concat_of(value)
        parts = [] if concat is None else parts_in_concat(concat, element)
        if any(place.divided(column) for _, place in parts):
            return False
        pending += [(v, element) for v in ([part for part, _ in parts] or [value])]
    seen = set(pending)
    while pending:
        value, index = pending.pop()
        node = value.producer
        if index.divided(column) or (node is not None and node.op.name in (*LOOKUPS, "iota")):
            return False
        if node is None:
            continue
        if node.op.kind == "view":
            sources = [(node.inputs[0], through_view(node, index))]
        elif node.op.kind == "reduce":
            sources = [(node.inputs[0], element)]
        else:
            sources = [(v, broadcast(index, node.output.shape, v.shape)) for v in node.inputs]
        pending += [s for s in sources if s not in seen]
        seen.update(sources)
    return True
