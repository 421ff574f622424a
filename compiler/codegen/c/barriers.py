"""Where the threads of a step must wait for each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

State = tuple[frozenset[str], ...]


@dataclass
class Access:
    """Names of the buffers that some calls read and write."""

    reads: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)


class Hazards:
    """What was read and written since the last barrier: by thread 0 alone, and by all threads together.

    ``spans`` are the bytes of the arena that a name covers: two names may share memory.
    """

    def __init__(self, spans: Mapping[str, tuple[int, int]]) -> None:
        self.spans = spans
        self.clear()

    def clear(self) -> None:
        """As after a barrier."""
        self.alone, self.together = Access(), Access()

    def state(self) -> State:
        """What there is, to come back to."""
        return tuple(frozenset(x) for past in (self.alone, self.together) for x in (past.reads, past.writes))

    def restore(self, state: State) -> None:
        """As when :meth:`state` gave ``state``."""
        a, b, c, d = map(set, state)
        self.alone, self.together = Access(a, b), Access(c, d)

    def meets(self, call: Access, alone: bool) -> bool:
        """Whether ``call`` reads or overwrites what another thread may still be at; thread 0 never waits for itself."""
        return any(
            self._overlap(call.reads | call.writes, past.writes) or self._overlap(call.writes, past.reads)
            for past in ([self.together] if alone else [self.together, self.alone])
        )

    def add(self, call: Access, alone: bool) -> None:
        past = self.alone if alone else self.together
        past.reads |= call.reads
        past.writes |= call.writes

    def _overlap(self, a: set[str], b: set[str]) -> bool:
        if not a.isdisjoint(b):
            return True
        spans = self.spans
        return any(
            spans[x][0] < spans[y][1] and spans[y][0] < spans[x][1] for x in a if x in spans for y in b if y in spans
        )
