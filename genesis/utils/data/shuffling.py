"""Random orders for samplers and splits."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from genesis.random import default_generator


class Shuffler(Protocol):
    """The part of a generator that samplers need; NumPy's have it, too."""

    def permutation(self, n: int) -> np.ndarray:
        """The integers 0 .. n-1 in random order."""


def permutation(generator: Shuffler | None, n: int) -> list[int]:
    """The integers 0 .. n-1 in an order that ``generator`` draws, or the default generator."""
    order: list[int] = (generator or default_generator).permutation(n).tolist()
    return order


def uniform(generator: Any, count: int) -> np.ndarray:
    """``count`` numbers in [0, 1), f64."""
    return np.asarray((generator or default_generator).random(count), np.float64)
