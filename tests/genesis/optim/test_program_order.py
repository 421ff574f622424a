"""A compiled step reads and writes hyper-parameters in program order, as eager calls do."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import TraceError
from genesis import nn, optim
from genesis.optim import lr_scheduler as schedules

pytestmark = pytest.mark.filterwarnings("ignore:Detected call of")

Body = Callable[..., Any]
DATA = genesis.tensor(np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32))


class Case:
    """A model, an optimizer with two groups and a schedule, as ``body(case, x, *args)`` steps want them."""

    def __init__(self, **settings: Any) -> None:
        genesis.manual_seed(0)
        self.model = nn.Linear(3, 2)
        groups = [{"params": [self.model.weight]}, {"params": [self.model.bias], "lr": 0.05}]
        self.optimizer: Any = settings.pop("kind", optim.SGD)(groups, **{"lr": 0.1, **settings})
        self.scheduler: Any = schedules.ExponentialLR(self.optimizer, 0.7)
        self.plateau: Any = schedules.ReduceLROnPlateau(self.optimizer, factor=0.5, patience=0, threshold=0.9)

    def train(self, x: Any) -> Any:
        self.optimizer.zero_grad()
        loss = (self.model(x) ** 2).mean()
        loss.backward()
        self.optimizer.step()
        return loss

    def rate(self, group: int = 0) -> Any:
        return self.optimizer.param_groups[group]["lr"]

    def scale(self, factor: Any) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = group["lr"] * factor

    def numbers(self) -> list[Any]:
        """Everything that both ways of running must agree on."""
        groups = [
            {key: value for key, value in group.items() if key != "params"} for group in self.optimizer.param_groups
        ]
        schedule = {k: v for k, v in self.scheduler.state_dict().items() if k != "lr_lambdas"}
        return [groups, schedule, self.plateau.last_epoch, self.optimizer._step_count]


def history(compiled: bool, body: Body, calls: int, between: Any, args: Any, settings: dict[str, Any]) -> Any:
    case = Case(**settings)

    def step(x: Any, *more: Any) -> Any:
        return body(case, x, *more)

    run = genesis.compile(step) if compiled else step
    found = []
    for i in range(calls):
        if between is not None:
            between(case, i)
        result = run(DATA, *([] if args is None else args(i)))
        values = [float(v) for v in (result if isinstance(result, tuple) else (result,))]
        weights = [p.detach().numpy().copy() for p in case.model.parameters()]
        found.append((values, weights, case.numbers()))
    return found, run.compiles if compiled else 0


def near(expected: Any) -> Any:
    """``expected``, its floats up to rounding."""
    return pytest.approx(expected, rel=1e-6) if isinstance(expected, float | tuple | list) else expected


def check(
    body: Body, calls: int = 5, compiles: int = 1, between: Any = None, args: Any = None, **settings: Any
) -> None:
    """Compiled calls do what eager calls do, in results, weights and on the host."""
    expected, _ = history(False, body, calls, between, args, settings)
    found, count = history(True, body, calls, between, args, settings)
    for i, (e, f) in enumerate(zip(expected, found, strict=True)):
        assert f[0] == pytest.approx(e[0], rel=1e-5), f"results of call {i}"
        for a, b in zip(e[1], f[1], strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-7, err_msg=f"weights after call {i}")
        for a, b in zip(e[2][0], f[2][0], strict=True):
            assert a.keys() == b.keys()
            for key in a:
                wanted = a[key].item() if isinstance(a[key], genesis.Tensor) else a[key]
                assert b[key] == near(wanted), f"{key} after call {i}"
                assert type(b[key]) is type(wanted), f"{key} after call {i}"
        schedule = {key: near(value) for key, value in e[2][1].items()}
        assert [f[2][1], *f[2][2:]] == [schedule, *e[2][2:]], f"the host after call {i}"
    assert count == compiles


def schedule_first(case: Case, x: Any) -> Any:
    case.scheduler.step()
    return case.train(x)


def schedule_last(case: Case, x: Any) -> Any:
    loss = case.train(x)
    case.scheduler.step()
    return loss


def schedule_between(case: Case, x: Any) -> Any:
    case.train(x)
    case.scheduler.step()
    before = case.rate()
    return case.train(x), before, case.rate(1)


def decay_first(case: Case, x: Any) -> Any:
    for group in case.optimizer.param_groups:
        group["lr"] *= 0.8
    return case.train(x)


def decay_last(case: Case, x: Any) -> Any:
    loss = case.train(x)
    for group in case.optimizer.param_groups:
        group["lr"] *= 0.8
    return loss


def constant_between(case: Case, x: Any) -> Any:
    case.train(x)
    case.optimizer.param_groups[0]["lr"] = 0.01
    loss = case.train(x)
    case.optimizer.param_groups[0]["lr"] = 0.1
    return loss


def from_argument(case: Case, x: Any, lr: Any) -> Any:
    for group in case.optimizer.param_groups:
        group["lr"] = lr
    return case.train(x)


def from_loss(case: Case, x: Any) -> Any:
    loss = case.train(x)
    case.optimizer.param_groups[1].update(lr=loss.detach() * 0.1)
    return loss


def schedule_and_decay(case: Case, x: Any) -> Any:
    case.scheduler.step()
    case.scale(0.5)
    loss = case.train(x)
    case.scheduler.step()
    return loss


def by_hand(case: Case, x: Any) -> Any:
    case.optimizer.zero_grad()
    loss = (case.model(x) ** 2).mean()
    loss.backward()
    with genesis.no_grad():
        for group in case.optimizer.param_groups:
            for p in group["params"]:
                p.add_(p.grad, alpha=-group["lr"])
    return loss, case.rate() * 2, case.scheduler.get_last_lr()[0]


def plateau(case: Case, x: Any) -> Any:
    loss = case.train(x)
    case.plateau.step(loss)
    return loss


def floor_by_max(case: Case, x: Any) -> Any:
    for group in case.optimizer.param_groups:
        group["lr"] = max(group["lr"] * 0.6, 0.02)
    return case.train(x)


def epoch_read(case: Case, x: Any) -> Any:
    case.scheduler.step()
    return case.train(x), case.scheduler.last_epoch * 1.0


BODIES = [
    schedule_first, schedule_last, schedule_between, decay_first, decay_last, constant_between, from_loss,
    schedule_and_decay, by_hand, plateau, epoch_read,
]  # fmt: skip


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_program_order(body: Body) -> None:
    check(body)


def test_schedules_outside_go_on(body: Body = schedule_first) -> None:
    check(body, between=lambda case, i: case.scheduler.step() if i % 2 else case.scale(1.1))


def test_a_rate_from_a_float_argument() -> None:
    check(from_argument, args=lambda i: [0.1 / (i + 1)])


def test_a_branch_on_a_rate_is_compiled_once_for_each_outcome() -> None:
    check(floor_by_max, calls=7, compiles=3)


def test_a_branch_that_goes_back_and_forth_is_not_compiled_again() -> None:
    def body(case: Case, x: Any) -> Any:
        if case.rate() > 0.05:
            return case.train(x) * 2
        return case.train(x)

    def between(case: Case, i: int) -> None:
        case.optimizer.param_groups[0]["lr"] = 0.1 if i % 2 else 0.01

    check(body, calls=6, compiles=2, between=between)


@pytest.mark.parametrize("key", ["momentum", "dampening", "weight_decay", "nesterov", "maximize"])
@pytest.mark.parametrize("inside", [False, True])
def test_options_turned_on_and_off(key: str, inside: bool) -> None:
    values: dict[str, Any] = {"nesterov": True, "maximize": True}
    on, off = values.get(key, 0.3), False if key in values else 0

    def body(case: Case, x: Any, flag: bool) -> Any:
        if inside:
            case.optimizer.param_groups[0][key] = on if flag else off
        return case.train(x)

    def between(case: Case, i: int) -> None:
        if not inside:
            case.optimizer.param_groups[0][key] = on if i % 4 > 1 else off

    expected, _ = history(False, body, 6, between, lambda i: [i % 4 > 1], {"momentum": 0.5})
    found, _ = history(True, body, 6, between, lambda i: [i % 4 > 1], {"momentum": 0.5})
    for e, f in zip(expected, found, strict=True):
        for a, b in zip(e[1], f[1], strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-7)


def test_betas_in_program_order() -> None:
    def body(case: Case, x: Any) -> Any:
        group = case.optimizer.param_groups[0]
        first, second = group["betas"]
        group["betas"] = (first * 0.9, second)
        loss = case.train(x)
        group["weight_decay"] = group["weight_decay"] + 0.01
        return loss, group["betas"][0]

    check(body, kind=optim.AdamW)


def test_a_momentum_that_a_schedule_in_the_step_turns_off_is_compiled_for() -> None:
    def make(case: Case, i: int) -> None:
        if i == 0:
            case.scheduler = schedules.CyclicLR(case.optimizer, 0.01, 0.1, 2, base_momentum=0.0, max_momentum=0.5)

    check(schedule_first, calls=9, compiles=3, between=make, momentum=0.5)


def test_a_rate_read_behind_a_change_by_a_result_is_an_error_that_changes_nothing() -> None:
    case = Case()

    @genesis.compile
    def step(x: Any) -> Any:
        loss = case.train(x)
        case.plateau.step(loss)
        return loss, case.rate()

    before = case.numbers(), case.model.weight.tolist()
    with pytest.raises(TraceError, match=r"'lr' is read after it was changed, at .*test_program_order\.py") as error:
        step(DATA)
    assert "change it at the end of the step, or outside" in str(error.value)
    assert (case.numbers(), case.model.weight.tolist()) == before


def test_a_failing_call_takes_the_host_back() -> None:
    case = Case()
    table = nn.Embedding(4, 2)

    @genesis.compile
    def step(x: Any, index: Any) -> Any:
        case.scheduler.step()
        case.optimizer.param_groups[1]["lr"] = 0.5
        return case.train(x) + table(index).sum()

    step(DATA, genesis.tensor([1]))
    before = case.numbers(), case.model.weight.tolist()
    with pytest.raises(IndexError):
        step(DATA, genesis.tensor([7]))
    assert (case.numbers(), case.model.weight.tolist()) == before
    step(DATA, genesis.tensor([2]))


@pytest.mark.parametrize(
    "use", [lambda x: f"{x:.3f}", float, lambda x: x.item(), int], ids=["format", "float", "item", "int"]
)
def test_a_rate_as_a_python_number_is_an_error_with_the_way_out(use: Any) -> None:
    case = Case()

    @genesis.compile
    def step(x: Any) -> Any:
        use(case.rate())
        return case.train(x)

    with pytest.raises(TraceError, match="would fix a number that is read at every call") as error:
        step(DATA)
    assert "test_program_order.py" in str(error.value)


def test_a_schedule_is_not_made_in_a_step() -> None:
    case = Case()
    with pytest.raises(TraceError, match="StepLR is made inside a step that is being compiled"):
        genesis.compile(lambda x: schedules.StepLR(case.optimizer, 3))(DATA)


def test_two_optimizers_do_not_share_their_numbers() -> None:
    a, b = genesis.ones(1, requires_grad=True), genesis.ones(1, requires_grad=True)
    both = [[optim.SGD([a], lr=0.1)], [optim.SGD([b], lr=0.2)]]

    @genesis.compile
    def step() -> Any:
        (a * b).sum().backward()
        for (optimizer,) in both:
            optimizer.step()
            optimizer.zero_grad()

    step()
    assert (a.item(), b.item()) == pytest.approx((0.9, 0.8))


def test_schedule_of_a_users_own() -> None:
    class Noam(schedules.LRScheduler):
        def __init__(self, optimizer: Any) -> None:
            self.calls = 0
            super().__init__(optimizer)

        def get_lr(self) -> list[float]:
            return [base / (1 + self.last_epoch) for base in self.base_lrs]

        def step(self, epoch: Any = None) -> None:
            self.calls += 1
            super().step(epoch)

    def between(case: Case, i: int) -> None:
        if i == 0:
            case.scheduler = Noam(case.optimizer)

    check(schedule_between, between=between)


def test_an_epoch_from_a_float_argument_acts_at_once() -> None:
    def between(case: Case, i: int) -> None:
        if i == 0:
            case.scheduler = schedules.CosineAnnealingWarmRestarts(case.optimizer, 4)

    def body(case: Case, x: Any, epoch: Any) -> Any:
        case.scheduler.step(epoch + 0.5)
        return case.train(x)

    check(body, between=between, args=lambda i: [float(i)])


def test_no_warning_where_the_step_stands_before_the_schedule() -> None:
    case = Case()

    @genesis.compile
    def step(x: Any) -> Any:
        loss = case.train(x)
        case.scheduler.step()
        return loss

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(DATA)


def test_numbers_promote_as_python_numbers() -> None:
    case = Case()

    @genesis.compile
    def step(x: Any, i: Any, factor: Any) -> Any:
        lr = case.rate()
        return x.sum() * lr, i * lr, (lr * 0.1) + 0.2, x.sum() * factor

    results = step(DATA, genesis.tensor([3]), 0.25)
    assert [getattr(r, "dtype", float) for r in results] == [genesis.float32, genesis.float32, float, genesis.float32]
    assert results[2] == 0.1 * 0.1 + 0.2


RATES = {
    "tensor": lambda: genesis.tensor(0.1),
    "one element": lambda: genesis.tensor([0.1]),
    "float32": lambda: np.float32(0.1),
    "float64": lambda: np.float64(0.1),
    "array": lambda: np.array(0.1),
    "int": lambda: 1,
}


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.AdamW])
@pytest.mark.parametrize("rate", RATES)
def test_rates_of_every_kind(rate: str, kind: Any) -> None:
    def run(compiled: bool, lr: Any) -> Any:
        genesis.manual_seed(0)
        model = nn.Linear(3, 2)
        optimizer = kind(model.parameters(), lr=lr)
        scheduler = schedules.ExponentialLR(optimizer, 0.5)

        def step(x: Any) -> Any:
            optimizer.zero_grad()
            loss = (model(x) ** 2).mean()
            loss.backward()
            optimizer.step()
            scheduler.step()
            return loss

        call: Any = genesis.compile(step) if compiled else step
        losses = [call(DATA).item() for _ in range(4)]
        last = optimizer.param_groups[0]["lr"]
        return losses, float(last), isinstance(last, genesis.Tensor), float(scheduler.get_last_lr()[0])

    expected = run(False, float(RATES[rate]()))
    for compiled in (False, True):
        found = run(compiled, RATES[rate]())
        assert found[0] == pytest.approx(expected[0], rel=1e-5)
        assert found[1] == found[3] == pytest.approx(expected[1], rel=1e-6)
        assert found[2] is (rate in ("tensor", "one element"))


def test_a_schedule_before_the_optimizer_needs_rates_that_are_numbers() -> None:
    case = Case(lr=genesis.tensor(0.1))
    with pytest.raises(TraceError, match=r"'lr' is read after it was changed.*\(a tensor counts as a result\)"):
        genesis.compile(lambda x: schedule_first(case, x))(DATA)


def test_the_largest_norm_may_be_an_argument() -> None:
    def body(case: Case, x: Any, limit: Any) -> Any:
        case.optimizer.zero_grad()
        loss = (case.model(x) ** 2).mean()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(case.model.parameters(), limit)
        nn.utils.clip_grad_value_(case.model.parameters(), limit * 0.5)
        case.optimizer.step()
        return loss, norm

    check(body, args=lambda i: [0.5 / (i + 1)])


def test_a_late_schedule_leaves_parameters_and_flags_readable() -> None:
    def body(case: Case, x: Any) -> Any:
        loss = case.train(x)
        case.plateau.step(loss)
        case.optimizer.zero_grad()
        return loss

    check(body)


def test_a_group_and_a_module_table_pop_what_is_not_there() -> None:
    model = nn.Linear(2, 2)
    group = optim.SGD(model.parameters(), lr=0.1).param_groups[0]
    for table in (group, model._parameters):
        assert table.pop("absent", None) is None
        with pytest.raises(KeyError):
            table.pop("absent")
    group["extra"] = 1
    assert group.pop("extra") == 1 and "extra" not in group
