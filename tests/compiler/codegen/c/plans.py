"""Builds a plan without optimisation, which takes a fraction of the time, and runs it between guarded memory."""

from __future__ import annotations

import ctypes
import hashlib
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import astuple
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from compiler.codegen.c.isa import Isa, isa_for
from compiler.ir.types import dtype
from compiler.plan import Plan
from runtime.device import Program, pointers
from runtime.devices.cpu import CpuProgram
from runtime.toolchain import Compiler, find_compiler, march

GUARD = 64  # bytes behind every buffer that no kernel may touch
STRICT = [
    "-Wall",
    "-Wextra",
    "-Wshadow",
    "-Werror",
    "-Wno-unused",
    "-Wno-unused-parameter",
    "-Wno-unknown-pragmas",
    "-Wno-sign-compare",
]


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="plans-"))


def compiler() -> Compiler:
    """The machine's C compiler, or a skip."""
    found = find_compiler()
    if found is None:
        pytest.skip("no C compiler")
    return found


def native() -> Isa:
    return isa_for(compiler().features)


def load(plan: Plan) -> ctypes.CDLL:
    """The plan's source as a library; a warning fails the test."""
    used = compiler()
    flags = [f for f in used.flags(march()) if f != "-O3"]
    path = _folder() / f"{hashlib.sha256(plan.source.encode()).hexdigest()[:20]}.so"
    if not path.exists():
        command = [*used.command, *flags, "-shared", "-O0", *STRICT, "-x", "c", "-", "-o", str(path), "-lm"]
        done = subprocess.run(command, input=plan.source, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[:4000]
    return ctypes.CDLL(str(path))


class Guarded:
    """Memory that notices writes behind its end. ``filled``: bytes that stand in it before the run."""

    def __init__(self, nbytes: int, filled: bytes = b"") -> None:
        block = np.full(nbytes + 2 * GUARD, 0xFF, np.uint8)
        start = -block.ctypes.data % GUARD
        self.bytes = block[start : start + nbytes]
        self.behind = block[start + nbytes : start + nbytes + GUARD]
        self.bytes[: len(filled)] = np.frombuffer(filled, np.uint8)

    def intact(self) -> bool:
        return bool((self.behind == 0xFF).all())


def run(
    plan: Plan,
    arrays: Sequence[np.ndarray],
    threads: int = 1,
    program: Program | None = None,
    spent: np.ndarray | None = None,
) -> tuple[list[np.ndarray], list[int]]:
    """Every buffer after one call (states, scalars and inputs too), and the status. Memory that is not written is NaN.

    ``program``: the plan as somebody else loaded it; ``spent``: where a timed plan writes its seconds.
    """
    program = program or CpuProgram(load(plan))
    given = iter(arrays)
    buffers = []
    for slot in plan.slots:
        kind = dtype(slot.dtype).numpy
        nbytes = int(np.prod(slot.shape, dtype=np.int64)) * kind.itemsize
        filled = b"" if slot.kind == "output" else np.ascontiguousarray(next(given), kind).tobytes()
        buffers.append(Guarded(nbytes, filled))
    memory = [*buffers, Guarded(plan.arena_bytes), Guarded(plan.scratch_bytes(threads))]
    args = pointers(len(memory) + 1)
    args[:] = [*(m.bytes.ctypes.data for m in memory), spent.ctypes.data if spent is not None else None]
    program(args, threads)
    broken = [slot for slot, m in zip([*plan.slots, "arena", "scratch"], memory, strict=True) if not m.intact()]
    assert not broken, f"written behind the end of {broken}"
    results = [m.bytes.view(dtype(s.dtype).numpy).reshape(s.shape) for s, m in zip(plan.slots, buffers, strict=True)]
    return results, list(astuple(program.status))
