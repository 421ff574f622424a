"""When a compiled function compiles again, and when it does not. The interpreter runs the programs: no C is built."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import GenesisWarning, RecompileError, TraceError
from genesis import nn, optim
from genesis.amp import GradScaler
from genesis.nn import functional as F
from genesis.step.program import MAX_PROGRAMS

compiled = partial(genesis.compile, backend="interpret")
X, Y = genesis.ones(4, 3), genesis.tensor([0, 1, 1, 0])


class Training:
    """A small classifier with everything a training program has; ``step`` and ``eager`` are the same function."""

    def __init__(self, make: Callable[..., Any] = optim.AdamW, **options: Any) -> None:
        genesis.manual_seed(0)
        self.model = model = nn.Sequential(nn.Linear(3, 5), nn.Dropout(0.25), nn.ReLU(), nn.Linear(5, 2))
        self.optimizer = optimizer = make(model.parameters(), lr=0.1, **options)
        self.scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=7)
        self.scaler = scaler = GradScaler(init_scale=4.0)

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            return loss

        self.eager, self.step = step, compiled(step)

    def call(self, step: Callable[..., Any], seed: int) -> None:
        """``step`` with the dropout masks of ``seed``."""
        genesis.manual_seed(seed)
        step(X, Y)

    @property
    def group(self) -> Any:
        return self.optimizer.param_groups[0]

    def weights(self) -> list[float]:
        return [x for p in self.model.parameters() for x in p.detach().reshape(-1).tolist()]


def test_shapes_and_dtypes_of_arguments_make_programs_and_come_back() -> None:
    @compiled
    def total(x: Any) -> Any:
        return (x * 2).sum()

    shapes = [(2,), (3,), (2, 3), (), (2,), (3,)]
    for shape in shapes:
        assert total(genesis.ones(*shape)).item() == 2 * np.prod(shape)
    assert total.compiles == 4
    assert total(genesis.ones(2, dtype=genesis.int64)).dtype is genesis.int64
    assert total.compiles == 5
    total(genesis.ones(2))
    assert total.compiles == 5


def test_many_shapes_are_compiled_with_a_warning() -> None:
    @compiled
    def double(x: Any) -> Any:
        return x * 2

    with pytest.warns(GenesisWarning, match=r"th time because argument x changed \(from f32\[(8|16)\]"):
        for size in range(1, 31):
            assert double(genesis.ones(size)).tolist() == [2.0] * size
    assert double.compiles == 30


def test_the_least_recently_used_program_goes_first() -> None:
    @compiled
    def double(x: Any) -> Any:
        return x * 2

    with pytest.warns(GenesisWarning):
        for size in range(1, MAX_PROGRAMS + 1):
            double(genesis.ones(size))
        double(genesis.ones(1))
        double(genesis.ones(MAX_PROGRAMS + 1))
    assert len(double.programs) == MAX_PROGRAMS
    before = double.compiles
    double(genesis.ones(1))
    assert double.compiles == before, "used after the second, so the second went"
    double(genesis.ones(2))
    assert double.compiles == before + 1, "no shape is new, but a program was dropped"
    assert double.explain_recompiles()[1][0] == "(no change)"
    with pytest.raises(RecompileError, match=r"compiled again 32 times because argument x changed \(from f32\[33\]"):
        double(genesis.ones(MAX_PROGRAMS + 2))


def test_a_schedule_never_recompiles() -> None:
    training, twin = Training(), Training()
    rates = set()
    for i in range(15):
        training.call(training.step, i)
        training.scheduler.step()
        rates.add(training.group["lr"])
        twin.call(twin.eager, i)
        twin.scheduler.step()
    assert len(rates) > 7
    assert training.step.compiles == 1
    np.testing.assert_allclose(training.weights(), twin.weights(), rtol=1e-5, atol=1e-6)


HYPER_PARAMETERS = {
    "lr": 0.02,
    "betas": (0.5, 0.7),
    "eps": 1e-3,
    "weight_decay": 0.3,
}


@pytest.mark.parametrize("name", HYPER_PARAMETERS)
def test_hyper_parameters_are_read_at_every_call(name: str) -> None:
    training, twin = Training(), Training()
    untouched = Training()
    for i in range(2):
        training.call(training.step, i)
        for each in (twin, untouched):
            each.call(each.eager, i)
        for each in (training, twin):
            each.group[name] = HYPER_PARAMETERS[name]
    assert training.step.compiles == 1
    np.testing.assert_allclose(training.weights(), twin.weights(), rtol=1e-5, atol=1e-6)
    assert not np.allclose(training.weights(), untouched.weights(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "value"), [("momentum", 0.25), ("dampening", 0.25), ("lr", 0.5)])
def test_hyper_parameters_of_sgd_are_read_at_every_call(name: str, value: float) -> None:
    training, twin = (Training(optim.SGD, momentum=0.9, dampening=0.5) for _ in range(2))
    for each, step in ((training, training.step), (twin, twin.eager)):
        each.call(step, 1)
        each.group[name] = value
        each.call(step, 2)
    assert training.step.compiles == 1
    np.testing.assert_allclose(training.weights(), twin.weights(), rtol=1e-5, atol=1e-6)


def test_switches_of_an_optimizer_are_part_of_the_program() -> None:
    training = Training(optim.SGD, momentum=0.9)
    before = training.weights()
    training.step(X, Y)
    training.group["nesterov"] = True
    training.step(X, Y)
    training.group["maximize"] = True
    training.step(X, Y)
    assert training.step.compiles == 3
    training.group["maximize"] = training.group["nesterov"] = False
    training.step(X, Y)
    assert training.step.compiles == 3
    assert training.weights() != before


def test_the_factors_of_a_scaler_are_read_and_its_interval_is_part_of_the_program() -> None:
    training = Training()
    training.step(X, Y)
    training.scaler.set_growth_factor(8.0)
    training.scaler.set_backoff_factor(0.125)
    training.step(X, Y)
    assert training.step.compiles == 1
    training.scaler.set_growth_interval(3)
    training.step(X, Y)
    assert training.step.compiles == 2
    assert training.scaler.get_scale() == 32.0


def test_train_and_eval_are_two_programs() -> None:
    training = Training()
    model = training.model

    @compiled
    def predict(x: Any) -> Any:
        with genesis.no_grad():
            return model(x)

    noisy = [predict(X).tolist() for _ in range(2)]
    model.eval()
    calm = [predict(X).tolist() for _ in range(2)]
    model.train()
    assert noisy[0] != noisy[1] and calm[0] == calm[1] and predict(X).tolist() != calm[0]
    assert predict.compiles == 2
    model[1].eval()
    assert predict(X).tolist() == calm[0]
    assert predict.compiles == 3, "which modules are in training is what counts"


def test_dropout_probability_is_part_of_the_program() -> None:
    training = Training()
    model = training.model

    @compiled
    def zeros(x: Any) -> Any:
        return (model[1](x) == 0).sum()

    x = genesis.ones(1000)
    assert 150 < zeros(x).item() < 350
    model[1].p = 0.75
    assert 650 < zeros(x).item() < 850
    model[1].p = 0.0
    assert zeros(x).item() == 0
    assert zeros.compiles == 3


def test_frozen_parameters_stay() -> None:
    training = Training(weight_decay=0.0)
    first = training.model[0]
    training.step(X, Y)
    first.requires_grad_(False)
    kept, moving = first.weight.tolist(), training.model[3].weight.tolist()
    training.step(X, Y)
    assert first.weight.tolist() == kept and training.model[3].weight.tolist() != moving
    first.requires_grad_(True)
    training.step(X, Y)
    assert first.weight.tolist() != kept
    assert training.step.compiles == 3, "from now on the steps of the two layers are counted apart"
    for flag in (False, True):
        first.requires_grad_(flag)
        training.step(X, Y)
    assert training.step.compiles == 3


def test_a_new_parameter_group_is_trained() -> None:
    training = Training()
    extra = nn.Parameter(genesis.ones(2))
    model, optimizer = training.model, training.optimizer

    @compiled
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = (model(x) * extra).sum()
        loss.backward()
        optimizer.step()
        return loss

    step(X)
    assert extra.tolist() == [1.0, 1.0]
    optimizer.add_param_group({"params": [extra], "lr": 1.0})
    step(X)
    assert extra.tolist() != [1.0, 1.0]
    assert step.compiles == 2


def test_an_exchanged_parameter_is_trained() -> None:
    training = Training()
    training.step(X, Y)
    training.model[3] = nn.Linear(5, 2)
    before = training.model[3].weight.tolist()
    training.step(X, Y)
    assert training.step.compiles == 2
    assert training.model[3].weight.tolist() == before, "the optimizer does not know it"


def test_values_in_arguments() -> None:
    @compiled
    def apply(x: Any, times: int = 1, negate: bool = False, kind: str = "add") -> Any:
        for _ in range(times):
            x = x + 1 if kind == "add" else x * 2
        return -x if negate else x

    calls = [{}, {"times": 3}, {"negate": True}, {"kind": "mul"}, {"times": 1}, {"times": 3}]
    assert [apply(genesis.ones(1), **c).item() for c in calls] == [2.0, 4.0, -2.0, 2.0, 2.0, 4.0]
    assert apply.compiles == 5
    assert apply(genesis.ones(1), 3).item() == 4.0
    assert apply(genesis.ones(1), True).item() == 2.0, "True is no 1"
    assert apply(genesis.ones(1), times=np.int64(2)).item() == 3.0


def test_values_of_the_closure() -> None:
    factor: Any = 2

    @compiled
    def scale(x: Any) -> Any:
        return x * factor if not isinstance(factor, str) else x

    results = []
    for factor in (2, 3, 2.5, True, "text", 2):  # noqa: B007  the closure reads it
        results.append(scale(genesis.ones(1)).item())
    assert results == [2.0, 3.0, 2.5, 1.0, 1.0, 2.0]
    assert scale.compiles == 5


def test_the_mode_of_the_caller_counts() -> None:
    weight = nn.Parameter(genesis.ones(2, 2))

    @compiled
    def product(x: Any) -> Any:
        return x @ weight

    x = genesis.ones(2, 2)
    assert product(x).dtype is genesis.float32
    with genesis.no_grad():
        product(x)
    assert product.compiles == 2
    with genesis.autocast(dtype=genesis.bfloat16):
        assert product(x).dtype is genesis.bfloat16
    with genesis.autocast(dtype=genesis.float16):
        assert product(x).dtype is genesis.float16
    assert product(x).dtype is genesis.float32
    assert product.compiles == 4


def test_an_argument_that_requires_a_gradient_is_another_signature() -> None:
    @compiled
    def double(x: Any) -> Any:
        return x.requires_grad

    assert double(genesis.ones(2)) is False
    assert double(genesis.ones(2, requires_grad=True)) is True
    assert double.compiles == 2


def test_missing_gradients_are_guarded_one_by_one() -> None:
    first, second = nn.Parameter(genesis.ones(2)), nn.Parameter(genesis.ones(2))

    @compiled
    def accumulate(x: Any) -> None:
        ((first + second) * x).sum().backward()

    x = genesis.ones(2)
    for missing in ([], [first], [second], [first, second], [first], []):
        expected = [
            1.0 if p.grad is None or any(p is q for q in missing) else p.grad[0].item() + 1 for p in (first, second)
        ]
        for p in missing:
            p.grad = None
        accumulate(x)
        assert [p.grad[0].item() for p in (first, second)] == expected
    assert accumulate.compiles == 4, "one for each pattern"


def test_a_value_that_changes_at_every_call_is_an_error_that_names_it() -> None:
    counter = 0

    @compiled
    def step(x: Any) -> Any:
        return x * counter

    x = genesis.ones(1)
    with pytest.warns(GenesisWarning, match=r"the (8|16|32)th time because counter changed \(from (7|15|31) to "):
        for counter in range(33):
            assert step(x).item() == counter
    counter = 33
    with pytest.raises(RecompileError) as raised:
        step(x)
    assert str(raised.value) == (
        f"{step.__qualname__} was compiled again 32 times because counter changed (from 32 to 33).\n"
        "  Pass a value that changes as a float or tensor argument of the step; keep it out of the closure."
    )
    counter = 3
    assert step(x).item() == 3, "programs that exist go on"
    assert step.explain_recompiles()[0][:4] == ("counter", "31", "32", "32")
    assert "how to avoid it" in str(step.explain_recompiles())


def test_options_are_checked() -> None:
    for options, message in [
        ({"precision": "fp8"}, r"precision='fp8'; choose one of 'fp32', 'bf16-mixed', 'fp16-mixed'"),
        ({"backend": "tpu"}, r"backend='tpu'; choose one of"),
        ({"loss_scale": "static"}, r"loss_scale='static'; it is 'dynamic' or a number"),
        ({"accumulate": 0}, r"accumulate=0; it is the number of micro-batches, at least 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            genesis.compile(**options)
    with pytest.raises(TypeError, match="unexpected keyword argument 'precisoin'"):
        genesis.compile(precisoin="fp32")


def test_a_step_with_everything_gives_the_same_whichever_way_it_is_called() -> None:
    training = Training()
    start = [p.detach().clone() for p in training.model.parameters()]
    losses = []
    for call in (training.step, lambda x, y: training.step(y=y, x=x), lambda x, y: training.step(x, y=y)):
        with genesis.no_grad():
            for p, value in zip(training.model.parameters(), start, strict=True):
                p.copy_(value)
        genesis.manual_seed(3)
        losses.append(call(X, Y).item())
    assert losses[0] == losses[1] == losses[2]


def test_a_float_argument_makes_tensors_as_a_python_float_does() -> None:
    def step(x: genesis.Tensor, k: float) -> Any:
        wide = genesis.full((2,), k, dtype=genesis.float64)
        made = genesis.full((2,), k), genesis.tensor(k), genesis.as_tensor(k), genesis.full_like(x, k), wide
        return *made, genesis.where(x > 0, k, 0.0)

    run = genesis.compile(step, backend="interpret")
    for k in (0.5, 2.0):
        for a, b in zip(run(genesis.ones(2), k), step(genesis.ones(2), k), strict=True):
            assert a.dtype == b.dtype and a.tolist() == b.tolist()


@pytest.mark.parametrize("use", [lambda k: {1.0: 2}.get(k, 7), lambda k: len({k, 1.0})], ids=["dict", "set"])
def test_a_float_argument_is_no_key(use: Callable[[float], int]) -> None:
    step = genesis.compile(lambda x, k: x * use(k), backend="interpret")
    with pytest.raises(TraceError, match=r"looked up in a dict or set(.|\n)*test_program_guards.py(.|\n)*compare it"):
        step(genesis.ones(2), 1.0)


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        (lambda x: x[:2].clone(), "Pad to a few shapes"),
        (lambda x: genesis.cat([x, x]).half(), "Pass one kind of array in one dtype"),
        (lambda x: x.double(), "Pass one kind of array in one dtype"),
        (lambda x: x.t(), "Pass it in one layout"),
        (lambda x: x.clone().requires_grad_(), "always detached"),
        (lambda x: 3, "Pass it as a float or a tensor"),
    ],
    ids=["shape", "shape-and-dtype", "dtype", "layout", "gradient", "number"],
)
def test_advice_fits_what_changed_of_an_argument(change: Callable[[genesis.Tensor], Any], advice: str) -> None:
    @compiled
    def double(x: Any) -> Any:
        return x * 2

    x = genesis.ones(3, 3)
    double(x)
    double(change(x))
    assert advice in double.explain_recompiles()[0][-1]
