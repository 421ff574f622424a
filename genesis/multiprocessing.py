"""``genesis.multiprocessing``: Python's module of that name. Tensors are copied to other processes, not shared."""

from __future__ import annotations

import multiprocessing as _python
from collections.abc import Callable
from multiprocessing import *  # noqa: F403  # what it is
from multiprocessing.pool import Pool as Pool
from typing import Any

from compiler.errors import ChoiceError, MisuseError
from genesis.scope import AROUND

__eager_only__ = AROUND


def get_all_sharing_strategies() -> set[str]:
    """``{"file_system"}``: a name that programs may choose; tensors are copied."""
    return {"file_system"}


def get_sharing_strategy() -> str:
    """``"file_system"``."""
    return "file_system"


def set_sharing_strategy(new_strategy: str) -> None:
    """Do nothing: tensors are copied. Raises ValueError for a strategy that PyTorch does not know either."""
    if new_strategy not in ("file_system", "file_descriptor"):
        raise ChoiceError(f"sharing strategy {new_strategy!r}; there are 'file_system' and 'file_descriptor'")


def spawn(
    fn: Callable[..., Any],
    args: tuple[Any, ...] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> Any:
    """Call ``fn(i, *args)`` in ``nprocs`` processes, ``i`` from 0 on. Without ``join`` returns the list of processes.

    Raises RuntimeError where a process ends with an error.
    """
    context = _python.get_context(start_method)
    processes = [context.Process(target=fn, args=(i, *args), daemon=daemon) for i in range(nprocs)]  # type: ignore[attr-defined]
    for process in processes:
        process.start()
    if not join:
        return processes
    for i, process in enumerate(processes):
        process.join()
        if process.exitcode:
            raise MisuseError(f"process {i} terminated with exit code {process.exitcode}")
    return None
