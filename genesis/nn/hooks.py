"""Hooks on the calls of modules."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from compiler.errors import OpError
from genesis.cells import changes


class RemovableHandle:
    """Takes a hook away again."""

    _ids = itertools.count()

    def __init__(self, hooks: dict[int, Any]) -> None:
        self._hooks = hooks
        self.id = next(self._ids)

    def remove(self) -> None:
        """Unregister the hook; does nothing the second time."""
        self._hooks.pop(self.id, None)
        changes.tick()

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.remove()


def register_hook(
    hooks: OrderedDict[int, Any], hook: Callable[..., Any], prepend: bool, with_kwargs: bool
) -> RemovableHandle:
    """Add a hook to those of a module, behind them or in front."""
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook, with_kwargs
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    changes.tick()
    return handle


def run_pre_hook(
    module: object, hook: Callable[..., Any], with_kwargs: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a module's call as a hook before it leaves them."""
    changed = hook(module, args, kwargs) if with_kwargs else hook(module, args)
    if changed is None:
        return args, kwargs
    if not with_kwargs:
        return (changed if isinstance(changed, tuple) else (changed,)), kwargs
    if not (isinstance(changed, tuple) and len(changed) == 2):
        raise OpError(
            f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed} from {hook}."
        )
    return changed
