"""Parameters that a step freezes and thaws, compiled as eager: a frozen parameter gets no gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

import genesis
from genesis import Tensor, nn, optim
from genesis.nn import Parameter


def _assign(parameters: Iterable[Parameter], flag: bool) -> None:
    for p in parameters:
        p.requires_grad = flag


def _call(parameters: Iterable[Parameter], flag: bool) -> None:
    for p in parameters:
        p.requires_grad_(flag)


def trained(compiled: bool, freeze: Callable[[Any, bool], None], thaws: bool) -> list[Any]:
    """A generator and a discriminator after three steps, and the gradients that each step saw."""
    genesis.manual_seed(0)
    made, judge = nn.Linear(2, 3), nn.Linear(3, 1)
    first, second = optim.SGD(judge.parameters(), lr=0.1), optim.SGD(made.parameters(), lr=0.1)

    def step(x: Tensor, z: Tensor) -> Any:
        freeze(judge.parameters(), True)
        judge.zero_grad()
        (judge(made(z).detach()).mean() - judge(x).square().mean()).backward()
        first.step()
        before = [p.grad.clone() for p in judge.parameters()]
        freeze(judge.parameters(), False)
        made.zero_grad()
        judge(made(z)).square().mean().backward()
        second.step()
        after = [p.grad.clone() for p in judge.parameters()]
        if thaws:
            freeze(judge.parameters(), True)
        return before, after

    run = genesis.compile(step) if compiled else step
    seen: list[Any] = []
    rng = np.random.default_rng(0)
    for _ in range(3):
        x, z = (genesis.tensor(rng.standard_normal((4, n)).astype(np.float32)) for n in (3, 2))
        before, after = run(x, z)
        assert all((a == b).all() for a, b in zip(before, after, strict=True))
        seen += before
    parameters = [*made.parameters(), *judge.parameters()]
    return [*seen, *(p.detach() for p in parameters), [p.requires_grad for p in parameters]]


@pytest.mark.parametrize("thaws", [True, False])
@pytest.mark.parametrize("freeze", [_assign, _call])
def test_a_frozen_judge(freeze: Callable[[Any, bool], None], thaws: bool) -> None:
    *eager, eager_flags = trained(False, freeze, thaws)
    *compiled, flags = trained(True, freeze, thaws)
    assert flags == eager_flags
    for a, b in zip(eager, compiled, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
def test_what_was_computed_before_keeps_its_gradient(compiled: bool) -> None:
    layer = nn.Linear(1, 1, bias=False)

    def step(x: Tensor) -> Any:
        layer.zero_grad()
        a = layer(x).sum()
        layer.requires_grad_(False)
        b = layer(x).sum()
        layer.requires_grad_(True)
        (2 * a + 3 * b).backward()
        return layer.weight.grad.clone()

    run = genesis.compile(step) if compiled else step
    for _ in range(2):
        assert run(genesis.ones(1, 1)).item() == 2
