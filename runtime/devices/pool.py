"""The process's one thread pool (``pool.c``), built and loaded on first use, and the number of threads to use.

Environment: ``GENESIS_NUM_THREADS`` (by default the number of processors this process may run on).
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import re
from pathlib import Path

from compiler.errors import DeviceError
from runtime.cache import CacheError, cached
from runtime.toolchain import find_compiler, march, processor_identity

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_chosen: int | None = None


def load_library(source: str) -> ctypes.CDLL:
    """Build one C file, unless the cache has it, and load it.

    A library that cannot be loaded is built again, once.

    Raises:
        DeviceError: there is no compiler; ``CompileError``: it fails.
        CacheError: the library cannot be kept, or not be loaded.
    """
    compiler = find_compiler()
    if compiler is None:
        raise DeviceError(
            "no C compiler was found; install gcc or clang, or `pip install ziglang`, or name one in GENESIS_CC"
        )
    processor = march()
    code = _COMMENT.sub("", source)  # the lines of the user's program stand in comments, and move
    key = ("library", compiler.identity, compiler.version, *compiler.flags(processor), processor_identity(), code)

    def make(path: Path) -> None:
        compiler.build(source, path, processor)

    path = cached(key, ".so", make)
    with contextlib.suppress(OSError):
        return ctypes.CDLL(str(path))
    path = cached(key, ".so", make, again=True)
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise CacheError(
            f"a library that was just built cannot be loaded: {error}. If its folder does not allow programs "
            "(a mount with noexec, say), set GENESIS_CACHE to another folder."
        ) from error


@functools.cache
def get_pool() -> ctypes.c_void_p:
    """The address of the process's ``gen_pool``."""
    get = load_library(Path(__file__).with_name("pool.c").read_text()).gen_pool_get
    get.restype = ctypes.c_void_p
    return ctypes.c_void_p(get())


def num_threads() -> int:
    """Threads a program may use: the last ``set_num_threads``, ``GENESIS_NUM_THREADS``, or every processor at hand."""
    if _chosen is not None:
        return _chosen
    if text := os.environ.get("GENESIS_NUM_THREADS"):
        if not text.isdecimal() or int(text) < 1:
            raise DeviceError(f"GENESIS_NUM_THREADS={text!r} is not a number of threads; write 1 or more")
        return int(text)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_num_threads(count: int) -> None:
    """Use ``count`` threads, 1 or more, from the next call on. Results do not depend on it."""
    if count < 1:
        raise DeviceError(f"set_num_threads({count}): the number of threads must be 1 or more")
    global _chosen
    _chosen = count
