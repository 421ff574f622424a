"""Whole numbers of tiles, panels and programs."""

from __future__ import annotations


def ceil_div(size: int, by: int) -> int:
    """How many parts of ``by`` cover ``size``."""
    return -(-size // by)


def round_up(size: int, unit: int) -> int:
    """The least multiple of ``unit`` that is not below ``size``."""
    return ceil_div(size, unit) * unit


def power_of_two(n: int) -> int:
    """The least power of two that is not below ``n``."""
    return 1 << max(n - 1, 0).bit_length()
