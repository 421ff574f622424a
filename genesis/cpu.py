"""``genesis.cpu``: the one device of eager tensors."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from genesis.scope import AROUND

__eager_only__ = AROUND


def is_available() -> bool:
    """True."""
    return True


def device_count() -> int:
    """1."""
    return 1


def current_device() -> str:
    """``"cpu"``."""
    return "cpu"


def set_device(device: Any) -> None:
    """Do nothing: there is one device."""


def synchronize(device: Any = None) -> None:
    """Do nothing: eager functions, and calls of compiled steps, return when they are done."""


def stream(stream: Any) -> AbstractContextManager[None]:
    """A context in which nothing changes: there are no queues."""
    return nullcontext()
