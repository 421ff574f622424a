"""``genesis.accelerator``: eager tensors are on the CPU, so there is none, and these functions say so."""

from __future__ import annotations

from genesis.device import Device
from genesis.scope import AROUND

__eager_only__ = AROUND


def is_available() -> bool:
    """False: eager tensors are on the CPU."""
    return False


def device_count() -> int:
    """0: the number of accelerators that can hold eager tensors."""
    return 0


def current_accelerator(check_available: bool = False) -> Device | None:
    """None: there is no accelerator that can hold eager tensors."""
    return None
