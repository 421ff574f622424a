"""The common answers of ``genesis.cuda``, ``genesis.mps`` and ``genesis.xpu``: no eager tensor lives on a GPU."""

from __future__ import annotations

from genesis.scope import AROUND

__eager_only__ = AROUND


def is_available() -> bool:
    """False: eager tensors are on the CPU."""
    return False


def device_count() -> int:
    """0: the number of GPUs that can hold eager tensors."""
    return 0


def manual_seed(seed: int) -> None:
    """Do nothing: there is no generator on a GPU. ``genesis.manual_seed`` seeds every backend."""


def manual_seed_all(seed: int) -> None:
    """Do nothing: there is no generator on a GPU. ``genesis.manual_seed`` seeds every backend."""


def empty_cache() -> None:
    """Do nothing: no memory of a GPU is kept for eager tensors."""
