"""Datasets, samplers and the loader, with the names and meanings of ``torch.utils.data``.

Orders are drawn from ``genesis.random.default_generator``, which ``genesis.manual_seed`` seeds, or from the generator
that is given. Workers are threads: they share the datasets, and NumPy lets go of the interpreter while it copies.
"""

from __future__ import annotations

import itertools
import math
import threading
import traceback
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np

from compiler.errors import ArgumentError, ChoiceError, GenesisError, IndexingError, MisuseError, UndefinedError
from genesis.functions.indexing import getitem
from genesis.names import module_getattr
from genesis.random import default_generator
from genesis.tensor import Tensor, from_array, tensor

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Shuffler(Protocol):
    """What samplers need of a generator."""

    def permutation(self, n: int) -> np.ndarray:
        """The integers 0 .. n-1 in random order."""


class WorkerError(GenesisError, RuntimeError):
    """A worker of a DataLoader failed; the message carries the samples and the whole traceback."""


# Datasets


class Dataset(Generic[T_co]):
    """Samples by index: a subclass defines ``__getitem__`` and ``__len__``."""

    def __getitem__(self, index: int) -> T_co:
        raise UndefinedError(f"{type(self).__name__} has to define __getitem__()")

    def __add__(self, other: Dataset) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co]):
    """Samples one after the other: a subclass defines ``__iter__``.

    Each worker runs through all of it, unless ``__iter__`` divides the samples by :func:`get_worker_info`.
    """

    def __iter__(self) -> Iterator[T_co]:
        raise UndefinedError(f"{type(self).__name__} has to define __iter__()")


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Sample ``i`` is row ``i`` of each of ``tensors`` (Tensors, or arrays)."""

    def __init__(self, *tensors: Tensor | np.ndarray) -> None:
        self.tensors = tuple(t if isinstance(t, Tensor) else tensor(t) for t in tensors)
        lengths = [t.shape[0] for t in self.tensors]
        if len(set(lengths)) != 1:
            raise ChoiceError(f"TensorDataset: the tensors need the same first dimension, and have {lengths}")

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        return tuple(getitem(t, index) for t in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].shape[0]


class Subset(Dataset[T_co]):
    """The samples of ``dataset`` at ``indices``."""

    def __init__(self, dataset: Dataset[T_co], indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: int) -> T_co:
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset[T_co]):
    """The samples of several datasets, one dataset after the other."""

    def __init__(self, datasets: Iterable[Dataset[T_co]]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ChoiceError("datasets should not be an empty iterable")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise ChoiceError("ConcatDataset does not support IterableDataset")
        self.cumulative_sizes = list(itertools.accumulate(map(_length, self.datasets)))

    def __getitem__(self, index: int) -> T_co:
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexingError(f"index {index} is out of range for {len(self)} samples")
        which = bisect_right(self.cumulative_sizes, place)
        return self.datasets[which][place - (self.cumulative_sizes[which - 1] if which else 0)]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


def random_split(
    dataset: Dataset[T], lengths: Sequence[int | float], generator: Shuffler | None = None
) -> list[Subset[T]]:
    """Divide ``dataset`` at random into parts of ``lengths`` samples, or of shares that sum to 1.

    Shares are rounded down, and what remains goes to the first parts, one sample each.
    """
    total = _length(dataset)
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1 + 1e-9:
        if not all(0 <= share <= 1 for share in lengths):
            raise ChoiceError(f"random_split: shares lie between 0 and 1, and these are {list(lengths)}")
        counts = [math.floor(total * share) for share in lengths]
        for i in range(total - sum(counts)):
            counts[i % len(counts)] += 1
    else:
        counts = [int(length) for length in lengths]
    if sum(counts) != total:
        raise ChoiceError(f"Sum of input lengths does not equal the length of the input dataset: {counts} of {total}")
    order = (generator or default_generator).permutation(total).tolist()
    ends = itertools.accumulate(counts)
    return [Subset(dataset, order[end - count : end]) for end, count in zip(ends, counts)]


# Samplers


class Sampler(Generic[T_co]):
    """An order of samples: ``__iter__`` yields indices (or lists of them, for a batch sampler)."""

    def __iter__(self) -> Iterator[T_co]:
        raise UndefinedError(f"{type(self).__name__} has to define __iter__()")


class SequentialSampler(Sampler[int]):
    """The samples in their order."""

    def __init__(self, data_source: Dataset | Sequence) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self)))

    def __len__(self) -> int:
        return _length(self.data_source)


class RandomSampler(Sampler[int]):
    """The samples in random order, a new one each time; ``num_samples`` of them, begun anew when they run out."""

    def __init__(
        self, data_source: Dataset | Sequence, num_samples: int | None = None, generator: Shuffler | None = None
    ) -> None:
        self.data_source = data_source
        self.num_samples = _length(data_source) if num_samples is None else num_samples
        self.generator = generator
        if self.num_samples <= 0:
            raise ChoiceError(f"num_samples should be a positive integer value, but got num_samples={self.num_samples}")

    def __iter__(self) -> Iterator[int]:
        generator = self.generator or default_generator
        for begin in range(0, self.num_samples, _length(self.data_source)):
            yield from generator.permutation(_length(self.data_source)).tolist()[: self.num_samples - begin]

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """The given indices in random order."""

    def __init__(self, indices: Sequence[int], generator: Shuffler | None = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        for place in (self.generator or default_generator).permutation(len(self.indices)).tolist():
            yield self.indices[place]

    def __len__(self) -> int:
        return len(self.indices)


class BatchSampler(Sampler[list[int]]):
    """Lists of ``batch_size`` indices; the last one may be shorter, or is left out with ``drop_last``."""

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
            raise ChoiceError(f"batch_size should be a positive integer value, but got batch_size={batch_size}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        return _batches(iter(self.sampler), self.batch_size, self.drop_last)

    def __len__(self) -> int:
        return _count(_length(self.sampler), self.batch_size, self.drop_last)


# Batches


def default_collate(batch: Sequence[Any]) -> Any:
    """One batch from a list of samples of one structure.

    Tensors, arrays and numbers become a Tensor with a new first dimension (Python floats in float64, integers in
    int64); dicts and named tuples are kept, with batches in the place of samples; tuples and lists become lists;
    strings stay a list.
    """
    first = batch[0]
    match first:
        case Tensor() | np.ndarray():
            return from_array(_stack([np.asarray(sample) for sample in batch]))
        case str() | bytes():
            return list(batch)
        case bool() | int() | float() | np.generic():
            return from_array(np.asarray(batch))
        case Mapping():
            return {key: default_collate([sample[key] for sample in batch]) for key in first}
        case Sequence():
            if any(len(sample) != len(first) for sample in batch):
                raise MisuseError("each element in list of batch should be of equal size")
            columns = [default_collate(column) for column in zip(*batch)]
            return type(first)(*columns) if hasattr(first, "_fields") else columns
    raise ArgumentError(
        f"default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found "
        f"{type(first).__name__}; give the DataLoader a collate_fn"
    )


def default_convert(sample: Any) -> Any:
    """A sample as it is, with Tensors in the place of arrays."""
    match sample:
        case np.ndarray() | np.generic():
            return from_array(np.asarray(sample))
        case str() | bytes():
            return sample
        case Mapping():
            return {key: default_convert(value) for key, value in sample.items()}
        case Sequence():
            values = [default_convert(value) for value in sample]
            return type(sample)(*values) if hasattr(sample, "_fields") else values
    return sample


@dataclass(frozen=True)
class WorkerInfo:
    """Which of the workers of a loader is running, and on which dataset."""

    id: int
    num_workers: int
    dataset: Any


_here = threading.local()


def get_worker_info() -> WorkerInfo | None:
    """The worker this runs in; None outside workers."""
    return getattr(_here, "info", None)


class DataLoader(Generic[T_co]):
    """Batches of a dataset, in order or shuffled, made ahead of time by ``num_workers`` threads.

    Batch ``k`` is made by worker ``k % num_workers``, so the batches do not depend on timing. ``batch_size=None``
    yields single samples. ``prefetch_factor`` batches per worker are made ahead (2 where it is not given). A failing
    worker raises :class:`WorkerError`. ``pin_memory`` and ``persistent_workers`` are hints that threads do not need.
    """

    def __init__(
        self,
        dataset: Dataset[T_co] | Sequence[T_co],
        batch_size: int | None = 1,
        shuffle: bool = False,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[Sequence[int]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[T_co]], Any] | None = None,
        drop_last: bool = False,
        worker_init_fn: Callable[[int], None] | None = None,
        generator: Shuffler | None = None,
        prefetch_factor: int | None = None,
        pin_memory: bool = False,
        persistent_workers: bool = False,
    ) -> None:
        if num_workers < 0:
            raise ChoiceError(f"num_workers should be zero or more, but got num_workers={num_workers}")
        if prefetch_factor is not None and (num_workers == 0 or prefetch_factor <= 0):
            raise ChoiceError("prefetch_factor is a positive number of batches per worker, and needs num_workers > 0")
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
        single = batch_size is None and batch_sampler is None
        self.collate_fn: Callable[[Any], Any] = collate_fn or (default_convert if single else default_collate)

    def __len__(self) -> int:
        if self.batch_sampler is not None:
            return _length(self.batch_sampler)
        if self.sampler is not None:
            return _length(self.sampler)
        samples = _length(self.dataset)
        return samples if self.batch_size is None else _count(samples, self.batch_size, self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        if self.num_workers:
            return self._iterate_ahead()
        if isinstance(self.dataset, IterableDataset):
            return map(self.collate_fn, self._samples())
        return map(self._fetch, self._orders())

    def _orders(self) -> Iterator[Any]:
        """What to fetch for each batch: a list of indices, or one index."""
        return iter(self.batch_sampler if self.batch_sampler is not None else self.sampler)  # type: ignore[arg-type]

    def _samples(self) -> Iterator[Any]:
        """The samples of an iterable dataset, in lists or single."""
        samples = iter(self.dataset)
        return samples if self.batch_size is None else _batches(samples, self.batch_size, self.drop_last)

    def _fetch(self, order: Any) -> Any:
        if self.batch_sampler is None:
            return self.collate_fn(self.dataset[order])
        batch = _gather(self.dataset, order) if self.collate_fn is default_collate else None
        return self.collate_fn([self.dataset[index] for index in order]) if batch is None else batch

    def _iterate_ahead(self) -> Iterator[Any]:
        """Go through the batches while the workers make the next ones."""
        workers = [_Worker(WorkerInfo(i, self.num_workers, self.dataset)) for i in range(self.num_workers)]
        try:
            if self.worker_init_fn is not None:
                for started in [worker.submit(self.worker_init_fn, worker.info.id) for worker in workers]:
                    started.result()
            tasks = self._tasks(workers)
            pending = deque(itertools.islice(tasks, self.prefetch_factor * self.num_workers))
            while pending:
                batch = pending.popleft().result()
                pending.extend(itertools.islice(tasks, 1))
                if batch is not _END:
                    yield batch
        finally:
            for worker in workers:
                worker.threads.shutdown(cancel_futures=True)

    def _tasks(self, workers: list[_Worker]) -> Iterator[Future]:
        """Hand out the batches, one worker after the other; a worker with an iterable dataset ends when that does."""
        if not isinstance(self.dataset, IterableDataset):
            for worker, order in zip(itertools.cycle(workers), self._orders()):
                yield worker.submit(self._fetch, order)
            return
        sources = [worker.submit(self._samples) for worker in workers]
        while not all(worker.ended for worker in workers):
            for worker, source in zip(workers, sources):
                if not worker.ended:
                    yield worker.submit(self._advance, worker, source.result())

    def _advance(self, worker: _Worker, source: Iterator[Any]) -> Any:
        for batch in source:
            return self.collate_fn(batch)
        worker.ended = True
        return _END


_END = object()


class _Worker:
    """One thread, which does what it is given in the order it is given."""

    def __init__(self, info: WorkerInfo) -> None:
        self.info = info
        self.ended = False
        self.threads = ThreadPoolExecutor(1, f"DataLoader-{info.id}")

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future:
        return self.threads.submit(self._run, function, arguments)

    def _run(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        _here.info = self.info
        try:
            return function(*arguments)
        except Exception as error:
            what = f" on samples {arguments[0]}" if arguments and isinstance(arguments[0], (int, list)) else ""
            raise WorkerError(
                f"worker {self.info.id} of a DataLoader with {self.info.num_workers} workers failed{what}:\n"
                f"{traceback.format_exc()}"
            ) from error


def _gather(dataset: object, indices: Sequence[int]) -> list[Tensor] | None:
    """What ``default_collate`` makes of these samples, where one indexing gives it; None elsewhere."""
    if type(dataset) is Subset:
        return _gather(dataset.dataset, [dataset.indices[i] for i in indices])
    if type(dataset) is TensorDataset:
        rows = np.asarray(indices, dtype=np.int64)
        return [from_array(np.asarray(t)[rows]) for t in dataset.tensors]
    return None


def _stack(samples: Sequence[np.ndarray]) -> np.ndarray:
    shapes = {sample.shape for sample in samples}
    if len(shapes) > 1:
        raise MisuseError(f"default_collate: samples of one batch need one shape, and have {sorted(shapes)}")
    return np.stack(samples)


def _batches(items: Iterator[T], size: int, drop_last: bool) -> Iterator[list[T]]:
    while batch := list(itertools.islice(items, size)):
        if len(batch) == size or not drop_last:
            yield batch


def _count(items: int, size: int, drop_last: bool) -> int:
    return items // size if drop_last else math.ceil(items / size)


def _length(items: Any) -> int:
    return len(items)


if not TYPE_CHECKING:
    __getattr__ = module_getattr("genesis.utils.data", globals())
