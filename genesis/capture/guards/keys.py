"""Guard keys: small hashable values that stand for Python objects when two calls are compared."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Collection, Hashable, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from hashlib import blake2b
from types import FunctionType, MappingProxyType, MethodType
from typing import Any

import numpy as np

from compiler.ir.types import TensorType
from genesis.live import LiveDict
from genesis.memory.identity import GONE
from genesis.memory.identity import IdentityKey as IdentityKey
from genesis.nn.module import Module
from genesis.tensor import Tensor

COLLECTIONS = (list, tuple, set, frozenset, deque)
BUFFERS = (np.ndarray, bytearray, array, memoryview)
"""Types whose contents are bytes that may change in place."""


class HashedKey:
    """A tuple that computes its hash once."""

    __slots__ = ("hash", "items")

    def __init__(self, items: tuple[Any, ...]) -> None:
        self.items = items
        self.hash = hash(items)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, HashedKey) and self.items == other.items)

    def __hash__(self) -> int:
        return self.hash


NOTHING: Mapping[int, Any] = MappingProxyType({})


def guard_key(thing: Any, above: tuple[int, ...] = (), known: Mapping[int, Any] = NOTHING) -> Hashable:
    """The key of an object that a guard compares, at any size and depth.

    A plain value with its type, a digest of an array, the keys of a container's items; of any other object its
    identity. ``above`` holds the identities of the containers round ``thing``: a container that contains itself is
    compared by identity there. ``known``: by identity, arrays whose contents do not count, and containers that steps
    keep tensors in, whose key has what stands there as well.
    """
    kind: Any = type(thing)
    if kind is int or kind is str or thing is None or thing is GONE:
        return thing
    if kind is float:
        return kind, thing.hex()
    if kind is bool or kind is bytes:
        return kind, thing
    if kind is complex or kind is range or kind is slice:
        return kind, repr(thing)
    if isinstance(thing, np.generic):
        return kind, thing.tobytes()
    if isinstance(thing, Tensor):
        return tensor_key(thing)
    if isinstance(thing, BUFFERS):
        return (kind, *array_form(thing), None if id(thing) in known else digest(thing))
    if isinstance(thing, MethodType):
        return IdentityKey(thing.__self__), function_key(thing.__func__)
    if isinstance(thing, FunctionType):
        return function_key(thing)
    items = items_of(thing)
    if items is None or id(thing) in above:
        return IdentityKey(thing)
    inside = (*above, id(thing))
    keys = [guard_key(item, inside, known) for item in items]
    if id(thing) in known:
        keys.append(known[id(thing)])
    return kind, frozenset(keys) if isinstance(thing, set | frozenset) else tuple(keys)


def function_key(function: Any) -> Hashable:
    """A function by identity, and its code, which may be exchanged."""
    return IdentityKey(function), IdentityKey(getattr(function, "__code__", None))


def tensor_key(tensor: Tensor) -> Hashable:
    """A tensor by identity, and what a program bakes in of it: its type, whether it needs a gradient, its hooks."""
    return IdentityKey(tensor), *cell_key(tensor._cell), tensor._grad_cell.requires_grad


def cell_key(cell: Any) -> tuple[Hashable, ...]:
    """A tensor's storage by identity, its type, whether it needs a gradient, and its hooks."""
    hooks = tuple(map(guard_key, (*(cell.hooks or {}).values(), *(cell.filled or {}).values())))
    return IdentityKey(cell), cell.type, cell.requires_grad, hooks


def array_form(thing: Any) -> tuple[Hashable, ...]:
    """The dtype and shape of an array, the type code and length of another buffer."""
    if isinstance(thing, np.ndarray):
        return thing.dtype.str, thing.shape
    return getattr(thing, "typecode", "B"), len(thing)


def digest(thing: Any) -> Hashable:
    """A digest of the contents of an array or buffer; the keys of the items of an array of objects."""
    if isinstance(thing, np.ndarray) and thing.dtype.hasobject:
        return tuple(map(guard_key, thing.reshape(-1).tolist()))
    if isinstance(thing, np.ndarray):
        thing = np.ascontiguousarray(thing).reshape(-1).view(np.uint8)
    return blake2b(thing, digest_size=16).digest()


def items_of(thing: Any) -> Collection[Any] | None:
    """The items of a container, keys and values of a dict, fields of a dataclass; None for any other object."""
    if isinstance(thing, COLLECTIONS):
        return thing
    if isinstance(thing, LiveDict):  # programs compare it themselves
        return None
    if isinstance(thing, dict | MappingProxyType):
        return [*thing.keys(), *thing.values()]
    if isinstance(thing, partial):
        return [thing.func, *thing.args, *thing.keywords.keys(), *thing.keywords.values()]
    if is_dataclass(thing) and not isinstance(thing, type | Module):
        return [getattr(thing, field.name, GONE) for field in fields(thing)]
    return None


def described(key: Hashable) -> str:
    """A guard key for a message."""
    match key:
        case (kind, text) if kind is float:
            return repr(float.fromhex(str(text)))
        case (kind, value) if kind in (bool, bytes):
            return repr(value)
        case (kind, text) if kind in (complex, range, slice):
            return str(text)
        case (*identities, TensorType() as kind, grad, hooks) if all(isinstance(x, IdentityKey) for x in identities):
            return f"a tensor {kind}" + (" with gradient" if grad else "") + (" and hooks" if hooks else "")
        case (IdentityKey() as function, IdentityKey()):
            return repr(function)
        case (kind, str() as form, tuple() as shape, _) if kind is np.ndarray:
            return f"an array {np.dtype(form).name}{list(shape)}"
        case (type() as kind, tuple() | frozenset() as items):
            shown = ", ".join(described(item) for item in list(items)[:4])
            return f"{kind.__name__}({shown}{', ...' if len(items) > 4 else ''})"
        case _:
            return repr(key)
