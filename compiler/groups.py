"""Groups of nodes on their way to become kernels, and which group reads which: a graph that never has a circle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from compiler.errors import CompilerError
from compiler.ir.graph import Node, Value


class Group:
    """A kernel in the making: ``nodes`` over ``size`` elements, in rows of ``columns`` if that is settled.

    ``sources`` are the groups it reads, ``readers`` the groups that read it. The kernels of ``ended``, some of its
    sources, must have ended before it starts: it does not read them in its own place. ``sinks`` are results that are
    complete only when the kernel has ended, ``copies`` views that it stores. :class:`Groups` keeps ``number``, its
    place in the order in which groups were added, and ``rank``, its place in an order of groups behind their sources.
    """

    def __init__(self, position: int, size: int, columns: int | None = None) -> None:
        self.nodes: list[Node] = []
        self.first = self.last = position
        self.size = size
        self.columns = columns
        self.anchor: Node | None = None
        self.sinks: set[Value] = set()
        self.sources: set[Group] = set()
        self.readers: set[Group] = set()
        self.ended: set[Group] = set()
        self.copies: list[Value] = []
        self.number = self.rank = 0

    @property
    def degree(self) -> int:
        """How many groups it reads, or is read by."""
        return len(self.sources) + len(self.readers)

    @property
    def rows(self) -> int | None:
        return None if self.columns is None else self.size // self.columns if self.columns else 0

    def __repr__(self) -> str:
        names = [n.op.name for n in self.nodes] + [f"copy of {v!r}" for v in self.copies]
        return f"group of {', '.join(names)}" + (f" at {self.nodes[0].loc}" if self.nodes else "")


class Groups:
    """The groups of a graph, in the order they were added.

    The order of ranks is repaired where a new edge contradicts it (D. J. Pearce and P. H. J. Kelly, "A dynamic
    topological sort algorithm for directed acyclic graphs", 2007), so a search stops at the rank of its goal and goes
    through a few groups. ``steps`` counts the groups that searches went through.
    """

    def __init__(self) -> None:
        self._all: set[Group] = set()
        self._added = 0
        self.steps = 0

    def __iter__(self) -> Iterator[Group]:
        return iter(sorted(self._all, key=lambda group: group.number))

    def add(self, group: Group) -> None:
        """A group that reads nothing yet."""
        group.number = group.rank = self._added
        self._added += 1
        self._all.add(group)

    def link(self, reader: Group, source: Group) -> None:
        """``reader`` reads ``source``. Raises CompilerError if ``source`` depends on ``reader``."""
        if source is reader or source in reader.sources:
            return
        if source.rank > reader.rank:
            self._reorder(reader, source)
        reader.sources.add(source)
        source.readers.add(reader)

    def _reorder(self, reader: Group, source: Group) -> None:
        """Move ``source`` and what it depends on in front of ``reader`` and what depends on that."""
        before = self._closure([source], "sources", reader.rank)
        if reader in before:
            raise CompilerError(f"a circle of kernels: {reader!r} and {source!r} would wait for each other")
        after = self._closure([reader], "readers", source.rank)
        moved = [*sorted(before, key=_rank), *sorted(after, key=_rank)]
        for group, rank in zip(moved, sorted(g.rank for g in moved), strict=True):
            group.rank = rank

    def _closure(self, starts: Iterable[Group], along: str, limit: int, wanted: Group | None = None) -> set[Group]:
        """``starts`` and the nodes reached from them along ``sources`` or ``readers``, up to the rank ``limit``.

        Ends as soon as ``wanted`` is among it.
        """
        found = set(starts)
        pending = list(found)
        while pending and wanted not in found:
            self.steps += 1
            for group in getattr(pending.pop(), along):
                near = group.rank >= limit if along == "sources" else group.rank <= limit
                if near and group not in found:
                    found.add(group)
                    pending.append(group)
        return found

    def depends(self, start: Group, target: Group) -> bool:
        """Whether ``start`` is ``target`` or depends on it."""
        return start.rank >= target.rank and target in self._closure([start], "sources", target.rank, target)

    def depends_through_another(self, end: Group, start: Group) -> bool:
        """Whether ``end`` depends on ``start`` through a third group."""
        between = [g for g in end.sources if g is not start and g.rank > start.rank]
        return start in self._closure(between, "sources", start.rank, start)

    def merge(self, a: Group, b: Group) -> Group:
        """The group of both, in the place of ``a``: the one with more edges, so that few are moved.

        Neither may depend on the other through a third group.
        """
        whole, part = (a, b) if a.degree >= b.degree else (b, a)
        whole.nodes = a.nodes + b.nodes
        whole.first, whole.last = min(a.first, b.first), max(a.last, b.last)
        whole.columns = a.columns if a.columns is not None else b.columns
        whole.anchor = a.anchor or b.anchor
        whole.number = a.number
        whole.sinks |= part.sinks
        whole.ended |= part.ended
        for source in part.sources:
            source.readers.remove(part)
        for reader in part.readers:
            reader.sources.remove(part)
            if part in reader.ended:
                reader.ended.remove(part)
                reader.ended.add(whole)
        whole.ended -= {whole, part}
        self._all.remove(part)
        for source in part.sources:
            self.link(whole, source)
        for reader in part.readers:
            self.link(reader, whole)
        return whole


def _rank(group: Group) -> int:
    return group.rank
