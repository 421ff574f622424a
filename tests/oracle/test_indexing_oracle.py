"""Square brackets, read and written, against PyTorch: random indices, values, gradients, errors, also recorded."""

import warnings
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest

import genesis
from tests.oracle.indices import can_be_recorded, drawn_index, drawn_shape, drawn_value, has_mask, index_for

torch = pytest.importorskip("torch")

CASES = 80
"""Indices a seed; each is read and written."""


def _weights(library: Any, like: Any) -> Any:
    shape = tuple(like.shape)
    return library.tensor(np.arange(1, 1 + np.prod(shape), dtype=np.float32).reshape(shape))


def _read(library: Any, array: np.ndarray, index: Any) -> tuple[Any, Any]:
    x = library.tensor(array, requires_grad=True)
    y = x[index_for(library, index)]
    (y * _weights(library, y)).sum().backward()
    return y.detach().numpy(), x.grad.numpy()


def _written(library: Any, array: np.ndarray, index: Any, value: np.ndarray) -> tuple[Any, Any]:
    v = library.tensor(value, requires_grad=True)
    x = library.tensor(array) * 1
    x[index_for(library, index)] = v
    if x.requires_grad:
        (x * _weights(library, x)).sum().backward()
    return x.detach().numpy(), None if v.grad is None else v.grad.numpy()


def _attempt(call: Callable[..., Any], *args: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both warn of byte masks and of lists of lists
        try:
            return call(*args)
        except Exception as error:
            return error


def _compare(got: Any, want: Any, about: Any, gradients: bool = True) -> None:
    if isinstance(want, Exception):
        assert isinstance(got, type(want)) and isinstance(got, genesis.GenesisError), (about, got, want)
        return
    assert not isinstance(got, Exception), (about, got)
    for a, b in zip(got if gradients else got[:1], want, strict=gradients):
        np.testing.assert_array_equal(a, b, err_msg=str(about))


def _cases(seed: int) -> Any:
    rng = Random(seed)
    for _ in range(CASES):
        shape = drawn_shape(rng)
        index = drawn_index(rng, shape)
        array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        # the numbers of the elements that are picked
        chosen = _attempt(lambda a=array, i=index: torch.tensor(a)[index_for(torch, i)].numpy())
        value = drawn_value(rng, () if isinstance(chosen, Exception) else chosen.shape)
        yield array, index, chosen, value


def _picks(chosen: Any) -> bool:
    return not isinstance(chosen, Exception) and chosen.size > 0


@pytest.mark.parametrize("seed", range(4))
def test_random_indices_read_and_write_what_torch_does(seed: int) -> None:
    for array, index, chosen, value in _cases(seed):
        nothing = not isinstance(chosen, Exception) and not chosen.size
        got, want = _attempt(_read, genesis, array, index), _attempt(_read, torch, array, index)
        if nothing and isinstance(got, IndexError):
            continue  # torch does not look at indices of which nothing is picked
        _compare(got, want, (array.shape, index))
        if isinstance(want, Exception):
            continue
        got, want = _attempt(_written, genesis, array, index, value), _attempt(_written, torch, array, index, value)
        if "masked_fill_ only supports boolean masks" in str(want):
            continue  # torch takes byte masks everywhere but there
        # If several writes go to one place, the last one's value gets the gradient; torch leaves that undefined.
        _compare(got, want, (array.shape, index, value.shape), gradients=np.unique(chosen).size == chosen.size)


@pytest.mark.parametrize("seed", range(100, 103))
def test_recorded_indices_read_and_write_what_torch_does(seed: int) -> None:
    """All indices of a seed in one step. Masks have to be written with one value for all places."""
    drawn = [(array, index) for array, index, chosen, _ in _cases(seed) if _picks(chosen)]
    good = [(array, index) for array, index in drawn if array.size and can_be_recorded(index)][:40]
    values = [np.float32(9) if has_mask(i) else drawn_value(Random(seed), _read(torch, a, i)[0].shape) for a, i in good]
    readable = [not has_mask(index) for _, index in good]

    @genesis.compile(backend="interpret")
    def step(arrays: Any, values: Any, indices: Any) -> Any:
        read, written = [], []
        for x, v, index, at_once in zip(arrays, values, indices, readable, strict=True):
            if at_once:
                read.append(x[index])
            y = x * 1
            y[index] = v
            written.append(y)
        return read, written

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read, written = step(
            [genesis.tensor(a) for a, _ in good],
            [genesis.tensor(v) for v in values],
            [index_for(genesis, i) for _, i in good],
        )
        wanted = [_read(torch, a, i)[0] for (a, i), at_once in zip(good, readable, strict=True) if at_once]
        for x, want in zip(read, wanted, strict=True):
            np.testing.assert_array_equal(x.numpy(), want)
        for y, v, (a, i) in zip(written, values, good, strict=True):
            np.testing.assert_array_equal(y.numpy(), _written(torch, a, i, v)[0], err_msg=str((a.shape, i)))
