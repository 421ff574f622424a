"""Samples divided among processes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypeVar

from compiler.errors import ChoiceError
from genesis.random import Generator
from genesis.utils.data.dataset import Dataset, length
from genesis.utils.data.sampler import Sampler
from genesis.utils.data.shuffling import permutation

T_co = TypeVar("T_co", covariant=True)


class DistributedSampler(Sampler[Any]):
    """Every ``num_replicas``-th sample, from the ``rank``-th on; there is one process unless they are given.

    All replicas get as many: samples are used twice, or with ``drop_last`` left out. The order is that of ``seed`` and
    the epoch, which ``set_epoch`` sets.
    """

    def __init__(
        self,
        dataset: Dataset,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        self.num_replicas = 1 if num_replicas is None else num_replicas
        self.rank = 0 if rank is None else rank
        if not 0 <= self.rank < self.num_replicas:
            raise ChoiceError(f"Invalid rank {self.rank}, rank should be in the interval [0, {self.num_replicas - 1}]")
        self.dataset, self.shuffle, self.seed, self.drop_last = dataset, shuffle, seed, drop_last
        self.epoch = 0
        size = length(dataset)
        self.num_samples = size // self.num_replicas if drop_last else math.ceil(size / self.num_replicas)
        self.total_size = self.num_samples * self.num_replicas

    def __iter__(self) -> Iterator[int]:
        size = length(self.dataset)
        generator = Generator().manual_seed(self.seed + self.epoch)
        order = permutation(generator, size) if self.shuffle else list(range(size))
        filled = order * math.ceil(self.total_size / max(1, size))
        return iter(filled[: self.total_size][self.rank :: self.num_replicas])

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Draw another order from here on."""
        self.epoch = epoch
