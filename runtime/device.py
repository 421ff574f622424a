"""The interface of a device, as the executor sees it."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Status:
    """The end of a run: ``code`` 0 is success; else the other three say what went wrong, and where."""

    code: int
    node: int
    index: int
    value: int


class Program(Protocol):
    """A loaded step: ``program(args, threads)`` runs it on pointers in plan order and returns the status code."""

    @property
    def status(self) -> Status:
        """The status of the last call."""

    def __call__(self, args: ctypes.Array[ctypes.c_void_p], threads: int) -> int: ...

    def close(self) -> None:
        """Give back what the device holds for the program; it is not called again."""


class Device(Protocol):
    """A place where programs run."""

    @property
    def name(self) -> str: ...

    def load(self, source: str) -> Program:
        """Make a program of generated text; raise ``DeviceError`` where that fails."""

    def alloc(self, nbytes: int) -> np.ndarray:
        """Fresh memory: uint8[nbytes], aligned to 64 bytes, of any content."""


def pointers(count: int) -> ctypes.Array[ctypes.c_void_p]:
    """An argument array, all null; one per program, written in place: ``args[i] = address``."""
    return (ctypes.c_void_p * count)()
