"""Counters that show whether something changed."""

from __future__ import annotations

from itertools import count


class Clock:
    """Shows another time after every change of what it watches: equal times mean that nothing changed in between.

    Threads may tick at once: every tick shows a time that was never shown before, in whatever order they come.
    """

    __slots__ = ("_times", "time")

    def __init__(self) -> None:
        self._times = count(1)
        self.time = 0

    def tick(self) -> None:
        """Call it after the change."""
        self.time = next(self._times)
