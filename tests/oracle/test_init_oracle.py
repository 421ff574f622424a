"""Initialisation against PyTorch: deterministic parts equal, random parts equal in distribution."""

import math
from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn
from tests.oracle.compare import agree

torch = pytest.importorskip("torch")


EXACT: dict[str, Any] = {
    "constant_": lambda n, x: n.init.constant_(x, 0.3),
    "ones_": lambda n, x: n.init.ones_(x),
    "zeros_": lambda n, x: n.init.zeros_(x),
    "eye_": lambda n, x: n.init.eye_(x[:, :, 0]),
    "dirac_": lambda n, x: n.init.dirac_(x),
    "dirac_ in groups": lambda n, x: n.init.dirac_(x, groups=2),
}


@pytest.mark.parametrize("name", EXACT)
def test_exact_initialisation(name: str) -> None:
    agree(lambda t, x: EXACT[name](t.nn, x.detach()), (6, 4, 3), grad=False)


@pytest.mark.parametrize("name", ["linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
def test_gains(name: str) -> None:
    assert nn.init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name), rel=1e-15)
    assert nn.init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)


RANDOM: dict[str, Any] = {
    "uniform_": lambda i, x: i.uniform_(x, -2, 3),
    "normal_": lambda i, x: i.normal_(x, 1, 0.5),
    "trunc_normal_": lambda i, x: i.trunc_normal_(x, 0.2, 0.5, -0.3, 1.0),
    "trunc_normal_ far out": lambda i, x: i.trunc_normal_(x, 0.0, 1.0, 3.0, 4.0),
    "xavier_uniform_": lambda i, x: i.xavier_uniform_(x, gain=2),
    "xavier_normal_": lambda i, x: i.xavier_normal_(x),
    "kaiming_uniform_": lambda i, x: i.kaiming_uniform_(x, a=math.sqrt(5)),
    "kaiming_uniform_ fan_out": lambda i, x: i.kaiming_uniform_(x, mode="fan_out", nonlinearity="relu"),
    "kaiming_normal_": lambda i, x: i.kaiming_normal_(x, nonlinearity="tanh"),
    "orthogonal_": lambda i, x: i.orthogonal_(x, gain=3),
}


@pytest.mark.filterwarnings("ignore:mean is more than 2 std")
@pytest.mark.parametrize("name", RANDOM)
def test_random_initialisation(name: str) -> None:
    genesis.manual_seed(1)
    torch.manual_seed(1)
    mine = np.sort(RANDOM[name](nn.init, genesis.zeros(60, 20, 5)).numpy().ravel())
    other = np.sort(RANDOM[name](torch.nn.init, torch.zeros(60, 20, 5)).numpy().ravel())
    spread = other.std()
    # 6000 draws: quantiles between 1 % and 99 % scatter by less than 0.15 standard deviations.
    np.testing.assert_allclose(mine[60:-60:50], other[60:-60:50], atol=0.15 * spread)


def test_orthogonal_rows_are_orthogonal() -> None:
    for shape in ((4, 9), (9, 4)):
        w = nn.init.orthogonal_(genesis.zeros(*shape), gain=2).numpy()
        product = w @ w.T if shape[0] < shape[1] else w.T @ w
        np.testing.assert_allclose(product, 4 * np.eye(4), atol=1e-5)


def test_sparse_has_the_zeros_it_should() -> None:
    w = nn.init.sparse_(genesis.zeros(10, 6), 0.25).numpy()
    assert ((w == 0).sum(0) == 3).all()


RANGES: dict[str, Any] = {
    "Linear": lambda n: n.Linear(50, 200),
    "Conv2d": lambda n: n.Conv2d(8, 200, 3, groups=2),
    "ConvTranspose1d": lambda n: n.ConvTranspose1d(200, 400, 3),
}


@pytest.mark.parametrize("name", RANGES)
def test_weights_start_in_torchs_range(name: str) -> None:
    mine, other = RANGES[name](nn), RANGES[name](torch.nn)
    for a, b in zip(mine.parameters(), other.parameters(), strict=True):
        assert abs(a.detach().numpy()).max() == pytest.approx(float(b.detach().abs().max()), rel=0.1)
