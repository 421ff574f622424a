import os
import threading
from collections import namedtuple
from collections.abc import Iterator

import numpy as np
import pytest

import genesis
from genesis.tensor import Tensor, tensor
from genesis.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    StackDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    WorkerError,
    default_collate,
    default_convert,
    get_worker_info,
    random_split,
)

Point = namedtuple("Point", "x y")


class Reversing:
    """A generator whose order can be read off: backwards, and one further round each time."""

    def __init__(self) -> None:
        self.calls = 0

    def permutation(self, n: int) -> np.ndarray:
        self.calls += 1
        return np.roll(np.arange(n)[::-1], self.calls - 1)


class Squares(Dataset):
    def __init__(self, length: int) -> None:
        self.length = length

    def __getitem__(self, index: int) -> int:
        return index * index

    def __len__(self) -> int:
        return self.length


class Count(IterableDataset):
    """0 .. length-1, divided among the workers."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __iter__(self) -> Iterator[int]:
        info = get_worker_info()
        first, step = (info.id, info.num_workers) if info else (0, 1)
        return iter(range(first, self.length, step))

    def __len__(self) -> int:
        return self.length


def plain(value: object) -> object:
    """Tensors as nested lists, all the way down."""
    if isinstance(value, Tensor):
        return value.numpy().tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def digits(length: int = 7) -> TensorDataset:
    x = np.arange(length * 2, dtype=np.float32).reshape(length, 2)
    return TensorDataset(tensor(x), np.arange(length))


# Datasets


def test_tensor_dataset():
    dataset = digits()
    assert len(dataset) == 7
    x, y = dataset[3]
    assert plain([x, y]) == [[6.0, 7.0], 3]
    with pytest.raises(AssertionError, match=r"the same first dimension, and have \[7, 6\]"):
        TensorDataset(np.zeros(7), np.zeros(6))


def test_subset_and_concatenation():
    joined = Squares(3) + Subset(Squares(10), [9, 4]) + Squares(1)
    assert isinstance(joined, ConcatDataset)
    assert len(joined) == 6
    assert [joined[i] for i in range(-6, 6)] == [0, 1, 4, 81, 16, 0] * 2
    for index in (6, -7):
        with pytest.raises(IndexError, match=f"index {index} is out of range for 6 samples"):
            joined[index]
    with pytest.raises(ValueError, match="should not be an empty iterable"):
        ConcatDataset([])
    with pytest.raises(ValueError, match="does not support IterableDataset"):
        ConcatDataset([Count(3)])


def test_random_split():
    parts = random_split(Squares(10), [7, 3], generator=Reversing())
    assert [part.indices for part in parts] == [[9, 8, 7, 6, 5, 4, 3], [2, 1, 0]]
    assert [len(part) for part in random_split(Squares(11), [0.5, 0.25, 0.25])] == [6, 3, 2]
    with pytest.raises(ValueError, match=r"Sum of input lengths .*: \[7, 4\] of 10"):
        random_split(Squares(10), [7, 4])
    with pytest.raises(ValueError, match="shares lie between 0 and 1"):
        random_split(Squares(10), [1.5, -0.5])


# Samplers


def test_samplers():
    reversing = Reversing()
    random = RandomSampler(Squares(4), generator=reversing)
    assert list(SequentialSampler(Squares(4))) == [0, 1, 2, 3]
    assert (list(random), list(random), len(random)) == ([3, 2, 1, 0], [0, 3, 2, 1], 4)
    assert list(RandomSampler(Squares(3), False, 7, Reversing())) == [2, 1, 0, 0, 2, 1, 1]
    assert list(RandomSampler(Squares(3), False, 2, Reversing())) == [2, 1]
    assert list(SubsetRandomSampler([5, 6, 7], Reversing())) == [7, 6, 5]
    with pytest.raises(ValueError, match="num_samples should be a positive integer value, but got num_samples=0"):
        RandomSampler([])


@pytest.mark.parametrize(("drop_last", "expected"), [(False, [[0, 1], [2, 3], [4]]), (True, [[0, 1], [2, 3]])])
def test_batch_sampler(drop_last: bool, expected: list[list[int]]):
    sampler = BatchSampler(SequentialSampler(Squares(5)), 2, drop_last)
    assert list(sampler) == expected
    assert len(sampler) == len(expected)


@pytest.mark.parametrize("size", [0, -1, 2.0, True])
def test_bad_batch_size(size: object):
    with pytest.raises(ValueError, match="batch_size should be a positive integer value"):
        BatchSampler([0], size, False)  # type: ignore[arg-type]


# Batches


def test_collate_structures():
    batch = [
        {"x": np.float32([i, i]), "label": i, "pair": (i / 2, "s"), "ok": i > 1, "point": Point(i, [np.int32(i)])}
        for i in range(3)
    ]
    joined = default_collate(batch)
    assert plain({key: joined[key] for key in ("x", "label", "pair", "ok")}) == {
        "x": [[0, 0], [1, 1], [2, 2]],
        "label": [0, 1, 2],
        "pair": [[0, 0.5, 1], ["s", "s", "s"]],
        "ok": [False, False, True],
    }
    assert isinstance(joined["point"], Point)
    assert plain(list(joined["point"])) == [[0, 1, 2], [[0, 1, 2]]]
    dtypes = [joined[key].numpy().dtype.name for key in ("x", "label", "ok")]
    assert [*dtypes, joined["pair"][0].numpy().dtype.name] == ["float32", "int64", "bool", "float64"]


def test_collate_tensors():
    assert plain(default_collate([tensor(np.ones((2, 1))), tensor(np.zeros((2, 1)))])) == [[[1], [1]], [[0], [0]]]


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        ([np.zeros(3), np.zeros(4)], RuntimeError, r"need one shape, and have \[\(3,\), \(4,\)\]"),
        ([(1, 2), (1,)], RuntimeError, "each element in list of batch should be of equal size"),
        ([object()], TypeError, "found object; give the DataLoader a collate_fn"),
    ],
)
def test_what_cannot_be_collated(batch: list, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        default_collate(batch)


def test_convert():
    sample = default_convert({"x": np.arange(2), "p": Point(np.float32(1), "s"), "n": [3, None]})
    assert plain(sample["x"]) == [0, 1]
    assert plain(sample["p"].x) == 1
    assert sample["p"].y == "s"
    assert sample["n"] == [3, None]


# The loader


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("drop_last", [False, True])
def test_batches_of_a_tensor_dataset(workers: int, drop_last: bool):
    loader = DataLoader(digits(), batch_size=3, num_workers=workers, drop_last=drop_last)
    expected = [
        [[[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]], [0, 1, 2]],
        [[[6.0, 7.0], [8.0, 9.0], [10.0, 11.0]], [3, 4, 5]],
        [[[12.0, 13.0]], [6]],
    ]
    for _ in range(2):
        assert [plain(batch) for batch in loader] == expected[: len(loader)]
    assert len(loader) == (2 if drop_last else 3)


def test_a_batch_is_the_collated_samples():
    dataset = Subset(digits(9), [7, 1, 4, 8, 0])
    assert [plain(b) for b in DataLoader(dataset, 2)] == [
        plain(b) for b in DataLoader(dataset, 2, collate_fn=lambda samples: default_collate(samples))
    ]


def test_a_derived_tensor_dataset_keeps_its_own_samples():
    class Negated(TensorDataset):
        def __getitem__(self, index: int) -> tuple[Tensor, ...]:
            return tuple(tensor(-t.numpy()) for t in super().__getitem__(index))

    (batch,) = DataLoader(Negated(np.arange(3)), 3)
    assert plain(batch) == [[0, -1, -2]]


@pytest.mark.parametrize("workers", [0, 2])
def test_shuffle(workers: int):
    loader = DataLoader(Squares(5), 2, shuffle=True, generator=Reversing(), num_workers=workers)
    assert [plain(b) for b in loader] == [[16, 9], [4, 1], [0]]
    assert [plain(b) for b in loader] == [[0, 16], [9, 4], [1]]


def test_shuffle_visits_every_sample_once_in_a_new_order_each_time():
    loader = DataLoader(Squares(100), 10, shuffle=True)
    orders = [[value for batch in loader for value in plain(batch)] for _ in range(2)]
    assert sorted(orders[0]) == sorted(orders[1]) == [i * i for i in range(100)]
    assert orders[0] != orders[1]


def test_own_samplers():
    class Odd(Sampler):
        def __iter__(self) -> Iterator[int]:
            return iter([1, 3, 5])

        def __len__(self) -> int:
            return 3

    assert [plain(b) for b in DataLoader(Squares(6), 2, sampler=Odd())] == [[1, 9], [25]]
    assert [plain(b) for b in DataLoader(Squares(6), batch_sampler=[[5], [0, 1]])] == [[25], [0, 1]]
    assert list(DataLoader(Squares(3), None)) == [0, 1, 4]
    assert list(DataLoader(["a", "b", "c"], 2, collate_fn="".join)) == ["ab", "c"]


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_iterable_dataset(workers: int):
    loader = DataLoader(Count(8), 3, num_workers=workers)
    batches = [plain(b) for b in loader]
    assert (
        batches
        == {
            0: [[0, 1, 2], [3, 4, 5], [6, 7]],
            1: [[0, 1, 2], [3, 4, 5], [6, 7]],
            2: [[0, 2, 4], [1, 3, 5], [6], [7]],
            3: [[0, 3, 6], [1, 4, 7], [2, 5]],
        }[workers]
    )
    assert len(loader) == 3
    assert list(DataLoader(Count(4), None)) == [0, 1, 2, 3]
    assert [plain(b) for b in DataLoader(Count(8), 3, drop_last=True)] == [[0, 1, 2], [3, 4, 5]]


def test_workers_run_in_threads_of_their_own_and_end_with_the_loop():
    seen: list[tuple[int, str]] = []

    class Watch(Squares):
        def __getitem__(self, index: int) -> int:
            info = get_worker_info()
            assert info is not None
            assert info.dataset is self
            seen.append((info.id, threading.current_thread().name))
            return index

    started: list[int] = []
    loader = DataLoader(Watch(50), 1, num_workers=2, worker_init_fn=started.append, prefetch_factor=1)
    for batch in loader:
        assert plain(batch) == [0]
        break
    assert sorted(started) == [0, 1]
    assert {worker for worker, _ in seen} == {0, 1}
    assert len(seen) <= 4
    assert all(name.startswith(f"DataLoader-{worker}") for worker, name in seen)
    assert get_worker_info() is None


class Faulty(Squares):
    def __getitem__(self, index: int) -> int:
        if index == 5:
            raise ValueError("sample 5 is unreadable")
        return index


def test_a_failing_worker_is_shown_whole():
    batches = iter(DataLoader(Faulty(8), 2, num_workers=2))
    assert [plain(next(batches)) for _ in range(2)] == [[0, 1], [2, 3]]
    with pytest.raises(WorkerError) as caught:
        next(batches)
    text = str(caught.value)
    assert "worker 0 of a DataLoader with 2 workers failed on samples [4, 5]" in text
    assert "Traceback (most recent call last)" in text
    assert 'raise ValueError("sample 5 is unreadable")' in text
    assert isinstance(caught.value.__cause__, ValueError)


def test_without_workers_errors_pass_as_they_are():
    with pytest.raises(ValueError, match="sample 5 is unreadable"):
        list(DataLoader(Faulty(8), 2))


def test_failing_start_of_a_worker():
    def start(worker: int) -> None:
        raise OSError("no scratch space")

    with pytest.raises(WorkerError, match="no scratch space"):
        list(DataLoader(Squares(3), num_workers=1, worker_init_fn=start))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_workers": -1}, "num_workers should be zero or more, but got num_workers=-1"),
        ({"prefetch_factor": 2}, "prefetch_factor .* needs num_workers > 0"),
        ({"sampler": [0], "shuffle": True}, "sampler option is mutually exclusive with shuffle"),
        ({"batch_sampler": [[0]], "batch_size": 2}, "batch_sampler option is mutually exclusive"),
        ({"batch_size": None, "drop_last": True}, "mutually exclusive with drop_last"),
        ({"batch_size": 0}, "batch_size should be a positive integer value, but got batch_size=0"),
    ],
)
def test_options_that_exclude_each_other(options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        DataLoader(Squares(4), **options)


@pytest.mark.parametrize("options", [{"shuffle": True}, {"sampler": [0]}, {"batch_sampler": [[0]]}])
def test_an_iterable_dataset_has_its_own_order(options: dict):
    with pytest.raises(ValueError, match=f"it takes no {next(iter(options))}"):
        DataLoader(Count(4), **options)


class Dying(Squares):
    def __getitem__(self, index: int) -> int:
        os._exit(3)


class Slow(Squares):
    def __getitem__(self, index: int) -> int:
        HELD.wait(20)
        return index


HELD = threading.Event()


class Places(Squares):
    """The process and thread that made a sample, and a random number there."""

    def __getitem__(self, index: int) -> tuple[int, int, int, float]:
        info = get_worker_info()
        return index, os.getpid(), info.id, float(genesis.rand(1)[0])


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


@needs_fork
@pytest.mark.parametrize("data", [Squares(7), Count(8)])
def test_worker_processes_make_the_batches_that_threads_make(data: Dataset):
    loaders = [DataLoader(data, 3, num_workers=2, multiprocessing_context=c) for c in (None, "fork")]
    first, second = ([plain(b) for b in loader] for loader in loaders)
    assert first == second


@needs_fork
def test_worker_processes_live_on_if_asked_and_have_their_own_seeds():
    started: list[int] = []
    options = {"num_workers": 2, "multiprocessing_context": "fork", "worker_init_fn": started.append}
    genesis.manual_seed(1)
    loader = DataLoader(Places(4), None, persistent_workers=True, **options)
    epochs = [list(loader) for _ in range(2)]
    pids = [{pid for _, pid, _, _ in epoch} for epoch in epochs]
    assert pids[0] == pids[1] and len(pids[0]) == 2 and os.getpid() not in pids[0]
    assert len({number for epoch in epochs for *_, number in epoch}) == 8
    genesis.manual_seed(1)
    again = list(DataLoader(Places(4), None, **options))
    assert [number for *_, number in again] == [number for *_, number in epochs[0]]


@needs_fork
def test_a_process_that_fails_or_dies_is_shown():
    with pytest.raises(WorkerError, match="sample 5 is unreadable") as caught:
        list(DataLoader(Faulty(8), 2, num_workers=2, multiprocessing_context="fork"))
    assert "worker 0 of a DataLoader with 2 workers failed on samples [4, 5]" in str(caught.value)
    with pytest.raises(WorkerError, match="worker 0 exited unexpectedly"):
        list(DataLoader(Dying(8), 2, num_workers=1, multiprocessing_context="fork"))


def test_a_slow_worker_is_not_waited_for_longer_than_the_timeout():
    HELD.clear()
    with pytest.raises(WorkerError, match="timed out after"):
        list(DataLoader(Slow(2), num_workers=1, timeout=0.05))
    HELD.set()


def test_persistent_threads_begin_every_epoch_anew():
    loader = DataLoader(Count(4), 2, num_workers=2, persistent_workers=True, in_order=False)
    assert [sorted(map(plain, loader)) for _ in range(2)] == [[[0, 2], [1, 3]]] * 2


def test_stacked_and_chained_datasets():
    assert StackDataset(Squares(3), [7, 8, 9])[2] == (4, 9)
    assert StackDataset(a=Squares(3), b=[7, 8, 9])[1] == {"a": 1, "b": 8}
    with pytest.raises(ValueError, match="Size mismatch"):
        StackDataset(Squares(3), [1])
    chain = Count(2) + Count(3)
    assert list(chain) == [0, 1, 0, 1, 2] and len(chain) == 5


def test_draws_with_and_without_replacement():
    genesis.manual_seed(0)
    drawn = list(RandomSampler(range(4), replacement=True, num_samples=400))
    assert set(drawn) == {0, 1, 2, 3} and len(drawn) == 400
    weighted = list(WeightedRandomSampler([0.0, 1.0, 3.0, 0.0], 4000))
    assert set(weighted) == {1, 2} and 2800 < weighted.count(2) < 3200
    assert sorted(WeightedRandomSampler([1.0, 0.0, 5.0], 2, replacement=False)) == [0, 2]
    firsts = [next(iter(WeightedRandomSampler([1.0, 3.0], 2, replacement=False))) for _ in range(400)]
    assert 260 < sum(firsts) < 340
    with pytest.raises(RuntimeError, match="2 samples without replacement"):
        list(WeightedRandomSampler([1.0, 0.0], 2, replacement=False))


def test_samples_are_asked_for_together_where_a_dataset_can():
    class Several(Squares):
        def __getitems__(self, indices: list[int]) -> list[int]:
            return [-i for i in indices]

    assert [plain(b) for b in DataLoader(Several(3), 2)] == [[0, -1], [-2]]


def test_what_a_loader_was_made_with_stays():
    loader = DataLoader(Squares(3), 2)
    with pytest.raises(ValueError, match="batch_size attribute should not be set after DataLoader is initialized"):
        loader.batch_size = 3
