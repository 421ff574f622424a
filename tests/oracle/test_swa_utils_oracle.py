"""Averages of weights against PyTorch's."""

from typing import Any

import numpy as np
import pytest

import genesis
from genesis.optim import swa_utils as ours

torch = pytest.importorskip("torch")
theirs = torch.optim.swa_utils


def pair() -> tuple[Any, Any]:
    """The same small model with a batch norm in both libraries."""
    mine, other = (lib.nn.Sequential(lib.nn.Linear(3, 4), lib.nn.BatchNorm1d(4)) for lib in (genesis, torch))
    mine.load_state_dict(other.state_dict())
    return mine, other


def change(models: tuple[Any, Any], rng: np.random.Generator) -> None:
    """Give the parameters and float buffers of both the same new values."""
    mine, other = models
    state = {k: rng.uniform(0.5, 2, v.shape).astype(np.float32) for k, v in other.state_dict().items() if v.ndim}
    mine.load_state_dict({k: genesis.tensor(v) for k, v in state.items()}, strict=False)
    other.load_state_dict({k: torch.tensor(v) for k, v in state.items()}, strict=False)


def same(mine: Any, other: Any) -> None:
    a, b = mine.state_dict(), other.state_dict()
    assert list(a) == list(b)
    for key, value in b.items():
        np.testing.assert_allclose(a[key].numpy(), value.numpy(), rtol=1e-6, atol=1e-7, err_msg=key)


WAYS = {
    "mean": lambda m: {},
    "swa": lambda m: {"avg_fn": m.get_swa_avg_fn()},
    "swa multi": lambda m: {"multi_avg_fn": m.get_swa_multi_avg_fn()},
    "ema": lambda m: {"avg_fn": m.get_ema_avg_fn(0.9)},
    "ema multi": lambda m: {"multi_avg_fn": m.get_ema_multi_avg_fn(0.9)},
    "ema with buffers": lambda m: {"multi_avg_fn": m.get_ema_multi_avg_fn(0.9), "use_buffers": True},
    "own": lambda m: {"avg_fn": lambda mean, p, n: 0.7 * mean + 0.3 * p / (n + 1)},
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_averages_agree_update_by_update(way: str, compiled: bool) -> None:
    models, rng = pair(), np.random.default_rng(0)
    averages = tuple(m.AveragedModel(model, **WAYS[way](m)) for m, model in zip((ours, theirs), models))
    mine = averages[0]

    def update() -> None:
        mine.update_parameters(models[0])

    step = genesis.compile(update) if compiled else update
    for _ in range(4):
        change(models, rng)
        step()
        averages[1].update_parameters(models[1])
        same(*averages)
    assert not compiled or step.compiles == 1
    x = rng.standard_normal((5, 3)).astype(np.float32)
    for model in averages:
        model.eval()
    np.testing.assert_allclose(
        mine(genesis.tensor(x)).detach().numpy(), averages[1](torch.tensor(x)).detach().numpy(), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("wrapped", [False, True])
def test_statistics_of_batch_norms_agree(wrapped: bool) -> None:
    models, rng = pair(), np.random.default_rng(1)
    batches = [rng.standard_normal((6, 3)).astype(np.float32) for _ in range(3)]
    for m, model, tensor in zip((ours, theirs), models, (genesis.tensor, torch.tensor)):
        model.eval()
        m.update_bn([(tensor(b), 0) if wrapped else tensor(b) for b in batches], model)
        assert not model.training and model[1].momentum == 0.1
    a, b = models[0].state_dict(), models[1].state_dict()
    for key in b:
        np.testing.assert_allclose(a[key].numpy(), b[key].numpy(), rtol=1e-5, atol=1e-6, err_msg=key)


@pytest.mark.parametrize(
    "options",
    [
        {"swa_lr": 0.05},
        {"swa_lr": [0.05, 0.5], "anneal_epochs": 4},
        {"swa_lr": 0.05, "anneal_epochs": 7, "anneal_strategy": "linear"},
        {"swa_lr": 0.05, "anneal_epochs": 0},
    ],
    ids=str,
)
def test_rates_of_swalr_agree(options: dict[str, Any]) -> None:
    optimizers = [
        lib.optim.SGD([{"params": [lib.zeros(1)], "lr": rate} for rate in (0.3, 0.07)]) for lib in (genesis, torch)
    ]
    a, b = (m.SWALR(optimizer, **options) for m, optimizer in zip((ours, theirs), optimizers))
    for i in range(15):
        assert a.get_last_lr() == pytest.approx(b.get_last_lr(), rel=1e-12)
        if i == 9:
            a.load_state_dict(b.state_dict())
        for optimizer, schedule in zip(optimizers, (a, b)):
            optimizer.step()
            schedule.step()


def test_bad_arguments_raise_the_same_error() -> None:
    for call in (
        lambda lib, m: m.get_ema_avg_fn(1.5),
        lambda lib, m: m.get_ema_multi_avg_fn(-0.1),
        lambda lib, m: m.AveragedModel(lib.nn.Linear(1, 1), avg_fn=max, multi_avg_fn=max),
        lambda lib, m: m.SWALR(lib.optim.SGD([lib.zeros(1)]), 0.1, anneal_strategy="log"),
        lambda lib, m: m.SWALR(lib.optim.SGD([lib.zeros(1)]), 0.1, anneal_epochs=-1),
    ):
        with pytest.raises((ValueError, AssertionError)) as expected:
            call(torch, theirs)
        with pytest.raises(expected.type) as found:
            call(genesis, ours)
        assert str(found.value).partition("\n  at ")[0] == str(expected.value)
