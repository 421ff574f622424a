"""Members of a module that are computed from others whenever they are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from genesis.nn.module import Module

Read = Callable[[Any], Any]
Write = Callable[[Any, Any], None]


def compute(module: Module, name: str, read: Read, write: Write | None = None, title: str = "{}") -> None:
    """From now on ``module.name`` is ``read(module)``, and assigning to it is ``write``.

    The module gets a class of its own. ``title``: how the class is called, with ``{}`` for its name before.
    """
    _give_class(module, {**_computed(module), name: property(read, write)}, title)


def store(module: Module, name: str) -> None:
    """``module.name`` is no longer computed."""
    members = _computed(module)
    del members[name]
    _give_class(module, members, type(module).__name__.replace(_plain(module).__name__, "{}"))


def _computed(module: Module) -> dict[str, property]:
    return dict(getattr(type(module), "_computed_members", {}))


def _plain(module: Module) -> type[Module]:
    """The class of a module without its computed attributes."""
    kind: type[Module] = getattr(type(module), "_plain_class", type(module))
    return kind


def _give_class(module: Module, members: dict[str, property], title: str) -> None:
    plain = _plain(module)
    if members:
        space: dict[str, Any] = {"__module__": plain.__module__, "__doc__": plain.__doc__, **members}
        space |= {"_computed_members": members, "_plain_class": plain}
        kind: Any = type(plain)
        module.__class__ = kind(title.format(plain.__name__), (plain,), space)
    else:
        module.__class__ = plain
