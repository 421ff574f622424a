"""The places of elements that are not zero: only outside compiled steps, where shapes are fixed."""

from __future__ import annotations

from typing import Any

import numpy as np

from genesis.functions.table import api
from genesis.scope import DATA_SHAPE
from genesis.tensor import Tensor, from_array

FIXED = "the result's shape depends on the data, and shapes in a step are fixed; {}, or call it outside the step"


@api(eager_only=DATA_SHAPE)
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The indices of all elements that are not zero, one in a row; or one tensor for each dimension. Eager only."""
    array = input._array("nonzero()", FIXED.format("masks with genesis.where keep the shape"))
    found = np.nonzero(array.reshape(input.shape or (1,)))
    if as_tuple:
        return tuple(from_array(np.ascontiguousarray(places, np.int64)) for places in found)
    rows = np.stack(found, 1) if input.ndim else np.zeros((len(found[0]), 0))
    return from_array(np.ascontiguousarray(rows, np.int64))


@api(eager_only=DATA_SHAPE)
def argwhere(input: Tensor) -> Tensor:
    """The indices of all elements that are not zero, one in a row. Eager only."""
    found: Tensor = nonzero(input)
    return found
