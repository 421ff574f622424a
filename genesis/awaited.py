"""Results of a call where Python waits for them: in what a step assigns to the host, or hands to a schedule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from genesis.pytree import map_leaves
from genesis.recording import Recording
from genesis.tensor import Tensor, from_array


def awaited(recording: Recording, tree: Any) -> Callable[[Sequence[np.ndarray], Callable[[np.ndarray], Any]], Any]:
    """``tree`` with results of the call in place of tensors of the graph."""
    places: dict[str, int] = {}

    def ask(path: str, leaf: Any) -> None:
        if isinstance(leaf, Tensor) and leaf._cell.home is recording:
            places[path] = recording.host.result(leaf.value)

    map_leaves(ask, tree)

    def filled(results: Sequence[np.ndarray], convert: Callable[[np.ndarray], Any]) -> Any:
        return map_leaves(lambda path, leaf: convert(results[places[path]]) if path in places else leaf, tree)

    return filled


def as_held(array: np.ndarray, number: bool, whole: bool) -> Any:
    """A result as the host keeps it: as a number where one stood before or it is a float64 scalar."""
    if array.size != 1 or not (number or (array.dtype == np.float64 and not array.shape)):
        return from_array(np.array(array))
    found = array.item()
    return int(found) if whole and found == int(found) else found
