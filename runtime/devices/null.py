"""A device that computes nothing and remembers what it was asked to run, for tests of plans and of the executor."""

from __future__ import annotations

import ctypes
from typing import NamedTuple

import numpy as np

from runtime.device import Status


class Launch(NamedTuple):
    """One call: the text that would have run, the addresses it was given (None for null) and the number of threads."""

    source: str
    args: tuple[int | None, ...]
    threads: int


class NullProgram:
    """Records its calls in the device's ``launches`` and always succeeds."""

    status = Status(0, 0, 0, 0)

    def __init__(self, source: str, launches: list[Launch]) -> None:
        self.source = source
        self.launches = launches

    def __call__(self, args: ctypes.Array[ctypes.c_void_p], threads: int) -> int:
        self.launches.append(Launch(self.source, tuple(args), threads))
        return 0

    def close(self) -> None: ...


class NullDevice:
    """Keeps every launch, oldest first, in ``launches``."""

    name = "null"

    def __init__(self) -> None:
        self.launches: list[Launch] = []

    def load(self, source: str) -> NullProgram:
        return NullProgram(source, self.launches)

    def alloc(self, nbytes: int) -> np.ndarray:
        return np.zeros(nbytes, np.uint8)
