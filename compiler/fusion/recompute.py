"""Cheap values are computed where they are read instead of being stored."""

from __future__ import annotations

from compiler.fusion.placed import Placed
from compiler.groups import Group
from compiler.index import view_chain
from compiler.ir.graph import Value
from compiler.ir.types import TensorType


def recompute(placed: Placed, stored: set[Value]) -> None:
    """Take cheap values out of ``stored`` whose readers can compute them from values that are in memory anyway."""
    readers: dict[Value, set[Group]] = {}
    fixed: set[Value] = set(placed.results)
    for group in placed.groups:
        for value in group.copies:
            fixed.add(view_chain(value)[0])
        for node in group.nodes:
            for position, value in enumerate(node.inputs):
                for root in placed.roots(value):
                    if placed.group.get(root) is not group:
                        readers.setdefault(root, set()).add(group)
                        if node.op.needs_memory(position) or _slides(value):
                            fixed.add(root)
    for node in reversed(placed.nodes):
        value = node.outputs[0]
        if value not in stored or value in fixed or value in placed.group[value].sinks:
            continue
        sources = _cheap_sources(placed, value, stored, value.type, 6)
        if sources is None or _dearer(placed, value, sources, stored, readers):
            continue
        stored.remove(value)
        for source in sources:
            if source in placed.group:
                stored.add(source)
            for reader in readers[value]:
                if source in placed.group and placed.group[source] is not reader:
                    placed.groups.link(reader, placed.group[source])
                    readers.setdefault(source, set()).add(reader)


def _cheap_sources(placed: Placed, value: Value, stored: set[Value], kind: TensorType, depth: int) -> set[Value] | None:
    """The values that must be in memory to compute ``value`` by at most ``depth`` levels of cheap ops, or None.

    That is what is there anyway, or takes at most half of the memory of a tensor of ``kind``.
    """
    node = value.producer
    if node is None or value not in placed.group or not node.op.is_cheap or depth == 0:
        return None
    found: set[Value] = set()
    for operand in node.inputs:
        for root in placed.roots(operand):
            if root.producer is None or root in stored or _small(root, kind.size):
                found.add(root)
                continue
            deeper = _cheap_sources(placed, root, stored, kind, depth - 1)
            if deeper is None and 2 * root.type.nbytes <= kind.nbytes:
                deeper = {root}
            if deeper is None:
                return None
            found |= deeper
    return found


def _dearer(
    placed: Placed, value: Value, sources: set[Value], stored: set[Value], readers: dict[Value, set[Group]]
) -> bool:
    """Whether computing ``value`` where it is read costs more than storing it.

    Not where one tensor takes its place for every reader. Else it is a matter of bytes moved (a write counts twice,
    since memory is fetched before it is written) if all are read at the same place, and the forward pass never
    keeps several tensors in place of one.
    """
    size = value.type.size
    moved = sum(2 * s.type.nbytes for s in sources if s in placed.group and s not in stored)
    most = 0
    for reader in readers[value]:
        more = [s for s in sources if placed.group.get(s) is not reader and reader not in readers.get(s, ())]
        moved += sum(s.type.nbytes for s in more)
        most = max(most, sum(not _small(s, size) for s in more))
    if most <= 1:
        return False
    moves_more = moved > (2 + len(readers[value])) * value.type.nbytes
    return moves_more or _kept(placed, value) or any(s.type.size != size and not _small(s, size) for s in sources)


def _kept(placed: Placed, value: Value) -> bool:
    """Whether the backward pass reads it back."""
    return any(
        reader.op.reads == "memory" or (reader.op.kind == "view" and _kept(placed, reader.output))
        for reader in placed.readers.get(value, ())
    )


def _small(value: Value, size: int) -> bool:
    """Storing it costs little next to a tensor of ``size``."""
    return value.type.size * 8 <= size


def _slides(value: Value) -> bool:
    """Whether ``value`` reads its operand, which must be in memory, at places that may not exist."""
    return any(view.op.reads == "window" for view in view_chain(value)[1])
