"""Elementwise pieces of any size: one program for all shapes, which runs block by block."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from compiler.ir.graph import Graph, Param, Value
from compiler.ir.types import TensorType

BLOCK = 8192
"""Elements of a block."""

Arrays = Sequence[np.ndarray]


def block_of(graph: Graph) -> Graph | None:
    """``graph``, of primitives, for one block of the elements.

    None where an element of a result depends on more than the elements at its place and on numbers, and for a block.
    """
    values = [*graph.inputs(), *[v for node in graph.nodes for v in node.outputs]]
    shapes = {v.shape for v in values if v.shape}
    made = {v for node in graph.nodes for v in node.outputs}
    if len(shapes) != 1 or (BLOCK,) in shapes or not all(v.shape and v in made for v in graph.outputs):
        return None
    if any(node.op.kind != "pointwise" or node.op.numbered or node.op.checks for node in graph.nodes):
        return None
    new = {v: Value(_of_block(v.type), v.name) for v in graph.inputs()}
    for given, value in new.items():
        value.number = given.number
    params = [Param(new[p.value], p.kind, p.label) for p in graph.params]
    nodes = []
    for node in graph.nodes:
        types = tuple([_of_block(v.type) for v in node.outputs])
        nodes.append(node.copy(tuple([new[v] for v in node.inputs]), types=types))
        new.update(zip(node.outputs, nodes[-1].outputs, strict=True))
    return Graph(f"{graph.name}_block", params, nodes, [], [new[v] for v in graph.outputs])


def _of_block(type: TensorType) -> TensorType:
    return TensorType(type.dtype, (BLOCK,)) if type.shape else type


def in_blocks(run: Callable[[Arrays], Arrays], arrays: Arrays, types: Sequence[TensorType]) -> list[np.ndarray]:
    """The results, of ``types``, of what ``run`` computes for one block: for ``arrays`` of one shape, and numbers."""
    flat = [np.ascontiguousarray(a).reshape(-1) if a.ndim else a for a in arrays]
    results = [np.empty(t.size, t.dtype.numpy) for t in types]
    for start in range(0, types[0].size, BLOCK):
        end = start + BLOCK
        parts = run([_whole(a[start:end]) if a.ndim else a for a in flat])
        for result, part in zip(results, parts, strict=True):
            place = result[start:end]
            place[...] = part[: place.size]
    return [result.reshape(t.shape) for result, t in zip(results, types, strict=True)]


def _whole(part: np.ndarray) -> np.ndarray:
    """``part``, with ones behind it if it is less than a block."""
    if part.size == BLOCK:
        return part
    whole = np.ones(BLOCK, part.dtype)
    whole[: part.size] = part
    return whole
