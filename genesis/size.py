"""The shape of a tensor."""

from __future__ import annotations

import numpy as np


class Size(tuple[int, ...]):
    """A shape; a tuple with ``numel``."""

    __slots__ = ()

    def numel(self) -> int:
        """Number of elements."""
        return int(np.prod(self, dtype=np.int64))

    def __repr__(self) -> str:
        return f"genesis.Size({list(self)})"
