"""What hooks on the calls of modules may change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compiler.errors import OpError


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
