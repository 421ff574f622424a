"""The places of temporaries in the arena."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ALIGNMENT = 64
PAGE = 4096


@dataclass(frozen=True, slots=True)
class Lifetime:
    """A temporary of ``nbytes`` that is written first at step ``start`` and read last at step ``end``."""

    start: int
    end: int
    nbytes: int


def assign_offsets(lifetimes: Sequence[Lifetime]) -> tuple[list[int], int]:
    """Offsets in one arena such that temporaries alive at the same time do not overlap, and the arena's size.

    The smaller of two arenas. In one the largest come first, of equals the longest-lived, each at the lowest offset
    that is free (Pisarchyk & Lee, "Efficient memory management for deep neural net inference", 2020); in the other
    those that live at the most crowded time come first, each in the tightest gap. Offsets are multiples of 64 bytes;
    large buffers do not start at the same place within a page, where they would compete for the same cache sets.
    """
    crowd = _crowd(lifetimes)
    numbers = range(len(lifetimes))
    by_size = sorted(numbers, key=lambda i: (-lifetimes[i].nbytes, lifetimes[i].start - lifetimes[i].end))
    by_crowd = sorted(numbers, key=lambda i: (-crowd[i], -lifetimes[i].nbytes))
    return min(_placed(lifetimes, by_size, False), _placed(lifetimes, by_crowd, True), key=lambda found: found[1])


def _crowd(lifetimes: Sequence[Lifetime]) -> list[int]:
    """For each temporary, the most bytes that live at any time of its life."""
    change = np.zeros(max((x.end for x in lifetimes), default=0) + 2, np.int64)
    for x in lifetimes:
        change[x.start] += x.nbytes
        change[x.end + 1] -= x.nbytes
    alive = change.cumsum()
    return [int(alive[x.start : x.end + 1].max()) for x in lifetimes]


def _placed(lifetimes: Sequence[Lifetime], order: Sequence[int], tight: bool) -> tuple[list[int], int]:
    """Offsets given in this order: in the lowest gap, or in the tightest, between those that have theirs already."""
    offsets = [0] * len(lifetimes)
    taken = np.zeros((4, len(order) + 1), np.int64)  # from and to which step, from and to which byte, by first byte
    total = 0
    for n, i in enumerate(order):
        life = lifetimes[i]
        size = -(-max(life.nbytes, 1) // ALIGNMENT) * ALIGNMENT
        if size >= PAGE:
            size += ALIGNMENT * (1 + n % 7)
        starts, ends, begins, stops = taken[:, :n]
        together = np.flatnonzero((starts <= life.end) & (ends >= life.start))
        free = np.zeros(together.size + 1, np.int64)  # in front of each, and behind all
        np.maximum.accumulate(stops[together], out=free[1:])
        gaps = begins[together] - free[:-1]
        fitting = np.flatnonzero(gaps >= size)
        found = fitting[np.argmin(gaps[fitting]) if tight else 0] if fitting.size else -1
        offset = offsets[i] = int(free[found])
        place = int(begins.searchsorted(offset))
        taken[:, place + 1 : n + 1] = taken[:, place:n]
        taken[:, place] = life.start, life.end, offset, offset + _room(life)
        total = max(total, offset + size)
    return offsets, total


def _room(life: Lifetime) -> int:
    size = -(-max(life.nbytes, 1) // ALIGNMENT) * ALIGNMENT
    return size + (ALIGNMENT * 7 if size >= PAGE else 0)
