"""Philox4x32-10 in NumPy, written from its definition."""

from __future__ import annotations

import numpy as np


def philox_words(seed: int, offset: int, first: int, n: int) -> np.ndarray:
    """Word of each of n elements from `first` on, uint32 [n]."""
    low = np.uint64(0xFFFFFFFF)
    element = np.uint64(first) + np.arange(n, dtype=np.uint64)
    block = element >> np.uint64(2)
    c = [
        block & low,
        block >> np.uint64(32),
        np.full_like(block, offset & 0xFFFFFFFF),
        np.full_like(block, offset >> 32),
    ]
    k = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        p, q = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [q >> np.uint64(32) ^ c[1] ^ np.uint64(k[0]), q & low, p >> np.uint64(32) ^ c[3] ^ np.uint64(k[1]), p & low]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    lane = (element & np.uint64(3)).astype(np.intp)
    return np.stack(c)[lane, np.arange(n)].astype(np.uint32)


def philox_uniforms(seed: int, offset: int, first: int, n: int) -> np.ndarray:
    """Uniforms in [0, 1) of n elements from `first` on, f32 [n]."""
    return (philox_words(seed, offset, first, n) >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)
