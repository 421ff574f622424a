"""A float32 number and its halves."""

import numpy as np
import pytest

from compiler.halves import high_half, join_halves, low_half
from compiler.ir.types import bf16
from compiler.ops.elementwise import cast_array

EDGES = np.array([0, 1, 2, 0x7FFE, 0x7FFF, 0x8000, 0x8001, 0x8002, 0xFFFE, 0xFFFF], np.uint32)
NUMBERS = (np.arange(2**16, dtype=np.uint32)[:, None] << 16 | EDGES).view(np.float32)
"""All signs and exponents, all that a bfloat16 number has of the digits, and the last bits near its roundings."""
HALFWAY = NUMBERS.view(np.uint32) % 2**16 == 2**15


def high(x: np.ndarray) -> np.ndarray:
    """The half as memory holds it."""
    return cast_array(high_half(x), bf16).astype(np.float32)


def test_the_halves_give_every_number_back() -> None:
    joined = join_halves(high(NUMBERS), low_half(NUMBERS))
    nan = np.isnan(NUMBERS)
    assert nan.sum() > 2000
    np.testing.assert_array_equal(joined[~nan].view(np.uint32), NUMBERS[~nan].view(np.uint32))
    assert np.isnan(joined[nan]).all()
    np.testing.assert_array_equal(np.signbit(joined), np.signbit(NUMBERS))


@pytest.mark.parametrize("pattern", [0x7FFF, 0xFFFF, 0x7FC0, 0xFF81])
def test_a_nan_of_any_bits_stays_one(pattern: int) -> None:
    """A processor writes the NaN that it likes; no lower half makes another number of it."""
    nan = np.full(2**16, pattern << 16, np.uint32).view(np.float32)
    assert np.isnan(join_halves(nan, np.arange(2**16).astype(np.int16))).all()


def test_the_first_half_is_what_a_cast_gives_but_halfway() -> None:
    cast = cast_array(NUMBERS, bf16).astype(np.float32)
    same = (high(NUMBERS) == cast) | np.isnan(cast)
    assert same[~HALFWAY].all()
    finite = HALFWAY & np.isfinite(high(NUMBERS)) & np.isfinite(cast)
    x, away, even = (a[finite].astype(np.float64) for a in (NUMBERS, high(NUMBERS), cast))
    np.testing.assert_array_equal(abs(away - x), abs(even - x))
    assert (abs(away) > abs(x)).all()
