"""``genesis.xpu``: eager tensors are on the CPU, and these functions say so."""

from __future__ import annotations

from typing import Any, NoReturn

from genesis.device import no_device
from genesis.no_gpu import device_count as device_count
from genesis.no_gpu import empty_cache as empty_cache
from genesis.no_gpu import is_available as is_available
from genesis.no_gpu import manual_seed as manual_seed
from genesis.no_gpu import manual_seed_all as manual_seed_all
from genesis.scope import AROUND

__eager_only__ = AROUND


def synchronize(device: Any = None) -> NoReturn:
    """Raise DeviceError: there is no GPU to wait for."""
    no_device("xpu", "synchronize")


def set_device(device: Any) -> NoReturn:
    """Raise DeviceError: there is no GPU to choose."""
    no_device("xpu", "set_device")
