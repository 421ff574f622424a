"""The order of launches: kernels of the same body wait for each other and share a launch."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.codegen.triton.task import Mergeable, Step
from compiler.placement import Memory


def schedule(steps: Sequence[Step | Mergeable]) -> list[Step]:
    """Launches in an order that keeps every result before its readers.

    A shareable kernel runs only when somebody needs what it writes, together with all others of its key that are ready
    by then. So all sums of squares of the gradients are one launch, and the whole optimizer is another.
    """
    queue = _Queue()
    for step in steps:
        if isinstance(step, Mergeable):
            queue.wait(step)
        else:
            queue.settle(step.reads)
            queue.steps.append(step)
    queue.settle([place for m in queue.waiting for place in m.writes])
    return queue.steps


class _Queue:
    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.waiting: dict[Mergeable, None] = {}
        self.writer: dict[Memory, Mergeable] = {}

    def wait(self, member: Mergeable) -> None:
        self.waiting[member] = None
        self.writer.update(dict.fromkeys(member.writes, member))

    def settle(self, places: Sequence[Memory]) -> None:
        """Launch what must run before ``places`` can be read."""
        needed = self._needed(places)
        while needed:
            lead = next(m for m in needed if self._ready(m))
            members = [m for m in self.waiting if m.key == lead.key and self._ready(m)]
            self.steps.append(members[0].merged(members[1:]))
            for member in members:
                del self.waiting[member]
                needed.pop(member, None)

    def _needed(self, places: Sequence[Memory]) -> dict[Mergeable, None]:
        found: dict[Mergeable, None] = {}
        pending = list(places)
        while pending:
            member = self.writer.get(pending.pop())
            if member in self.waiting and member not in found:
                found[member] = None
                pending += member.reads
        return {m: None for m in self.waiting if m in found}

    def _ready(self, member: Mergeable) -> bool:
        return not any(self.writer.get(place) in self.waiting for place in member.reads)
