"""Pieces that do the same to every row: one program for close numbers of rows, which gets rows beside those given."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from compiler.batch import SAME, Part, derive
from compiler.errors import GenesisError
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Node, Param, Value
from compiler.ir.op import as_tuple
from compiler.ir.types import Shape, TensorType

Axes = tuple[int | None, ...]
"""For each operand the dimension of the rows, None for one that is the same whatever the number of rows."""

COPIED = 4
"""The bytes that are copied to add rows, of each byte of a result."""


def rows_between(shapes: Sequence[Shape], others: Sequence[Shape]) -> Axes | None:
    """The dimensions in which operands of ``shapes`` differ from ``others``, all by one number of rows; else None."""
    if [len(shape) for shape in shapes] != [len(other) for other in others]:
        return None
    axes: list[int | None] = []
    numbers = set()
    for shape, other in zip(shapes, others, strict=True):
        different = [a for a, (n, m) in enumerate(zip(shape, other, strict=True)) if n != m]
        if len(different) > 1:
            return None
        axes.append(different[0] if different else None)
        numbers |= {(shape[a], other[a]) for a in different}
    return tuple(axes) if len(numbers) == 1 else None


def rounded(rows: int) -> int:
    """The number of rows of the program for ``rows``: at most an eighth more, or a multiple of 16."""
    step = max(16, 1 << max(0, (rows - 1).bit_length() - 4))
    return -(-rows // step) * step


def _is_causal(node: Node, parts: Sequence[Part]) -> bool:
    """Whether ``node`` is attention to no later row, which more rows behind do not change."""
    return bool(node.attrs.get("causal")) and list(parts) == [Part("rows", node.inputs[0].type.rank - 2)] * 3


class Rows:
    """The rows of ``graph``, a function of arrays, along ``axes`` of its operands.

    Attributes:
        graph: the function for :func:`rounded` rows; None where a row of a result depends on other rows, or on its
            number, and where a program for it would gain nothing.
    """

    def __init__(self, graph: Graph, primitives: Graph, axes: Axes) -> None:
        inputs = graph.inputs()
        self._axes = axes
        (self._rows,) = {v.shape[a] for v, a in zip(inputs, axes, strict=True) if a is not None}
        self._all = rounded(self._rows)
        self.graph: Graph | None = None
        parts = {v: SAME if a is None else Part("rows", a) for v, a in zip(inputs, axes, strict=True)}
        causal = len(graph.nodes) == 1 and _is_causal(graph.nodes[0], [parts[v] for v in inputs])
        if not causal and any(n.op.kind == "random" or n.op.numbered for n in primitives.nodes):
            return
        for node in graph.nodes:
            given = [parts[v] for v in node.inputs]
            found = tuple(given[:2]) if _is_causal(node, given) else derive(node, given)
            if found is None or any(p.way not in ("rows", "same") for p in found):
                return
            parts.update(zip(node.outputs, found, strict=True))
        results = [parts[v] for v in graph.outputs]
        self._results = [p.axis for p in results]
        copied = sum(v.type.nbytes for v, a in zip(inputs, axes, strict=True) if a is not None)
        if any(p == SAME for p in results) or copied > COPIED * sum(v.type.nbytes for v in graph.outputs):
            return
        self.graph = self._widened(graph, parts)

    def _widened(self, graph: Graph, parts: dict[Value, Part]) -> Graph | None:
        new = {v: Value(self._type(v, parts[v]), v.name) for v in graph.inputs()}
        params = [Param(new[p.value], p.kind, p.label) for p in graph.params]
        for given, value in new.items():
            value.number = given.number
        try:
            with using(GraphBuilder()) as builder:
                for node in graph.nodes:
                    made = as_tuple(node.op(*[new[v] for v in node.inputs], **node.attrs))
                    if [v.type for v in made] != [self._type(v, parts[v]) for v in node.outputs]:
                        return None  # an attribute has the number of rows
                    new.update(zip(node.outputs, made, strict=True))
        except GenesisError:
            return None
        return Graph(f"{graph.name}_rows", params, builder.nodes, [], [new[v] for v in graph.outputs])

    def _type(self, value: Value, part: Part) -> TensorType:
        if part == SAME:
            return value.type
        return TensorType(value.dtype, tuple([self._all if a == part.axis else n for a, n in enumerate(value.shape)]))

    def run(
        self, program: Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]], arrays: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """The results for ``arrays`` of what ``program`` computes for more rows."""
        if self._all == self._rows:
            return list(program(arrays))
        given = [a if axis is None else self._with_more(a, axis) for a, axis in zip(arrays, self._axes, strict=True)]
        results = zip(program(given), self._results, strict=True)
        return [np.ascontiguousarray(a[(slice(None),) * axis + (slice(self._rows),)]) for a, axis in results]

    def _with_more(self, array: np.ndarray, axis: int) -> np.ndarray:
        """``array`` with rows of ones behind it."""
        before, after = array.shape[:axis], array.shape[axis + 1 :]
        whole = np.empty((*before, self._all, *after), array.dtype)
        lead = (slice(None),) * axis
        whole[(*lead, slice(self._rows))] = array
        whole[(*lead, slice(self._rows, None))] = 1
        return whole
