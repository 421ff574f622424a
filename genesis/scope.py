"""Marks on names that have no place in a compiled step.

A mark is the attribute ``__eager_only__`` of a function, a class or a module: the reason. ``genesis check`` and
docs/coverage.md read it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

DATA_SHAPE = "the shape depends on data"
DECOMPOSED = "NumPy decomposes matrices on the CPU"
BY_NUMPY = "NumPy computes it on the CPU"
ANSWERED = "Python gets the answer"
OF_MEMORY = "it is about memory"
AROUND = "it stands around a step"

T = TypeVar("T")


def eager_only(reason: str) -> Callable[[T], T]:
    """Mark a function or class that has no place in a compiled step."""

    def mark(thing: T) -> T:
        setattr(thing, _MARK, reason)
        return thing

    return mark


_MARK = "__eager_only__"


def reason_of(thing: Any) -> str:
    """Why ``thing`` has no place in a compiled step: its mark, or else its module's mark; "" without one."""
    found = getattr(thing, _MARK, None)
    name = getattr(thing, "__name__" if isinstance(thing, ModuleType) else "__module__", None) or ""
    while found is None and name:
        found = vars(sys.modules[name]).get(_MARK) if name in sys.modules else None
        name = name.rpartition(".")[0]
    return found or ""
