"""Memory that several hold: a cell, other cells (``a.data = b``), NumPy arrays (``numpy()``, ``from_numpy``).

An in-place op exchanges the value of a cell and leaves the old memory as it was; whoever else holds that memory would
miss the change. So in-place ops copy the new contents into memory that is shared.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

import numpy as np

from compiler.errors import AutogradError, ChoiceError
from compiler.ir.location import here
from genesis.memory.strides import Strides, contiguous_strides


class Holders:
    """Who holds some memory: cells, and whether anything outside of Genesis does."""

    def __init__(self, outside: bool = False) -> None:
        self.cells: WeakSet[Any] = WeakSet()
        self.outside = outside


class Shared:
    """The part ``array`` of memory that ``holders`` hold."""

    __slots__ = ("array", "holders")

    def __init__(self, array: np.ndarray, holders: Holders) -> None:
        self.array, self.holders = array, holders

    def is_alone(self, cell: Any) -> bool:
        """Whether only ``cell`` is left of the holders."""
        return not self.holders.outside and all(other is cell for other in self.holders.cells)

    def take(self, contents: np.ndarray) -> None:
        """Copy ``contents`` into the memory. Raises AutogradError (a RuntimeError) where NumPy forbids to write it."""
        if not self.array.flags.writeable:
            raise AutogradError(
                here(
                    f"an in-place op on a tensor that shows a read-only NumPy array {self.array.dtype}"
                    f"{list(self.array.shape)}",
                    "write a copy: x = x.clone(), or genesis.tensor(array)",
                )
            )
        np.copyto(self.array, contents)


def strides_of(array: np.ndarray) -> Strides | None:
    """The strides of an array in elements, None for row-major.

    Raises ChoiceError (a ValueError) where a tensor cannot have them, as PyTorch does.
    """
    size = array.itemsize
    if any(s < 0 or s % size for s in array.strides):
        raise ChoiceError(
            here(
                f"an array with strides {array.strides} in bytes: a stride of a tensor is neither negative nor a part "
                "of an element",
                "pass array.copy()",
            )
        )
    strides = tuple(s // size for s in array.strides)
    return None if array.flags.c_contiguous or strides == contiguous_strides(array.shape) else strides
