"""Samplers: in which order the samples come."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from compiler.errors import ArgumentError, ChoiceError, OpError, UndefinedError
from compiler.ir.types import f64
from genesis.tensor import tensor
from genesis.utils.data.dataset import Dataset, length
from genesis.utils.data.shuffling import Shuffler, permutation, uniform

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Sampler(Generic[T_co]):
    """An order of samples: ``__iter__`` yields indices (or lists of them, for a batch sampler)."""

    def __init__(self, data_source: Any = None) -> None:
        """``data_source`` is accepted, as PyTorch once did, and not looked at."""

    def __iter__(self) -> Iterator[T_co]:
        raise UndefinedError(f"{type(self).__name__} has to define __iter__()")


class SequentialSampler(Sampler[int]):
    """The samples in their order."""

    def __init__(self, data_source: Dataset | Sequence) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self)))

    def __len__(self) -> int:
        return length(self.data_source)


class RandomSampler(Sampler[int]):
    """The samples in random order, a new one each time; ``num_samples`` of them, begun again when they run out.

    With ``replacement`` each is drawn by itself, from all.
    """

    def __init__(
        self,
        data_source: Dataset | Sequence,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Shuffler | None = None,
    ) -> None:
        if not isinstance(replacement, bool):
            raise ArgumentError(f"replacement should be a boolean value, but got replacement={replacement}")
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        check_count("num_samples", self.num_samples)

    @property
    def num_samples(self) -> int:
        return length(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        size = length(self.data_source)
        if self.replacement:
            yield from np.floor(uniform(self.generator, self.num_samples) * size).astype(np.int64).tolist()
            return
        for begin in range(0, self.num_samples, size):
            yield from permutation(self.generator, size)[: self.num_samples - begin]

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """The given indices in random order."""

    def __init__(self, indices: Sequence[int], generator: Shuffler | None = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        for place in permutation(self.generator, len(self.indices)):
            yield self.indices[place]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """``num_samples`` indices, each drawn in proportion to its weight; without ``replacement`` none twice.

    Without replacement the order is that of ``log(u) / weight`` (Efraimidis & Spirakis, "Weighted random sampling with
    a reservoir", 2006). Raises RuntimeError for weights that no index can be drawn by.
    """

    def __init__(
        self, weights: Any, num_samples: int, replacement: bool = True, generator: Shuffler | None = None
    ) -> None:
        check_count("num_samples", num_samples)
        if not isinstance(replacement, bool):
            raise ChoiceError(f"replacement should be a boolean value, but got replacement={replacement}")
        self.weights = tensor(weights, dtype=f64)
        if self.weights.ndim != 1:
            raise ChoiceError(
                "weights should be a 1d sequence but given weights have shape " + str(tuple(self.weights.shape))
            )
        self.num_samples, self.replacement, self.generator = num_samples, replacement, generator

    def __iter__(self) -> Iterator[int]:
        weights = self.weights.numpy()
        possible = int((weights > 0).sum())
        if not (np.isfinite(weights).all() and (weights >= 0).all() and possible):
            raise OpError("the weights must be finite and not negative, and one of them positive")
        if self.replacement:
            ends = np.cumsum(weights)
            places = np.searchsorted(ends, uniform(self.generator, self.num_samples) * ends[-1], side="right")
            yield from np.minimum(places, np.flatnonzero(weights)[-1]).tolist()
            return
        if self.num_samples > possible:
            raise OpError(f"{self.num_samples} samples without replacement, but {possible} weights are positive")
        with np.errstate(divide="ignore"):
            keys = np.log(uniform(self.generator, len(weights))) / weights
        yield from np.argsort(-keys, kind="stable")[: self.num_samples].tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of ``batch_size`` indices; the last one may be shorter, or is left out with ``drop_last``."""

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        check_count("batch_size", batch_size)
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        return batches(iter(self.sampler), self.batch_size, self.drop_last)

    def __len__(self) -> int:
        return count(length(self.sampler), self.batch_size, self.drop_last)


def check_count(name: str, value: Any) -> None:
    """ValueError unless ``value`` is a positive integer."""
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ChoiceError(f"{name} should be a positive integer value, but got {name}={value}")


def batches(items: Iterator[T], size: int, drop_last: bool) -> Iterator[list[T]]:
    """Lists of ``size`` items."""
    while batch := list(itertools.islice(items, size)):
        if len(batch) == size or not drop_last:
            yield batch


def count(items: int, size: int, drop_last: bool) -> int:
    """How many lists that makes."""
    return items // size if drop_last else math.ceil(items / size)
