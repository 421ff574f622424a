"""Tables of hooks, of modules and of optimizers."""

from __future__ import annotations

import itertools
from typing import Any

from genesis.memory.cells import changes
from genesis.memory.clock import Clock


class RemovableHandle:
    """Takes a hook away again."""

    _ids = itertools.count()

    def __init__(self, hooks: dict[int, Any], clock: Clock = changes) -> None:
        self._hooks, self._clock = hooks, clock
        self.id = next(self._ids)

    def remove(self) -> None:
        """Unregister the hook; does nothing the second time."""
        self._hooks.pop(self.id, None)
        self._clock.tick()

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.remove()


def add(hooks: dict[int, Any], hook: Any, prepend: bool = False, clock: Clock = changes) -> RemovableHandle:
    """Put a hook behind the others of a table, or in front. ``clock`` ticks now and when it is taken away."""
    handle = RemovableHandle(hooks, clock)
    others = dict(hooks) if prepend else {}
    for other in others:
        del hooks[other]
    hooks.update({handle.id: hook, **others})
    clock.tick()
    return handle
