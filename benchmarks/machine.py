"""The machine that the figures depend on: the processor, its instruction sets, and how busy it is."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

FLAGS = (
    "avx", "avx2", "fma", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile",
    "amx_bf16", "asimd", "asimdhp", "bf16", "sve", "sve2",
)  # fmt: skip


def processors() -> list[int]:
    """The processors this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def load() -> float:
    """Runnable processes, averaged over the last minute."""
    return os.getloadavg()[0]


def cpu() -> str:
    """The name of the processor."""
    found = re.search(r"model name\s*:\s*(.*)", _cpuinfo())
    return found.group(1) if found else platform.processor() or platform.machine()


def flags() -> list[str]:
    """Those instruction sets of :data:`FLAGS` that the processor has."""
    found = re.search(r"(?:flags|Features)\s*:\s*(.*)", _cpuinfo())
    have = set(found.group(1).split()) if found else set()
    return [flag for flag in FLAGS if flag in have]


def _cpuinfo() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text() if path.exists() else ""
