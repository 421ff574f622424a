"""The parts of a Python object, as far as code that mentions some names may look at it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FunctionType, MemberDescriptorType, ModuleType
from typing import Any

from genesis.capture.guards.code import Names
from genesis.nn.module import Module

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
TABLES = ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set")
_PACKAGES = frozenset(
    ("numpy", "ml_dtypes", "genesis", "compiler", "runtime", "torch", "jax", "rich", "tqdm", "pytest", "_pytest")
)
_REFLECTION = frozenset(
    ("getattr", "setattr", "vars", "__dict__", "asdict", "astuple", "__setattr__", "__getattribute__")
)
_CALLED = frozenset(("forward", "__call__"))
_CONSTRUCTORS = frozenset(("__init__", "__new__", "__post_init__"))
_NEVER_CALLED = frozenset(
    "__class__ __dict__ __weakref__ __repr__ __str__ __del__ __init_subclass__ __class_getitem__ __reduce__ "
    "__reduce_ex__ __getstate__ __setstate__ __dir__ __sizeof__ __copy__ __deepcopy__ __annotations__ "
    "__getnewargs__ __subclasshook__".split()
)


def of_package(module: str | None) -> bool:
    return (module or "").split(".")[0] in _PACKAGES


def of_library(module: str | None) -> bool:
    """Whether code of this module never changes what a step does."""
    return of_package(module) or (module or "").split(".")[0] in sys.stdlib_module_names - {"__main__"}


def undecorated(thing: Any) -> Any:
    """The thing that a decorator made ``thing`` of; else None. Asks no ``__getattr__`` of the user's."""
    try:
        found = object.__getattribute__(thing, "__dict__").get("__wrapped__")
    except AttributeError:
        return None
    return found if callable(found) else None


def slot_names(holder: Any) -> tuple[str, ...]:
    """The attributes of a user's object that stand in slots."""
    if isinstance(holder, type):
        return ()
    kinds = [kind for kind in mro(holder) if not of_library(kind.__module__)]
    return tuple([key for kind in kinds for key, x in vars(kind).items() if isinstance(x, MemberDescriptorType)])


def strings(thing: Any) -> Iterator[str]:
    """The strings in nested tuples."""
    if isinstance(thing, str):
        yield thing
    elif isinstance(thing, tuple):
        for item in thing:
            yield from strings(item)


def mro(holder: Any) -> tuple[type, ...]:
    """The classes in which attributes of ``holder`` are looked up; none for a module."""
    if isinstance(holder, ModuleType):
        return ()
    return holder.__mro__ if isinstance(holder, type) else type(holder).__mro__


def own_attribute(kind: type, key: str) -> Any:
    return vars(kind).get(key)


def class_attribute(holder: Any, key: str) -> Any:
    return next((vars(base)[key] for base in mro(holder) if key in vars(base)), None)


def attributes(holder: Any, mentioned: Names) -> set[str]:
    """The attributes of an object and of its classes that code mentions; all its own where code looks names up.

    Operators call methods that no code mentions: all special methods of a class count.
    """
    loaded = mentioned.loaded.keys()
    own = set(getattr(holder, "__dict__", ()))
    if isinstance(holder, ModuleType):
        return own & (loaded | mentioned.stored.keys())
    everything = loaded & _REFLECTION or type(holder).__module__ in _DATA
    found = own if everything and not isinstance(holder, type) else own & (loaded | mentioned.stored.keys())
    if isinstance(holder, Module):
        found = found.difference(TABLES, HOOKS, ("_hooks",))
    called = _CALLED | _CONSTRUCTORS if isinstance(holder, type) else _CALLED
    for base in mro(holder):
        if not of_library(base.__module__):
            special = {key for key, value in vars(base).items() if _is_special(key) and isinstance(value, FunctionType)}
            found = found | (vars(base).keys() & (loaded | called)) | (special - (_CONSTRUCTORS - called))
    return found - _NEVER_CALLED


_DATA = frozenset(("collections", "argparse", "random"))
"""Modules of the standard library whose objects are data: all their attributes count."""


def _is_special(key: str) -> bool:
    return key.startswith("__") and key.endswith("__")
