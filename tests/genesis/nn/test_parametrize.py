"""Computed parameters in compiled steps."""

from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn

WRAPPERS: dict[str, Any] = {
    "weight norm": nn.utils.parametrizations.weight_norm,
    "spectral norm": nn.utils.parametrizations.spectral_norm,
    "orthogonal": nn.utils.parametrizations.orthogonal,
    "old weight norm": nn.utils.weight_norm,
    "old spectral norm": nn.utils.spectral_norm,
}


def train(kind: str, compiled: bool) -> list[Any]:
    genesis.manual_seed(0)
    model = nn.Sequential(WRAPPERS[kind](nn.Linear(4, 3)), nn.Tanh(), nn.Linear(3, 2))
    optimizer = genesis.optim.SGD(model.parameters(), lr=0.1)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    run = genesis.compile(step) if compiled else step
    x, y = genesis.randn(8, 4), genesis.randn(8, 2)
    losses = [float(run(x, y)) for _ in range(4)]
    return [losses, *(t.detach().numpy() for t in model.state_dict().values()), model[0].weight.detach().numpy()]


@pytest.mark.parametrize("kind", WRAPPERS)
def test_compiled_training_is_eager_training(kind: str) -> None:
    for got, want in zip(train(kind, True), train(kind, False), strict=True):
        np.testing.assert_allclose(got, want, 1e-4, 1e-5)


def test_a_new_parametrization_is_compiled_in() -> None:
    class Doubled(nn.Module):
        def forward(self, x: Any) -> Any:
            return x * 2.0

    layer = nn.Linear(2, 2, bias=False)
    run = genesis.compile(lambda x: layer(x))
    x = genesis.ones(1, 2)
    before = run(x).detach().numpy()
    nn.utils.parametrize.register_parametrization(layer, "weight", Doubled())
    np.testing.assert_allclose(run(x).detach().numpy(), 2 * before, 1e-6)
    nn.utils.parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    np.testing.assert_allclose(run(x).detach().numpy(), before, 1e-6)
