"""Objects compared by identity."""

from __future__ import annotations

from enum import Enum
from typing import Any


class Absent(Enum):
    """Stands for what is not there: a variable or an attribute before it is set, an entry that was taken out."""

    GONE = "nothing"

    def __repr__(self) -> str:
        return self.value


GONE = Absent.GONE


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
