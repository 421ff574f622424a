"""Finds the points at which the threads of a step must wait for each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

SCRATCH = -1
"""The number of the memory that kernels share beside the buffers of the step."""
Part = tuple[int, int]
"""The number of a buffer, and the bytes of the blocks of which a thread touches only its share, or 0."""
State = tuple[frozenset[Part], ...]


@dataclass
class Access:
    """Numbers of the buffers that calls read and write.

    If the number of threads divides ``even``, each touches only its share of every block of the buffers in
    ``blocks``, which says how many bytes one has: of two threads the first touches the first half.
    """

    reads: set[int] = field(default_factory=set)
    writes: set[int] = field(default_factory=set)
    blocks: dict[int, int] = field(default_factory=dict)
    even: int = 0


def agreed(blocks: Iterable[Part]) -> dict[int, int]:
    """The bytes of blocks by buffer, without buffers that stand there with several or with none."""
    found: dict[int, set[int]] = {}
    for buffer, size in blocks:
        found.setdefault(buffer, set()).add(size)
    return {buffer: min(sizes) for buffer, sizes in found.items() if len(sizes) == 1 and 0 not in sizes}


class Hazards:
    """The reads and writes since the last barrier: by thread 0 alone, and by all threads together.

    ``spans`` are the bytes of the arena that a buffer covers: two may share memory. ``evenly``: the number of
    threads is such that all shares of blocks are even.
    """

    def __init__(self, spans: Mapping[int, tuple[int, int]], evenly: bool = False) -> None:
        self.spans, self.evenly = spans, evenly
        self.clear()

    def clear(self) -> None:
        """As after a barrier."""
        self.restore((frozenset(),) * 4)

    def state(self) -> State:
        """The state now, to come back to."""
        return tuple(frozenset(x) for past in (self.alone, self.together) for x in past)

    def restore(self, state: State) -> None:
        """As when :meth:`state` gave ``state``."""
        a, b, c, d = map(set, state)
        self.alone, self.together = (a, b), (c, d)

    def meets(self, call: Access, alone: bool) -> bool:
        """Whether ``call`` reads or overwrites what another thread may still be at; thread 0 never waits for itself."""
        reads, writes = self._parts(call)
        return any(
            self._overlap(reads | writes, written) or self._overlap(writes, read)
            for read, written in ([self.together] if alone else [self.together, self.alone])
        )

    def add(self, call: Access, alone: bool) -> None:
        for past, parts in zip(self.alone if alone else self.together, self._parts(call), strict=True):
            past |= parts

    def _parts(self, call: Access) -> tuple[set[Part], set[Part]]:
        """The reads and writes of ``call``."""
        blocks = call.blocks if self.evenly else {}
        reads, writes = ({(n, blocks.get(n, 0)) for n in numbers} for numbers in (call.reads, call.writes))
        return reads, writes

    def _overlap(self, a: set[Part], b: set[Part]) -> bool:
        """Whether two threads may touch the same bytes, the one through ``a`` and the other through ``b``."""
        return any(self._meet(x, y) and not (p and p == q and self._apart(x, y) % p == 0) for x, p in a for y, q in b)

    def _meet(self, x: int, y: int) -> bool:
        spans = self.spans
        return x == y or (x in spans and y in spans and spans[x][0] < spans[y][1] and spans[y][0] < spans[x][1])

    def _apart(self, x: int, y: int) -> int:
        """Bytes between the starts of two buffers that meet."""
        return 0 if x == y else self.spans[x][0] - self.spans[y][0]
