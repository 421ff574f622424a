"""Programs for 64-bit ARM on any machine: generated C, cross-compiled with the thread pool, run by an emulator.

Needs the ziglang package, whose C library is built on first use (half a minute), and QEMU's ``qemu-aarch64``.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from compiler.plan import Plan
from runtime.device import Status
from runtime.toolchain import FAMILY_FLAGS, FLAGS
from tests import programs
from tests.programs import Executable, PlanDevice

EMULATOR = "qemu-aarch64"


needs_emulator = pytest.mark.skipif(
    importlib.util.find_spec("ziglang") is None or shutil.which(EMULATOR) is None, reason=f"no ziglang or no {EMULATOR}"
)


def cross_compiler() -> list[str]:
    """A C compiler for 64-bit ARM with the flags that Genesis uses there."""
    flags = [flag for flag in FLAGS if flag != "-fPIC"]
    return [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-musl", *flags, *FAMILY_FLAGS["zig"]]


def build(source: str, *flags: str) -> Path:
    """The executable of a translation unit with a ``step``."""
    return programs.build(source, [*cross_compiler(), *flags, "-static"])


def emulate(executable: Path, buffers: Sequence[np.ndarray], threads: int = 1) -> Status:
    """Run the step on ``buffers`` (uint8), which it may change."""
    return programs.run([EMULATOR, str(executable)], buffers, threads)


def arm_program(plan: Plan, *flags: str, guard: int = 0) -> Executable:
    """The plan's program in the emulator."""
    return Executable(plan, [EMULATOR, str(build(plan.source, *flags))], guard)


def arm_device(plan: Plan) -> PlanDevice:
    """The plan's program for the emulator."""
    return PlanDevice(arm_program(plan))
