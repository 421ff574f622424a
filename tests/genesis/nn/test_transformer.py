"""Transformers: trained compiled as eager, and layers that begin alike."""

from typing import Any

import numpy as np

import genesis
from genesis import nn


def losses(compiled: bool) -> list[float]:
    genesis.manual_seed(0)
    model = nn.Transformer(8, 2, 1, 1, 16, dropout=0.1, batch_first=True, norm_first=True)
    optimizer = genesis.optim.AdamW(model.parameters(), lr=1e-2)
    mask = nn.Transformer.generate_square_subsequent_mask(3)

    def step(src: Any, tgt: Any) -> Any:
        optimizer.zero_grad()
        loss = ((model(src, tgt, tgt_mask=mask, tgt_is_causal=True) - tgt) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    run = genesis.compile(step) if compiled else step
    src, tgt = genesis.randn(2, 4, 8), genesis.randn(2, 3, 8)
    return [float(run(src, tgt)) for _ in range(5)]


def test_compiled_training_is_eager_training() -> None:
    eager = losses(compiled=False)
    np.testing.assert_allclose(losses(compiled=True), eager, 1e-4)
    assert eager[-1] < eager[0]


def test_the_layers_of_an_encoder_are_copies() -> None:
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8), 2)
    first, second = (layer.linear1.weight for layer in encoder.layers)
    assert first is not second
    np.testing.assert_array_equal(first.detach().numpy(), second.detach().numpy())
