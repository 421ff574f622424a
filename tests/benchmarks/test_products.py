"""Products of a step are counted once each, whatever computes them."""

from __future__ import annotations

import pytest

from benchmarks.models.gpt import GPT
from benchmarks.models.mlp import MLP
from benchmarks.models.model import Model
from benchmarks.peers.genesis import Program
from benchmarks.products import products
from tests.compiler.passes.graphs import read


def step_of(model: Model, precision: str) -> dict[str, int]:
    program = Program(model, model.weights(), model.batches(1), precision)
    program.steps(1)
    return program.products()


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", "f32"), ("bf16", "bf16")])
def test_layers_forward_and_backward(precision: str, dtype: str) -> None:
    forward = 12 * 8 + 8 * 5
    backward = forward + 8 * 5  # nobody asks for the gradient of the data
    assert step_of(MLP(sizes=(12, 8, 5), batch=4), precision) == {dtype: 2 * 4 * (forward + backward)}


def test_causal_attention_and_its_gradient_are_six_products_of_what_is_seen() -> None:
    model = GPT(layers=1, width=16, heads=2, context=8, batch=3, vocabulary=11)
    weights = 12 * 16 * 16 + 16 * 11
    pairs = 8 * 9 // 2
    assert step_of(model, "fp32") == {"f32": 3 * (6 * 8 * weights + 6 * 2 * 16 * pairs)}


def test_a_loop_counts_every_turn() -> None:
    graph = read("""
      input %h: f32[6,96]
      input %w: f32[96,96]
      %0: f32[6,96] = loop(%h, %w) {length=4, carries=1, sequences=0} @body {
        input %h: f32[6,96]
        input %w: f32[96,96]
        %0: f32[6,96] = dot(%h, %w)
        return %0
      }
      return %0
    """)
    assert products(graph) == {"f32": 4 * 2 * 6 * 96 * 96}
