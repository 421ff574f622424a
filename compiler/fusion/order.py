"""The order in which kernels run."""

from __future__ import annotations

from collections.abc import Iterable

from compiler.fusion.placed import Placed
from compiler.groups import Group


def ordered(placed: Placed) -> list[Group]:
    """Groups, each after those it reads; those that check an index as early as they can.

    A product runs where it stands, whatever its kernel does with the result for later readers: what it reads need
    not be kept. If its epilogue waits for a later product, it runs after that product.
    """
    position = {n: i for i, n in enumerate(placed.nodes)}
    ready = {g: 0 if g.anchor is None else position[g.anchor] for g in placed.groups}
    for group in _after_sources(placed.groups, ready):
        ready[group] = max([ready[group], *(ready[source] for source in group.sources)])
    time = {g: g.last if g.anchor is None else ready[g] for g in placed.groups}
    starts = sorted(placed.groups, key=lambda g: (not _checks(g), time[g], bool(g.nodes)))
    return _after_sources(starts, time)


def _after_sources(starts: Iterable[Group], time: dict[Group, int]) -> list[Group]:
    """``starts`` in order, each after all it reads, directly or not, the earlier of these first."""
    order: list[Group] = []
    done: set[Group] = set()
    for start in starts:
        stack = [(start, iter(sorted(start.sources, key=time.__getitem__)))]
        while stack:
            group, sources = stack[-1]
            if group in done:
                stack.pop()
                continue
            following = next(sources, None)
            if following is None:
                done.add(group)
                order.append(group)
                stack.pop()
            elif following not in done:
                stack.append((following, iter(sorted(following.sources, key=time.__getitem__))))
    return order


def _checks(group: Group) -> bool:
    return any(n.op.checks for n in group.nodes)
