"""``genesis.xpu``: eager tensors are on the CPU, and these functions say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from genesis.device import no_device
from genesis.names import module_getattr


def is_available() -> bool:
    """False: eager tensors are on the CPU."""
    return False


def device_count() -> int:
    """0: the number of Intel's GPUs that can hold eager tensors."""
    return 0


def manual_seed(seed: int) -> None:
    """Do nothing: there is no generator on a GPU. ``genesis.manual_seed`` seeds every backend."""


def manual_seed_all(seed: int) -> None:
    """Do nothing: there is no generator on a GPU. ``genesis.manual_seed`` seeds every backend."""


def empty_cache() -> None:
    """Do nothing: no memory of a GPU is kept for eager tensors."""


def synchronize(device: Any = None) -> NoReturn:
    """Raise DeviceError: there is no GPU to wait for."""
    no_device("xpu", "synchronize")


def set_device(device: Any) -> NoReturn:
    """Raise DeviceError: there is no GPU to choose."""
    no_device("xpu", "set_device")


if not TYPE_CHECKING:
    __getattr__ = module_getattr("genesis.xpu", globals())
