"""Functions and layers by hand-computed values; the comparison with PyTorch is in tests/oracle."""

import math

import numpy as np
import pytest

import genesis
import genesis.nn.functional as F
from compiler.errors import GenesisWarning, OpError
from genesis import nn
from tests.genesis.recorded import Recorded


def array(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_linear() -> None:
    x, w, b = array(2, 3), array(4, 3), array(4)
    y = F.linear(*map(genesis.tensor, (x, w, b)))
    np.testing.assert_allclose(y.numpy(), x @ w.T + b, rtol=1e-6)


def test_linear_says_which_shapes_do_not_fit() -> None:
    with pytest.raises(OpError, match=r"\[2, 4\].*\[4, 3\]"):
        nn.Linear(3, 4)(genesis.ones(2, 4))


def test_activations_at_known_points() -> None:
    x = genesis.tensor([-1.0, 0.0, 2.0])
    expected = {
        F.relu: [0, 0, 2],
        F.leaky_relu: [-0.01, 0, 2],
        F.silu: [-1 / (1 + math.e), 0, 2 / (1 + math.exp(-2))],
        F.gelu: [-0.5 * (1 - math.erf(math.sqrt(0.5))), 0, 1 + math.erf(math.sqrt(2))],
        F.softplus: [math.log1p(math.exp(-1)), math.log(2), math.log1p(math.exp(2))],
        F.logsigmoid: [-math.log1p(math.e), -math.log(2), -math.log1p(math.exp(-2))],
        F.elu: [math.expm1(-1), 0, 2],
        F.hardtanh: [-1, 0, 1],
        F.softsign: [-0.5, 0, 2 / 3],
    }
    for function, values in expected.items():
        np.testing.assert_allclose(function(x).numpy(), values, rtol=1e-6, atol=1e-7, err_msg=function.__name__)


def test_softmax_without_dim_warns_and_chooses_as_torch_does() -> None:
    x = genesis.tensor(array(2, 3))
    with pytest.warns(GenesisWarning, match="Implicit dimension choice for softmax"):
        y = nn.Softmax()(x)
    np.testing.assert_allclose(y.numpy().sum(1), 1, rtol=1e-6)


def test_inplace_overwrites() -> None:
    x = genesis.tensor([-1.0, 2.0])
    assert nn.ReLU(inplace=True)(x) is x
    np.testing.assert_array_equal(x.numpy(), [0, 2])


# Dropout


def test_dropout_keeps_the_mean_and_draws_anew() -> None:
    genesis.manual_seed(0)
    x = genesis.ones(100, 100)
    a, b = F.dropout(x, 0.3).numpy(), F.dropout(x, 0.3).numpy()
    np.testing.assert_allclose(np.unique(a), [0, np.float32(1 / 0.7)], rtol=1e-6)
    assert abs(a.mean() - 1) < 0.02 and abs((a == 0).mean() - 0.3) < 0.02
    assert (a != b).any()
    genesis.manual_seed(0)
    np.testing.assert_array_equal(F.dropout(x, 0.3).numpy(), a)


def test_dropout_gradient_has_the_mask() -> None:
    x = genesis.ones(50, requires_grad=True)
    y = F.dropout(x, 0.5)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())


def test_dropout_in_evaluation_is_the_input() -> None:
    x = genesis.ones(3)
    layer = nn.Dropout(0.9).eval()
    assert layer(x) is x and F.dropout(x, 0.9, training=False) is x and F.dropout(x, 0.0) is x


def test_dropout_of_channels() -> None:
    for layer, shape in (
        (nn.Dropout1d(), (20, 30, 4)),
        (nn.Dropout2d(), (20, 30, 2, 2)),
        (nn.Dropout3d(), (20, 30, 2, 1, 2)),
    ):
        y = layer(genesis.ones(*shape)).numpy().reshape(600, 4)
        assert (y == y[:, :1]).all() and set(np.unique(y)) == {0, 2}


def test_recorded_dropout_draws_what_eager_draws() -> None:
    x = genesis.ones(40)
    out = genesis.zeros(2, 40)

    def step() -> None:
        out[0] = F.dropout(x, 0.5)
        out[1] = F.dropout(x, 0.5)

    recorded = Recorded(step)
    genesis.manual_seed(3)
    step()
    eager = out.numpy().copy()
    genesis.manual_seed(3)
    recorded()
    np.testing.assert_array_equal(out.numpy(), eager)


# Normalisation, embedding


def test_layer_norm() -> None:
    x = array(3, 5)
    y = nn.LayerNorm(5)(genesis.tensor(x)).detach().numpy()
    expected = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


def test_layer_norm_shape_message() -> None:
    message = r"Given normalized_shape=\[4\], expected input with shape \[\*, 4\], but got input of size\[3, 5\]"
    with pytest.raises(OpError, match=message):
        nn.LayerNorm(4)(genesis.ones(3, 5))


def test_embedding_padding_gets_no_gradient() -> None:
    table = nn.Embedding(4, 2, padding_idx=1)
    np.testing.assert_array_equal(table.weight.detach().numpy()[1], 0)
    table(genesis.tensor([1, 2, 2])).sum().backward()
    np.testing.assert_array_equal(table.weight.grad.numpy(), [[0, 0], [0, 0], [2, 2], [0, 0]])


def test_embedding_of_given_rows() -> None:
    rows = genesis.tensor(array(3, 2))
    table = nn.Embedding.from_pretrained(rows)
    assert not table.weight.requires_grad
    np.testing.assert_array_equal(table(genesis.tensor([2])).numpy(), rows.numpy()[2:])


def test_embedding_index_out_of_range() -> None:
    with pytest.raises(IndexError, match=r"embedding index 9 is out of range \[0, 4\)"):
        nn.Embedding(4, 2)(genesis.tensor([0, 9]))


def test_what_embedding_does_not_do_says_so() -> None:
    with pytest.raises(NotImplementedError, match="sparse"):
        nn.Embedding(3, 2, sparse=True)


# Attention


def test_attention_by_hand() -> None:
    q, k, v = array(3, 4), array(5, 4, seed=1), array(5, 2, seed=2)
    s = q @ k.T / 2
    p = np.exp(s) / np.exp(s).sum(1, keepdims=True)
    y = F.scaled_dot_product_attention(*map(genesis.tensor, (q, k, v)))
    np.testing.assert_allclose(y.numpy(), p @ v, rtol=1e-5, atol=1e-6)


def test_causal_attention_sees_no_future() -> None:
    q = genesis.tensor(array(4, 2))
    v = genesis.tensor(array(4, 2, seed=1), requires_grad=True)
    F.scaled_dot_product_attention(q, q, v, is_causal=True)[1].sum().backward()
    assert (v.grad.numpy()[:2] > 0).all() and not v.grad.numpy()[2:].any()


def test_attention_dropout_changes_the_result_in_training_only() -> None:
    x = genesis.tensor(array(1, 6, 8))
    layer = nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True)
    a, b = (layer(x, x, x, need_weights=False)[0].detach().numpy() for _ in range(2))
    assert (a != b).any()
    layer.eval()
    a, b = (layer(x, x, x, need_weights=False)[0].detach().numpy() for _ in range(2))
    np.testing.assert_array_equal(a, b)


def test_a_trained_mask_gets_its_gradient() -> None:
    q = genesis.tensor(array(3, 4))
    mask = genesis.zeros(3, 3, requires_grad=True)
    F.scaled_dot_product_attention(q, q, q, attn_mask=mask).square().sum().backward()
    assert mask.grad.numpy().any()
    np.testing.assert_allclose(mask.grad.numpy().sum(1), 0, atol=1e-6)


def test_causal_hint_needs_a_mask() -> None:
    x = genesis.ones(3, 4)
    with pytest.raises(OpError, match="Need attn_mask if specifying the is_causal hint"):
        nn.MultiheadAttention(4, 2)(x, x, x, is_causal=True)


# Losses


def test_cross_entropy_by_hand() -> None:
    x, y = array(4, 3), np.array([0, 2, 1, 2])
    log_p = x - np.log(np.exp(x).sum(1, keepdims=True))
    loss = nn.CrossEntropyLoss()(genesis.tensor(x), genesis.tensor(y))
    assert loss.item() == pytest.approx(-log_p[np.arange(4), y].mean(), rel=1e-6)


def test_ignored_labels_do_not_count() -> None:
    x, y = array(4, 3), np.array([0, -100, 1, -100])
    both = nn.CrossEntropyLoss()(genesis.tensor(x), genesis.tensor(y))
    some = nn.CrossEntropyLoss()(genesis.tensor(x[::2].copy()), genesis.tensor(y[::2].copy()))
    assert both.item() == pytest.approx(some.item(), rel=1e-6)


def test_label_out_of_range() -> None:
    with pytest.raises(IndexError, match=r"class index 3 is out of range \[0, 3\) \(element 1\)"):
        nn.CrossEntropyLoss()(genesis.ones(2, 3), genesis.tensor([0, 3]))


def test_a_nan_stays_a_nan() -> None:
    x = genesis.tensor([[math.nan, 1.0]])
    assert math.isnan(nn.CrossEntropyLoss()(x, genesis.tensor([1])).item())
    assert math.isnan(nn.MSELoss()(x, x).item())


def test_mse_warns_when_it_broadcasts() -> None:
    with pytest.warns(GenesisWarning, match="different to the input size"):
        nn.MSELoss()(genesis.ones(3, 1), genesis.ones(3))


def test_unknown_reduction() -> None:
    with pytest.raises(ValueError, match="some is not a valid value for reduction"):
        F.mse_loss(genesis.ones(2), genesis.ones(2), reduction="some")


def test_binary_cross_entropy_is_refused_where_16_bits_would_lose_it() -> None:
    p = genesis.tensor([0.5])
    with genesis.autocast("cuda"), pytest.raises(RuntimeError, match="unsafe to autocast"):
        F.binary_cross_entropy(p, p)
    with genesis.autocast("cpu"):
        assert F.binary_cross_entropy(p.bfloat16(), p).dtype is genesis.float32


def test_soft_targets_in_autocast_are_float32() -> None:
    with genesis.autocast("cpu"):
        loss = F.cross_entropy(genesis.ones(2, 3).bfloat16(), genesis.full((2, 3), 1 / 3))
    assert loss.dtype is genesis.float32


# Padding, one_hot


def test_pad() -> None:
    x = genesis.arange(4).view(2, 2)
    np.testing.assert_array_equal(F.pad(x, (1, 0, 0, 1), value=9).numpy(), [[9, 0, 1], [9, 2, 3], [9, 9, 9]])
    np.testing.assert_array_equal(F.pad(x, (-1, 1)).numpy(), [[1, 0], [3, 0]])
    with pytest.raises(OpError, match="negative size -1"):
        F.pad(x, (-2, -1))
    with pytest.raises(NotImplementedError, match="Unrecognised padding mode"):
        F.pad(x, (1, 1), mode="mirror")


def test_one_hot() -> None:
    np.testing.assert_array_equal(F.one_hot(genesis.tensor([1, 0]), 3).numpy(), [[0, 1, 0], [1, 0, 0]])
    assert F.one_hot(genesis.tensor([1, 4])).shape == (2, 5)
    with pytest.raises(IndexError, match="class value 3 is out of range"):
        F.one_hot(genesis.tensor([3]), 3)


def test_attention_in_f64_compiles() -> None:
    """C has a template for it in f32 and 16 bits only; f64 is written in its parts."""
    x = nn.Parameter(genesis.tensor(np.random.default_rng(0).standard_normal((2, 3, 4))))

    def step() -> tuple[genesis.Tensor, genesis.Tensor]:
        loss = F.scaled_dot_product_attention(x, x, x, is_causal=True).square().sum()
        (grad,) = genesis.autograd.grad(loss, [x])
        return loss, grad

    for got, want in zip(genesis.compile(step)(), step(), strict=True):
        assert got.dtype is genesis.float64
        np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), rtol=1e-12)
