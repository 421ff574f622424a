"""Loss scaling: what the pass inserts, and that a scaled step is the plain step, or none at all."""

from collections.abc import Callable

import numpy as np
import pytest

from compiler.errors import TraceError
from compiler.interpret import interpret
from compiler.ir.graph import Graph
from compiler.ir.types import TensorType, f32, i32
from compiler.ir.verify import verify
from compiler.passes.autodiff import autodiff
from compiler.passes.expand import expand
from compiler.passes.loss_scale import LossScale, loss_scale
from tests.compiler.passes.graphs import before_and_after, ops, read

STEP = """
  state  %w: f32[4]                "model.weight"
  state  %m: f32[4]                "model.buffer"
  scalar %lr: f64                  "optimizer.lr[0]"
  scalar %wd: f64                  "optimizer.weight_decay[0]"
  input  %x: f32[4]
  %0: f32[4] = mul(%w, %x)                       # train.py:3
  %loss: f32[] = sum(%0) {axes=[0]}              # train.py:3
  %1: f32[4] = grad(%loss, %w)                   # train.py:4
  %2: f32[4] = sgd_update(%w, %1, %lr, %wd)      # train.py:5
  %3: f32[4] = add(%m, %x)                       # train.py:6
  update %w = %2
  update %m = %3
  return %loss
""".replace("lr: f64 ", "lr: f64[]").replace("wd: f64 ", "wd: f64[]")


def scaled(text: str = STEP, dynamic: bool = True) -> tuple[Graph, Graph]:
    """A step before and after the pass, the scale and the tracker among its states."""
    graph = read(text)
    scale = graph.add_param(TensorType(f32, ()), "state", "scaler.scale", "scale")
    tracker = graph.add_param(TensorType(i32, ()), "state", "scaler.tracker", "tracker") if dynamic else None
    return graph, verify(loss_scale(graph, LossScale(scale, tracker, growth_interval=2)))


def run(graph: Graph, x: list[float], scale: float, tracker: int) -> tuple[np.ndarray, ...]:
    """The new w, m, scale and tracker."""
    inputs = [
        np.ones(4, np.float32),
        np.zeros(4, np.float32),
        np.array(0.1),
        np.array(0.0),
        np.array(x, np.float32),
        np.array(scale, np.float32),
        np.array(tracker, np.int32),
    ]
    return tuple(interpret(expand(autodiff(graph)), inputs)[1])


def test_golden(golden: Callable[[str, str], None]) -> None:
    golden("passes/loss_scale.gir", before_and_after(*(lambda b, a: (b, "loss_scale", a))(*scaled())))


def test_a_good_step_is_the_plain_step() -> None:
    w, m, scale, tracker = run(scaled()[1], [1, 2, 3, 4], 1024, 0)
    np.testing.assert_array_equal(w, np.float32(1) - np.array([1, 2, 3, 4], np.float32) * np.float32(0.1))
    np.testing.assert_array_equal(m, [1, 2, 3, 4])
    assert (float(scale), int(tracker)) == (1024, 1)


def test_the_scale_grows_after_an_interval() -> None:
    *_, scale, tracker = run(scaled()[1], [1, 2, 3, 4], 1024, 1)
    assert (float(scale), int(tracker)) == (2048, 0)


def test_an_overflow_skips_the_update_and_halves_the_scale() -> None:
    """Only the optimizer's results are thrown away; a buffer takes its new value, as in PyTorch."""
    w, m, scale, tracker = run(scaled()[1], [1, 1e38, 1, 1], 1024, 1)
    np.testing.assert_array_equal(w, np.ones(4))
    np.testing.assert_array_equal(m, np.array([1, 1e38, 1, 1], np.float32))
    assert (float(scale), int(tracker)) == (512, 0)


def test_a_static_scale_stays() -> None:
    _, after = scaled(dynamic=False)
    assert "update_scale" not in ops(after)
    assert [u.state.name for u in after.updates] == ["w", "m"]


def test_two_backward_passes_share_one_verdict() -> None:
    second = """
      %4: f32[4] = exp(%w)
      %5: f32[] = sum(%4) {axes=[0]}
      %6: f32[4] = grad(%5, %w)
      %7: f32[4] = sgd_update(%2, %6, %lr, %wd)
      update %w = %7
    """
    head, tail = STEP.split("  update %w = %2\n")
    _, after = scaled(head + second + tail)
    assert ops(after).count("scale_loss") == ops(after).count("unscale") == 2
    assert ops(after).count("update_scale") == ops(after).count("maximum") == 1


def test_what_follows_the_optimizer_starts_from_the_kept_parameter() -> None:
    text = STEP.replace("  update %w = %2\n", "  %4: f32[4] = abs(%2)\n  update %w = %4\n")
    w, *_ = run(scaled(text)[1], [1, 1e38, 1, 1], 1024, 1)
    np.testing.assert_array_equal(w, np.ones(4))


def test_gradients_of_gradients_pass_the_scale() -> None:
    """A gradient penalty: d/dw of (d/dw w^3)^2 is 36 w^3."""
    text = """
      state  %w: f32[]
      %0: f32[] = mul(%w, %w)
      %1: f32[] = mul(%0, %w)
      %2: f32[] = grad(%1, %w)
      %3: f32[] = mul(%2, %2)
      %4: f32[] = grad(%3, %w)
      return %4
    """
    _, after = scaled(text, dynamic=False)
    (gradient,) = interpret(expand(autodiff(after)), [np.array(2, np.float32), np.array(256, np.float32)])[0]
    assert float(gradient) == 288


def test_a_step_that_scales_by_itself_is_refused() -> None:
    _, after = scaled()
    scale = after.inputs("state")[2]
    with pytest.raises(TraceError, match="drop one of the two: GradScaler or loss_scale="):
        loss_scale(after, LossScale(scale))


def test_a_step_without_gradients_stays() -> None:
    graph = read("input %x: f32[4]\n%0: f32[4] = exp(%x)\nreturn %0")
    scale = graph.add_param(TensorType(f32, ()), "state", "", "scale")
    assert ops(loss_scale(graph, LossScale(scale))) == ["exp"]
