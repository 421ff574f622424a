"""Compiles generated C with the flags the CPU backend ships, but for its optimisation, and calls it on arrays."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from compiler.codegen.c.isa import ISAS, Isa, isa_for

FLAGS = ["-std=gnu11", "-O3", "-fno-math-errno", "-fno-trapping-math", "-fopenmp-simd"]
NUMPY = {"f32": np.dtype(np.float32), "bf16": np.dtype(ml_dtypes.bfloat16), "f16": np.dtype(np.float16)}

MAX_ULP: dict[str, float] = {
    "gen_expf": 1.5,
    "gen_expm1f": 2.0,
    "gen_logf": 1.5,
    "gen_log2f": 2.5,
    "gen_log1pf": 2.0,
    "gen_tanhf": 3.0,
    "gen_erff": 8.5,
    "gen_sinf": 6.0,
    "gen_cosf": 6.0,
}
"""Largest error of each elementary function in units in the last place, with and without fused multiply-add."""

POOL = """\
#include <pthread.h>
#include <sched.h>

typedef struct {
  gen_pool base;
  pthread_barrier_t gate;
} test_pool;

typedef struct {
  test_pool *pool;
  int tid, nt;
  void (*body)(int, int, void *);
  void *ctx;
} test_thread;

static void *test_main(void *p) {
  test_thread *t = p;
  t->body(t->tid, t->nt, t->ctx);
  return NULL;
}

static void test_barrier(gen_pool *pool, int nt) {
  (void)nt;
  pthread_barrier_wait(&((test_pool *)pool)->gate);
}

static void test_run(int nt, void (*body)(int, int, void *), test_pool *pool, void *ctx) {
  pthread_t threads[16];
  test_thread arguments[16];
  pool->base.barrier = test_barrier;
  pthread_barrier_init(&pool->gate, NULL, (unsigned)nt);
  for (int i = 0; i < nt; ++i) {
    arguments[i] = (test_thread){pool, i, nt, body, ctx};
    if (i) pthread_create(&threads[i], NULL, test_main, &arguments[i]);
  }
  test_main(&arguments[0]);
  for (int i = 1; i < nt; ++i) pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&pool->gate);
}
"""


def entry(kernel: str, arguments: int, scratch: int) -> str:
    """A C function `run_KERNEL(nt, pointers)` that runs a kernel of `arguments` pointers on nt threads."""
    forwarded = "".join(f", p[{i}]" for i in range(arguments))
    return f"""
typedef struct {{ test_pool pool; char *scratch; void **p; }} {kernel}_call;
static void {kernel}_body(int tid, int nt, void *ctx) {{
  {kernel}_call *call = ctx;
  void **p = call->p;
  {kernel}(&call->pool.base, tid, nt, call->scratch{forwarded});
}}
void run_{kernel}(int nt, void **p) {{
  {kernel}_call call = {{.scratch = aligned_alloc(64, {scratch} + 64), .p = p}};
  memset(call.scratch, 0xff, {scratch} + 64);
  for (int i = 0; i < 64; ++i) call.scratch[{scratch} + i] = 77;
  test_run(nt, {kernel}_body, &call.pool, &call);
  for (int i = 0; i < 64; ++i)
    if (call.scratch[{scratch} + i] != 77) abort();
  free(call.scratch);
}}
"""


@cache
def _directory() -> Path:
    return Path(tempfile.mkdtemp(prefix="generated-c-"))


def machine_features() -> frozenset[str]:
    """CPU features of this machine, by the names that `isa_for` takes."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    words = {word for line in lines if line.startswith(("flags", "Features")) for word in line.split(":")[1].split()}
    return frozenset(word.replace("avx512_bf16", "avx512bf16").replace("asimd", "neon") for word in words)


MARCH = {
    "avx512bf16": "x86-64-v4 -mavx512bf16",
    "avx512": "x86-64-v4",
    "avx2": "x86-64-v3",
    "neon": "armv8-a",
    "portable": "native",
}


def isas() -> list[Isa]:
    """Every instruction set this machine runs."""
    best = isa_for(machine_features())
    order = ["avx512bf16", "avx512", "avx2", "portable"]
    if best.name == "neon":
        order = ["neon", "portable"]
    return [ISAS[name] for name in order[order.index(best.name) :]]


def build(text: str, isa: Isa, compiler: Sequence[str] = ("gcc",), level: int = 0) -> ctypes.CDLL:
    """Compile with ``-O<level>`` to a shared library and load it; baseline x86-64 stands for the portable ISA.

    Without optimisation it takes a fraction of the time.
    """
    if not shutil.which(compiler[0]):
        pytest.skip(f"no {compiler[0]}")
    march = MARCH[isa.name]
    if isa.name == "portable" and os.uname().machine == "x86_64":
        march = "x86-64"
    if "zig" in " ".join(compiler):
        march = march.replace("-", "_").replace("_mavx512bf16", "-mavx512bf16").replace("x86_64_v", "x86_64_v")
    digest = hashlib.sha256(f"{compiler}{level}{march}{text}".encode()).hexdigest()[:20]
    source, library = _directory() / f"{digest}.c", _directory() / f"{digest}.so"
    if not library.exists():
        source.write_text(text)
        command = [
            *compiler,
            *FLAGS,
            f"-O{level}",
            *f"-march={march}".split(),
            "-Wall",
            "-Werror",
            "-Wno-unused",
            "-Wno-unknown-pragmas",
        ]
        done = subprocess.run(
            [*command, "-shared", "-fPIC", "-o", str(library), str(source), "-lm", "-lpthread"],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(library))


def zig() -> list[str]:
    """The zig C compiler, or a skip."""
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("no ziglang")
    return [sys.executable, "-m", "ziglang", "cc", "-fno-sanitize=all"]


def call(library: ctypes.CDLL, kernel: str, nt: int, *arrays: np.ndarray) -> None:
    """Run a kernel made by `entry` on arrays."""
    pointers = (ctypes.c_void_p * len(arrays))(*[array.ctypes.data for array in arrays])
    getattr(library, f"run_{kernel}")(ctypes.c_int(nt), pointers)


def strided(
    rng: np.random.Generator, shape: Sequence[int], order: Sequence[int], dtype: str, gap: int = 0
) -> np.ndarray:
    """Random values of a shape whose axes lie in memory in `order`, outermost first, `gap` unused elements a row."""
    sizes = [shape[axis] for axis in order]
    sizes[-1] += gap
    base = rng.standard_normal(sizes).astype(NUMPY[dtype])
    view = base[..., : sizes[-1] - gap] if gap else base
    return np.transpose(view, np.argsort(order))


def element_strides(array: np.ndarray) -> tuple[int, ...]:
    return tuple(stride // array.itemsize for stride in array.strides)
