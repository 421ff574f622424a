"""Layers and losses recorded, differentiated as a graph and run by the interpreter: the same as at once."""

from typing import Any

import numpy as np
import pytest

import genesis
import genesis.nn.functional as F
from compiler.passes.autodiff import autodiff
from genesis import nn
from tests.genesis.recorded import Recorded

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 6)).astype(np.float32)
Y = np.array([0, 5, 2, 2])
Q = RNG.standard_normal((2, 3, 4, 6)).astype(np.float32)
MASK = np.tril(np.ones((4, 4), bool))
EMBED = nn.Embedding(6, 3, padding_idx=2)
HEADS = nn.MultiheadAttention(6, 2, dropout=0.3, batch_first=True)
NET = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Dropout(0.4), nn.LayerNorm(8), nn.Linear(8, 6))

CASES: dict[str, Any] = {
    "sequential": (NET, X, lambda x: NET(x)),
    "embedding": (EMBED, X, lambda x: EMBED(genesis.tensor(Y)) * x[:, :3]),
    "attention layer": (HEADS, Q[0], lambda x: HEADS(x, x, x, need_weights=False)[0]),
    "attention layer with weights": (HEADS, Q[0], lambda x: HEADS(x, x, x, attn_mask=genesis.tensor(~MASK))[1]),
    "attention": (None, Q, lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True)),
    "attention with mask": (None, Q, lambda x: F.scaled_dot_product_attention(x, x, x, genesis.tensor(MASK))),
    "attention with dropout": (None, Q, lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.3)),
    "cross_entropy": (None, X, lambda x: F.cross_entropy(x, genesis.tensor(Y), label_smoothing=0.1)),
    "soft cross_entropy": (None, X, lambda x: F.cross_entropy(x, x.detach().softmax(1))),
    "nll_loss": (None, X, lambda x: F.nll_loss(x.log_softmax(1), genesis.tensor(Y), ignore_index=2)),
    "mse_loss": (None, X, lambda x: F.mse_loss(x, genesis.zeros(4, 6))),
    "bce_with_logits": (None, X, lambda x: F.binary_cross_entropy_with_logits(x, genesis.ones(4, 6) * 0.3)),
    "binary_cross_entropy": (None, X, lambda x: F.binary_cross_entropy(x.sigmoid(), genesis.ones(4, 6) * 0.3)),
    "huber_loss": (None, X, lambda x: F.huber_loss(x, genesis.zeros(4, 6), delta=0.5)),
    "kl_div": (None, X, lambda x: F.kl_div(x.log_softmax(1), genesis.full((4, 6), 1 / 6), reduction="batchmean")),
    "rms_norm": (None, X, lambda x: F.rms_norm(x, (6,))),
    "normalize": (None, X, lambda x: F.normalize(x)),
    "pad": (None, X, lambda x: F.pad(x, (1, -2, 3, 0), value=2.0)),
    "pad reflect": (None, X, lambda x: F.pad(x[None], (2, 1), mode="reflect")),
    "selu": (None, X, lambda x: F.selu(x)),
    "hardswish": (None, X, lambda x: F.hardswish(x)),
    "glu": (None, X, lambda x: F.glu(x)),
    "inplace": (None, X, lambda x: F.relu(x * 2, inplace=True)),
    "dropout2d": (None, Q, lambda x: F.dropout2d(x)),
    "one_hot": (None, X, lambda x: x * F.one_hot(genesis.tensor(Y), 6)),
}


@pytest.mark.parametrize("name", CASES)
def test_recorded_equals_eager(name: str) -> None:
    module, array, call = CASES[name]
    x = genesis.tensor(array, requires_grad=True)
    leaves = [x, *(module.parameters() if module is not None else ())]
    genesis.manual_seed(4)
    shape = call(x).shape
    out = genesis.zeros(*shape)
    grads = [genesis.zeros(*leaf.shape) for leaf in leaves]

    def step() -> None:
        for leaf in leaves:
            leaf.grad = None
        result = call(x)
        (result * result).sum().backward()
        out.copy_(result.detach())
        for leaf, grad in zip(leaves, grads, strict=True):
            if leaf.grad is not None:
                grad.copy_(leaf.grad)

    genesis.manual_seed(4)
    step()
    eager = [t.numpy().copy() for t in (out, *grads)]
    for t in (out, *grads):
        t.zero_()
    genesis.manual_seed(4)
    recorded = Recorded(step)
    recorded.graph = autodiff(recorded.graph)
    recorded()
    for got, want in zip((out, *grads), eager, strict=True):
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-5, atol=1e-6)
    assert eager[1].any()
