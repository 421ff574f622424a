"""A dict whose subclasses see every change."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any


class WatchedDict(dict[Any, Any]):
    """A dict in which every change is a call of ``__setitem__`` or ``__delitem__``, which subclasses override."""

    def pop(self, key: Any, *default: Any) -> Any:
        if key not in self:
            if default:
                return default[0]
            raise KeyError(key)
        value = self[key]
        del self[key]
        return value

    popitem = MutableMapping.popitem
    clear = MutableMapping.clear
    update = MutableMapping.update
    setdefault = MutableMapping.setdefault

    def __ior__(self, other: Any) -> Any:  # type: ignore[misc]
        self.update(other)
        return self
