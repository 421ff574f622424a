"""Clipping, at once and recorded."""

import math

import numpy as np
import pytest

import genesis
from compiler.errors import GenesisWarning, TraceError
from compiler.passes.autodiff import autodiff
from genesis import nn
from genesis.nn.utils import clip_grad_norm_, clip_grad_value_, get_total_norm, vector_to_parameters
from tests.genesis.recorded import Recorded


def parameters(*grads: list[float]) -> list[genesis.Tensor]:
    result = []
    for grad in grads:
        p = genesis.zeros(len(grad), requires_grad=True)
        p.grad = genesis.tensor(grad)
        result.append(p)
    return result


def test_norm_over_all_parameters() -> None:
    ps = parameters([3.0], [0.0, 4.0])
    norm = clip_grad_norm_(ps, 1.0)
    assert norm.item() == 5 and norm.dtype is genesis.float32
    np.testing.assert_allclose(ps[1].grad.numpy(), [0, 0.8], rtol=1e-6)
    assert get_total_norm([p.grad for p in ps]).item() == pytest.approx(1, rel=1e-6)


def test_small_gradients_stay() -> None:
    ps = parameters([0.3, 0.4])
    clip_grad_norm_(ps, 1.0)
    np.testing.assert_array_equal(ps[0].grad.numpy(), np.float32([0.3, 0.4]))


def test_parameters_without_gradient() -> None:
    p = genesis.zeros(2, requires_grad=True)
    norm = clip_grad_norm_([p], 1.0)
    assert norm.item() == 0 and p.grad is None
    clip_grad_value_([p], 1.0)
    assert get_total_norm([]).item() == 0


def test_an_empty_generator_warns() -> None:
    with pytest.warns(GenesisWarning, match="empty generator"):
        clip_grad_norm_((p for p in ()), 1.0)


def test_half_gradients_keep_their_dtype() -> None:
    p = genesis.zeros(2).half().requires_grad_()
    p.grad = genesis.tensor([3.0, 4.0]).half()
    clip_grad_norm_(p, 1.0)
    assert p.grad.dtype is genesis.float16
    np.testing.assert_allclose(p.grad.numpy(), [0.6, 0.8], rtol=1e-3)


def test_not_finite() -> None:
    ps = parameters([1.0, math.inf])
    with pytest.raises(RuntimeError, match=r"total norm of order 2\.0 .* is non-finite"):
        clip_grad_norm_(ps, 1.0, error_if_nonfinite=True)
    np.testing.assert_array_equal(ps[0].grad.numpy(), [1, math.inf])
    assert clip_grad_norm_(ps, 1.0).item() == math.inf
    np.testing.assert_array_equal(ps[0].grad.numpy(), [0, math.nan])


def test_by_value() -> None:
    ps = parameters([-3.0, 0.5], [math.nan])
    clip_grad_value_(ps, 1)
    np.testing.assert_array_equal(ps[0].grad.numpy(), [-1, 0.5])
    assert math.isnan(ps[1].grad.item())


def test_recorded_clipping_is_one_op_and_reports_its_norm() -> None:
    layer = nn.Linear(3, 2)
    x, seen = genesis.full((4, 3), 2.0), genesis.zeros(1)

    def step() -> None:
        layer.zero_grad()
        layer(x).square().sum().backward()
        seen.copy_(clip_grad_norm_(layer.parameters(), 0.5))
        with genesis.no_grad():
            for p in layer.parameters():
                p.sub_(p.grad)

    start = {k: v.numpy().copy() for k, v in layer.state_dict().items()}
    step()
    eager = {k: v.numpy().copy() for k, v in layer.state_dict().items()}, seen.item()
    layer.load_state_dict(start)
    recorded = Recorded(step)
    recorded.graph = autodiff(recorded.graph)
    assert recorded.ops().count("clip_grad_norm") == 1
    assert recorded.recording.last["grad_norm"].shape == ()
    recorded()
    assert seen.item() == pytest.approx(eager[1], rel=1e-6)
    for key, value in layer.state_dict().items():
        np.testing.assert_allclose(value.numpy(), eager[0][key], rtol=1e-5, atol=1e-6)


def test_recorded_clipping_cannot_raise_on_a_value() -> None:
    layer = nn.Linear(3, 2)

    def step() -> None:
        layer(genesis.ones(1, 3)).sum().backward()
        clip_grad_norm_(layer.parameters(), 0.5, error_if_nonfinite=True)

    with pytest.raises(TraceError, match=r"error_if_nonfinite=True(.|\n)*test_clip_grad.py:(.|\n)*grad_norm"):
        Recorded(step)


def test_a_vector_is_needed() -> None:
    with pytest.raises(TypeError, match=r"expected genesis\.Tensor, but got: list"):
        vector_to_parameters([1.0], [])  # type: ignore[arg-type]
