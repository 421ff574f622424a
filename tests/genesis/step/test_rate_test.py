"""``genesis.lr_finder``."""

from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import ChoiceError
from genesis import nn, optim

RNG = np.random.default_rng(0)
X = RNG.standard_normal((64, 8), np.float32)
Y = X @ RNG.standard_normal((8, 1), np.float32)


def training(**options: Any) -> tuple[Any, nn.Module, optim.Optimizer]:
    genesis.manual_seed(0)
    model = nn.Linear(8, 1)
    groups = [{"params": [model.weight], "lr": 0.1}, {"params": [model.bias], "lr": 0.05}]
    optimizer = optim.SGD(groups, lr=0.1, momentum=0.5)

    @genesis.compile(backend="interpret", **options)
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return {"loss": loss, "rows": len(x)}

    return step, model, optimizer


def test_the_suggestion_lies_where_the_loss_falls_and_the_state_is_put_back() -> None:
    step, model, optimizer = training()
    step(X, Y)
    before = str(model.state_dict()), str(optimizer.state_dict()), genesis.get_rng_state().tolist()
    found = genesis.lr_finder(step, [(X, Y)] * 200, start=1e-4, stop=100.0, calls=120)
    assert (str(model.state_dict()), str(optimizer.state_dict()), genesis.get_rng_state().tolist()) == before
    assert step.compiles == 1
    assert found.suggestion is not None and 1e-3 < found.suggestion < 1.0
    assert len(found.rates) < 120  # it ends where the loss explodes
    assert found.smooth[-1] > 4 * min(found.smooth)
    assert np.allclose(np.diff(np.log(found.rates)), np.log(1e6) / 119)
    text = str(found)
    assert text.count("*") > 20 and "|" in text and f"the loss falls fastest at {found.suggestion:.1e}" in text


def test_groups_keep_the_ratios_of_their_rates() -> None:
    step, _, optimizer = training()
    rates = []

    def watched(x: Any, y: Any) -> Any:
        rates.append([group["lr"] for group in optimizer.param_groups])
        return step.function(x, y)

    genesis.lr_finder(watched, [(genesis.tensor(X), genesis.tensor(Y))] * 5, optimizer, start=1e-3, stop=1e-2)
    assert len(rates) == 5 and all(b == pytest.approx(a / 2) for a, b in rates)


def test_a_loss_that_only_rises_has_no_suggestion() -> None:
    weight = nn.Parameter(genesis.ones(1))
    optimizer = optim.SGD([weight], lr=1.0, maximize=True)

    @genesis.compile(backend="interpret")
    def step() -> Any:
        optimizer.zero_grad()
        loss = (weight * weight).sum()
        loss.backward()
        optimizer.step()
        return loss

    found = genesis.lr_finder(step, [()] * 20, start=1e-3, stop=1e-1)
    assert found.suggestion is None and "the loss never falls between 1.0e-03" in str(found)


def test_wrong_arguments_are_refused() -> None:
    step, *_ = training()
    with pytest.raises(ChoiceError, match="0 < start < stop, and 3 calls or more"):
        genesis.lr_finder(step, [(X, Y)], start=1.0, stop=0.1)
    with pytest.raises(ChoiceError, match="1 calls with a finite loss say nothing"):
        genesis.lr_finder(step, [(X, Y)])
    with pytest.raises(ChoiceError, match="the step reaches 0 optimizers; pass the one whose rate rises"):
        genesis.lr_finder(genesis.compile(lambda x: x), [(X,)] * 3)
    with pytest.raises(ChoiceError, match="the step returns no number that could be its loss"):
        genesis.lr_finder(step, [(X, Y)] * 3, loss=lambda result: result["rows"])
