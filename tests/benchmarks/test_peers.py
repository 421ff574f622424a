"""The models are the same in every dialect."""

from __future__ import annotations

import numpy as np
import pytest

import genesis
from benchmarks.models.cnn import CNN
from benchmarks.models.gpt import GPT
from benchmarks.models.lstm import LSTM
from benchmarks.models.mlp import MLP
from benchmarks.models.model import Model

MODELS = [
    MLP(sizes=(12, 8, 5), batch=4),
    GPT(layers=2, width=16, heads=2, context=8, batch=2, vocabulary=11),
    CNN(channels=(3, 4, 6), size=8, classes=5, batch=3),
    LSTM(features=5, hidden=6, layers=2, length=4, classes=3, batch=2),
]


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_genesis_has_every_parameter(model: Model) -> None:
    module = model.module(genesis)
    assert {name: tuple(p.shape) for name, p in module.named_parameters()} == model.shapes()
    x, y = (genesis.from_numpy(array) for array in model.batches(1)[0])
    assert tuple(module(x).shape[:-1]) == tuple(y.shape)


@pytest.mark.oracle
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_jax_computes_the_same(model: Model) -> None:
    jax = pytest.importorskip("jax")
    module, weights = model.module(genesis), model.weights()
    module.load_state_dict({name: genesis.from_numpy(weight) for name, weight in weights.items()}, strict=False)
    x, _ = model.batches(1)[0]
    parameters = {
        name: weight.T if weight.ndim == 2 and name not in model.embeddings else weight
        for name, weight in weights.items()
    }
    logits = model.jax_logits(jax, parameters, x, jax.numpy.float32)
    np.testing.assert_allclose(module(genesis.from_numpy(x)).detach().numpy(), logits, rtol=1e-4, atol=1e-5)
