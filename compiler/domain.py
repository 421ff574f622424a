"""The domain of a kernel: how reductions lie in it, where its results come from, and how its columns are walked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from compiler.index import (
    Index,
    Var,
    broadcast,
    join,
    matrix_strides,
    parts_in_concat,
    refined,
    split,
    strides_of,
    through_view,
)
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.types import Shape, f32

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


def joined_by_product(reduction: Node, kind: str) -> bool:
    """Whether a product's kernel can have the results of a reduction of class ``kind``, joining those of its tiles.

    That is a sum in f32, or whether any of all elements is true.
    """
    adds = reduction.op.join == "add" and reduction.output.dtype is f32
    return adds or (reduction.op.join == "logical_or" and kind == "full")


def concat_of(value: Value) -> Node | None:
    """The concatenation that ``value`` is, seen through reshapes and casts."""
    while value.producer is not None and (value.producer.op.keeps == "order" or value.producer.op.converts):
        value = value.producer.inputs[0]
    node = value.producer
    return node if node is not None and node.op.reads == "parts" else None


def reduction_of(value: Value) -> Node | None:
    """The reduction whose result ``value`` is, seen through reshapes."""
    while value.producer is not None and value.producer.op.keeps == "order":
        value = value.producer.inputs[0]
    node = value.producer
    return node if node is not None and node.op.kind == "reduce" else None


Read = tuple[Value, Index]
"""A value and the place at which a kernel reads it."""


def evaluated(starts: Iterable[Read], operand_place: Callable[[Node], Index]) -> Iterator[Read]:
    """The values that a kernel evaluates to get ``starts``: these, their operands, and so on, each once.

    ``operand_place`` says where a reduction reads its operand. Nothing is said of what a product is computed from.
    """
    seen = dict.fromkeys(starts)
    pending = list(seen)
    while pending:
        value, index = pending.pop()
        yield value, index
        sources = [source for source in _sources(value.producer, index, operand_place) if source not in seen]
        pending += sources
        seen.update(dict.fromkeys(sources))


def _sources(node: Node | None, index: Index, operand_place: Callable[[Node], Index]) -> list[Read]:
    """The elements that element ``index`` of the result of ``node`` is computed from."""
    if node is None or node.op.kind == "contract":
        return []
    if node.op.kind == "view":
        return [(node.inputs[0], through_view(node, index))]
    if node.op.kind == "reduce":
        return [(node.inputs[0], operand_place(node))]
    if node.op.is_lookup:
        at, place = looked_up(node, index)
        return [(node.inputs[1], at), (node.inputs[0], place("found"))]
    if node.op.reads in ("parts", "slice"):
        return [(v, _in_part(index, node.output.shape, v.shape)) for v in node.inputs]
    return [(v, broadcast(index, node.output.shape, v.shape)) for v in node.inputs]


def looked_up(node: Node, index: Index) -> tuple[Index, Callable[[str], Index]]:
    """The places at which element ``index`` of a lookup reads its second operand, and by the name found, its first."""
    table, places = node.inputs
    axis, at = node.attrs.get("axis", 0), index
    rest = list(split(index, node.output.shape))
    if node.op.reads == "rows":
        at = join(rest[: places.type.rank], places.shape)
        rest[: places.type.rank] = [Index()]
    rest[axis] = Index()
    others, stride = join(rest, table.shape), strides_of(table.shape)[axis]
    return at, lambda name: Index.of(Var(name, table.shape[axis], "=", at)) * stride + others


def _in_part(index: Index, shape: Shape, part: Shape) -> Index:
    """An element of a part of a value of ``shape``: somewhere along the dimensions of which it is only a part."""
    coordinates = zip(split(index, shape), shape, part, strict=True)
    return join([c if n == m else Index.of(Var("part", m, "=", c)) for c, n, m in coordinates], part)


def read_in_place(node: Node) -> frozenset[int]:
    """The operands of a fused node, by number, each element of which it reads only where it writes the same element.

    A result of an operand's size and type may then stand in the operand's memory. Other kernels than pointwise ones and
    products read elements again later.
    """
    body, kind = node.body, node.attrs.get("kind")
    if body is None or kind not in ("pointwise", "contract"):
        return frozenset()
    dots = [n for n in body.nodes if n.op.kind == "contract"]
    shape = dots[0].output.shape if dots else (node.attrs["rows"], node.attrs["columns"])
    element = join([Index.of(Var(f"d{axis}", n)) for axis, n in enumerate(shape)], shape)
    windows = [matrix_strides(v, casts=True) for dot in dots for v in dot.inputs]
    again = {window[0] for window in windows if window is not None}
    again |= {v for v, index in evaluated(_results(body, element), lambda _: element) if index != element}
    return frozenset(i for i, v in enumerate(body.inputs()) if v not in again)


def _results(body: Graph, element: Index) -> Iterator[Read]:
    """The values that a kernel evaluates at its running element: results, operands of sums, parts of concatenations."""
    for value in body.outputs:
        concat, reduction = concat_of(value), reduction_of(value)
        parts = concat.inputs if concat is not None else [value] if reduction is None else reduction.inputs
        yield from ((part, element) for part in parts)


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
    for concat in filter(None, map(concat_of, body.outputs)):
        if any(place.divided(column) for _, place in parts_in_concat(concat, element)):
            return False
    for value, index in evaluated(_results(body, element), lambda _: element):
        if index.divided(column) or (value.producer is not None and _numbers(value.producer)):
            return False
    return True


def _numbers(node: Node) -> bool:
    """Whether the place of an element is a number in the text: a look-up's, or a counter's."""
    return node.op.is_lookup or (node.op.is_free and node.op.numbered)
