"""Autocast regions, and the gradient scaler inside compiled steps. What PyTorch does is in tests/oracle."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import GenesisWarning
from compiler.ir.ambient import using
from genesis.amp import GradScaler, autocast
from genesis.context import session
from genesis.optim import SGD
from genesis.recording import Recording

bf16, f16, f32 = genesis.bfloat16, genesis.float16, genesis.float32


def product() -> genesis.Tensor:
    return genesis.ones(2, 2) @ genesis.ones(2, 2)


# Autocast


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        (lambda: autocast(), bf16),
        (lambda: autocast("cpu"), bf16),
        (lambda: autocast("cuda"), f16),
        (lambda: autocast("cuda:0"), f16),
        (lambda: autocast("cpu", f16), f16),
        (lambda: autocast("cuda", dtype=bf16), bf16),
        (lambda: autocast(dtype="float16"), f16),
        (lambda: autocast(enabled=False), f32),
    ],
)
def test_a_region_computes_products_in_its_dtype(region: Callable[[], autocast], expected: Any) -> None:
    with region():
        assert product().dtype is expected
    assert product().dtype is f32


def test_a_product_of_a_cast_and_of_a_view_is_recorded_as_it_is_computed() -> None:
    def step(x: Any) -> Any:
        with autocast("cpu"):
            return genesis.matmul(x.to(bf16), x.t())

    x = genesis.tensor([[1.0, 2.0], [3.0, 4.5]])
    result = genesis.compile(step)(x)
    assert result.dtype is bf16
    assert result.tolist() == step(x).tolist()


def test_the_default_is_that_of_the_device_a_step_is_compiled_for() -> None:
    recording = Recording("step")
    recording.builder.target = "cuda"  # type: ignore[attr-defined]
    with using(recording.builder), autocast():
        assert session().autocast == (f16, "cuda")


def test_regions_nest_and_end_with_an_error() -> None:
    with autocast(dtype=f16):
        with autocast(enabled=False):
            assert product().dtype is f32
            with autocast(dtype=bf16):
                assert product().dtype is bf16
            assert product().dtype is f32
        with pytest.raises(KeyError), autocast(dtype=bf16):
            raise KeyError
        assert product().dtype is f16
    assert session().autocast is None


def test_one_region_can_be_entered_again_while_it_is_open() -> None:
    region = autocast(dtype=bf16)
    with region:
        with region:
            assert product().dtype is bf16
        assert product().dtype is bf16
    assert session().autocast is None


def test_a_function_can_be_a_region() -> None:
    @autocast(dtype=f16)
    def halved(depth: int) -> list[Any]:
        return [product().dtype] + (halved(depth - 1) if depth else [])

    assert halved(2) == [f16, f16, f16]
    assert session().autocast is None


def test_a_parameter_is_cast_once_until_the_outermost_region_ends() -> None:
    w = genesis.ones(2, 2, requires_grad=True)
    casts = session().weight_casts  # type: ignore[union-attr]
    with autocast(dtype=f16):
        genesis.ones(2, 2) @ w
        kept = dict(casts)
        with autocast(dtype=f16):
            genesis.ones(2, 2) @ w
        assert list(casts.items()) == list(kept.items())
        assert len(kept) == 1
        with genesis.no_grad():
            w.mul_(3.0)
        assert (genesis.ones(2, 2) @ w).tolist() == [[6.0, 6.0], [6.0, 6.0]]
    assert not casts


@pytest.mark.parametrize("dtype", [f32, genesis.float64, genesis.int64])
def test_other_dtypes_disable_the_region_with_a_warning(dtype: Any) -> None:
    with pytest.warns(GenesisWarning, match="target dtype is not supported. Disabling autocast"):
        region = autocast("cpu", dtype)
    with region:
        assert product().dtype is f32


def test_unknown_devices_are_refused() -> None:
    with pytest.raises(RuntimeError, match="autocast for device 'mps'"):
        autocast("mps")


# The scaler

OVERFLOWS = [False, True, False, False, True, True, False, False, False]


class Training:
    """One parameter vector, a scaler that grows every second step, and an overflow where the input is infinite."""

    def __init__(self, unscale: bool = True, compiled: bool = False) -> None:
        self.p = genesis.tensor([1.0, 2.0], requires_grad=True)
        self.optimizer = SGD([self.p], lr=0.5, momentum=0.5)
        self.scaler = GradScaler(init_scale=4.0, growth_interval=2)
        self.unscale = unscale
        self.run: Any = genesis.compile(self.step, backend="interpret") if compiled else self.step

    def step(self, x: genesis.Tensor) -> genesis.Tensor:
        self.optimizer.zero_grad()
        loss = (self.p * x).sum()
        self.scaler.scale(loss).backward()
        if self.unscale:
            self.scaler.unscale_(self.optimizer)
            genesis.nn.utils.clip_grad_norm_([self.p], 1.0)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss

    def __call__(self, overflow: bool) -> tuple[Any, ...]:
        loss = self.run(genesis.tensor([np.inf if overflow else 0.5, 3.0]))
        buffer = self.optimizer.state[self.p].get("momentum_buffer")
        return loss.item(), self.p.tolist(), self.scaler.state_dict(), None if buffer is None else buffer.tolist()


@pytest.mark.parametrize("unscale", [False, True])
def test_a_compiled_step_skips_and_scales_as_an_eager_one(unscale: bool) -> None:
    eager, compiled = Training(unscale), Training(unscale, compiled=True)
    for overflow in OVERFLOWS:
        expected, found = eager(overflow), compiled(overflow)
        assert found[0] == expected[0]
        assert found[2:] == expected[2:]
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-6)
        assert compiled.run.last.applied is not overflow
    assert compiled.run.compiles == 1


def test_what_the_last_step_ran_with() -> None:
    training = Training(compiled=True)
    training(True)
    assert (training.run.last.applied, training.run.last.loss_scale) == (False, 4.0)
    assert training.scaler.get_scale() == 2.0
    training(False)
    assert (training.run.last.applied, training.run.last.loss_scale) == (True, 2.0)


def test_the_factors_are_read_at_every_call() -> None:
    training = Training(compiled=True)
    training(True)
    training.scaler.set_backoff_factor(0.25)
    training(True)
    assert training.scaler.get_scale() == 0.5
    training.scaler.set_growth_factor(10.0)
    training(False)
    training(False)
    assert training.scaler.get_scale() == 5.0
    assert training.run.compiles == 1


def test_a_recording_that_fails_leaves_the_scaler_as_it_was() -> None:
    training = Training()
    training(False)
    before = training.scaler.state_dict(), training.p.tolist()
    with pytest.raises(ZeroDivisionError), using(Recording("step").builder):
        training.scaler.scale(training.p.sum()).backward()
        training.scaler.step(training.optimizer)
        raise ZeroDivisionError
    assert (training.scaler.state_dict(), training.p.tolist()) == before
    training(False)


def test_misuse_inside_a_recording_is_the_same_error() -> None:
    training = Training()
    with using(Recording("step").builder):
        training.scaler.scale(training.p.sum()).backward()
        training.scaler.step(training.optimizer)
        with pytest.raises(RuntimeError, match="step\\(\\) has already been called since the last update"):
            training.scaler.step(training.optimizer)


def test_several_optimizers_in_one_compiled_step() -> None:
    p, q = (genesis.ones(1, requires_grad=True) for _ in range(2))
    optimizers = [SGD([p], lr=1.0), SGD([q], lr=1.0)]
    scaler = GradScaler(init_scale=8.0)

    @genesis.compile(backend="interpret")
    def step(x: genesis.Tensor) -> None:
        for optimizer in optimizers:
            optimizer.zero_grad()
        scaler.scale((p * x[0]).sum() + (q * x[1]).sum()).backward()
        for optimizer in optimizers:
            scaler.step(optimizer)
        scaler.update()

    step(genesis.tensor([np.inf, 0.25]))
    assert (p.item(), q.item(), scaler.get_scale(), step.last.applied) == (1.0, 0.75, 4.0, False)
    step(genesis.tensor([0.5, 0.25]))
    assert (p.item(), q.item(), scaler.get_scale(), step.last.applied) == (0.5, 0.5, 4.0, True)


def test_a_disabled_scaler_passes_everything_through() -> None:
    p = genesis.ones(1, requires_grad=True)
    optimizer, scaler = SGD([p], lr=1.0), GradScaler(growth_factor=0.0, enabled=False)
    loss = p.sum()
    assert scaler.scale(loss) is loss
    loss.backward()
    scaler.unscale_(optimizer)
    assert scaler.step(optimizer, closure=lambda: 7.0) == 7.0
    scaler.update()
    scaler.load_state_dict({})
    assert (scaler.is_enabled(), scaler.get_scale(), scaler.state_dict(), p.item()) == (False, 1.0, {}, 0.0)


def test_what_compiled_steps_have_baked_in() -> None:
    scaler = GradScaler()
    before = scaler.structure()
    scaler.set_growth_factor(3.0)
    scaler.set_growth_interval(scaler.get_growth_interval())
    assert scaler.structure() == before
    scaler.load_state_dict({**scaler.state_dict(), "growth_interval": 7})
    assert (scaler.structure() != before, scaler.get_growth_interval()) == (True, 7)
