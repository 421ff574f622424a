"""A float32 number as two numbers of 16 bits, of which the first one is the number rounded to bfloat16.

``low`` is an int16 of the last 16 bits. ``high`` is what is left of the number, a bfloat16 number:
``bits(x) = (bits(high) << 16) + low``, modulo 2**32. So ``high`` is the bfloat16 number nearest to ``x``, and an
infinity from the largest numbers on, as a cast gives it. Of two equally near it is the one further from zero, where a
cast takes the even one: 65537 numbers are cast to an even bfloat16 number, and ``low`` tells only 65536 apart.

Joined, the halves give the bits of every number and infinity back. The last bits of a NaN may be all that tells it from
infinity; so ``high`` is a NaN, too, and whatever ``low`` is, they join to a NaN of the same sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from compiler.ir.types import bf16, i16

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int16]
Array = npt.NDArray[Any]

HALVES = (bf16.short, i16.short)
"""The dtypes of the halves."""


def high_half(x: Floats) -> Floats:
    """``high``, held in float32."""
    bits = x.view(np.int32)
    return np.where(np.isnan(x), x, (bits - low_half(x)).view(np.float32))


def low_half(x: Floats) -> Integers:
    """``low``."""
    return x.view(np.int32).astype(np.int16)


def join_halves(high: Floats, low: Integers) -> Floats:
    """The number that ``high``, held in float32, and ``low`` are."""
    return (high.view(np.int32) + low).view(np.float32)


def split(x: Array) -> dict[str, Array]:
    """Both halves as memory holds them, by dtype."""
    with np.errstate(invalid="ignore"):
        return dict(zip(HALVES, (high_half(x).astype(bf16.numpy), low_half(x)), strict=True))


def joined(halves: Mapping[str, Array]) -> Floats:
    """The numbers whose halves memory holds."""
    high, low = (halves[name] for name in HALVES)
    return join_halves(high.astype(np.float32), low)
