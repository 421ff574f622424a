"""Objects compared by identity."""

from __future__ import annotations

from typing import Any


class IdentityKey:
    """Equal only to itself on the same object, which it keeps alive so that its identity is not given to another."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IdentityKey) and self.thing is other.thing

    def __hash__(self) -> int:
        return id(self.thing)

    def __repr__(self) -> str:
        return getattr(self.thing, "__qualname__", None) or f"a {type(self.thing).__name__}"
