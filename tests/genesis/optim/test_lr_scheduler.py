import math
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

import genesis.optim.lr_scheduler as schedule
from compiler.errors import GenesisWarning
from runtime.checkpoint import load_checkpoint, save_checkpoint
from tests.genesis.recorded import Recorded


class Optimizer:
    """All that a schedule may see of an optimizer."""

    def __init__(self, *rates: float, **settings: object) -> None:
        self.param_groups = [{"lr": rate, **settings} for rate in rates]
        self._step_count = 1

    @property
    def rates(self) -> list[float]:
        return [group["lr"] for group in self.param_groups]


def rates(make: Callable[..., schedule.LRScheduler], steps: int, lr: float = 1.0, **settings: object) -> list[float]:
    """The rates from epoch 0 to ``steps``; they are also what ``get_last_lr`` says, and scale with the base rate."""
    optimizer = Optimizer(lr, lr / 2, **settings)
    scheduler = make(optimizer)
    found = []
    for _ in range(steps + 1):
        assert scheduler.get_last_lr() == optimizer.rates
        found.append(optimizer.rates[0])
        scheduler.step()
    return found


def cosine(low: float, high: float, share: float) -> float:
    return low + (high - low) * (1 + math.cos(math.pi * share)) / 2


class Decay:
    """A callable with a memory."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, epoch: int) -> float:
        return self.rate**epoch


CLOSED_FORMS = {
    "StepLR": (lambda o: schedule.StepLR(o, 30, 0.1), lambda t: 0.1 ** (t // 30)),
    "MultiStepLR": (
        lambda o: schedule.MultiStepLR(o, [10, 20, 20, 50], 0.5),
        lambda t: 0.5 ** ((t >= 10) + 2 * (t >= 20) + (t >= 50)),
    ),
    "ExponentialLR": (lambda o: schedule.ExponentialLR(o, 0.95), lambda t: 0.95**t),
    "CosineAnnealingLR": (lambda o: schedule.CosineAnnealingLR(o, 100), lambda t: cosine(0, 1, t / 100)),
    "CosineAnnealingLR, twice": (lambda o: schedule.CosineAnnealingLR(o, 11), lambda t: cosine(0, 1, t / 11)),
    "LambdaLR": (lambda o: schedule.LambdaLR(o, lambda t: min(t / 10, 1)), lambda t: min(t / 10, 1)),
    "MultiplicativeLR": (lambda o: schedule.MultiplicativeLR(o, lambda t: t / (t + 1)), lambda t: 1 / (t + 1)),
    "ConstantLR": (lambda o: schedule.ConstantLR(o, 0.25, 8), lambda t: 0.25 if t < 8 else 1),
    "LinearLR": (lambda o: schedule.LinearLR(o, 0.2, 0.8, 20), lambda t: 0.2 + 0.6 * min(t / 20, 1)),
    "linear with a warm-up": (
        lambda o: schedule.get_linear_schedule_with_warmup(o, 4, 24),
        lambda t: t / 4 if t < 4 else max(0, (24 - t) / 20),
    ),
    "cosine with a warm-up": (
        lambda o: schedule.get_cosine_schedule_with_warmup(o, 4, 24),
        lambda t: t / 4 if t < 4 else (1 + math.cos(math.pi * (t - 4) / 20)) / 2,
    ),
    "constant with a warm-up": (
        lambda o: schedule.get_constant_schedule_with_warmup(o, 4),
        lambda t: min(1, t / 4),
    ),
    "PolynomialLR": (lambda o: schedule.PolynomialLR(o, 40, 2.0), lambda t: (1 - min(t / 40, 1)) ** 2),
    "CosineAnnealingWarmRestarts": (
        lambda o: schedule.CosineAnnealingWarmRestarts(o, 25),
        lambda t: cosine(0, 1, t % 25 / 25),
    ),
    "SequentialLR": (
        lambda o: schedule.SequentialLR(o, [schedule.LinearLR(o, 0.1, 1.0, 9), schedule.ExponentialLR(o, 0.9)], [10]),
        lambda t: 0.1 + 0.1 * t if t < 10 else 0.9 ** (t - 10),
    ),
    "SequentialLR of three": (
        lambda o: schedule.SequentialLR(
            o,
            [
                schedule.ConstantLR(o, 0.1, 100),
                schedule.ChainedScheduler([schedule.StepLR(o, 4, 0.5), schedule.ExponentialLR(o, 0.9)]),
                schedule.CosineAnnealingWarmRestarts(o, 7),
            ],
            [5, 20],
        ),
        lambda t: (
            0.1 if t < 5 else 0.5 ** ((t - 5) // 4) * 0.9 ** (t - 5) if t < 20 else cosine(0, 1, (t - 20) % 7 / 7)
        ),
    ),
    "ChainedScheduler": (
        lambda o: schedule.ChainedScheduler([schedule.ConstantLR(o, 0.5, 10), schedule.ExponentialLR(o, 0.9)]),
        lambda t: (0.5 if t < 10 else 1.0) * 0.9**t,
    ),
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_closed_form(name: str):
    make, form = CLOSED_FORMS[name]
    assert rates(make, 60, lr=3.0) == pytest.approx([3 * form(t) for t in range(61)], rel=1e-9, abs=1e-14)


def test_cosine_annealing_has_a_floor():
    optimizer = Optimizer(1.0, 0.5)
    scheduler = schedule.CosineAnnealingLR(optimizer, T_max=10, eta_min=0.1)
    for t in range(41):
        assert optimizer.rates == pytest.approx([cosine(0.1, 1.0, t / 10), cosine(0.1, 0.5, t / 10)])
        scheduler.step()


def test_warm_restarts_grow_and_take_fractions():
    optimizer = Optimizer(1.0)
    scheduler = schedule.CosineAnnealingWarmRestarts(optimizer, T_0=3, T_mult=2)
    places = [(0, 3), (1, 3), (2, 3), *((i, 6) for i in range(6)), *((i, 12) for i in range(12)), (0, 24)]
    for t, (position, length) in enumerate(places):
        assert optimizer.rates == pytest.approx([cosine(0, 1, position / length)])
        assert scheduler.last_epoch == t
        scheduler.step()
    scheduler.step(4.5)
    assert optimizer.rates == pytest.approx([cosine(0, 1, 1.5 / 6)])
    assert scheduler.last_epoch == 4


@pytest.mark.parametrize(
    ("mode", "height"),
    [
        ("triangular", lambda t: 1.0),
        ("triangular2", lambda t: 0.5 ** (t // 10)),
        ("exp_range", lambda t: 0.9**t),
    ],
)
def test_cyclic(mode: str, height: Callable[[int], float]):
    optimizer = Optimizer(7.0, momentum=0.5)
    scheduler = schedule.CyclicLR(optimizer, 1.0, 2.0, step_size_up=4, step_size_down=6, mode=mode, gamma=0.9)
    for t in range(45):
        at = t % 10
        share = (at / 4 if at <= 4 else (10 - at) / 6) * height(t)
        assert optimizer.rates == pytest.approx([1.0 + share])
        assert optimizer.param_groups[0]["momentum"] == pytest.approx(0.9 - 0.1 * share)
        scheduler.step()


def test_cyclic_with_a_function_of_the_step():
    optimizer = Optimizer(1.0)
    cycle = {"step_size_up": 2, "scale_fn": lambda t: 1 / (1 + t), "cycle_momentum": False}
    scheduler = schedule.CyclicLR(optimizer, 1.0, 2.0, scale_mode="iterations", **cycle)
    for t in range(12):
        assert optimizer.rates == pytest.approx([1 + [0, 0.5, 1, 0.5][t % 4] / (1 + t)])
        scheduler.step()


def between(a: float, b: float, share: float, strategy: str) -> float:
    return cosine(b, a, share) if strategy == "cos" else a + (b - a) * share


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("three_phase", [False, True])
def test_one_cycle(strategy: str, three_phase: bool):
    optimizer = Optimizer(9.0, betas=(0.5, 0.999))
    scheduler = schedule.OneCycleLR(
        optimizer, 1.0, epochs=4, steps_per_epoch=10, pct_start=0.25, anneal_strategy=strategy, three_phase=three_phase
    )
    first, last = 1 / 25, 1 / 25 / 1e4
    phases = [(0, 9, first, 1.0, 0.95, 0.85), (9, 39, 1.0, last, 0.85, 0.95)]
    if three_phase:
        phases[1:] = [(9, 18, 1.0, first, 0.85, 0.95), (18, 39, first, last, 0.95, 0.95)]
    for t in range(40):
        begin, end, lr0, lr1, beta0, beta1 = next(phase for phase in phases if t <= phase[1])
        share = (t - begin) / (end - begin)
        assert optimizer.rates == pytest.approx([between(lr0, lr1, share, strategy)])
        assert optimizer.param_groups[0]["betas"] == pytest.approx((between(beta0, beta1, share, strategy), 0.999))
        scheduler.step()
    with pytest.raises(ValueError, match=r"Tried to step 41 times\. The specified number of total steps is 40"):
        scheduler.step()


def test_reduce_on_plateau():
    optimizer = Optimizer(1.0, 0.02)
    scheduler = schedule.ReduceLROnPlateau(optimizer, factor=0.1, patience=1, cooldown=2, min_lr=[0.0, 0.01])
    metrics = [5.0, 4.0, 4.0, 3.9999, 4.0, 4.0, 4.0, 4.0, 4.0, 1.0, 2.0, 2.0]
    expected = [1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.001]
    for metric, rate in zip(metrics, expected, strict=True):
        scheduler.step(metric)
        assert optimizer.rates == pytest.approx([rate, 0.02 if rate == 1.0 else 0.01])
        assert scheduler.get_last_lr() == optimizer.rates


@pytest.mark.parametrize(
    ("settings", "better", "worse"),
    [
        ({"mode": "min", "threshold_mode": "rel"}, 8.9, 9.1),
        ({"mode": "max", "threshold_mode": "rel"}, 11.1, 10.9),
        ({"mode": "min", "threshold_mode": "abs"}, 9.8, 9.95),
        ({"mode": "max", "threshold_mode": "abs"}, 10.2, 10.05),
    ],
)
def test_what_counts_as_an_improvement(settings: dict, better: float, worse: float):
    for metric, rate in ((better, 1.0), (worse, 0.1)):
        optimizer = Optimizer(1.0)
        scheduler = schedule.ReduceLROnPlateau(optimizer, patience=0, threshold=0.1, **settings)
        scheduler.step(10.0)
        scheduler.step(metric)
        assert optimizer.rates == pytest.approx([rate])


def test_a_rate_changed_by_hand_is_kept():
    optimizer = Optimizer(1.0)
    scheduler = schedule.StepLR(optimizer, 2, 0.5)
    optimizer.param_groups[0]["lr"] = 8.0
    scheduler.step()
    scheduler.step()
    assert optimizer.rates == [4.0]


@pytest.mark.parametrize(
    "name",
    [
        "StepLR",
        "MultiStepLR",
        "ExponentialLR",
        "CosineAnnealingLR",
        "ConstantLR",
        "LinearLR",
        "PolynomialLR",
        "LambdaLR",
    ],
)
def test_jump(name: str):
    make, form = CLOSED_FORMS[name]
    optimizer = Optimizer(2.0)
    scheduler = make(optimizer)
    for epoch in (33, 7, 55):
        scheduler.step(epoch)
        assert optimizer.rates == pytest.approx([2 * form(epoch)])
        assert scheduler.last_epoch == epoch


RESUMABLE = CLOSED_FORMS | {
    "LambdaLR of an object": (lambda o: schedule.LambdaLR(o, [Decay(0.9)]), None),
    "CyclicLR": (lambda o: schedule.CyclicLR(o, 1.0, 2.0, 7, mode="triangular2"), None),
    "CyclicLR of an object": (lambda o: schedule.CyclicLR(o, 1.0, 2.0, 7, scale_fn=Decay(0.9)), None),
    "OneCycleLR": (lambda o: schedule.OneCycleLR(o, 1.0, 60), None),
}


@pytest.mark.parametrize("name", RESUMABLE)
def test_resume_from_a_checkpoint(tmp_path: Path, name: str):
    make, _ = RESUMABLE[name]
    optimizer = Optimizer(2.0, momentum=0.9)
    scheduler = make(optimizer)
    for _ in range(13):
        scheduler.step()
    save_checkpoint({"scheduler": scheduler.state_dict(), "groups": optimizer.param_groups}, tmp_path / "c")

    resumed_optimizer = Optimizer(2.0, momentum=0.9)
    resumed = make(resumed_optimizer)
    loaded = load_checkpoint(tmp_path / "c")
    resumed_optimizer.param_groups = loaded["groups"]
    resumed.load_state_dict(loaded["scheduler"])
    for _ in range(30):
        assert resumed_optimizer.param_groups == optimizer.param_groups
        assert resumed.get_last_lr() == scheduler.get_last_lr()
        scheduler.step()
        resumed.step()


def test_resume_plateau():
    optimizer = Optimizer(1.0)
    scheduler = schedule.ReduceLROnPlateau(optimizer, patience=2)
    for metric in (1.0, 2.0, 2.0):
        scheduler.step(metric)
    resumed = schedule.ReduceLROnPlateau(optimizer, patience=9)
    resumed.load_state_dict(scheduler.state_dict())
    resumed.step(2.0)
    assert optimizer.rates == pytest.approx([0.1])


def test_resume_by_last_epoch():
    optimizer = Optimizer(1.0)
    with pytest.raises(KeyError, match="param 'initial_lr' is not specified in param_groups\\[0\\]"):
        schedule.ExponentialLR(optimizer, 0.5, last_epoch=3)
    first = schedule.ExponentialLR(optimizer, 0.5)
    first.step()
    second = schedule.ExponentialLR(optimizer, 0.5, last_epoch=first.last_epoch)
    second.step()
    assert optimizer.rates == [0.25]


def test_functions_are_not_saved_and_objects_are():
    function = schedule.LambdaLR(Optimizer(1.0, 1.0), [lambda t: 0.5, Decay(0.9)])
    state = function.state_dict()
    assert state["lr_lambdas"] == [None, {"rate": 0.9}]
    other = schedule.LambdaLR(Optimizer(1.0, 1.0), [lambda t: 0.25, Decay(0.1)])
    other.load_state_dict(state)
    assert state["lr_lambdas"] == [None, {"rate": 0.9}]
    assert [f(1) for f in other.lr_lambdas] == [0.25, 0.9]


def test_a_step_before_the_optimizer_warns_once():
    optimizer = Optimizer(1.0)
    optimizer._step_count = 0
    scheduler = schedule.ExponentialLR(optimizer, 0.5)
    with pytest.warns(
        GenesisWarning, match=r"Detected call of `lr_scheduler.step\(\)` before `optimizer.step\(\)`"
    ) as seen:
        scheduler.step()
    assert seen[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scheduler.step()


def test_a_step_inside_a_recording_is_left_to_the_calls():
    optimizer = Optimizer(1.0)
    scheduler = schedule.ChainedScheduler(
        [schedule.ExponentialLR(optimizer, 0.5), schedule.ExponentialLR(optimizer, 0.5)]
    )
    waiting = schedule.ReduceLROnPlateau(optimizer, patience=0)

    def step():
        scheduler.step()
        waiting.step(1.0)

    before = scheduler.state_dict(), waiting.state_dict()
    recorded = Recorded(step)
    assert optimizer.rates == [1.0]
    assert (scheduler.state_dict(), waiting.state_dict()) == before
    for _ in range(2):
        recorded()
    assert optimizer.rates == pytest.approx([0.25**2 * 0.1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: schedule.StepLR(o, 0), "Expected positive integer step_size, but got 0"),
        (lambda o: schedule.CosineAnnealingLR(o, 0), "Expected positive integer T_max, but got 0"),
        (lambda o: schedule.CosineAnnealingWarmRestarts(o, 5, 0), "Expected integer T_mult >= 1, but got 0"),
        (lambda o: schedule.CosineAnnealingWarmRestarts(o, 5).step(-1), "Expected non-negative epoch, but got -1"),
        (lambda o: schedule.ConstantLR(o, 2.0), "Constant multiplicative factor expected to be between 0 and 1"),
        (lambda o: schedule.LinearLR(o, 0.0), "Starting multiplicative factor expected to be greater than 0"),
        (lambda o: schedule.LinearLR(o, 1.0, 2.0), "Ending multiplicative factor expected to be between 0 and 1"),
        (lambda o: schedule.LambdaLR(o, [abs]), "Expected 2 lr_lambdas, but got 1"),
        (lambda o: schedule.CyclicLR(o, 1.0, 2.0), "optimizer must support momentum or beta1"),
        (lambda o: schedule.CyclicLR(o, 1.0, 2.0, mode="square"), "mode is invalid and scale_fn is None"),
        (lambda o: schedule.CyclicLR(o, [1.0], 2.0), "base_lr has 1 values, param_groups has 2"),
        (
            lambda o: schedule.OneCycleLR(o, 1.0),
            r"You must define either total_steps OR \(epochs AND steps_per_epoch\)",
        ),
        (lambda o: schedule.OneCycleLR(o, 1.0, 9, pct_start=2.0), "Expected float between 0 and 1 pct_start"),
        (lambda o: schedule.OneCycleLR(o, 1.0, 9, anneal_strategy="up"), "anneal_strategy must be one of"),
        (lambda o: schedule.OneCycleLR(o, 1.0, 9), "optimizer must support momentum or beta1"),
        (lambda o: schedule.ReduceLROnPlateau(o, factor=1.0), "Factor should be < 1.0"),
        (lambda o: schedule.ReduceLROnPlateau(o, "best"), "mode best is unknown"),
        (lambda o: schedule.ReduceLROnPlateau(o, threshold_mode="x"), "threshold mode x is unknown"),
        (lambda o: schedule.ChainedScheduler([]), "ChainedScheduler expects at least one scheduler"),
        (lambda o: schedule.ChainedScheduler([schedule.ReduceLROnPlateau(o)]), "does not support `ReduceLROnPlateau`"),
        (lambda o: schedule.SequentialLR(Optimizer(1.0), [schedule.StepLR(o, 1)], []), "belong to the same optimizer"),
        (lambda o: schedule.SequentialLR(o, [schedule.StepLR(o, 1)], [3]), "one more than the number of milestone"),
    ],
)
def test_bad_settings(make: Callable[[Optimizer], object], message: str):
    with pytest.raises(ValueError, match=message):
        make(Optimizer(1.0, 2.0))


def test_not_an_optimizer():
    with pytest.raises(TypeError, match="list is not an Optimizer"):
        schedule.StepLR([], 3)
    with pytest.raises(TypeError, match="lr_lambda should be a function, but got float"):
        schedule.LambdaLR(Optimizer(1.0), 0.5)


def test_a_schedule_derives_from_the_old_name_of_the_base() -> None:
    from_old_name = type("Old", (schedule._LRScheduler,), {})
    assert issubclass(from_old_name, schedule.LRScheduler)
    assert issubclass(schedule.StepLR, schedule._LRScheduler)
