"""Helpers around training: data loading, checkpointing, timing."""

from typing import TYPE_CHECKING

from genesis.names import module_getattr
from genesis.scope import AROUND
from genesis.utils import benchmark, checkpoint, data, tensorboard

__eager_only__ = AROUND

__all__ = ["benchmark", "checkpoint", "data", "tensorboard"]

if not TYPE_CHECKING:
    __getattr__ = module_getattr("genesis.utils", globals())
