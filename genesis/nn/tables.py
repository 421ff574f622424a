"""The tables of things that a module has registered."""

from __future__ import annotations

from typing import Any

from genesis.memory.cells import changes
from genesis.watched import WatchedDict


class Table(WatchedDict):
    """Members of a module by name. A change shows on the clock of modules, so that guards are checked again."""

    def __setitem__(self, name: str, member: Any) -> None:
        dict.__setitem__(self, name, member)
        changes.tick()

    def __delitem__(self, name: str) -> None:
        dict.__delitem__(self, name)
        changes.tick()


HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)
"""The tables of hooks of a module."""


class HookTable:
    """A table of hooks as an attribute of a module. All of them stand in one dict, ``module._hooks``.

    Guards look at every attribute of a module at every call, and there are eight tables.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, module: Any, owner: type | None = None) -> Any:
        return self if module is None else module._hooks[self._name]

    def __set__(self, module: Any, hooks: Any) -> None:
        table = module._hooks[self._name]
        table.clear()
        table.update(hooks)
