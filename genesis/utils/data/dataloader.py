"""The loader: batches of a dataset, made by the caller or ahead of time by workers."""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, Generic, TypeVar

from compiler.errors import ArgumentError, ChoiceError
from genesis.random import Generator, default_generator
from genesis.utils.data.collate import default_collate, default_convert
from genesis.utils.data.dataset import Dataset, IterableDataset, length
from genesis.utils.data.sampler import BatchSampler, RandomSampler, SequentialSampler, count
from genesis.utils.data.shuffling import Shuffler
from genesis.utils.data.worker import End, Setup, Source, Worker, WorkerError, WorkerInfo, result_of

T_co = TypeVar("T_co", covariant=True)

_FIXED = frozenset(("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"))


class DataLoader(Generic[T_co]):
    """Batches of a dataset, in order or shuffled, made ahead of time by ``num_workers`` threads, or processes.

    Batch ``k`` is made by worker ``k % num_workers``, so the batches do not depend on timing. ``batch_size=None``
    yields single samples. ``prefetch_factor`` batches per worker are made ahead (2 where it is not given). A failing
    worker raises :class:`WorkerError` with the worker's traceback.

    Workers are threads: they share the dataset. With ``multiprocessing_context`` (``"fork"``, ``"spawn"``,
    ``"forkserver"`` or a context) they are processes, for datasets that compute in Python: each has a copy of the
    dataset and seeds of its own, and batches are pickled. ``persistent_workers`` live on from epoch to epoch.
    After ``timeout`` seconds without a batch WorkerError is raised. ``in_order=False`` yields batches as they are
    ready. ``pin_memory`` is a hint that nothing here needs.
    """

    def __init__(
        self,
        dataset: Dataset[T_co] | Sequence[T_co],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Sequence[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[T_co]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Shuffler | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        shuffle = bool(shuffle)
        if num_workers < 0:
            raise ChoiceError(f"num_workers should be zero or more, but got num_workers={num_workers}")
        if timeout < 0:
            raise ChoiceError("timeout option should be non-negative")
        if prefetch_factor is not None and (num_workers == 0 or prefetch_factor <= 0):
            raise ChoiceError("prefetch_factor is a positive number of batches per worker, and needs num_workers > 0")
        if persistent_workers and num_workers == 0:
            raise ChoiceError("persistent_workers option needs num_workers > 0")
        if sampler is not None and shuffle:
            raise ChoiceError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ChoiceError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ChoiceError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")
        if isinstance(dataset, IterableDataset):
            given = {"shuffle": shuffle, "sampler": sampler is not None, "batch_sampler": batch_sampler is not None}
            for option in (name for name, value in given.items() if value):
                raise ChoiceError(f"an IterableDataset has an order of its own: it takes no {option}")
        elif sampler is None and batch_sampler is None:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_size is not None and sampler is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)

        self.dataset = dataset
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.num_workers = num_workers
        self.worker_init_fn = worker_init_fn
        self.generator = generator
        self.prefetch_factor = prefetch_factor or 2
        self.pin_memory, self.pin_memory_device = pin_memory, pin_memory_device
        self.timeout = timeout
        self.persistent_workers = persistent_workers
        self.in_order = in_order
        self.multiprocessing_context = _context(multiprocessing_context, num_workers)
        single = batch_size is None and batch_sampler is None
        self.collate_fn: Callable[[Any], Any] = collate_fn or (default_convert if single else default_collate)
        self._workers: list[Worker] | None = None
        self._complete = True

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FIXED and "_complete" in self.__dict__:
            raise ChoiceError(f"{name} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(name, value)

    def __len__(self) -> int:
        if self.batch_sampler is not None:
            return length(self.batch_sampler)
        if self.sampler is not None:
            return length(self.sampler)
        samples = length(self.dataset)
        return samples if self.batch_size is None else count(samples, self.batch_size, self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        if self.num_workers:
            return self._iterate_ahead()
        source = self._source()
        return source.stream() if isinstance(self.dataset, IterableDataset) else map(source.fetch, self._orders())

    def _source(self) -> Source:
        batched = self.batch_sampler is not None
        return Source(self.dataset, self.collate_fn, batched, self.batch_size, self.drop_last)

    def _orders(self) -> Iterator[Any]:
        """The samples to fetch for each batch: a list of indices, or one index."""
        return iter(self.batch_sampler if self.batch_sampler is not None else self.sampler)  # type: ignore[arg-type]

    def _iterate_ahead(self) -> Iterator[Any]:
        """Go through the batches while the workers make the next ones."""
        workers = self._workers or self._start()
        self._workers = workers if self.persistent_workers else None
        whole, wait_for = False, True
        try:
            for worker, begun in [(worker, worker.begin()) for worker in workers]:
                result_of(worker, worker.started, self.timeout)
                result_of(worker, begun, self.timeout)
            tasks = self._tasks(workers)
            pending = list(itertools.islice(tasks, self.prefetch_factor * self.num_workers))
            while pending:
                worker, future = pending.pop(0 if self.in_order else self._first_ready(pending))
                batch = result_of(worker, future, self.timeout)
                if isinstance(batch, End):
                    worker.ended = True
                pending.extend(itertools.islice(tasks, 1))
                if not isinstance(batch, End):
                    yield batch
            whole = True
        except WorkerError:
            wait_for = False
            raise
        finally:
            if self._workers is not workers or not whole:
                self._workers = None
                for worker in workers:
                    worker.stop(wait_for)

    def _start(self) -> list[Worker]:
        processes = self.multiprocessing_context is not None
        base, number = self._seed(processes), self.num_workers
        infos = [WorkerInfo(i, number, self.dataset, base + i) for i in range(number)]
        setups = [Setup(info, self._source(), self.worker_init_fn, processes) for info in infos]
        return [Worker(setup, self.multiprocessing_context) for setup in setups]

    def _seed(self, draw: bool) -> int:
        """The first of the workers' seeds; drawn from the generator if workers have random numbers of their own."""
        generator = self.generator if isinstance(self.generator, Generator) else default_generator
        return int(generator.random(1)[0] * 2**53) if draw else generator.initial_seed()

    def _first_ready(self, pending: list[tuple[Worker, Future[Any]]]) -> int:
        wait([future for _, future in pending], self.timeout or None, FIRST_COMPLETED)
        return next((i for i, (_, future) in enumerate(pending) if future.done()), 0)

    def _tasks(self, workers: list[Worker]) -> Iterator[tuple[Worker, Future[Any]]]:
        """Hand out the batches, one worker after the other; a worker with an iterable dataset ends when that does."""
        if not isinstance(self.dataset, IterableDataset):
            for worker, order in zip(itertools.cycle(workers), self._orders()):
                yield worker, worker.fetch(order)
            return
        while not all(worker.ended for worker in workers):
            for worker in workers:
                if not worker.ended:
                    yield worker, worker.advance()


def _context(given: Any, num_workers: int) -> Any:
    """The context of processes; None for threads."""
    if given is None:
        return None
    if num_workers == 0:
        raise ChoiceError(
            "multiprocessing_context can only be used with multi-process loading (num_workers > 0), but got "
            f"num_workers={num_workers}"
        )
    if isinstance(given, str):
        known = multiprocessing.get_all_start_methods()
        if given not in known:
            raise ChoiceError(
                f"multiprocessing_context option should specify a valid start method in {known!r}, but got "
                f"multiprocessing_context={given!r}"
            )
        return multiprocessing.get_context(given)
    if not hasattr(given, "Process"):
        raise ArgumentError(
            "multiprocessing_context option should be a valid context object or a string specifying the start method, "
            f"but got multiprocessing_context={given}"
        )
    return given
