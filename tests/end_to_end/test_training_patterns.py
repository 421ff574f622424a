"""Training programs of other shapes than the examples': each compiled to C does what it does eager."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn, optim
from genesis.nn import functional as F

STEPS = 4
Made = tuple[Callable[..., Any], list[tuple[Any, ...]], Callable[[], list[Any]]]
"""A step, the arguments of its calls, and the tensors it changes."""


def draw(*shape: int, seed: int = 0) -> Any:
    return genesis.tensor(np.random.default_rng((seed, *shape)).standard_normal(shape).astype(np.float32))


def batches(*shapes: tuple[int, ...]) -> list[tuple[Any, ...]]:
    return [tuple(draw(*shape, seed=10 * i + k) for k, shape in enumerate(shapes)) for i in range(STEPS)]


def adversaries(compiled: Any) -> Made:
    """Two networks, two optimizers, two backward passes in one step, one of them through the other network."""
    maker = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    judge = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    makes, judges = optim.SGD(maker.parameters(), lr=0.05), optim.SGD(judge.parameters(), lr=0.05)
    real, false = genesis.ones(5, 1), genesis.zeros(5, 1)

    @compiled
    def step(noise: Any, x: Any) -> Any:
        made = maker(noise)
        judges.zero_grad()
        first = F.binary_cross_entropy_with_logits(judge(x), real)
        second = F.binary_cross_entropy_with_logits(judge(made.detach()), false)
        (first + second).backward()
        judges.step()
        makes.zero_grad()
        third = F.binary_cross_entropy_with_logits(judge(made), real)
        third.backward()
        makes.step()
        return first, second, third

    return step, batches((5, 3), (5, 2)), lambda: [*maker.parameters(), *judge.parameters()]


def gradient_penalty(compiled: Any) -> Made:
    """A gradient with respect to the input, differentiated again."""
    judge = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = optim.SGD(judge.parameters(), lr=0.05)

    @compiled
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        (slope,) = genesis.autograd.grad(judge(x).sum(), [x], create_graph=True)
        loss = ((slope.square().sum(1) + 1e-6).sqrt() - 1).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    inputs = [(x.requires_grad_(True),) for (x,) in batches((5, 2))]
    return step, inputs, lambda: list(judge.parameters())


def moving_average(compiled: Any) -> Made:
    """A second model that follows the first."""
    model, average = nn.Linear(3, 2), nn.Linear(3, 2)
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    @compiled
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        with genesis.no_grad():
            for p, q in zip(model.parameters(), average.parameters(), strict=True):
                q.mul_(0.9).add_(p, alpha=0.1)
        return loss

    return step, batches((4, 3)), lambda: [*model.parameters(), *average.parameters()]


def by_hand(compiled: Any) -> Made:
    """No module, no optimizer."""
    weight = genesis.randn(3, 2, requires_grad=True)

    @compiled
    def step(x: Any) -> Any:
        loss = (x @ weight).tanh().square().mean()
        loss.backward()
        with genesis.no_grad():
            weight.sub_(weight.grad * 0.1)
            weight.grad = None
        return loss

    return step, batches((4, 3)), lambda: [weight]


class Centered(nn.Module):
    """Keeps a running mean in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", genesis.zeros(3))
        self.register_buffer("seen", genesis.tensor(0))
        self.weight = nn.Parameter(genesis.ones(3))

    def forward(self, x: Any) -> Any:
        with genesis.no_grad():
            self.mean.copy_(self.mean * 0.9 + x.mean(0) * 0.1)
            self.seen.add_(1)
        return (x - self.mean) * self.weight


def buffers(compiled: Any) -> Made:
    model = Centered()
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    @compiled
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = model(x).abs().mean()
        loss.backward()
        optimizer.step()
        return loss

    return step, batches((4, 3)), lambda: [model.weight, model.mean, model.seen]


def recurrence(compiled: Any) -> Made:
    """A Python loop over time, unrolled."""
    cell, head = nn.Linear(5, 4), nn.Linear(4, 1)
    optimizer = optim.SGD([*cell.parameters(), *head.parameters()], lr=0.1, momentum=0.5)

    @compiled
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        state, loss = genesis.zeros(3, 4), 0.0
        for i in range(x.shape[1]):
            state = genesis.tanh(cell(genesis.cat([x[:, i : i + 1], state], 1)))
            loss = loss + head(state).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    return step, batches((3, 6)), lambda: [*cell.parameters(), *head.parameters()]


def micro_batches(compiled: Any) -> Made:
    """Several backward passes before one step of the optimizer."""
    model = nn.Linear(3, 2)
    optimizer = optim.AdamW(model.parameters(), lr=0.01)

    @compiled
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        total = 0.0
        for part in x.chunk(3):
            loss = model(part).square().mean() / 3
            loss.backward()
            total = total + loss.detach()
        optimizer.step()
        return total

    return step, batches((6, 3)), lambda: list(model.parameters())


def noisy_attention(compiled: Any) -> Made:
    """Dropout of attention's probabilities."""
    project = nn.Linear(8, 24)
    optimizer = optim.SGD(project.parameters(), lr=0.01)

    @compiled
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        q, k, v = (part.reshape(2, 5, 2, 4).transpose(1, 2) for part in project(x).split(8, 2))
        loss = F.scaled_dot_product_attention(q, k, v, dropout_p=0.3, is_causal=True).square().sum()
        loss.backward()
        optimizer.step()
        return loss

    return step, batches((2, 5, 8)), lambda: list(project.parameters())


def double_precision(compiled: Any) -> Made:
    model = nn.Linear(4, 3).to(genesis.float64)
    optimizer = optim.Adam(model.parameters(), lr=0.1)

    @compiled
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = model(x.double()).exp().mean()
        loss.backward()
        optimizer.step()
        return loss

    return step, batches((5, 4)), lambda: list(model.parameters())


def writes_into_views(compiled: Any) -> Made:
    """A tensor changed in place through slices, columns and index lists."""
    table, rows = genesis.zeros(4, 3), genesis.tensor([0, 2])

    @compiled
    def step(x: Any) -> Any:
        table[1:3] += x
        table[:, 0] = x[0, 0]
        table[rows] = table[rows] * 2
        return table.sum()

    return step, batches((2, 3)), lambda: [table]


PATTERNS = [
    adversaries, gradient_penalty, moving_average, by_hand, buffers, recurrence, micro_batches, noisy_attention,
    double_precision, writes_into_views,
]  # fmt: skip


def results(pattern: Callable[[Any], Made], compiled: Callable[..., Any]) -> tuple[list[Any], list[np.ndarray]]:
    genesis.manual_seed(0)
    step, calls, changed = pattern(compiled)
    returned = []
    for arguments in calls:
        out = step(*arguments)
        returned.append([x.item() for x in (out if isinstance(out, tuple) else (out,))])
    return returned, [np.array(t.detach().numpy()) for t in changed()]


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda p: p.__name__)
def test_a_compiled_program_does_what_it_does_eager(pattern: Callable[[Any], Made]) -> None:
    expected, wanted = results(pattern, lambda f: f)
    got, changed = results(pattern, genesis.compile)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)
    for a, b in zip(changed, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
