"""Acts on the world outside of Python that a step does while it is recorded: refused.

A step runs its Python when it is recorded, so a compiled step would write a file or start a process once and not at
every call. Python tells audit hooks (PEP 578) of such acts before it does them.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from compiler.callers import shown
from compiler.errors import TraceError
from genesis.capture.guards.attributes import of_library

_ACTS = {
    "open": "writes the file",
    "os.chmod": "changes a file",
    "os.link": "makes a file",
    "os.mkdir": "makes a folder",
    "os.posix_spawn": "starts a process",
    "os.putenv": "changes the environment",
    "os.remove": "removes a file",
    "os.rename": "renames a file",
    "os.rmdir": "removes a folder",
    "os.symlink": "makes a file",
    "os.system": "starts a process",
    "os.truncate": "changes a file",
    "os.unsetenv": "changes the environment",
    "socket.connect": "talks to another process",
    "socket.sendmsg": "talks to another process",
    "socket.sendto": "talks to another process",
    "subprocess.Popen": "starts a process",
}
"""Events of the audit hooks that are acts, and what to say of a step that does them."""

_OWN = ("importlib._bootstrap_external", "_frozen_importlib_external", "runtime.cache", "runtime.toolchain")
"""Modules whose acts belong to Python or Genesis, not to the step: the bytecode of imports, compiled programs."""


class _Recorded(threading.local):
    """What this thread records: the name of the step, and the first of its acts that was refused."""

    name = ""
    refused: TraceError | None = None


_recorded = _Recorded()
_hooked = False


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _ACTS or not _recorded.name:  # most events by far are none of these
        return
    act = _ACTS[event]
    if event == "open":
        path, _, flags = arguments
        if not flags & (os.O_WRONLY | os.O_RDWR) or path == os.devnull:
            return
        act = f"{act} {path!r}"
    if _is_own():
        return
    _recorded.refused = _recorded.refused or TraceError(
        f"{_recorded.name} {act}; a compiled step runs its Python only when it is compiled, so that would happen once, "
        f"not at every call\n  at {_line()}\n  return from the step what this needs, and do it outside"
    )
    raise _recorded.refused


def _frames() -> Iterator[tuple[str, FrameType]]:
    """The frames that led here with the names of their modules, innermost first."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        yield str(frame.f_globals.get("__name__")), frame
        frame = frame.f_back


def _is_own() -> bool:
    return any(module in _OWN for module, _ in _frames())


def _line() -> str:
    """The line of the step."""
    frame = next(frame for module, frame in _frames() if not of_library(module))
    return shown(frame.f_code.co_filename, frame.f_lineno)


@contextmanager
def staying_inside(name: str) -> Iterator[None]:
    """Refuse acts of this thread while the step ``name`` is recorded: raises TraceError, which no step can catch."""
    global _hooked
    if not _hooked:
        sys.addaudithook(_refuse)
        _hooked = True
    before = _recorded.name, _recorded.refused
    _recorded.name, _recorded.refused = name, None
    try:
        yield
        if _recorded.refused is not None:
            raise _recorded.refused
    finally:
        _recorded.name, _recorded.refused = before
