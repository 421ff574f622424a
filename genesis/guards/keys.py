"""Guard keys: small hashable values that stand for Python objects when two calls are compared."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import fields, is_dataclass
from types import MethodType
from typing import Any

import numpy as np

from genesis.nn.module import Module
from genesis.tensor import Tensor

COLLECTIONS = (list, tuple, set, frozenset)
LARGE = 256
"""Items up to which the contents of a container guard a program; of a longer one only the object and its length do."""
DEPTH = 4
"""How far guards look into nested containers."""


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


class HashedKey:
    """A tuple that knows its hash."""

    __slots__ = ("hash", "items")

    def __init__(self, items: tuple[Any, ...]) -> None:
        self.items = items
        self.hash = hash(items)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, HashedKey) and self.items == other.items)

    def __hash__(self) -> int:
        return self.hash


def guard_key(thing: Any, depth: int = DEPTH) -> Hashable:
    """What a guard compares: a plain value with its type, the items of a container, else the object's identity."""
    kind = type(thing)
    if kind is int or kind is str or thing is None:
        return thing
    if kind is float:
        return kind, thing.hex()
    if kind is bool:
        return kind, thing
    if isinstance(thing, np.generic):
        return kind, thing.tobytes()
    if isinstance(thing, Tensor):
        return (IdentityKey(thing), thing._cell.requires_grad, thing._type) if thing._cell.home is None else Tensor
    if isinstance(thing, MethodType):
        return IdentityKey(thing.__self__), IdentityKey(thing.__func__)
    items = items_of(thing)
    if items is None or not depth:
        return IdentityKey(thing)
    if len(items) > LARGE:
        return IdentityKey(thing), len(items)
    tokens = [guard_key(item, depth - 1) for item in items]
    return kind, frozenset(tokens) if isinstance(thing, set | frozenset) else tuple(tokens)


def items_of(thing: Any) -> Collection[Any] | None:
    """What a container holds, keys and values of a dict, fields of a dataclass; None for any other object."""
    if isinstance(thing, COLLECTIONS):
        return thing
    if isinstance(thing, dict):
        return [*thing.keys(), *thing.values()]
    if is_dataclass(thing) and not isinstance(thing, type | Module):
        return [getattr(thing, field.name, None) for field in fields(thing)]
    return None


def described(token: Hashable) -> str:
    """A token for a message."""
    match token:
        case (kind, text) if kind is float:
            return repr(float.fromhex(str(text)))
        case (kind, flag) if kind is bool:
            return repr(flag)
        case _:
            return repr(token)
