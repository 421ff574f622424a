"""SparseAdam, which needs what Genesis does not have."""

from __future__ import annotations

from typing import Any

from compiler.errors import UnsupportedError
from genesis.optim.optimizer import Optimizer


class SparseAdam(Optimizer):
    """Adam for sparse gradients. Raises NotImplementedError: all gradients are dense."""

    def __init__(self, params: Any, *args: Any, **kwargs: Any) -> None:
        raise UnsupportedError("SparseAdam takes sparse gradients, and Genesis has dense ones only; use Adam")
