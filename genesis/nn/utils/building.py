"""Making modules."""

from __future__ import annotations

from typing import Any, TypeVar

from genesis.nn.init import left_empty
from genesis.nn.module import Module

M = TypeVar("M", bound=Module)


def skip_init(module_cls: type[M], *args: Any, **kwargs: Any) -> M:
    """``module_cls(*args, **kwargs)``, whose parameters ``nn.init`` does not fill: load them. Nothing is drawn."""
    with left_empty():
        return module_cls(*args, **kwargs)
