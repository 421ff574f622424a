"""Where temporaries stand in the arena."""

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

    Largest first, each at the lowest offset free during its life (Pisarchyk & Lee, "Efficient memory management for
    deep neural net inference", 2020). Offsets are multiples of 64 bytes; large buffers are kept from starting at the
    same place within a page, where they would compete for the same cache sets.
    """
    order = sorted(range(len(lifetimes)), key=lambda i: -lifetimes[i].nbytes)
    lives = [lifetimes[i] for i in order]
    starts, ends = np.array([x.start for x in lives]), np.array([x.end for x in lives])
    offsets = [0] * len(lifetimes)
    taken: list[tuple[int, int]] = []
    total = 0
    for n, (i, life) in enumerate(zip(order, lives, strict=True)):
        size = -(-max(life.nbytes, 1) // ALIGNMENT) * ALIGNMENT
        if size >= PAGE:
            size += ALIGNMENT * (1 + n % 7)
        together = np.flatnonzero((starts[:n] <= life.end) & (ends[:n] >= life.start))
        offset = 0
        for start, end in sorted(taken[j] for j in together):
            if offset + size <= start:
                break
            offset = max(offset, end)
        offsets[i] = offset
        taken.append((offset, offset + _room(life)))
        total = max(total, offset + size)
    return offsets, total


def _room(life: Lifetime) -> int:
    size = -(-max(life.nbytes, 1) // ALIGNMENT) * ALIGNMENT
    return size + (ALIGNMENT * 7 if size >= PAGE else 0)
