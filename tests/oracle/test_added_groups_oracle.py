"""Groups that are added behind a schedule, and rates that are tensors, against PyTorch."""

import warnings
from importlib import import_module
from typing import Any

import pytest

import genesis
import genesis.optim.lr_scheduler as ours
from compiler.errors import ScheduleError
from genesis import optim

torch = pytest.importorskip("torch")
theirs = torch.optim.lr_scheduler

pytestmark = pytest.mark.oracle

SCHEDULES: dict[str, Any] = {
    "StepLR": lambda m, o: m.StepLR(o, 2, 0.3),
    "MultiStepLR": lambda m, o: m.MultiStepLR(o, [1, 4], 0.4),
    "ConstantLR": lambda m, o: m.ConstantLR(o, 0.5, 4),
    "LinearLR": lambda m, o: m.LinearLR(o, total_iters=6),
    "ExponentialLR": lambda m, o: m.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda m, o: m.PolynomialLR(o, 9, 1.5),
    "CosineAnnealingLR": lambda m, o: m.CosineAnnealingLR(o, 3),
    "CosineAnnealingWarmRestarts": lambda m, o: m.CosineAnnealingWarmRestarts(o, 4),
    "LambdaLR": lambda m, o: m.LambdaLR(o, lambda t: 1 / (1 + t)),
    "MultiplicativeLR": lambda m, o: m.MultiplicativeLR(o, lambda t: 0.9),
    "CyclicLR": lambda m, o: m.CyclicLR(o, 0.01, 0.2, 3, cycle_momentum=False),
    "OneCycleLR": lambda m, o: m.OneCycleLR(o, 0.5, total_steps=12),
    "ReduceLROnPlateau": lambda m, o: m.ReduceLROnPlateau(o, patience=0, factor=0.5),
    "SequentialLR": lambda m, o: m.SequentialLR(o, [m.ExponentialLR(o, 0.9), m.StepLR(o, 2)], [3]),
    "ChainedScheduler": lambda m, o: m.ChainedScheduler([m.ExponentialLR(o, 0.9), m.StepLR(o, 2)]),
}


def run(library: Any, schedules: Any, make: Any, rate: Any, added: bool) -> list[list[float]]:
    """The rates after every step; the last entry is cut short where a step fails with a ValueError or KeyError."""
    module = optim if library is genesis else torch.optim
    first, second = (library.ones(1, requires_grad=True) for _ in range(2))
    optimizer = module.SGD([first], lr=rate, momentum=0.9)
    scheduler = make(schedules, optimizer)
    found = []
    for i in range(9):
        if i == 2 and added:
            optimizer.add_param_group({"params": [second], "lr": 0.05})
        first.grad = library.ones(1)
        optimizer.step()
        try:
            scheduler.step(*([1.0] if "Plateau" in type(scheduler).__name__ else []))
        except (ValueError, KeyError) as error:
            if library is genesis:
                assert isinstance(error, ScheduleError)
                assert "a group was added after the schedule was made" in str(error)
            break
        found.append([float(group["lr"]) for group in optimizer.param_groups])
    return found


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("case", ["number", "tensor", "added"])
def test_rates(name: str, case: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rates = (genesis.tensor(0.1), torch.tensor(0.1)) if case == "tensor" else (0.1, 0.1)
        mine = run(genesis, ours, SCHEDULES[name], rates[0], case == "added")
        other = run(torch, theirs, SCHEDULES[name], rates[1], case == "added")
    assert len(mine) == len(other)
    for a, b in zip(mine, other, strict=True):
        assert a == pytest.approx(b, rel=1e-5)


@pytest.mark.parametrize("library", [genesis, torch], ids=["genesis", "torch"])
def test_every_group_names_a_required_hyper_parameter(library: Any) -> None:
    base = import_module(f"{library.__name__}.optim.optimizer")

    class Plain(base.Optimizer):  # type: ignore[misc]
        def __init__(self, params: Any, lr: Any = base.required) -> None:
            super().__init__(params, {"lr": lr, "decay": 0.5})

    p, q = (library.ones(1, requires_grad=True) for _ in range(2))
    assert [group["decay"] for group in Plain([{"params": [p], "lr": 0.25}]).param_groups] == [0.5]
    with pytest.raises(ValueError, match="didn't specify a value of required optimization parameter lr"):
        Plain([{"params": [p], "lr": 0.25}, {"params": [q]}])
