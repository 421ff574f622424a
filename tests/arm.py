"""Programs for 64-bit ARM on any machine: generated C, cross-compiled with the thread pool, run by an emulator.

Needs the ziglang package, whose C library is built on first use (half a minute), and QEMU's ``qemu-aarch64``.
"""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from math import prod
from pathlib import Path

import numpy as np
import pytest

from compiler.ir.types import dtype
from compiler.plan import Plan
from runtime.device import Status
from runtime.devices.cpu import aligned_empty
from runtime.toolchain import FAMILY_FLAGS, FLAGS

POOL = Path(__file__).parents[1] / "runtime" / "devices" / "pool.c"
EMULATOR = "qemu-aarch64"

# Reads {int64 threads, count, bytes[count]} and as many buffers, runs the step, writes the buffers and the status back.
MAIN = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct gen_pool gen_pool;
gen_pool *gen_pool_get(void);
void step(gen_pool *pool, int threads, void *const *args, long long *status);

static void get(void *into, size_t bytes) {
  if (fread(into, 1, bytes, stdin) != bytes) exit(1);
}

int main(void) {
  int64_t head[2];
  get(head, sizeof head);
  int64_t *bytes = malloc(head[1] * sizeof *bytes);
  void **args = malloc(head[1] * sizeof *args);
  get(bytes, head[1] * sizeof *bytes);
  for (int64_t i = 0; i < head[1]; i++) get(args[i] = aligned_alloc(64, (bytes[i] + 64) / 64 * 64), bytes[i]);
  long long status[4] = {0};
  step(gen_pool_get(), head[0], args, status);
  for (int64_t i = 0; i < head[1]; i++) fwrite(args[i], 1, bytes[i], stdout);
  fwrite(status, sizeof status, 1, stdout);
}
"""


def cross_compiler() -> list[str]:
    """A C compiler for 64-bit ARM with the flags that Genesis uses there, or a skip."""
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("no ziglang")
    flags = [flag for flag in FLAGS if flag != "-fPIC"]
    return [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-musl", *flags, *FAMILY_FLAGS["zig"]]


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="arm-"))


def build(source: str, *flags: str) -> Path:
    """The executable of a translation unit with a ``step``."""
    if shutil.which(EMULATOR) is None:
        pytest.skip(f"no {EMULATOR}")
    folder = Path(tempfile.mkdtemp(dir=_folder()))
    (folder / "step.c").write_text(source)
    (folder / "main.c").write_text(MAIN)
    command = [*cross_compiler(), *flags, "-static", "-o", "program", "main.c", "step.c", str(POOL), "-lm"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:4000]
    return folder / "program"


def emulate(executable: Path, buffers: Sequence[np.ndarray], threads: int = 1) -> Status:
    """Run the step on ``buffers`` (uint8), which it may change."""
    sizes = [buffer.nbytes for buffer in buffers]
    image = [np.array([threads, len(sizes), *sizes], np.int64).tobytes(), *(buffer.tobytes() for buffer in buffers)]
    done = subprocess.run([EMULATOR, executable], input=b"".join(image), capture_output=True, check=True)
    *changed, status = np.split(np.frombuffer(done.stdout, np.uint8), np.cumsum(sizes))
    for buffer, bytes_after in zip(buffers, changed, strict=True):
        buffer[:] = bytes_after
    return Status(*status.view(np.int64).tolist())


class ArmProgram:
    """A :class:`runtime.device.Program` in the emulator, on the memory that its arguments point to.

    ``guard``: bytes behind every buffer that it gets to see as well.
    """

    def __init__(self, plan: Plan, *flags: str, guard: int = 0) -> None:
        self._plan, self._guard = plan, guard
        self._executable = build(plan.source, *flags)
        self.status = Status(0, 0, 0, 0)

    def __call__(self, args: ctypes.Array[ctypes.c_void_p], threads: int) -> int:
        plan = self._plan
        slots = [prod(slot.shape) * dtype(slot.dtype).numpy.itemsize for slot in plan.slots]
        sizes = [size + self._guard for size in (*slots, plan.arena_bytes, plan.scratch_bytes(threads))]
        places = args[: len(sizes)]  # behind them is only that of the times, which are not taken
        memory = [(ctypes.c_uint8 * size).from_address(place) for place, size in zip(places, sizes, strict=True)]
        self.status = emulate(self._executable, [np.ctypeslib.as_array(one) for one in memory], threads)
        return self.status.code


class ArmDevice:
    """A :class:`runtime.device.Device` for one plan."""

    name = "arm"

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def load(self, source: str) -> ArmProgram:
        assert source == self._plan.source
        return ArmProgram(self._plan)

    def alloc(self, nbytes: int) -> np.ndarray:
        return aligned_empty(nbytes)
