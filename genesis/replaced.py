"""Methods and functions of Genesis that someone replaced: ``nn.Linear.forward = mine``, ``F.relu = mine``.

The eager call uses the new one at once. Programs depend on replaced functions, and a call looks at nothing for it:
an assignment to a class or module of Genesis ticks the clock that guards watch.
"""

from __future__ import annotations

import sys
from abc import ABCMeta
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from genesis.memory.cells import changes
from genesis.names import missing_in_module, names_in

if TYPE_CHECKING:
    _Meta = ABCMeta
else:
    _Meta = type(Protocol)  # so that subclasses may have ABC and protocols among their bases, too

_PACKAGE = __name__.partition(".")[0]
_MISSING = object()
_originals: dict[tuple[Any, str], Any] = {}
_replaced: dict[tuple[Any, str], Any] = {}
_watching: set[str] = set()


class Watched(_Meta):
    """The class of Genesis's classes that notice when an attribute of theirs is replaced."""

    __instancecheck__ = type.__instancecheck__
    __subclasscheck__ = type.__subclasscheck__

    def __setattr__(cls, name: str, value: Any) -> None:
        before = _found(cls, name)
        super().__setattr__(name, value)
        _note(cls, cls.__module__, name, before, value)

    def __delattr__(cls, name: str) -> None:
        before = _found(cls, name)
        super().__delattr__(name)
        _note(cls, cls.__module__, name, before, _found(cls, name))


def _found(cls: type, name: str) -> Any:
    """The attribute as it is written in ``cls`` or the nearest base that has it."""
    return next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), _MISSING)


class WatchedModule(ModuleType):
    """A module that notices when an attribute of its is replaced."""

    def __setattr__(self, name: str, value: Any) -> None:
        before = vars(self).get(name, _MISSING)
        super().__setattr__(name, value)
        _note(self, self.__name__, name, before, value)

    def __delattr__(self, name: str) -> None:
        before = vars(self).get(name, _MISSING)
        super().__delattr__(name)
        _note(self, self.__name__, name, before, _MISSING)


def _note(holder: Any, module: str, name: str, before: Any, value: Any) -> None:
    """``value`` took the place of ``before``; only what a user does to a class or module of Genesis counts."""
    if not _watching or (module != _PACKAGE and not module.startswith(f"{_PACKAGE}.")):
        return
    if isinstance(value, ModuleType):
        return  # the import of a part
    key = holder, name
    if value is _originals.setdefault(key, before):
        _replaced.pop(key, None)
    else:
        _replaced[key] = value
    changes.tick()


def _adviser(module: ModuleType) -> Callable[[str], Any]:
    """The ``__getattr__`` of a module, which Python calls for a missing name: the error says what to use.

    It stands in the module, since one of its class would slow down every look at a name that is there.
    """

    def __getattr__(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise missing_in_module(module.__name__, name, names_in(vars(module)), sys._getframe(1))

    return __getattr__


def watch() -> None:
    """From now on replacements count; modules of Genesis that are imported later do not notice theirs."""
    for name, module in list(sys.modules.items()):
        if type(module) is ModuleType and (name == _PACKAGE or name.startswith(f"{_PACKAGE}.")):
            vars(module)["__getattr__"] = _adviser(module)
            module.__class__ = WatchedModule
    _watching.add(_PACKAGE)


def replacements() -> list[tuple[str, Any]]:
    """The stand-in of an attribute of Genesis, by name."""
    return [(f"{getattr(holder, '__name__', '')}.{name}", value) for (holder, name), value in _replaced.items()]
