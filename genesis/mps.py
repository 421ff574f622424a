"""``genesis.mps``: eager tensors are on the CPU, and these functions say so."""

from __future__ import annotations

from typing import NoReturn

from genesis.device import no_device
from genesis.no_gpu import device_count as device_count
from genesis.no_gpu import empty_cache as empty_cache
from genesis.no_gpu import is_available as is_available
from genesis.no_gpu import manual_seed as manual_seed
from genesis.scope import AROUND

__eager_only__ = AROUND


def seed() -> None:
    """Do nothing: there is no generator on a GPU."""


def current_allocated_memory() -> int:
    """0: the bytes of eager tensors on GPUs."""
    return 0


def driver_allocated_memory() -> int:
    """0: the bytes that a driver holds for eager tensors."""
    return 0


def synchronize() -> NoReturn:
    """Raise DeviceError: there is no GPU to wait for."""
    no_device("mps", "synchronize")
