"""Every schedule against PyTorch's, value by value, over 60 steps."""

import warnings
from typing import Any

import pytest

import genesis.optim.lr_scheduler as ours

torch = pytest.importorskip("torch")
theirs = torch.optim.lr_scheduler

STEPS = 60
RATES = (0.3, 0.07)


class Optimizer:
    def __init__(self, **settings: object) -> None:
        self.param_groups = [{"lr": rate, **settings} for rate in RATES]
        self._step_count = 1


def reference(name: str) -> Any:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in RATES]
    optimizer = torch.optim.SGD(groups, momentum=0.9) if name == "SGD" else torch.optim.Adam(groups)
    optimizer.step()
    optimizer._opt_called = True  # its first schedule has yet to be made, and only then would it notice
    return optimizer


SCHEDULES = {
    "StepLR": lambda m, o: m.StepLR(o, 7, 0.3),
    "MultiStepLR": lambda m, o: m.MultiStepLR(o, [3, 20, 20, 41], 0.4),
    "ConstantLR": lambda m, o: m.ConstantLR(o),
    "ConstantLR, long": lambda m, o: m.ConstantLR(o, 0.7, 33),
    "LinearLR": lambda m, o: m.LinearLR(o),
    "LinearLR, falling": lambda m, o: m.LinearLR(o, 1.0, 0.01, 47),
    "ExponentialLR": lambda m, o: m.ExponentialLR(o, 0.93),
    "PolynomialLR": lambda m, o: m.PolynomialLR(o, 50, 1.7),
    "CosineAnnealingLR": lambda m, o: m.CosineAnnealingLR(o, 100, 1e-6),
    "CosineAnnealingLR, several": lambda m, o: m.CosineAnnealingLR(o, 13, 0.01),
    "LambdaLR": lambda m, o: m.LambdaLR(o, [lambda t: 1 / (1 + t), lambda t: min(1.0, t / 10)]),
    "MultiplicativeLR": lambda m, o: m.MultiplicativeLR(o, lambda t: 0.99 - 0.001 * t),
    "WarmRestarts": lambda m, o: m.CosineAnnealingWarmRestarts(o, 9),
    "WarmRestarts, longer": lambda m, o: m.CosineAnnealingWarmRestarts(o, 4, 2, 0.001),
    "CyclicLR": lambda m, o: m.CyclicLR(o, 0.01, 0.2, 8),
    "CyclicLR, triangular2": lambda m, o: m.CyclicLR(o, [0.01, 0.02], 0.2, 5, 9, mode="triangular2"),
    "CyclicLR, exp_range": lambda m, o: m.CyclicLR(o, 0.01, 0.2, 6, mode="exp_range", gamma=0.97),
    "CyclicLR, own": lambda m, o: m.CyclicLR(o, 0.01, 0.2, 6, scale_fn=lambda x: 1 / x, base_momentum=[0.7, 0.6]),
    "OneCycleLR": lambda m, o: m.OneCycleLR(o, 0.5, total_steps=STEPS),
    "OneCycleLR, three": lambda m, o: m.OneCycleLR(o, [0.5, 0.1], epochs=12, steps_per_epoch=5, three_phase=True),
    "OneCycleLR, linear": lambda m, o: m.OneCycleLR(o, 0.5, STEPS, anneal_strategy="linear", cycle_momentum=False),
    "SequentialLR": lambda m, o: m.SequentialLR(
        o, [m.LinearLR(o, 0.1, 1.0, 10), m.CosineAnnealingLR(o, 30), m.ConstantLR(o, 0.1, 99)], [10, 40]
    ),
    "SequentialLR, restarting": lambda m, o: m.SequentialLR(
        o, [m.ExponentialLR(o, 0.9), m.CosineAnnealingWarmRestarts(o, 6, 2), m.StepLR(o, 5)], [4, 30]
    ),
    "ChainedScheduler": lambda m, o: m.ChainedScheduler(
        [m.ConstantLR(o, 0.1, 20), m.ExponentialLR(o, 0.9), m.CosineAnnealingLR(o, 25)]
    ),
}


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_values(name: str, optimizer: str):
    momentum = {"momentum": 0.9} if optimizer == "SGD" else {"betas": (0.9, 0.999)}
    mine, other = Optimizer(**momentum), reference(optimizer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own schedules still use its deprecated step(epoch)
        a, b = SCHEDULES[name](ours, mine), SCHEDULES[name](theirs, other)
        for step in range(STEPS):
            assert a.get_last_lr() == pytest.approx(b.get_last_lr(), rel=1e-12, abs=1e-15), f"step {step}"
            for group, expected in zip(mine.param_groups, other.param_groups, strict=True):
                for key in group:
                    assert group[key] == pytest.approx(expected[key], rel=1e-12, abs=1e-15), f"step {step}, {key}"
            a.step()
            b.step()


@pytest.mark.parametrize("epochs", [(3, 17, 4, 40), (0, 59)])
@pytest.mark.parametrize(
    "name",
    [
        "StepLR", "MultiStepLR", "ConstantLR", "LinearLR", "ExponentialLR", "PolynomialLR", "CosineAnnealingLR",
        "LambdaLR", "WarmRestarts", "WarmRestarts, longer",
    ],
)  # fmt: skip
def test_jumps(name: str, epochs: tuple[int, ...]):
    mine, other = Optimizer(), reference("Adam")
    a, b = SCHEDULES[name](ours, mine), SCHEDULES[name](theirs, other)
    for epoch in epochs:
        a.step(epoch)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            b.step(epoch)
        assert a.get_last_lr() == pytest.approx(b.get_last_lr(), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"mode": "max", "patience": 2, "cooldown": 3},
        {"threshold": 0.05, "threshold_mode": "abs", "factor": 0.5, "patience": 1, "min_lr": [0.01, 0.03]},
        {"mode": "max", "threshold": 0.01, "threshold_mode": "abs", "patience": 0, "eps": 1e-3},
    ],
    ids=str,
)
def test_plateau(settings: dict[str, Any]):
    draw = torch.Generator().manual_seed(0)
    mine, other = Optimizer(), reference("SGD")
    a, b = ours.ReduceLROnPlateau(mine, **settings), theirs.ReduceLROnPlateau(other, **settings)
    for metric in torch.rand(STEPS * 3, generator=draw).tolist():
        a.step(metric)
        b.step(metric)
        assert a.get_last_lr() == pytest.approx(b.get_last_lr(), rel=1e-12)
        assert (a.best, a.num_bad_epochs, a.cooldown_counter) == (b.best, b.num_bad_epochs, b.cooldown_counter)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_state_of_pytorch_goes_on(name: str):
    mine, other = Optimizer(betas=(0.9, 0.999)), reference("Adam")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a, b = SCHEDULES[name](ours, mine), SCHEDULES[name](theirs, other)
        for _ in range(17):
            b.step()
        a.load_state_dict(b.state_dict())
        for group, expected in zip(mine.param_groups, other.param_groups, strict=True):
            group |= {key: expected[key] for key in group}
        for _ in range(30):
            a.step()
            b.step()
            assert a.get_last_lr() == pytest.approx(b.get_last_lr(), rel=1e-12, abs=1e-15)
