"""Writing by masks and indices inside a compiled step, and what it reports when it runs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import genesis
from compiler.errors import OutOfRangeError
from genesis.tensor import Tensor

X = np.array([[1, -2, 3], [-4, 5, -6]], np.float32)


def both(step: Callable[..., tuple[Tensor, ...]], *arrays: np.ndarray) -> None:
    """A step gives the same values, and gradients, eager and compiled."""
    found = []
    for run in (step, genesis.compile(step)):
        tensors = [genesis.tensor(a, requires_grad=True) for a in arrays]
        found.append([t.numpy() for t in run(*tensors)])
    for eager, compiled in zip(*found, strict=True):
        np.testing.assert_allclose(compiled, eager, 1e-6)


def slopes(y: Tensor, *of: Tensor) -> tuple[Tensor, ...]:
    return (y.detach(), *genesis.autograd.grad((y * y).sum(), of))


def test_a_vector_is_written_where_a_mask_is_true() -> None:
    def step(x: Tensor, v: Tensor) -> tuple[Tensor, ...]:
        y = x * 1
        y[x > 0] = v
        return slopes(y, x, v)

    both(step, X, np.array([7, 8, 9], np.float32))


def test_rows_are_written_where_a_mask_of_rows_is_true() -> None:
    def step(x: Tensor, v: Tensor) -> tuple[Tensor, ...]:
        y = x * 1
        y[x[:, 0] > 0] = v
        return slopes(y, x, v)

    both(step, np.concatenate([X, X]), X + 10)


def test_a_mask_takes_its_values_in_order() -> None:
    both(lambda x, v: slopes(x.masked_scatter(x < 0, v), x, v), X, np.arange(5, dtype=np.float32))


@pytest.mark.parametrize("count", [2, 4])
def test_another_number_of_values_is_reported_by_the_call(count: int) -> None:
    @genesis.compile
    def step(x: Tensor, v: Tensor) -> Tensor:
        y = x * 1
        y[x > 0] = v
        return y

    with pytest.raises(OutOfRangeError, match="between the true elements of a mask and the values"):
        step(genesis.tensor(X), genesis.ones(count))


def test_a_mask_with_too_few_values_is_reported_by_the_call() -> None:
    step = genesis.compile(lambda x, v: x.masked_scatter(x > 0, v))
    with pytest.raises(OutOfRangeError, match="true elements of a mask"):
        step(genesis.tensor(X), genesis.ones(2))


def test_order_and_scatters_in_one_step() -> None:
    def step(x: Tensor) -> tuple[Tensor, ...]:
        best = x.topk(2)
        spread = genesis.zeros(2, 3).scatter(1, best.indices, best.values * 2)
        return slopes(spread + x.cumsum(1) + x.sort(0).values, x)

    both(step, X)
