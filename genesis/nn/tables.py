"""What a module has registered."""

from __future__ import annotations

from typing import Any

from genesis.cells import changes
from genesis.watched import WatchedDict


class Table(WatchedDict):
    """Members of a module by name. A change shows on the clock of modules, so that guards are checked again."""

    def __setitem__(self, name: str, member: Any) -> None:
        dict.__setitem__(self, name, member)
        changes.tick()

    def __delitem__(self, name: str) -> None:
        dict.__delitem__(self, name)
        changes.tick()
