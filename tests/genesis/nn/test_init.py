"""Initialisation: fans, gains, ranges, determinism."""

import math

import numpy as np
import pytest

import genesis
from genesis import nn
from genesis.nn import init


@pytest.fixture(autouse=True)
def seeded() -> None:
    genesis.manual_seed(0)


def spread(x: genesis.Tensor) -> float:
    return float(x.detach().numpy().std())


def test_initialisation_leaves_no_history() -> None:
    w = nn.Parameter(genesis.zeros(3, 4))
    assert init.kaiming_uniform_(w) is w
    assert w.is_leaf and w.requires_grad


@pytest.mark.parametrize(
    ("fill", "std"),
    [
        (init.xavier_uniform_, math.sqrt(2 / (400 * 3 + 100 * 3))),
        (init.xavier_normal_, math.sqrt(2 / (400 * 3 + 100 * 3))),
        (init.kaiming_uniform_, math.sqrt(2 / 300)),
        (init.kaiming_normal_, math.sqrt(2 / 300)),
        (lambda w: init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"), math.sqrt(2 / 1200)),
        (lambda w: init.uniform_(w, -1, 1), 1 / math.sqrt(3)),
        (lambda w: init.normal_(w, 5.0, 0.3), 0.3),
    ],
)
def test_variance(fill: object, std: float) -> None:
    w = fill(genesis.zeros(400, 100, 3))  # type: ignore[operator]
    assert spread(w) == pytest.approx(std, rel=0.02)


def test_trunc_normal_stays_inside() -> None:
    w = init.trunc_normal_(genesis.zeros(2000), std=2.0, a=-1.0, b=0.5).numpy()
    assert w.min() >= -1 and w.max() <= 0.5 and w.std() > 0.3


def test_constants() -> None:
    assert (init.constant_(genesis.zeros(2), 3).numpy() == 3).all()
    np.testing.assert_array_equal(init.eye_(genesis.ones(2, 3)).numpy(), np.eye(2, 3))


def test_orthogonal() -> None:
    w = init.orthogonal_(genesis.zeros(6, 2, 2)).numpy().reshape(6, 4)
    np.testing.assert_allclose(w.T @ w, np.eye(4), atol=1e-6)


def test_the_seed_decides() -> None:
    a = nn.Linear(4, 4).weight.detach().numpy()
    genesis.manual_seed(0)
    b = nn.Linear(4, 4).weight.detach().numpy()
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_less(abs(a), 0.5)


def test_errors() -> None:
    with pytest.raises(ValueError, match="fewer than 2 dimensions"):
        init.xavier_normal_(genesis.zeros(3))
    with pytest.raises(ValueError, match="Mode fan not supported"):
        init.kaiming_normal_(genesis.zeros(3, 3), mode="fan")
    with pytest.raises(ValueError, match="Unsupported nonlinearity swish"):
        init.calculate_gain("swish")
    with pytest.raises(ValueError, match="not a valid number"):
        init.calculate_gain("leaky_relu", True)


def test_skip_init_draws_nothing_and_fills_nothing() -> None:
    genesis.manual_seed(0)
    want = genesis.rand(3)
    genesis.manual_seed(0)
    layers = [
        nn.utils.skip_init(nn.Linear, 3, 2, bias=False),
        nn.utils.skip_init(nn.MultiheadAttention, 4, 2),
        nn.utils.skip_init(nn.LSTM, 3, 4),
    ]
    assert genesis.rand(3).tolist() == want.tolist()
    layers[0].load_state_dict({"weight": genesis.ones(2, 3)})
    assert layers[0](genesis.ones(3)).tolist() == [3.0, 3.0]
    assert nn.init.ones_(genesis.zeros(2)).tolist() == [1.0, 1.0]
