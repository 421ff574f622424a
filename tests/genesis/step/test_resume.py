"""``genesis.verify_resume``: what a checkpoint leaves out shows, by name."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import ChoiceError, ResumeError
from genesis import nn, optim
from genesis.amp import GradScaler, autocast
from genesis.optim.lr_scheduler import LinearLR, StepLR
from genesis.step.states import TrainingState


class Training:
    """A model with dropout and running statistics, a scaler and a schedule."""

    def __init__(self, compiled: bool = True) -> None:
        genesis.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 2))
        self.optimizer = optim.Adam(self.model.parameters(), lr=0.1)
        self.scheduler = StepLR(self.optimizer, step_size=2, gamma=0.5)
        self.scaler = GradScaler(init_scale=2.0**10, growth_interval=2)
        model, optimizer, scaler = self.model, self.optimizer, self.scaler

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            with autocast(dtype=genesis.float16):
                loss = nn.functional.cross_entropy(model(x), y)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            return loss

        self.step = genesis.compile(step, backend="interpret") if compiled else step

    def parts(self) -> dict[str, Any]:
        return {"model": self.model, "optimizer": self.optimizer, "scheduler": self.scheduler, "scaler": self.scaler}

    def verify(self, without: str = "", rng: bool = True, **options: Any) -> Any:
        parts = {name: part for name, part in self.parts().items() if name != without}

        def save(path: Path) -> None:
            state = {name: part.state_dict() for name, part in parts.items()}
            genesis.save_checkpoint({**state, "rng": genesis.get_rng_state()}, path)

        def load(path: Path) -> None:
            found = genesis.load_checkpoint(path)
            for name, part in parts.items():
                part.load_state_dict(found[name])
            if rng:
                genesis.set_rng_state(found["rng"])

        own = {} if options.pop("default", False) else {"save": save, "load": load}
        after = options.pop("after", lambda i: self.scheduler.step())
        return genesis.verify_resume(self.step, 3, 2, batch, objects=[self.scheduler], after=after, **own, **options)


def batch(i: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(i)
    return genesis.tensor(rng.standard_normal((6, 4), np.float32)), genesis.tensor(rng.integers(0, 2, 6))


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("default", [True, False])
def test_a_complete_checkpoint_resumes_the_same_training(compiled: bool, default: bool) -> None:
    training = Training(compiled)
    before = {name: str(part.state_dict()) for name, part in training.parts().items()}
    found = training.verify(default=default)
    assert (found.calls, found.saved, found.results) == (5, 3, 2)
    assert found.tensors >= 4 + 4 + 3 + 2 * 6 and "are equal, bit for bit" in str(found)
    assert {name: str(part.state_dict()) for name, part in training.parts().items()} == before


@pytest.mark.parametrize(
    "without, named",
    [
        ("model", r"the result of call 4 is"),
        ("optimizer", r"the result of call 5 is|optimizer.*is"),
        ("scheduler", r"values differ, in model, StepLR"),
        ("scaler", r"scaler\['scale'\] is 2048.0 in it, and 4096.0"),
    ],
)
def test_what_is_left_out_is_found(without: str, named: str) -> None:
    with pytest.raises(ResumeError, match=r"^training that is resumed after 3 calls is another one: .*") as e:
        Training().verify(without)
    assert re.search(named, str(e.value)), str(e.value)


class Average:
    """A state of the user's own: a running mean of losses."""

    def __init__(self) -> None:
        self.value = genesis.zeros(())

    def update(self, loss: Any) -> None:
        self.value.mul_(0.9).add_(loss.detach() * 0.1)

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with genesis.no_grad():
            self.value.copy_(state["value"])


@pytest.mark.parametrize("compiled", [True, False])
def test_what_the_step_and_after_reach_is_found(compiled: bool) -> None:
    training, average = Training(compiled=False), Average()
    warm = LinearLR(training.optimizer, total_iters=4)
    plain = training.step

    def step(x: Any, y: Any) -> Any:
        loss = plain(x, y)
        with genesis.no_grad():
            average.update(loss)
        training.scheduler.step()
        return loss

    train = genesis.compile(step, backend="interpret") if compiled else step
    for _ in range(2):  # everything is put back: the second time it is the same training
        genesis.verify_resume(train, 3, 2, batch, after=lambda i: warm.step())
        assert training.scheduler.last_epoch == warm.last_epoch == average.value.item() == 0
    found = TrainingState(train, (), lambda i: warm.step()).objects.values()
    assert {training.model, training.optimizer, training.scaler, training.scheduler, warm, average} <= {*found}


def test_the_state_of_the_generator_is_state() -> None:
    with pytest.raises(ResumeError, match=r"the result of call 4 is .* in it, and .* in the run without a break"):
        Training().verify(rng=False)


def test_the_first_element_that_differs_is_named() -> None:
    weight = nn.Parameter(genesis.zeros(3))
    noise = iter([1.0, 1.0, 1.0, 1.0, 1.0, 2.0])

    def step(x: Any) -> None:
        with genesis.no_grad():
            weight[1] += x * next(noise)

    module = nn.Module()
    module.weight = weight
    with pytest.raises(ResumeError, match=r"'weight'\]\[1\] is 4\.0 in it, and 3\.0 in the run without a break"):
        genesis.verify_resume(step, 2, 1, [(1.0,)] * 3, objects=[module])


def test_gradients_that_a_step_used_up_are_no_hindrance() -> None:
    training = Training()
    training.step(*batch(0))
    training.verify()


def test_wrong_arguments_are_refused() -> None:
    training = Training()
    with pytest.raises(ChoiceError, match="both are numbers of calls, at least 1"):
        genesis.verify_resume(training.step, 0, 1, batch)
    with pytest.raises(ChoiceError, match="makes 4 calls; there are 1 batches"):
        genesis.verify_resume(training.step, 3, 1, [batch(0)])
    with pytest.raises(ChoiceError, match="takes save= and load= together"):
        genesis.verify_resume(training.step, 1, 1, batch, save=print)
