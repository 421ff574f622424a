"""Optimizers whose update is one op: compiled steps against eager ones, and how many kernels they are."""

import re
from typing import Any

import numpy as np
import pytest

import genesis
from genesis import optim
from genesis.amp import GradScaler

RULES: list[tuple[str, dict[str, Any]]] = [
    ("RMSprop", {"weight_decay": 0.1}),
    ("RMSprop", {"momentum": 0.9, "centered": True, "eps": 1e-2}),
    ("Adagrad", {"lr_decay": 0.1, "initial_accumulator_value": 0.1}),
    ("Adadelta", {"lr": 0.5}),
    ("Adamax", {"weight_decay": 0.1}),
    ("RAdam", {"betas": (0.8, 0.95), "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("Rprop", {"lr": 0.01}),
    ("NAdam", {"weight_decay": 0.1}),
    ("ASGD", {"lr": 0.1, "t0": 3}),
    ("Adafactor", {"weight_decay": 0.1}),
]
each_rule = pytest.mark.parametrize(("name", "options"), RULES)
SHAPES = [(3, 4), (5,), (2, 7)]


def parameters(dtype: Any = np.float32) -> list[genesis.Tensor]:
    rng = np.random.default_rng(3)
    return [genesis.tensor(np.asarray(rng.standard_normal(shape), dtype), requires_grad=True) for shape in SHAPES]


@each_rule
def test_a_compiled_step_does_what_the_eager_one_does(name: str, options: dict[str, Any]) -> None:
    eager, compiled = parameters(), parameters()
    plain, traced = getattr(optim, name)(eager, **options), getattr(optim, name)(compiled, **options)

    @genesis.compile
    def step(grads: list[genesis.Tensor]) -> None:
        for p, g in zip(compiled, grads):
            p.grad = g
        traced.step()

    rng = np.random.default_rng(4)
    for i in range(8):
        grads = [genesis.tensor(rng.standard_normal(shape).astype(np.float32)) for shape in SHAPES]
        for optimizer in (plain, traced):
            optimizer.param_groups[0]["lr"] = 0.1 / (i + 1)
        for p, g in zip(eager, grads):
            p.grad = g
        plain.step()
        step(grads)
        for a, b in zip(eager, compiled):
            np.testing.assert_allclose(b.detach().numpy(), a.detach().numpy(), rtol=1e-5, atol=1e-6)
    for p, q in zip(eager, compiled):
        assert plain.state[p]["step"].item() == traced.state[q]["step"].item() == 8
    assert step.compiles <= 2
    source = step.source()
    if name != "Adafactor":  # whose rates need sums over each parameter first
        assert len(re.findall(r"static const Slot place", source)) == 1, "one loop over a table updates all parameters"


@each_rule
def test_the_first_step_may_be_skipped(name: str, options: dict[str, Any]) -> None:
    """The scaler skips it, the schedule moves on: what a state starts from is that of the first step that is taken."""

    def trained(backend: str | None) -> list[np.ndarray]:
        leaves = parameters()
        optimizer = getattr(optim, name)(leaves, **options)
        scheduler = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        scaler = GradScaler("cpu", init_scale=2.0**127, backoff_factor=2.0**-120)

        def step() -> None:
            optimizer.zero_grad()
            scaler.scale(sum((p * p * 9).sum() for p in leaves)).backward()
            scaler.step(optimizer)
            scaler.update()
            scheduler.step()

        run = step if backend is None else genesis.compile(step, backend=backend)
        for _ in range(4):
            run()
        assert scaler.get_scale() == 128.0
        return [p.detach().numpy() for p in leaves]

    with pytest.warns(UserWarning, match="before `optimizer.step"):
        eager = trained(None)
    for a, b in zip(eager, trained("interpret"), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6)


@each_rule
def test_half_precision_parameters_are_rounded_once(name: str, options: dict[str, Any]) -> None:
    half = genesis.tensor([1.0, -2.0, 3.0], dtype=genesis.bfloat16, requires_grad=True)
    wide = genesis.tensor([1.0, -2.0, 3.0], requires_grad=True)
    for p in (half, wide):
        p.grad = genesis.tensor([0.5, -0.25, 2.0], dtype=p.dtype)
        getattr(optim, name)([p], **options).step()
    assert half.detach().tolist() == wide.detach().to(genesis.bfloat16).tolist()


def test_adagrad_remembers_from_the_start_and_takes_new_groups() -> None:
    first, second = genesis.ones(2, requires_grad=True), genesis.ones(3, requires_grad=True)
    optimizer = optim.Adagrad([first], initial_accumulator_value=2.0)
    assert optimizer.state[first]["sum"].tolist() == [2.0, 2.0]
    assert optimizer.state[first]["step"].item() == 0
    optimizer.add_param_group({"params": [second]})
    first.grad, second.grad = genesis.ones(2), genesis.ones(3)
    optimizer.step()
    assert optimizer.state[second]["sum"].tolist() == [3.0] * 3


def test_rprop_starts_from_the_rate_of_the_first_step() -> None:
    p = genesis.zeros(1, requires_grad=True)
    optimizer = optim.Rprop([p], lr=0.5)
    optimizer.param_groups[0]["lr"] = 0.25
    p.grad = genesis.ones(1)
    optimizer.step()
    assert p.item() == -0.25


def test_momentum_switched_on_later_compiles_again() -> None:
    p = genesis.ones(2, requires_grad=True)
    optimizer = optim.RMSprop([p], lr=0.1)

    @genesis.compile
    def step() -> None:
        p.grad = genesis.ones(2)
        optimizer.step()

    step()
    step()
    before = step.compiles
    optimizer.param_groups[0]["momentum"] = 0.9
    step()
    assert step.compiles > before
    assert "momentum_buffer" in optimizer.state[p]
