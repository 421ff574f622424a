"""Datasets: samples by index, or one after the other."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from compiler.errors import ChoiceError, IndexingError, InvariantError, UndefinedError
from genesis.functions.indexing import getitem
from genesis.tensor import Tensor, tensor
from genesis.utils.data.shuffling import Shuffler, permutation

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


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

    def __add__(self, other: Dataset) -> ChainDataset:  # type: ignore[override]
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Sample ``i`` is row ``i`` of each of ``tensors`` (Tensors, or arrays)."""

    def __init__(self, *tensors: Tensor | np.ndarray) -> None:
        self.tensors = tuple(t if isinstance(t, Tensor) else tensor(t) for t in tensors)
        lengths = [t.shape[0] for t in self.tensors]
        if len(set(lengths)) != 1:
            raise InvariantError(f"TensorDataset: the tensors need the same first dimension, and have {lengths}")

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
        self.cumulative_sizes = list(itertools.accumulate(map(length, self.datasets)))

    def __getitem__(self, index: int) -> T_co:
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexingError(f"index {index} is out of range for {len(self)} samples")
        which = bisect_right(self.cumulative_sizes, place)
        return self.datasets[which][place - (self.cumulative_sizes[which - 1] if which else 0)]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class ChainDataset(IterableDataset[T_co]):
    """The samples of several iterable datasets, one dataset after the other."""

    def __init__(self, datasets: Iterable[Dataset[T_co]]) -> None:
        super().__init__()
        self.datasets = datasets

    def __iter__(self) -> Iterator[T_co]:
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise InvariantError("ChainDataset only supports IterableDataset")
            yield from dataset

    def __len__(self) -> int:
        return sum(map(length, self.datasets))


class StackDataset(Dataset[Any]):
    """Sample ``i`` is a tuple of the samples ``i`` of several datasets, or for named ones a dict."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args and kwargs:
            raise ChoiceError(
                "Supported either ``tuple``- (via ``args``) or``dict``- (via ``kwargs``) like input/output, but both "
                "types are given."
            )
        if not args and not kwargs:
            raise ChoiceError("At least one dataset should be passed")
        self.datasets: Any = args or kwargs
        lengths = {len(dataset) for dataset in (args or kwargs.values())}
        if len(lengths) > 1:
            raise ChoiceError("Size mismatch between datasets")
        (self._length,) = lengths

    def __getitem__(self, index: int) -> Any:
        if isinstance(self.datasets, dict):
            return {name: dataset[index] for name, dataset in self.datasets.items()}
        return tuple([dataset[index] for dataset in self.datasets])

    def __len__(self) -> int:
        return self._length


def random_split(
    dataset: Dataset[T], lengths: Sequence[int | float], generator: Shuffler | None = None
) -> list[Subset[T]]:
    """Divide ``dataset`` at random into parts of ``lengths`` samples, or of shares that sum to 1.

    Shares are rounded down, and what remains goes to the first parts, one sample each.
    """
    total = length(dataset)
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
    order = permutation(generator, total)
    ends = itertools.accumulate(counts)
    return [Subset(dataset, order[end - count : end]) for end, count in zip(ends, counts)]


def length(items: Any) -> int:
    """``len(items)``; TypeError where it has none."""
    return len(items)


def samples(dataset: Any, indices: Sequence[int]) -> list[Any]:
    """Several samples, by ``__getitems__`` where the dataset has it."""
    several = getattr(dataset, "__getitems__", None)
    return list(several(indices)) if several else [dataset[index] for index in indices]
