"""Generated C under sanitizers: every op, the examples' steps, and steps on several threads.

Run by ``pytest -m sanitized``. Sanitizers are of gcc or clang; the programs are executables of their own, since Python
is not built with them.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from compiler.plan import Plan
from genesis import compiled
from runtime.executor import Executor
from runtime.toolchain import march
from tests import programs
from tests.compiler.codegen.c.plans import compiler, native
from tests.compiler.codegen.c.test_unit import Table, check
from tests.end_to_end.train import train
from tests.programs import Executable, PlanDevice

pytestmark = pytest.mark.sanitized

MEMORY = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
THREADS = ("-fsanitize=thread",)


STEP = """
#include <stddef.h>
typedef struct gen_pool gen_pool;
struct gen_pool {
  void (*run)(gen_pool *, int threads, void (*body)(int tid, int nt, void *ctx), void *ctx);
};
static void body(int tid, int nt, void *context) { FAULT; }
void step(gen_pool *pool, int threads, void *const *args, long long *status) {
  pool->run(pool, threads, body, args[0]);
}
"""


def built(source: str, flags: Sequence[str]) -> list[str]:
    """The command that starts the program of ``source``."""
    used = compiler()
    if used.family == "zig":
        pytest.skip("zig has no library of sanitizers")
    kept = [flag for flag in used.flags(march()) if flag not in ("-O3", "-fPIC")]
    executable = programs.build(source, [*used.command, *kept, "-O1", *flags])
    # the thread sanitizer does not know memory that the kernel places at random as far apart as some do
    start = ["setarch", "-R"] if flags is THREADS and shutil.which("setarch") else []
    return [*start, str(executable)]


def sanitized(plan: Plan, flags: Sequence[str]) -> Executable:
    """The plan's program, whose reports fail the test."""
    return Executable(plan, built(plan.source, flags))


@pytest.mark.parametrize(
    ("flags", "fault", "report"),
    [
        (MEMORY, "((char *)context)[8 + tid] = 1", "heap-buffer-overflow"),
        (MEMORY, "((int *)context)[0] = 1 << (31 + nt)", "shift exponent"),
        (THREADS, "for (int i = 0; i < 1000; i++) ((volatile int *)context)[0]++", "data race"),
    ],
    ids=["memory", "undefined", "threads"],
)
def test_a_fault_is_reported(flags: Sequence[str], fault: str, report: str) -> None:
    command = built(STEP.replace("FAULT", fault), flags)
    with pytest.raises(AssertionError, match=report):
        programs.run(command, [np.zeros(8, np.uint8)], threads=2)


@pytest.mark.parametrize("flags", [MEMORY, THREADS], ids=["memory", "threads"])
def test_every_op(flags: Sequence[str]) -> None:
    """On two threads."""
    table = Table(native(), lambda plan: sanitized(plan, flags))
    for op in table.by_op:
        check(table, op)
    assert table.status == [0, 0, 0, 0]


@pytest.mark.parametrize("flags", [MEMORY, THREADS], ids=["memory", "threads"])
@pytest.mark.parametrize("run", ["digits:f32", "gpt:f32", "gpt:bf16"])
def test_training(run: str, flags: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def executor(plan: Plan, _: object, *settings: Any) -> Executor:
        return Executor(plan, PlanDevice(sanitized(plan, flags)), *settings)

    monkeypatch.setattr(compiled, "Executor", executor)
    losses = train(run)
    assert losses["compiled"] == pytest.approx(losses["eager"], rel=1e-2)
