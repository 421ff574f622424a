"""Resident memory of this process, in bytes."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def mark() -> int:
    """Forget the peak so far where the system can do that (Linux); the bytes that a later peak is compared with."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return peak()
    return _status("VmRSS")


def peak() -> int:
    """The most bytes that were resident at once, since :func:`mark` where the system can forget."""
    if _STATUS.exists():
        return _status("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _status(field: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024
