"""A process that interprets kernels beside this one, which compiles them: Triton decides when it is imported."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
import triton

from runtime.triton.aot import load_module
from runtime.triton.interpreter import run_kernel

Interpret = Callable[..., list[Any]]

if not triton.__version__.startswith("3.9."):  # the release the interpreter's corrections are for
    collect_ignore_glob = ["test_*.py"]


def run_source(
    source: str, kernel: str, grid: tuple[int, ...], arguments: Sequence[Any], constexprs: Mapping[str, object]
) -> list[Any]:
    run_kernel(getattr(load_module(source), kernel), grid, arguments, constexprs)
    return list(arguments)


@pytest.fixture(scope="session")
def worker() -> Iterator[ProcessPoolExecutor]:
    """One process in which kernels are interpreted."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TRITON_INTERPRET", "1")
            pool.submit(os.getpid).result()  # the process starts here and keeps this environment
        yield pool


@pytest.fixture(scope="session")
def interpret(worker: ProcessPoolExecutor) -> Interpret:
    """`interpret(source, kernel, grid, arguments, **constexprs)` runs a kernel and returns the arguments afterwards."""

    def run(
        source: str, kernel: str, grid: tuple[int, ...], arguments: Sequence[Any], **constexprs: object
    ) -> list[Any]:
        return worker.submit(run_source, source, kernel, grid, arguments, constexprs).result()

    return run
