"""The limits of this machine: its memory, and the peaks that NumPy reaches."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from time import perf_counter

import numpy as np

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory() -> int | None:
    """Bytes of memory that a process may take: the machine's, or what its container is given; None if unknown."""
    found = []
    with suppress(AttributeError, ValueError, OSError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in _LIMITS:
        with suppress(OSError, ValueError):
            found.append(int(Path(path).read_text()))
    return min(found, default=None)


@cache
def peaks() -> tuple[float, float]:
    """Operations a second in a float32 product, and bytes a second that a copy reads and writes; measured once.

    NumPy multiplies 1024 by 1024 and copies 64 MB, the best of a few runs; that takes a quarter of a second.
    """
    n = 1024
    a, out = np.ones((n, n), np.float32), np.empty((n, n), np.float32)
    long, copy = np.ones(1 << 24, np.float32), np.empty(1 << 24, np.float32)
    products = min(_time(lambda: np.matmul(a, a, out=out)) for _ in range(5))
    copies = min(_time(lambda: np.copyto(copy, long)) for _ in range(4))
    return 2 * n**3 / products, 2 * long.nbytes / copies


def _time(run: Callable[[], object]) -> float:
    start = perf_counter()
    run()
    return perf_counter() - start
