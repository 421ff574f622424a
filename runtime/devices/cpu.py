"""The CPU: one C file per step, built once, loaded, and called with an array of pointers."""

from __future__ import annotations

import ctypes
from _ctypes import dlclose
from collections.abc import Callable
from typing import Any, NoReturn
from weakref import finalize

import numpy as np

from compiler.errors import DeviceError
from runtime.device import Status
from runtime.devices.pool import get_pool, load_library

ALIGNMENT = 64  # bytes: a cache line, and the widest vector
SUCCESS = Status(0, 0, 0, 0)


class CpuProgram:
    """A loaded library, which exports::

        void step(gen_pool *pool, int threads, void *const *args, long long *status);

    ``args`` are the addresses of states, scalars, inputs, outputs and arena, in plan order. ``status`` is
    ``{code, node, index, value}``, zero on entry. The GIL is free during the call. The caller keeps what ``args``
    points to alive, and does not run one program from two threads at once; different programs may share the pool.

    ``close`` unmaps the library, and so does the end of the program's life. The caller makes sure that no call runs.
    """

    __slots__ = ("__weakref__", "_finding", "_pool", "_step", "_unmap", "status")

    def __init__(self, library: ctypes.CDLL) -> None:
        # The arguments of a call have C types already: no ``argtypes`` that would convert them.
        self._step: Callable[..., Any] = library.step
        library.step.restype = None
        self._pool = get_pool()
        self._finding = (ctypes.c_longlong * 4)()
        self.status = SUCCESS
        self._unmap = finalize(self, dlclose, library._handle)
        self._unmap.atexit = False  # the process ends and its mappings with it

    @classmethod
    def build(cls, source: str) -> CpuProgram:
        """Build and load ``source``; raise ``CompileError``, or ``DeviceError`` without a compiler."""
        return cls(load_library(source))

    def __call__(self, args: ctypes.Array[ctypes.c_void_p], threads: int) -> int:
        finding = self._finding
        self._step(self._pool, threads, args, finding)
        if not finding[0]:
            self.status = SUCCESS
            return 0
        self.status = Status(*finding)
        finding[:] = [0, 0, 0, 0]
        return self.status.code

    def close(self) -> None:
        """Unmap the library. A later call raises ``DeviceError``; closing again does nothing."""
        self._step = _closed
        self._unmap()


def _closed(*arguments: object) -> NoReturn:
    raise DeviceError("this program was closed; call the compiled function, which builds it again")


class CpuDevice:
    """This machine's processor, through its C compiler."""

    name = "cpu"

    def load(self, source: str) -> CpuProgram:
        return CpuProgram.build(source)

    def alloc(self, nbytes: int) -> np.ndarray:
        return aligned_empty(nbytes)


def aligned_empty(nbytes: int) -> np.ndarray:
    """uint8[nbytes] of any content, aligned to 64 bytes; pages of large ones come from the system on first touch."""
    block = np.empty(nbytes + ALIGNMENT, np.uint8)
    offset = -block.ctypes.data % ALIGNMENT
    return block[offset : offset + nbytes]
