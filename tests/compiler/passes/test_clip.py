"""Gradient clipping behind the backward pass."""

from collections.abc import Callable

import numpy as np
import pytest

from compiler.interpret import interpret
from compiler.ir.graph import Graph, Value
from compiler.ir.types import TensorType, f32, f64
from compiler.ir.verify import verify
from compiler.passes.autodiff import autodiff
from compiler.passes.clip import clip_norm, clip_value
from compiler.passes.expand import expand
from compiler.passes.loss_scale import LossScale, loss_scale
from tests.compiler.passes.graphs import before_and_after, ops, read

STEP = """
  state  %w: f32[2]                "model.weight"
  state  %b: f32[]                 "model.bias"
  input  %x: f32[2]
  %0: f32[2] = mul(%w, %x)                       # train.py:3
  %1: f32[2] = add(%0, %b)                       # train.py:3
  %loss: f32[] = sum(%1) {axes=[0]}              # train.py:3
  %2: f32[2], %3: f32[] = grad(%loss, %w, %b)    # train.py:4
  return %2, %3
"""


def step() -> tuple[Graph, Value]:
    graph = read(STEP)
    return graph, graph.add_param(TensorType(f64, ()), "scalar", "clip.limit", "limit")


def run(graph: Graph, limit: float) -> list[np.ndarray]:
    inputs = [np.ones(2, np.float32), np.array(0, np.float32), np.array([3, -6], np.float32), np.array(limit)]
    return interpret(expand(autodiff(verify(graph))), inputs)[0]


def test_golden_norm(golden: Callable[[str, str], None]) -> None:
    golden("passes/clip_norm.gir", before_and_after(step()[0], "clip_norm", clip_norm(*step())))


def test_golden_value(golden: Callable[[str, str], None]) -> None:
    golden("passes/clip_value.gir", before_and_after(step()[0], "clip_value", clip_value(*step())))


@pytest.mark.parametrize("limit", [3.5, 7.0, 100.0])
def test_the_norm_is_limited(limit: float) -> None:
    """The gradients are (3, -6) and 2: their norm is 7."""
    w, b, norm = run(clip_norm(*step()), limit)
    factor = min(limit / 7.000001, 1)
    assert float(norm) == 7
    np.testing.assert_allclose([*w, b], [3 * factor, -6 * factor, 2 * factor], rtol=1e-6)


def test_each_element_is_limited() -> None:
    w, b = run(clip_value(*step()), 2.5)
    assert [*w, b] == [2.5, -2.5, 2]


def test_unscaled_gradients_are_clipped() -> None:
    """With a loss scale the clip stands behind ``unscale``, and the verdict on overflow passes by it."""
    graph, limit = step()
    scale = graph.add_param(TensorType(f32, ()), "state", "scaler.scale", "scale")
    after = clip_norm(loss_scale(graph, LossScale(scale)), limit)
    order = ops(after)
    assert order.index("grad") < order.index("unscale") < order.index("clip_grad_norm")
    inputs = [np.ones(2), 0, [3, -6], 3.5, 2.0**20]
    arrays = [np.asarray(x, v.dtype.numpy) for x, v in zip(inputs, after.inputs(), strict=True)]
    w, b, norm = interpret(expand(autodiff(verify(after))), arrays)[0]
    assert float(norm) == 7
    np.testing.assert_allclose([*w, b], [1.5, -3, 1], rtol=1e-6)


def test_a_step_without_gradients_stays() -> None:
    graph = read("input %x: f32[2]\n%0: f32[2] = exp(%x)\nreturn %0")
    limit = graph.add_param(TensorType(f64, ()), "scalar", "", "limit")
    assert ops(clip_value(graph, limit)) == ops(clip_norm(graph, limit)) == ["exp"]
