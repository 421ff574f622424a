"""Late imports that Ctrl-C cannot stop halfway.

A package that is interrupted while it is imported often cannot be imported again in the same process: Python forgets
the package, but keeps its parts that were done.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import FrameType, ModuleType


def import_whole(name: str) -> ModuleType:
    """The module ``name``; an interrupt that arrives during its import is delivered after it."""
    with _interrupts_wait():
        return import_module(name)


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Call the handler of SIGINT at the end if the signal came in between. Python interrupts only the main thread."""
    handler = signal.getsignal(signal.SIGINT)
    arrived: list[tuple[int, FrameType | None]] = []
    if not callable(handler):  # the signal is ignored, ends the process, or is none of Python's business
        yield
        return
    try:
        signal.signal(signal.SIGINT, lambda number, frame: arrived.append((number, frame)))
    except ValueError:  # another thread than the main one
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if arrived:
            handler(*arrived[0])
