"""Draws from distributions: their statistics, where they cannot fall, and the same draws in a compiled step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import genesis
from genesis.tensor import Tensor

N = 20000
MOMENTS: dict[str, tuple[Any, float, float]] = {
    "bernoulli": (lambda: genesis.bernoulli(genesis.full((N,), 0.3)), 0.3, 0.21),
    "bernoulli_": (lambda: genesis.empty(N).bernoulli_(0.7), 0.7, 0.21),
    "bernoulli_ by a tensor": (lambda: genesis.empty(N).bernoulli_(genesis.tensor(0.2)), 0.2, 0.16),
    "exponential_": (lambda: genesis.empty(N).exponential_(2.0), 0.5, 0.25),
    "geometric_": (lambda: genesis.empty(N).geometric_(0.25), 4.0, 12.0),
    "log_normal_": (lambda: genesis.empty(N).log_normal_(0.0, 0.25).log(), 0.0, 0.0625),
    "cauchy_": (lambda: genesis.empty(N).cauchy_(1.0, 2.0).sub(1).div(2).atan(), 0.0, np.pi**2 / 12),
    "random_": (lambda: genesis.empty(N).random_(3, 7), 4.5, 1.25),
    "random_ below": (lambda: genesis.empty(N, dtype=genesis.int64).random_(4), 1.5, 1.25),
    "normal of numbers": (lambda: genesis.normal(2.0, 3.0, (N,)), 2.0, 9.0),
    "normal of tensors": (lambda: genesis.normal(genesis.full((N,), -1.0), genesis.full((N,), 0.5)), -1.0, 0.25),
    "normal of a deviation": (lambda: genesis.normal(1.0, genesis.ones(N)), 1.0, 1.0),
    "randint_like": (lambda: genesis.randint_like(genesis.empty(N), 2, 4), 2.5, 0.25),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_mean_and_variance(name: str) -> None:
    call, mean, variance = MOMENTS[name]
    genesis.manual_seed(1)
    x = call().numpy().astype(np.float64)
    assert x.mean() == pytest.approx(mean, abs=5 * np.sqrt(variance / N))
    assert x.var() == pytest.approx(variance, rel=0.1)


@pytest.mark.parametrize("replacement", [True, False])
def test_choices_have_the_probabilities_given(replacement: bool) -> None:
    genesis.manual_seed(2)
    weights = genesis.tensor([[0.0, 1.0, 3.0, 0.0], [2.0, 0.0, 0.0, 2.0]])
    rows = weights.repeat(5000, 1)
    drawn = genesis.multinomial(rows, 1, replacement)
    assert drawn.dtype is genesis.int64 and tuple(drawn.shape) == (10000, 1)
    for row, wanted in zip((drawn[::2], drawn[1::2]), ([0, 0.25, 0.75, 0], [0.5, 0, 0, 0.5]), strict=True):
        found = np.bincount(row.numpy().reshape(-1), minlength=4) / 5000
        np.testing.assert_allclose(found, wanted, atol=0.03)


def test_choices_without_replacement_differ() -> None:
    genesis.manual_seed(3)
    drawn = genesis.multinomial(genesis.tensor([0.1, 0.0, 0.5, 0.2, 0.2]).repeat(500, 1), 4)
    assert all(sorted(row) == [0, 2, 3, 4] for row in drawn.tolist())


def test_a_vector_of_weights() -> None:
    genesis.manual_seed(4)
    drawn = genesis.tensor([0.0, 1.0, 1.0]).multinomial(1000, replacement=True)
    assert tuple(drawn.shape) == (1000,) and set(drawn.tolist()) == {1, 2}


def test_a_compiled_step_draws_what_eager_draws() -> None:
    def step(p: Tensor) -> tuple[Tensor, ...]:
        return (
            p.multinomial(2), p.multinomial(5, replacement=True), p.bernoulli(), genesis.randperm(9),
            genesis.empty(4).exponential_(), genesis.normal(p, 0.5),
        )  # fmt: skip

    p = genesis.tensor([[0.2, 0.3, 0.5], [0.9, 0.0, 0.1]])
    found = []
    for run in (step, genesis.compile(step)):
        genesis.manual_seed(5)
        found.append([t.numpy() for _ in range(2) for t in run(p)])
    for eager, compiled in zip(*found, strict=True):
        np.testing.assert_allclose(compiled, eager, 1e-6)


def test_a_permutation_has_every_number() -> None:
    step = genesis.compile(lambda: genesis.randperm(100))
    first, second = step().tolist(), step().tolist()
    assert sorted(first) == sorted(second) == list(range(100)) and first != second


def test_coins_have_no_gradient() -> None:
    p = genesis.full((3,), 0.5, requires_grad=True)
    assert not genesis.bernoulli(p).requires_grad
