"""Generated C as an executable of its own, with the thread pool: for an emulator, or with sanitizers."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from math import prod
from pathlib import Path

import numpy as np

from compiler.ir.types import dtype
from compiler.plan import Plan
from runtime.device import Status
from runtime.devices.cpu import aligned_empty

POOL = Path(__file__).parents[1] / "runtime" / "devices" / "pool.c"

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

static void *room(size_t bytes) {
  void *place;
  if (posix_memalign(&place, 64, bytes ? bytes : 1)) exit(1);
  return place;
}

int main(void) {
  int64_t head[2];
  get(head, sizeof head);
  int64_t *bytes = room(head[1] * sizeof *bytes);
  void **args = room(head[1] * sizeof *args);
  get(bytes, head[1] * sizeof *bytes);
  for (int64_t i = 0; i < head[1]; i++) get(args[i] = room(bytes[i]), bytes[i]);
  long long status[4] = {0};
  step(gen_pool_get(), head[0], args, status);
  for (int64_t i = 0; i < head[1]; i++) fwrite(args[i], 1, bytes[i], stdout);
  fwrite(status, sizeof status, 1, stdout);
  for (int64_t i = 0; i < head[1]; i++) free(args[i]);
  free(args), free(bytes);
}
"""


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="programs-"))


def build(source: str, command: Sequence[str]) -> Path:
    """The executable that the compiler ``command`` makes of a translation unit with a ``step``."""
    folder = Path(tempfile.mkdtemp(dir=_folder()))
    (folder / "step.c").write_text(source)
    (folder / "main.c").write_text(MAIN)
    whole = [*command, "-o", "program", "main.c", "step.c", str(POOL), "-lm"]
    done = subprocess.run(whole, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:4000]
    return folder / "program"


def run(command: Sequence[str], buffers: Sequence[np.ndarray], threads: int = 1) -> Status:
    """Run a built step by ``command`` on ``buffers`` (uint8), which it may change. A report on stderr is an error."""
    sizes = [buffer.nbytes for buffer in buffers]
    image = [np.array([threads, len(sizes), *sizes], np.int64).tobytes(), *(buffer.tobytes() for buffer in buffers)]
    done = subprocess.run(command, input=b"".join(image), capture_output=True)
    assert done.returncode == 0 and not done.stderr, done.stderr.decode(errors="replace")[:8000]
    *changed, status = np.split(np.frombuffer(done.stdout, np.uint8), np.cumsum(sizes))
    for buffer, bytes_after in zip(buffers, changed, strict=True):
        buffer[:] = bytes_after
    return Status(*status.view(np.int64).tolist())


class Executable:
    """A :class:`runtime.device.Program` that a ``command`` runs, on the memory that its arguments point to.

    ``guard``: bytes behind every buffer that it gets to see as well.
    """

    def __init__(self, plan: Plan, command: Sequence[str], guard: int = 0) -> None:
        self._plan, self._command, self._guard = plan, command, guard
        self.status = Status(0, 0, 0, 0)

    def __call__(self, args: ctypes.Array[ctypes.c_void_p], threads: int) -> int:
        plan = self._plan
        slots = [prod(slot.shape) * dtype(slot.dtype).numpy.itemsize for slot in plan.slots]
        sizes = [size + self._guard for size in (*slots, plan.arena_bytes, plan.scratch_bytes(threads))]
        places = args[: len(sizes)]  # behind them is only the place of the times, which are not taken
        memory = [(ctypes.c_uint8 * size).from_address(place) for place, size in zip(places, sizes, strict=True)]
        self.status = run(self._command, [np.ctypeslib.as_array(one) for one in memory], threads)
        return self.status.code

    def close(self) -> None:
        """Nothing is held."""


class PlanDevice:
    """A :class:`runtime.device.Device` for one plan and the program made of it."""

    name = "executable"

    def __init__(self, program: Executable) -> None:
        self._program = program

    def load(self, source: str) -> Executable:
        return self._program

    def alloc(self, nbytes: int) -> np.ndarray:
        return aligned_empty(nbytes)
