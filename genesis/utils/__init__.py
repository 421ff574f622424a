"""Helpers around training: data loading, checkpointing, timing."""

from genesis.scope import AROUND
from genesis.utils import benchmark, checkpoint, data, tensorboard

__eager_only__ = AROUND

__all__ = ["benchmark", "checkpoint", "data", "tensorboard"]
