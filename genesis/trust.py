"""Classes and functions that reading a file may call, because the user said so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from compiler.errors import ArgumentError

_TRUSTED: dict[str, Any] = {}


def add(things: Iterable[Any]) -> None:
    """Trust classes and functions, or pairs of one and the name by which files call it.

    Raises TypeError for anything else.
    """
    for thing in things:
        made, name = thing if isinstance(thing, tuple) else (thing, None)
        if not callable(made):
            raise ArgumentError(f"a safe global is a class or a function, not {made!r}")
        _TRUSTED[name or f"{made.__module__}.{made.__qualname__}"] = made


def trusted() -> dict[str, Any]:
    """The functions that are trusted now, by module and name."""
    return dict(_TRUSTED)


def replace(things: dict[str, Any]) -> None:
    """Trust ``things``, and no others."""
    _TRUSTED.clear()
    _TRUSTED.update(things)
