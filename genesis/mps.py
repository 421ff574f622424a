"""``genesis.mps``: eager tensors are on the CPU, and these functions say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from genesis.device import no_device
from genesis.names import module_getattr
from genesis.scope import AROUND

__eager_only__ = AROUND


def is_available() -> bool:
    """False: eager tensors are on the CPU."""
    return False


def device_count() -> int:
    """0: the number of Apple's GPUs that can hold eager tensors."""
    return 0


def manual_seed(seed: int) -> None:
    """Do nothing: there is no generator on a GPU. ``genesis.manual_seed`` seeds every backend."""


def seed() -> None:
    """Do nothing: there is no generator on a GPU."""


def empty_cache() -> None:
    """Do nothing: no memory of a GPU is kept for eager tensors."""


def current_allocated_memory() -> int:
    """0: the bytes of eager tensors on GPUs."""
    return 0


def driver_allocated_memory() -> int:
    """0: the bytes that a driver holds for eager tensors."""
    return 0


def synchronize() -> NoReturn:
    """Raise DeviceError: there is no GPU to wait for."""
    no_device("mps", "synchronize")


if not TYPE_CHECKING:
    __getattr__ = module_getattr("genesis.mps", globals())
