"""Mixed precision, loss scaling and clipping in a compiled step: as options or as calls, applied or skipped."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import TraceError
from compiler.text.printer import print_graph
from genesis import nn, optim
from genesis.amp import GradScaler, autocast
from genesis.nn import functional as F

STEPS = 6
TRAINING = ("scale_loss", "unscale", "skip_if", "update_scale", "clip_grad_norm", "clip_grad_value", "adam_update")


def batch(seed: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return genesis.tensor(rng.standard_normal((6, 4)).astype(np.float32)), genesis.tensor(rng.integers(0, 3, 6))


class Training:
    """A classifier with dropout under AdamW; ``body(self, loss)`` is what a step does with its loss."""

    def __init__(self, body: Callable[..., None], dtype: Any = None, backend: str = "c", **options: Any) -> None:
        genesis.manual_seed(0)
        self.model = model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.25), nn.GELU(), nn.Linear(8, 3))
        self.optimizer = optimizer = optim.AdamW(model.parameters(), lr=0.05)
        self.scaler = scaler = GradScaler(init_scale=65536.0, growth_interval=3)
        region = nullcontext() if dtype is None else autocast(dtype=dtype)

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            with region:
                loss = F.cross_entropy(model(x), y)
            body(loss, model, optimizer, scaler)
            return loss

        self.eager = step
        self.step = genesis.compile(step, backend=backend, **options)

    def state(self) -> list[np.ndarray]:
        """Parameters, moments and step counts."""
        held = [v for s in self.optimizer.state_dict()["state"].values() for v in s.values()]
        return [np.array(t.detach().numpy()) for t in (*self.model.parameters(), *held)]

    def run(self, step: Any = None) -> list[float]:
        genesis.manual_seed(1)
        return [(step or self.step)(*batch(i)).item() for i in range(STEPS)]


def plain(loss: Any, model: Any, optimizer: Any, scaler: Any) -> None:
    loss.backward()
    optimizer.step()


def clipped(loss: Any, model: Any, optimizer: Any, scaler: Any) -> None:
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.25)
    optimizer.step()


def clamped(loss: Any, model: Any, optimizer: Any, scaler: Any) -> None:
    loss.backward()
    nn.utils.clip_grad_value_(model.parameters(), 0.05)
    optimizer.step()


def scaled(loss: Any, model: Any, optimizer: Any, scaler: Any) -> None:
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()


def scaled_and_clipped(loss: Any, model: Any, optimizer: Any, scaler: Any) -> None:
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(model.parameters(), 0.25)
    scaler.step(optimizer)
    scaler.update()


def assert_same_states(a: Training, b: Training, tolerance: float) -> None:
    for got, expected in zip(a.state(), b.state(), strict=True):
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


# Both ways of asking

WAYS = [
    ("bf16", {"precision": "bf16-mixed"}, plain, genesis.bfloat16),
    ("f16", {"precision": "fp16-mixed"}, plain, genesis.float16),
    ("norm", {"clip_grad_norm": 0.25}, clipped, None),
    ("value", {"clip_grad_value": 0.05}, clamped, None),
    ("scale", {"loss_scale": "dynamic"}, scaled, None),
    (
        "all",
        {"precision": "fp16-mixed", "loss_scale": "dynamic", "clip_grad_norm": 0.25},
        scaled_and_clipped,
        genesis.float16,
    ),
]


@pytest.mark.parametrize(("options", "calls", "dtype"), [w[1:] for w in WAYS], ids=[w[0] for w in WAYS])
def test_options_do_what_the_calls_do(options: dict[str, Any], calls: Any, dtype: Any) -> None:
    asked = Training(plain, backend="interpret", **options)
    wrote = Training(calls, dtype, backend="interpret")
    wrote.scaler.set_growth_interval(2000)  # as the option's
    assert asked.run() == pytest.approx(wrote.run(), rel=1e-6)
    assert_same_states(asked, wrote, 1e-6)
    left, right = ([n.op.name for n in t.step.graph("autodiff").nodes if n.op.name in TRAINING] for t in (asked, wrote))
    assert sorted(left) == sorted(right), "the same nodes"
    for name in ("applied", "loss_scale", "grad_norm", "lr"):
        got, expected = (getattr(t.step.last, name) for t in (asked, wrote))
        assert got == (expected if expected is None else pytest.approx(expected, rel=1e-5)), name
    assert asked.step.compiles == wrote.step.compiles == 1


def test_a_fixed_scale_scales_and_skips_and_stays() -> None:
    fixed, free = Training(plain, loss_scale=1024.0, backend="interpret"), Training(plain, backend="interpret")
    assert fixed.run() == pytest.approx(free.run(), rel=1e-5)
    assert_same_states(fixed, free, 1e-4)
    before = fixed.state()
    x, y = batch(0)
    x[0, 0] = float("inf")
    fixed.step(x, y)
    assert fixed.step.last.applied is False and fixed.step.last.loss_scale == 1024.0
    for got, expected in zip(fixed.state(), before, strict=True):
        np.testing.assert_array_equal(got, expected)
    fixed.step(*batch(1))
    assert fixed.step.last.applied is True and fixed.step.last.loss_scale == 1024.0


def test_asking_twice_is_an_error() -> None:
    with pytest.raises(TraceError, match="already scales its loss with a GradScaler"):
        Training(scaled, loss_scale="dynamic", backend="interpret").run()


def test_what_the_last_call_did() -> None:
    training = Training(plain, backend="interpret")
    training.run()
    assert (training.step.last.applied, training.step.last.loss_scale, training.step.last.grad_norm) == (
        True, None, None,
    )  # fmt: skip
    assert training.step.last.lr == 0.05
    clipping = Training(clipped, backend="interpret")
    clipping.run()
    eager = Training(clipped)
    eager.run(eager.eager)
    norm = np.sqrt(sum(float((p.grad * p.grad).sum()) for p in eager.model.parameters()))
    assert norm <= 0.25 * (1 + 1e-5) < clipping.step.last.grad_norm, "the norm before clipping"


# The native program: f16 with everything, against eager


@pytest.fixture(scope="module")
def native() -> Training:
    """Compiled to C once for all tests below."""
    return Training(scaled_and_clipped, genesis.float16)


def test_the_native_program_trains_as_eager_mode(native: Training) -> None:
    eager = Training(scaled_and_clipped, genesis.float16)
    assert native.run() == pytest.approx(eager.run(eager.eager), rel=2e-3)
    assert native.scaler.state_dict() == eager.scaler.state_dict()
    # Adam divides a gradient by its own size, so that one that is near zero and rounded apart moves by up to the rate.
    assert_same_states(native, eager, 0.05 / 4)


def test_a_step_that_overflows_changes_nothing_but_the_scale_and_the_random_numbers(native: Training) -> None:
    native.step(*batch(0))
    before, scale, drawn = native.state(), native.scaler.get_scale(), genesis.default_generator.position()
    x, y = batch(1)
    x[2, 1] = float("inf")
    native.step(x, y)
    assert native.step.last.applied is False and native.step.last.loss_scale == scale
    for got, expected in zip(native.state(), before, strict=True):
        np.testing.assert_array_equal(got, expected)
    assert native.scaler.get_scale() == scale / 2 and native.scaler._get_growth_tracker() == 0
    assert genesis.default_generator.position() == (drawn[0], drawn[1] + 1)
    native.step(*batch(1))
    assert native.step.last.applied is True and native.step.last.loss_scale == scale / 2
    assert all((a != b).any() for a, b in zip(native.state(), before, strict=True))
    assert native.step.compiles == 1


def test_the_scale_halves_until_the_gradients_fit_and_grows_again(native: Training) -> None:
    native.scaler.load_state_dict({**native.scaler.state_dict(), "scale": 2.0**24, "_growth_tracker": 0})
    scales, applied = [], []
    for i in range(20):
        native.step(*batch(i))
        scales.append(native.step.last.loss_scale)
        applied.append(native.step.last.applied)
    assert applied.index(True) > 2, "the first ones overflow"
    expected, good = [2.0**24], 0
    for fits in applied:
        good = good + 1 if fits else 0
        expected.append(expected[-1] / 2 if not fits else expected[-1] * 2 if good == 3 else expected[-1])
        good %= 3
    assert scales == expected[:-1]
    assert any(b == 2 * a for a, b in pairwise(scales)), "and it grew"


def test_a_batch_with_nan_is_skipped_by_a_scaler_and_poisons_a_step_without_one(native: Training) -> None:
    x, y = batch(3)
    native.step(x, y)
    x[0, 0] = float("nan")
    before = native.state()
    assert np.isnan(native.step(x, y).item())
    assert native.step.last.applied is False and np.isnan(native.step.last.grad_norm)
    for got, expected in zip(native.state(), before, strict=True):
        np.testing.assert_array_equal(got, expected)
    unprotected = Training(plain, backend="interpret")
    assert np.isnan(unprotected.step(x, y).item())
    assert np.isnan(unprotected.state()[0]).any()


def test_a_saved_scaler_goes_on_where_it_was(native: Training) -> None:
    native.step(*batch(0))
    saved = native.scaler.state_dict()
    x, y = batch(0)
    native.step(x * float("inf"), y)
    assert native.scaler.state_dict() != saved
    native.scaler.load_state_dict(saved)
    native.step(x, y)
    assert native.step.last.loss_scale == saved["scale"]
    assert native.step.compiles == 1


def test_parameters_stay_in_f32_and_products_run_in_f16(native: Training) -> None:
    native.step(*batch(0))
    traced = native.step.graph("autocast")
    dots = [n for n in native.step.graph("fused").nodes if n.attrs["kind"] == "contract"]
    inside = [n for dot in dots for n in dot.body.nodes if n.op.name == "dot"]
    assert inside and all(v.dtype is genesis.float16 for n in inside for v in n.inputs)
    assert all(p.value.dtype is not genesis.float16 for p in traced.params)


def test_a_dynamic_scale_goes_on_where_it_was_saved() -> None:
    whole, first, second = (Training(plain, loss_scale="dynamic", dtype=genesis.float16) for _ in range(3))
    for training in (whole, first):
        training.step.load_state_dict({"scale": 2.0**10, "_growth_tracker": 1990})
    genesis.manual_seed(1)
    expected = [whole.step(*batch(i)).item() for i in range(STEPS)]
    genesis.manual_seed(1)
    for i in range(3):
        first.step(*batch(i))
    saved = first.step.state_dict()
    assert saved["_growth_tracker"] == 1993
    second.model.load_state_dict(first.model.state_dict())
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    second.step.load_state_dict(saved)
    assert [second.step(*batch(i)).item() for i in range(3, STEPS)] == expected[3:]
    assert second.step.state_dict() == whole.step.state_dict()


def test_options_leave_the_traced_graph_as_it_was_traced() -> None:
    options = {"loss_scale": "dynamic", "clip_grad_norm": 1.0, "clip_grad_value": 0.5}
    texts = []
    for given in ({}, options):
        training = Training(plain, backend="interpret", **given)
        training.run()
        texts.append(print_graph(training.step.graph("traced"), located=False))
    assert texts[0] == texts[1]
    assert "loss_scale" in print_graph(training.step.graph("loss_scale"))


def test_only_a_dynamic_scale_is_state() -> None:
    assert Training(plain, loss_scale=128.0).step.state_dict() == {}
    with pytest.raises(KeyError, match="_growth_tracker"):
        Training(plain, loss_scale="dynamic").step.load_state_dict({"scale": 2.0})


def test_weights_are_cast_again_after_a_compiled_step_inside_the_region() -> None:
    model = nn.Linear(3, 2, bias=False)
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    x = genesis.ones(2, 3)

    @genesis.compile
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = model(x).sum()
        loss.backward()
        optimizer.step()
        return loss

    step(x)
    with genesis.amp.autocast(dtype=genesis.bfloat16):
        before = model(x)
        step(x)
        after = model(x)
    assert after.tolist() != before.tolist()
    np.testing.assert_allclose(after.float().detach().numpy(), model(x).detach().numpy(), rtol=1e-2)


def with_scaler(compiled: bool, body: Any, calls: int = 7) -> list[Any]:
    """Losses, weights, scale and step counts of calls that ``body`` makes up of a model, optimizers and a scaler."""
    genesis.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizers = [optim.SGD([model.weight], lr=0.1, momentum=0.9), optim.Adam([model.bias], lr=0.1)]
    scaler = GradScaler(init_scale=8.0, growth_interval=2)
    scheduler = optim.lr_scheduler.ExponentialLR(optimizers[0], 0.9)

    def step(x: Any) -> Any:
        return body(model, optimizers, scaler, x)

    call: Any = genesis.compile(step) if compiled else step
    found = []
    for i in range(calls):
        x = genesis.ones(4, 3) * (float("inf") if i in (0, 3) else 1.0)
        result = float(call(x))
        if i == 2:
            scaler.set_growth_factor(4.0)
        if i == 4:
            scaler.set_growth_interval(1)
            scaler.set_backoff_factor(0.25)
        weights = [np.array(p.detach().numpy()) for p in model.parameters()]
        found.append((result, weights, scaler.get_scale(), [o._step_count for o in optimizers]))
        if i > 3:
            scheduler.step()
    return found


def two_optimizers(model: Any, optimizers: Any, scaler: Any, x: Any) -> Any:
    for optimizer in optimizers:
        optimizer.zero_grad()
    loss = (model(x) ** 2).mean()
    scaler.scale(loss).backward()
    scaler.unscale_(optimizers[1])
    for optimizer in optimizers:
        scaler.step(optimizer)
    before = scaler.get_scale()
    scaler.update()
    return before


def own_scale(model: Any, optimizers: Any, scaler: Any, x: Any) -> Any:
    optimizers[0].zero_grad()
    scaler.scale((model(x) ** 2).mean()).backward()
    scaler.step(optimizers[0])
    scaler.update(16.0)
    return scaler.get_scale()


def options_inside(model: Any, optimizers: Any, scaler: Any, x: Any) -> Any:
    optimizers[0].zero_grad()
    scaler.scale((model(x) ** 2).mean()).backward()
    scaler.step(optimizers[0])
    scaler.set_growth_factor(3.0)
    scaler.update()
    scaler.set_growth_factor(2.0)
    return scaler.get_growth_factor()


@pytest.mark.parametrize("body", [two_optimizers, own_scale, options_inside])
def test_scalers_in_program_order(body: Any) -> None:
    for f, e in zip(with_scaler(True, body), with_scaler(False, body), strict=True):
        np.testing.assert_allclose(f[0], e[0], rtol=1e-5)
        for a, b in zip(f[1], e[1], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        assert f[2:] == e[2:]


@pytest.mark.parametrize("first", [True, False])
def test_a_compiled_step_does_not_part_unscale_from_update(first: bool) -> None:
    model = nn.Linear(3, 2)
    optimizer, scaler = optim.SGD(model.parameters(), lr=0.1), GradScaler()

    def begin(x: Any) -> None:
        optimizer.zero_grad()
        scaler.scale((model(x) ** 2).mean()).backward()
        scaler.unscale_(optimizer)

    def end(x: Any) -> None:
        scaler.step(optimizer)
        scaler.update()

    x = genesis.ones(2, 3)
    before = model.weight.tolist()
    if first:
        with pytest.raises(TraceError, match=r"ends between scaler.unscale_\(\) or step\(\) and update\(\)"):
            genesis.compile(begin, keep_grads=True)(x)
    else:
        begin(x)
        with pytest.raises(TraceError, match=r"begins behind scaler.unscale_\(\) or step\(\) and update\(\)"):
            genesis.compile(end)(x)
    assert model.weight.tolist() == before
