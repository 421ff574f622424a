"""``genesis.serialization``: files of tensors, and which classes reading one may make."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ContextDecorator
from typing import Any

import genesis.trust as trust
from genesis.io import load as load
from genesis.io import save as save
from genesis.scope import AROUND

__eager_only__ = AROUND

__all__ = ["add_safe_globals", "clear_safe_globals", "get_safe_globals", "load", "safe_globals", "save"]


def add_safe_globals(safe_globals: Iterable[Any]) -> None:
    """Let :func:`genesis.load` make objects of these classes, and call these functions, where a file says so.

    Each is a class, a function, or a pair of one and its name in files. Calling them executes their code with what the
    file holds: name only what you trust. Raises TypeError for anything else.
    """
    trust.add(safe_globals)


def get_safe_globals() -> list[Any]:
    """The classes and functions that :func:`add_safe_globals` named."""
    return [*trust.trusted().values()]


def clear_safe_globals() -> None:
    """Forget all that :func:`add_safe_globals` named."""
    trust.replace({})


class safe_globals(ContextDecorator):
    """Inside, :func:`add_safe_globals` holds for these classes and functions as well."""

    def __init__(self, safe_globals: Iterable[Any]) -> None:
        self._things = list(safe_globals)

    def __enter__(self) -> None:
        self._before = trust.trusted()
        trust.add(self._things)

    def __exit__(self, *exc: Any) -> None:
        trust.replace(self._before)
