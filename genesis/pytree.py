"""Nested arguments and results: lists, tuples, dicts and objects with tensors in their attributes.

An object is looked into where a tensor stands in one of its attributes, or in a container there, and its class is the
user's own: a batch, a configuration with masks, the outputs of a model. Modules, optimizers, functions and objects
without tensors are leaves.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any, Generic, Protocol

import numpy as np

from genesis.tensor import Tensor


@dataclass(frozen=True)
class Hole:
    """The place of a tensor: number ``index`` among some tensors."""

    index: int


def is_tensor_like(x: Any) -> bool:
    """Whether ``x`` is an argument of the graph: a tensor, a NumPy array, or a tensor of another library."""
    return isinstance(x, Tensor | np.ndarray) or (hasattr(type(x), "__dlpack__") and hasattr(x, "shape"))


@dataclass(frozen=True)
class Container:
    """A list, dict or object that may change: the one that was given, and its copy with other leaves."""

    path: str
    given: Any
    copied: Any
    entries: dict[Any, Any]


def map_leaves(
    function: Callable[[str, Any], Any],
    tree: Any,
    path: str = "",
    containers: list[Container] | None = None,
    whole: Callable[[Any], bool] | None = None,
) -> Any:
    """``tree`` with ``function(path, leaf)`` in place of every leaf.

    A list, dict or object that occurs twice is copied once. ``containers`` collects the copies. With ``whole``, objects
    without tensors are looked into as well, and what it says True of is a leaf.
    """
    return _Copying(function, containers, whole).copy(tree, path)


class _Copying:
    def __init__(
        self,
        function: Callable[[str, Any], Any],
        containers: list[Container] | None,
        whole: Callable[[Any], bool] | None,
    ) -> None:
        self._function, self._containers, self._whole = function, containers, whole
        self._copies: dict[int, Any] = {}

    def copy(self, tree: Any, path: str) -> Any:
        if isinstance(tree, tuple):
            parts = [self.copy(x, f"{path}{suffix}") for suffix, _, x in children(tree) or ()]
            return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
        if self._whole is not None and self._whole(tree):
            return self._function(path, tree)
        found = children(tree, self._whole is not None)
        if found is None:
            return self._function(path, tree)
        if id(tree) in self._copies:
            return self._copies[id(tree)]
        copied = self._copies[id(tree)] = _blank(tree)
        entries = {key: self.copy(x, f"{path}{suffix}") for suffix, key, x in found}
        set_entries(copied, entries)
        if self._containers is not None:
            self._containers.append(Container(path, tree, copied, entries))
        return copied


def structure(tree: Any) -> Hashable:
    """The containers of ``tree``, with None in place of every leaf, and a number for a container that occurs again."""
    return _structure(tree, {})


def _structure(tree: Any, seen: dict[int, int]) -> Hashable:
    found = children(tree)
    if found is None:
        return None
    if not isinstance(tree, tuple):
        if id(tree) in seen:
            return seen[id(tree)]
        seen[id(tree)] = len(seen)
    if isinstance(tree, list | tuple):
        return type(tree), tuple([_structure(x, seen) for _, _, x in found])
    return type(tree), tuple([(key, _structure(x, seen)) for _, key, x in found])


def leaves(tree: Any) -> list[tuple[str, Any]]:
    """``(path, leaf)`` of every leaf, in order."""
    found: list[tuple[str, Any]] = []
    _leaves(tree, "", found, set())
    return found


def _leaves(tree: Any, path: str, found: list[tuple[str, Any]], seen: set[int]) -> None:
    parts = children(tree)
    if parts is None:
        found.append((path, tree))
    elif isinstance(tree, tuple) or id(tree) not in seen:
        seen.add(id(tree))
        for suffix, _, x in parts:
            _leaves(x, f"{path}{suffix}", found, seen)


def containers(tree: Any) -> list[Any]:
    """The lists, dicts and objects of ``tree``, in the order in which :func:`map_leaves` collects them."""
    found: list[Container] = []
    map_leaves(lambda _, leaf: leaf, tree, containers=found)
    return [container.given for container in found]


# One container


def children(tree: Any, bare: bool = False) -> list[tuple[str, Any, Any]] | None:
    """``(suffix of the path, key, child)`` of every child of a container; None for a leaf.

    With ``bare``, objects without tensors are containers as well.
    """
    if isinstance(tree, list | tuple):
        names = getattr(tree, "_fields", None)
        return [(f"[{i}]" if names is None else f".{names[i]}", i, x) for i, x in enumerate(tree)]
    if isinstance(tree, dict) and not getattr(tree, "is_leaf", False):
        return [(f"[{key!r}]", key, x) for key, x in tree.items()]
    kind: Any = type(tree)
    if _looked_into(kind) and (bare or _holds_tensors(tree, set())):
        return [(f".{name}", name, x) for name, x in vars(tree).items()]
    return None


def entries_of(container: Any) -> dict[Any, Any]:
    """The contents of a container now, by key."""
    if isinstance(container, list):
        return dict(enumerate(container))
    return dict(container) if isinstance(container, dict) else dict(vars(container))


def set_entries(container: Any, entries: dict[Any, Any]) -> None:
    """Give a container these entries, in place."""
    if isinstance(container, list):
        container[:] = entries.values()
    elif isinstance(container, dict):
        for key in [key for key in container if key not in entries]:
            del container[key]
        for key, x in entries.items():
            container[key] = x
    else:
        vars(container).clear()
        vars(container).update(entries)


def _blank(container: Any) -> Any:
    """A container of the same type to be filled."""
    if type(container) in (list, dict):
        return type(container)()
    if isinstance(container, list | dict):
        return copy.copy(container)
    base = SimpleNamespace if isinstance(container, SimpleNamespace) else object
    return base.__new__(type(container))


@cache
def _looked_into(kind: Any) -> bool:
    """Whether objects of a class may be containers: its bases are the user's, and it has nothing but attributes."""
    if kind is SimpleNamespace:
        return True
    bases = [base for base in kind.__mro__ if base not in _TRANSPARENT]
    return bool(bases) and kind.__dictoffset__ != 0 and all(map(_of_user, bases))


_TRANSPARENT = (object, Generic, Protocol, SimpleNamespace)
_LIBRARIES = frozenset(("numpy", "ml_dtypes", "genesis", "compiler", "runtime", "torch", "jax"))


def _of_user(kind: type) -> bool:
    package = kind.__module__.split(".")[0]
    return package == "__main__" or not (package in _LIBRARIES or package in sys.stdlib_module_names)


def _holds_tensors(thing: Any, seen: set[int]) -> bool:
    if id(thing) in seen:
        return False
    seen.add(id(thing))
    if is_tensor_like(thing) or isinstance(thing, Hole):
        return True
    return any(_holds_tensors(x, seen) for x in _values(thing))


def _values(thing: Any) -> Iterator[Any]:
    kind: Any = type(thing)
    if isinstance(thing, list | tuple):
        yield from thing
    elif isinstance(thing, dict):
        yield from thing.values()
    elif _looked_into(kind):
        yield from vars(thing).values()
