"""Samplers and options of loaders against PyTorch's."""

from typing import Any

import pytest

import genesis

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize(("size", "replicas"), [(10, 3), (9, 3), (2, 5), (7, 1)])
def test_distributed_samplers(size: int, replicas: int, drop_last: bool) -> None:
    for rank in range(replicas):
        options = {"num_replicas": replicas, "rank": rank, "drop_last": drop_last}
        mine, theirs = (
            lib.utils.data.DistributedSampler(range(size), shuffle=False, **options) for lib in (genesis, torch)
        )
        assert len(mine) == len(theirs)
        if not (drop_last and size < replicas):
            assert list(mine) == list(theirs)
    shares = [genesis.utils.data.distributed.DistributedSampler(range(size), replicas, r) for r in range(replicas)]
    first = [i for share in shares for i in share]
    assert set(first) == set(range(size))
    for share in shares:
        share.set_epoch(1)
    assert size < 7 or [i for share in shares for i in share] != first


ERRORS: dict[str, Any] = {
    "no workers to keep": lambda d: d.DataLoader([1], persistent_workers=True),
    "a timeout": lambda d: d.DataLoader([1], timeout=-1),
    "processes without workers": lambda d: d.DataLoader([1], multiprocessing_context="fork"),
    "a start method": lambda d: d.DataLoader([1], num_workers=1, multiprocessing_context="other"),
    "no context": lambda d: d.DataLoader([1], num_workers=1, multiprocessing_context=3),
    "a rank": lambda d: d.DistributedSampler([1], 2, 2),
    "no weights": lambda d: d.WeightedRandomSampler([[1.0]], 1),
    "replacement": lambda d: d.RandomSampler([1], replacement=3),
    "no samples": lambda d: d.RandomSampler([]),
    "two kinds": lambda d: d.StackDataset([1], a=[1]),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    with pytest.raises((ValueError, TypeError)) as want:
        ERRORS[name](torch.utils.data)
    with pytest.raises(want.type) as got:
        ERRORS[name](genesis.utils.data)
    assert str(got.value).startswith(str(want.value)[:60])
