"""Compiles the kernels of a step in several processes at the same time.

Triton's compiler is Python that holds the interpreter's lock, so threads would not do. A helper is a fresh interpreter
that runs this module and no script of the user's. It gets the program once, then numbers of kernels, and answers each
with the compiled kernel, or with None where it could not: this process tries such a kernel again, and has its error.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from compiler.plan import Plan
from runtime.triton.aot import CompiledKernel, compile_numbered

ENOUGH = 8
"""Kernels for which one more process is worth its start, about a second."""


def compile_program(program: Plan, processes: int | None = None) -> list[CompiledKernel]:
    """The machine code of every kernel of a step, in order, by as many ``processes`` as may run, or fewer.

    Raises what Triton raises for a kernel that it cannot compile.
    """
    count = len(program.kernels)
    if processes is None:
        processes = min(len(os.sched_getaffinity(0)), -(-count // ENOUGH))
    waiting = deque(_longest_first(program))
    found: dict[int, CompiledKernel] = {}
    with ThreadPoolExecutor(max(processes - 1, 1)) as threads:
        helpers = [threads.submit(_help, program, waiting, found) for _ in range(processes - 1)]
        try:
            while waiting:
                with suppress(IndexError):
                    number = waiting.popleft()
                    found[number] = compile_numbered(program, number)
        finally:
            waiting.clear()
        for helper in helpers:
            helper.result()
    return [found[i] if i in found else compile_numbered(program, i) for i in range(count)]


def _longest_first(program: Plan) -> list[int]:
    """The numbers of the kernels, the longest text first, so that no process waits long for another."""
    start = {kernel.name: program.source.find(f"def {kernel.name}(") for kernel in program.kernels}
    ends = sorted([*start.values(), len(program.source)])
    length = {name: ends[ends.index(place) + 1] - place for name, place in start.items()}
    return sorted(range(len(program.kernels)), key=lambda i: -length[program.kernels[i].name])


def _help(program: Plan, waiting: deque[int], found: dict[int, CompiledKernel]) -> None:
    """Have a process of its own compile kernels that wait, until none does or it dies."""
    path = os.pathsep.join(os.path.abspath(folder) for folder in sys.path if folder)
    with (
        suppress(OSError, EOFError, pickle.UnpicklingError),
        subprocess.Popen(
            (sys.executable, "-m", __name__),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            cwd=Path(__file__).parents[2],
        ) as process,
    ):
        assert process.stdin is not None and process.stdout is not None
        pickle.dump(program, process.stdin)
        while waiting:
            try:
                number = waiting.popleft()
            except IndexError:
                break
            pickle.dump(number, process.stdin)
            process.stdin.flush()
            kernel: CompiledKernel | None = pickle.load(process.stdout)
            if kernel is not None:
                found[number] = kernel


def main() -> None:
    """Answer numbers of kernels from standard input until it ends; what Triton prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    program: Plan = pickle.load(sys.stdin.buffer)
    with suppress(EOFError):
        while True:
            number: int = pickle.load(sys.stdin.buffer)
            kernel: CompiledKernel | None = None
            with suppress(Exception):
                kernel = compile_numbered(program, number)
            pickle.dump(kernel, answers)
            answers.flush()


if __name__ == "__main__":
    main()
