"""Nested arguments and results: lists, tuples and dicts of tensors and plain values."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from genesis.tensor import Tensor


def is_tensor_like(x: Any) -> bool:
    """Whether ``x`` is an argument of the graph: a tensor, a NumPy array, or a tensor of another library."""
    return isinstance(x, Tensor | np.ndarray) or (hasattr(x, "__dlpack__") and hasattr(x, "shape"))


def map_leaves(function: Callable[[str, Any], Any], tree: Any, path: str = "") -> Any:
    """``tree`` with ``function(path, leaf)`` in place of every leaf."""
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(map_leaves(function, x, f"{path}.{f}") for f, x in zip(tree._fields, tree, strict=True)))
    if isinstance(tree, list | tuple):
        return type(tree)([map_leaves(function, x, f"{path}[{i}]") for i, x in enumerate(tree)])
    if isinstance(tree, dict):
        return {k: map_leaves(function, x, f"{path}[{k!r}]") for k, x in tree.items()}
    return function(path, tree)


def structure(tree: Any) -> Hashable:
    """The containers of ``tree``, with None in place of every leaf."""
    if isinstance(tree, list | tuple):
        return type(tree), tuple([structure(x) for x in tree])
    if isinstance(tree, dict):
        return type(tree), tuple([(k, structure(x)) for k, x in tree.items()])
    return None


def leaves(tree: Any) -> list[tuple[str, Any]]:
    """``(path, leaf)`` of every leaf, in order."""
    found: list[tuple[str, Any]] = []
    map_leaves(lambda path, leaf: found.append((path, leaf)), tree)
    return found
