"""A loop kernel apart from its text: its domain, its reductions, and the places it reads and writes.

The domain of a fused node of kind pointwise, row, column or full is ``rows`` x ``columns``; ``r`` is the row. A kernel
walks along its rows. Reductions *along* a row are read by what follows in the same kernel; those *over* the rows, its
sinks, are results only.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod

from compiler.domain import Read, concat_of, evaluated, reduction_class, reduction_of
from compiler.index import Index, Var, join, parts_in_concat, split
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.types import DType, f32, i32

Touched = frozenset[tuple[str, int]]
"""Inputs ("in", i) and outputs ("out", i) of a kernel."""


@dataclass(frozen=True)
class Sink:
    """A reduction over the rows, which is output number ``output``: of ``width`` columns each, or of everything.

    ``chunks``: the number of partial results that are to be joined, where the kernel says it; else 0.
    """

    output: int
    op: str
    dtype: DType
    width: int
    chunks: int = 0

    @property
    def partial(self) -> DType:
        """The type of partial results in memory; 16-bit floats are rounded when partial results are joined."""
        if self.dtype.is_half:
            return f32
        return i32 if self.dtype.kind != "float" and self.dtype.bits < 32 else self.dtype


@dataclass(frozen=True)
class Pass:
    """One walk along the columns of a row.

    ``reductions`` run along the row, ``sums`` over the rows; ``stored`` are results per element, by number.
    """

    reductions: list[Node]
    sums: list[Node]
    stored: dict[int, Value]


def structure(node: Node) -> Hashable:
    """All that a kernel is printed from: equal for two nodes that compute the same on operands of the same types."""
    body = node.inner
    params = body.inputs()
    number = {value: i for i, value in enumerate(params)}
    parts: list[Hashable] = [v.type for v in params]
    for inner in body.nodes:
        attrs = repr(inner.attrs)  # as text, 0.0 is not -0.0, nor 1 True
        parts.append((inner.op, attrs, tuple([number[v] for v in inner.inputs])))
        for value in inner.outputs:
            number[value] = len(number)
    domain = [node.attrs[name] for name in ("kind", "rows", "columns")]
    return tuple(domain), tuple(parts), tuple([number[v] for v in body.outputs])


def only_op(node: Node) -> Node:
    """The op that makes the one result of a kernel: a scan, a sort, a scatter or a concatenation."""
    op = node.inner.outputs[0].producer
    assert op is not None
    return op


class Kernel:
    """The analysis of one fused node of kind pointwise, row, column or full.

    With ``flat``, the domain is one row of all elements, and the column is called ``i``. A concatenation's domain are
    the elements of its last dimension, for all others. ``single``: there is one element, and no sum.
    """

    def __init__(self, node: Node, flat: bool = False) -> None:
        self.node, self.body, self.kind = node, node.inner, node.attrs["kind"]
        self.inputs, self.outputs = self.body.inputs(), self.body.outputs
        if self.kind == "concat":
            shape = self.outputs[0].shape
            self.rows, self.columns = prod(shape[:-1]), prod(shape[-1:])
        else:
            self.rows, self.columns = node.attrs["rows"], node.attrs["columns"]
        self.size = self.rows * self.columns
        self.flat = flat
        if flat:
            self.rows, self.columns = 1, self.size
        self.row, self.column = Var("r", self.rows), Var("i" if flat else "c", self.columns)
        self.reductions = [n for n in self.body.nodes if n.op.kind == "reduce"]
        self.sinks = dict(self._find_sinks())
        self.single = flat and self.size == 1 and not self.sinks
        self.along = [n for n in self.reductions if n.output not in self.sinks]

    def _find_sinks(self) -> Iterator[tuple[Value, Sink]]:
        for i, value in enumerate(self.outputs):
            node = reduction_of(value)
            if node is not None and not node.op.finds and (self.flat or self.kind != "row" or self._over_rows(node)):
                yield node.output, Sink(i, node.op.name, node.output.dtype, node.output.type.size)

    def _over_rows(self, reduction: Node) -> bool:
        """Whether a reduction in a row kernel runs over the rows instead of along one."""
        operand = reduction.inputs[0]
        kind = reduction_class(operand.shape, reduction.attrs["axes"])
        if operand.type.size == reduction.output.type.size:
            return False
        return kind == "column" or (kind == "full" and self.rows > 1)

    # Places

    def element(self, at: Index | None = None) -> Index:
        """The running element: the running column's, or the element of column ``at``."""
        return Index.of(self.row) * self.columns + (Index.of(self.column) if at is None else at)

    def row_place(self, value: Value) -> Index:
        """The place of a value that has an element for each row, or one for all."""
        return Index.of(self.row) if value.type.size == self.rows else Index()

    def place(self, value: Value) -> Index:
        """The running element of a value that has one for each column, else its :meth:`row_place`."""
        return self.element() if value.type.size == self.size else self.row_place(value)

    def per_element(self, reduction: Node) -> bool:
        """Whether a reduction reads an element for each column."""
        return reduction.inputs[0].type.size == self.size and (self.columns > 1 or self.flat or self.kind != "row")

    def operand_place(self, node: Node, at: Index | None = None) -> Index:
        """The place at which a reduction reads its operand, if column ``at`` (None: the running one) is reduced."""
        shape, axes = node.inputs[0].shape, node.attrs["axes"]
        if not self.per_element(node):
            return self.row_place(node.inputs[0])
        if node.output in self.sinks or reduction_class(shape, axes) in ("row", "full"):
            return self.element(at)
        inside = iter(split(Index.of(self.column) if at is None else at, tuple(shape[a] for a in axes)))
        outside = iter(split(Index.of(self.row), tuple(n for a, n in enumerate(shape) if a not in axes)))
        return join([next(inside) if a in axes else next(outside) for a in range(len(shape))], shape)

    # Results

    def is_sink(self, value: Value) -> bool:
        """Whether a result is a reduction over the rows."""
        reduction = reduction_of(value)
        return reduction is not None and reduction.output in self.sinks

    @cached_property
    def stored(self) -> dict[int, Value]:
        """The results with a value for every element, by number."""
        stores = {i: v for i, v in enumerate(self.outputs) if not self.is_sink(v) and reduction_of(v) is None}
        if self.columns == 1 or self.size == self.rows:
            return stores
        return {i: v for i, v in stores.items() if v.type.size == self.size or concat_of(v) is not None}

    @cached_property
    def levels(self) -> dict[Value, int]:
        """How many reductions along the row come before each value."""
        level: dict[Value, int] = dict.fromkeys(self.inputs, 0)
        for node in self.body.nodes:
            before = max((level[v] for v in node.inputs), default=0)
            level.update(dict.fromkeys(node.outputs, before + (node in self.along)))
        return level

    def passes(self) -> list[Pass]:
        """The work of one walk along a row each, in order."""
        level = self.levels
        over = [v.producer for v in self.sinks if v.producer is not None and self.per_element(v.producer)]
        stages = {level[n.inputs[0]] for n in (*self.along, *over)} | {level[v] for v in self.stored.values()}
        return [
            Pass(
                [n for n in self.along if level[n.inputs[0]] == stage],
                [n for n in over if level[n.inputs[0]] == stage],
                {i: v for i, v in self.stored.items() if level[v] == stage},
            )
            for stage in sorted(stages)
        ]

    def evaluated_in(self, each: Pass) -> set[Value]:
        """The values that a pass evaluates for every element; reductions along the row are known by then."""
        pending = [n.inputs[0] for n in (*each.reductions, *each.sums)] + list(each.stored.values())
        found: set[Value] = set()
        while pending:
            value = pending.pop()
            node = value.producer
            if value not in found and node not in self.along:
                found.add(value)
                pending += node.inputs if node is not None else ()
        return found

    # Reads and writes

    @cached_property
    def reads(self) -> tuple[Read, ...]:
        """The inputs that the kernel reads from memory, each with its place for the running element."""
        starts: list[Read] = []
        for i, value in enumerate(self.outputs):
            concat = concat_of(value) if i in self.stored else None
            if not self.is_sink(value):
                place = self.element() if i in self.stored else self.row_place(value)
                starts += [(part, place) for part in (concat.inputs if concat is not None else [value])]
        starts += [(n.inputs[0], self.operand_place(n)) for n in self.reductions]
        return tuple((v, index) for v, index in evaluated(starts, self.operand_place) if v.producer is None)

    def writes(self) -> Iterator[tuple[int, Index]]:
        """The results that are no sinks, by number, each with its place; a concatenation has one for each part."""
        for i, value in enumerate(self.outputs):
            concat = concat_of(value)
            if i in self.stored and concat is not None:
                yield from ((i, place) for _, place in parts_in_concat(concat, self.element()))
            elif not self.is_sink(value):
                yield i, self.element() if i in self.stored else self.row_place(value)

    def in_place(self) -> bool:
        """Whether the kernel reads and writes all tensors at the running element, so that one index does for all."""
        stores = all(v.type.size == self.size for v in self.outputs if not self.is_sink(v))
        lookups = any(n.op.is_lookup for n in self.body.nodes)
        here = self.element()
        return stores and not lookups and all(index == here or v.type.size == 1 for v, index in self.reads)

    def own_rows(self) -> Touched:
        """The values that threads touch in their own rows only, sharing out the rows or a flat kernel's elements."""
        return own_rows(self.body, self.column if self.flat else self.row, self.reads, self.writes())


def own_rows(body: Graph, row: Var, reads: Iterable[Read], writes: Iterable[tuple[int, Index]]) -> Touched:
    """The inputs and outputs that have as many rows as ``row`` goes through, and are touched in row ``row`` only."""
    rows = max(row.size, 1)
    inputs, outputs = body.inputs(), body.outputs
    elsewhere: set[object] = {v for v, index in reads if not index.within(row, v.type.size // rows)}
    elsewhere |= {i for i, index in writes if not index.within(row, outputs[i].type.size // rows)}
    read = [("in", i) for i, v in enumerate(inputs) if v.type.size % rows == 0 and v not in elsewhere]
    written = [("out", i) for i, v in enumerate(outputs) if v.type.size % rows == 0 and i not in elsewhere]
    return frozenset(read + written)
