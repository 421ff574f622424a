"""The temporaries of a step over its ops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compiler.cost import MemoryCost, readers, role
from compiler.ir.graph import Graph, Node
from compiler.peak import lifetimes
from genesis.explore.places import Places


def memory(graph: Graph, cost: MemoryCost, rows: Mapping[Node, int], places: Places) -> dict[str, Any]:
    """When each temporary of the fused ``graph`` is alive, what it is for, and what stands in memory beside them.

    ``nodes``: the row of each op, in order; a temporary is from the first to the last of its ops, by their numbers.
    """
    read_by = readers(graph)
    temporaries = [
        {
            "type": str(life.value.type),
            "bytes": life.value.type.nbytes,
            "role": role(life.value, read_by.get(life.value, set())),
            "first": life.first,
            "last": life.last,
            "output": _position(graph.nodes[life.first], life.value),
        }
        for life in lifetimes(graph)
    ]
    fixed = {name: getattr(cost, name) for name in ("parameters", "optimizer", "states", "arguments", "results")}
    return {
        "nodes": [rows[node] for node in graph.nodes],
        "temporaries": temporaries,
        "fixed": fixed,
        "arena": cost.arena,
        "scratch": cost.scratch,
        "peakPlace": places.number(cost.peak) if cost.peak is not None else -1,
    }


def _position(node: Node, value: object) -> int:
    """Which of the results of ``node`` a value is."""
    return next(i for i, v in enumerate(node.outputs) if v is value)
