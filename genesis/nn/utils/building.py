"""Making modules."""

from __future__ import annotations

from typing import Any, TypeVar

from genesis.nn.module import Module

M = TypeVar("M", bound=Module)


def skip_init(module_cls: type[M], *args: Any, **kwargs: Any) -> M:
    """``module_cls(*args, **kwargs)``, whose parameters are drawn all the same: nothing is left undefined."""
    return module_cls(*args, **kwargs)
