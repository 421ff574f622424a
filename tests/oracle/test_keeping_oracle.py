"""Idioms that keep tensors on objects: compiled steps against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import genesis

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle


def _set(lib: Any, module: Any, seed: int) -> None:
    for i, parameter in enumerate(module.parameters()):
        numbers = np.random.default_rng(seed + i).standard_normal(tuple(parameter.shape)).astype(np.float32)
        with lib.no_grad():
            parameter.copy_(lib.tensor(numbers))


def mixture(lib: Any) -> tuple[Callable[[Any], Any], Callable[[], Any]]:
    """Experts whose layer leaves its balancing loss, which the step reads."""
    nn = lib.nn

    class Experts(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.router = nn.Linear(4, 3)
            self.experts = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
            self.aux_loss = None

        def forward(self, x: Any) -> Any:
            gates = self.router(x).softmax(-1)
            self.aux_loss = 3 * gates.mean(0).square().sum()
            return sum(gates[:, i : i + 1] * expert(x) for i, expert in enumerate(self.experts))

    net = nn.Sequential(Experts(), nn.Tanh(), Experts())
    _set(lib, net, 0)
    optimizer = lib.optim.AdamW(net.parameters(), lr=0.05)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        out = net(x)
        loss = (out - x).square().mean() + 0.1 * (net[0].aux_loss + net[2].aux_loss)
        loss.backward()
        optimizer.step()
        return loss

    return step, lambda: [net[0].aux_loss, net[2].aux_loss]


def truncated(lib: Any) -> tuple[Callable[[Any], Any], Callable[[], Any]]:
    """Backpropagation through time that is cut at every call."""
    nn = lib.nn

    class Reader(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.head, self.state = nn.LSTMCell(4, 5), nn.Linear(5, 4), None

        def forward(self, x: Any) -> Any:
            h, c = self.cell(x, self.state)
            self.state = (h.detach(), c.detach())
            return self.head(h)

    net = Reader()
    _set(lib, net, 10)
    optimizer = lib.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = (net(x) - x).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    return step, lambda: list(net.state)


def observed(lib: Any) -> tuple[Callable[[Any], Any], Callable[[], Any]]:
    """Features that forward hooks collect, and their running mean."""
    nn = lib.nn
    net, features = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)), {}  # type: ignore[var-annotated]
    _set(lib, net, 20)

    class Mean:
        value = None

    mean = Mean()
    for name, layer in net.named_children():
        layer.register_forward_hook(lambda module, args, output, name=name: features.__setitem__(name, output))

    def step(x: Any) -> Any:
        out = net(x)
        now = features["1"].detach().mean(0)
        mean.value = now if mean.value is None else 0.9 * mean.value + 0.1 * now
        return out.sum()

    return step, lambda: [*features.values(), mean.value]


@pytest.mark.parametrize("idiom", [mixture, truncated, observed])
def test_a_compiled_step_keeps_what_pytorch_keeps(idiom: Any) -> None:
    (theirs, look), (step, kept) = idiom(torch), idiom(genesis)
    fast = genesis.compile(step)
    for i in range(5):
        x = np.random.default_rng(i).standard_normal((6, 4)).astype(np.float32)
        np.testing.assert_allclose(fast(genesis.tensor(x)).item(), theirs(torch.tensor(x)).item(), rtol=1e-4)
        for a, b in zip(kept(), look(), strict=True):
            assert (a.requires_grad, a.is_leaf) == (b.requires_grad, b.is_leaf)
            np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-4, atol=1e-5)
    assert fast.compiles == 2
