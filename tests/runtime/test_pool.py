"""The thread pool, called from C as generated code calls it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from compiler.errors import DeviceError
from runtime.device import pointers
from runtime.devices import pool
from runtime.devices.cpu import CpuProgram

ROOT = Path(__file__).parents[2]

ABI = """
typedef struct gen_pool gen_pool;
struct gen_pool {
  void (*run)(gen_pool *, int threads, void (*body)(int tid, int nt, void *ctx), void *ctx);
  void (*barrier)(gen_pool *, int nt);
  int max_threads;
};
"""

# Each round, thread t writes cell t and, behind a barrier, reads its neighbour's: a thread that is late or early counts
# as an error. args: {long rounds, long cells[], long errors[], long seen[]}, the last three one per thread.
ROUNDS = (
    ABI
    + """
typedef struct { gen_pool *pool; long rounds; volatile long *cells; long *errors, *seen; } context;

static void body(int tid, int nt, void *ctx) {
  context *c = ctx;
  c->seen[tid] = nt;
  for (long round = 1; round <= c->rounds; round++) {
    c->cells[tid] = round;
    c->pool->barrier(c->pool, nt);
    c->errors[tid] += c->cells[(tid + 1) % nt] != round;
    c->pool->barrier(c->pool, nt);
  }
}

void step(gen_pool *pool, int threads, void *const *args, long long *status) {
  context c = {pool, *(long *)args[0], args[1], args[2], args[3]};
  pool->run(pool, threads, body, &c);
}
"""
)


@pytest.fixture(scope="module", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENESIS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def rounds(program: CpuProgram, threads: int, count: int = 200) -> np.ndarray:
    """Run ``ROUNDS`` and return how many threads each thread saw: int64[threads]."""
    arrays = [np.array([count]), np.zeros(threads, int), np.zeros(threads, int), np.zeros(threads, int)]
    args = pointers(len(arrays))
    for i, array in enumerate(arrays):
        args[i] = array.ctypes.data
    assert program(args, threads) == 0
    assert not arrays[2].any(), "a thread passed a barrier too early"
    return arrays[3]


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_barriers(threads: int) -> None:
    assert (rounds(CpuProgram.build(ROUNDS), threads) == threads).all()


def test_the_number_of_threads_may_change_between_calls() -> None:
    program = CpuProgram.build(ROUNDS)
    for threads in [2, 5, 1, 3, 5, 2, 4] * 20:
        assert (rounds(program, threads, 3) == threads).all()


def test_concurrent_calls_take_turns() -> None:
    program = CpuProgram.build(ROUNDS)
    with ThreadPoolExecutor(4) as executor:
        seen = list(executor.map(lambda i: rounds(program, 2 + i % 2, 5), range(200)))
    assert all((threads == 2 + i % 2).all() for i, threads in enumerate(seen))


# args: {long modes[]}: the rounding mode each thread works with when the caller rounds up.
MODES = (
    ABI
    + """
#include <fenv.h>

static void body(int tid, int nt, void *modes) { ((long *)modes)[tid] = fegetround(); }

void step(gen_pool *pool, int threads, void *const *args, long long *status) {
  int before = fegetround();
  fesetround(FE_UPWARD);
  pool->run(pool, threads, body, args[0]);
  fesetround(before);
  status[0] = FE_UPWARD;
}
"""
)


def test_every_thread_computes_as_the_caller_does() -> None:
    rounds(CpuProgram.build(ROUNDS), 3)  # workers that were made before the mode is set
    modes, args = np.full(3, -1), pointers(1)
    args[0] = modes.ctypes.data
    upward = CpuProgram.build(MODES)(args, 3)
    assert modes.tolist() == [upward] * 3


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux tells the affinity of a thread")
def test_no_thread_is_left_pinned() -> None:
    program = CpuProgram.build(ROUNDS)
    for _ in range(100):
        rounds(program, 3, 5)
    allowed = [os.sched_getaffinity(int(thread)) for thread in os.listdir("/proc/self/task")]
    assert len(allowed) >= 3
    assert all(processors == os.sched_getaffinity(0) for processors in allowed)


FORK = """
import os, signal, sys
from tests.runtime.test_pool import ROUNDS, CpuProgram, rounds

program = CpuProgram.build(ROUNDS)
rounds(program, 3)
child = os.fork()
if child == 0:
    signal.alarm(60)  # a child that waits for its parent's threads would wait for ever
    assert (rounds(program, 3) == 3).all()
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert (rounds(program, 3) == 3).all()
print("both ran")
"""


def test_both_sides_of_a_fork_have_threads() -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORK]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert finished.stdout == "both ran\n", finished.stderr


def test_one_pool_per_process() -> None:
    assert pool.get_pool().value == pool.get_pool().value


def test_num_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_chosen", None)
    monkeypatch.delenv("GENESIS_NUM_THREADS", raising=False)
    assert 1 <= pool.num_threads() <= (os.cpu_count() or 1)
    monkeypatch.setenv("GENESIS_NUM_THREADS", "3")
    assert pool.num_threads() == 3
    pool.set_num_threads(5)
    assert pool.num_threads() == 5


@pytest.mark.parametrize("text", ["0", "-1", "many"])
def test_a_number_of_threads_that_is_none(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(pool, "_chosen", None)
    monkeypatch.setenv("GENESIS_NUM_THREADS", text)
    with pytest.raises(DeviceError, match="GENESIS_NUM_THREADS"):
        pool.num_threads()
    with pytest.raises(DeviceError, match="must be 1 or more"):
        pool.set_num_threads(0)
