"""Workers of a loader: threads, or processes, that make batches ahead of time."""

from __future__ import annotations

import random
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass
from typing import Any

import numpy as np

from compiler.errors import GenesisError
from genesis.random import manual_seed
from genesis.utils.data.collate import default_collate, gather
from genesis.utils.data.dataset import IterableDataset, samples
from genesis.utils.data.sampler import batches


class End:
    """Stands in the place of a batch where an iterable dataset has ended."""


class WorkerError(GenesisError, RuntimeError):
    """A worker of a DataLoader failed; the message carries the samples and the whole traceback."""


@dataclass(frozen=True)
class WorkerInfo:
    """Which of the workers of a loader is running, on which dataset, and the seed of its random numbers."""

    id: int
    num_workers: int
    dataset: Any
    seed: int = 0


@dataclass(frozen=True)
class Source:
    """How batches are made from a dataset."""

    dataset: Any
    collate_fn: Callable[[Any], Any]
    batched: bool
    batch_size: int | None
    drop_last: bool

    def fetch(self, order: Any) -> Any:
        """The batch of a list of indices, or one sample."""
        if not self.batched:
            return self.collate_fn(self.dataset[order])
        ready = gather(self.dataset, order) if self.collate_fn is default_collate else None
        return self.collate_fn(samples(self.dataset, order)) if ready is None else ready

    def stream(self) -> Iterator[Any]:
        """The batches of an iterable dataset."""
        items = iter(self.dataset)
        return map(
            self.collate_fn, items if self.batch_size is None else batches(items, self.batch_size, self.drop_last)
        )


@dataclass(frozen=True)
class Setup:
    """The settings of a worker, given once. ``own_process``: it has random generators of its own, which it seeds."""

    info: WorkerInfo
    source: Source
    init_fn: Callable[[int], None] | None
    own_process: bool


_here = threading.local()


def get_worker_info() -> WorkerInfo | None:
    """The worker this runs in; None outside workers."""
    return getattr(_here, "info", None)


class Worker:
    """One thread or process, which does what it is given in the order it is given."""

    def __init__(self, setup: Setup, context: Any) -> None:
        self.id = setup.info.id
        self.ended = False
        self._executor: Executor
        if context is None:
            self._executor = ThreadPoolExecutor(1, f"DataLoader-{self.id}", _keep, (setup,))
        else:
            self._executor = ProcessPoolExecutor(1, context, _keep, (setup,))
        self.started = self._executor.submit(_start)

    def begin(self) -> Future[Any]:
        """Begin an epoch."""
        self.ended = False
        return self._executor.submit(_begin)

    def fetch(self, order: Any) -> Future[Any]:
        """The batch of ``order``."""
        return self._executor.submit(_fetch, order)

    def advance(self) -> Future[Any]:
        """The next batch of an iterable dataset, or :class:`End`."""
        return self._executor.submit(_advance)

    def stop(self, wait: bool = True) -> None:
        """End it; unless ``wait``, a process is killed and a thread left to its end."""
        processes = getattr(self._executor, "_processes", None) or {}
        if not wait:
            for process in list(processes.values()):
                process.kill()
        self._executor.shutdown(wait=wait, cancel_futures=True)


def result_of(worker: Worker, future: Future[Any], timeout: float) -> Any:
    """A result of a worker. Raises RuntimeError for a process that died, and after ``timeout`` seconds (0: never)."""
    try:
        return future.result(timeout or None)
    except Late:
        raise WorkerError(f"DataLoader timed out after {timeout} seconds, waiting for worker {worker.id}") from None
    except BrokenExecutor:
        raise WorkerError(
            f"DataLoader worker {worker.id} exited unexpectedly: its process was killed, or what it was given or made "
            "cannot be pickled"
        ) from None


# In the worker


def _keep(setup: Setup) -> None:
    _here.setup, _here.info = setup, setup.info


def _told(action: Callable[[], Any], what: str = "") -> Any:
    """The result of ``action``; an error is raised again with its traceback in the message."""
    try:
        return action()
    except Exception as error:
        info = _here.info
        raise WorkerError(
            f"worker {info.id} of a DataLoader with {info.num_workers} workers failed{what}:\n{traceback.format_exc()}"
        ) from error


def _start() -> None:
    setup = _here.setup
    if setup.own_process:
        seed = setup.info.seed
        random.seed(seed)
        np.random.seed(seed % 2**32)
        manual_seed(seed)
    if setup.init_fn is not None:
        _told(lambda: setup.init_fn(setup.info.id))


def _begin() -> None:
    source = _here.setup.source
    if isinstance(source.dataset, IterableDataset):
        _here.stream = _told(source.stream)


def _fetch(order: Any) -> Any:
    return _told(lambda: _here.setup.source.fetch(order), f" on samples {order}")


def _advance() -> Any:
    return _told(lambda: next(_here.stream, End()))
