"""Samples: their moments, their gradients, and a policy and a VAE's loss in compiled steps."""

from typing import Any

import numpy as np
import pytest

import genesis
from genesis import distributions as d

t = genesis.tensor
DRAWN: dict[str, Any] = {
    "Normal": lambda: d.Normal(t([1.0, -1.0]), t([0.5, 2.0])),
    "LogNormal": lambda: d.LogNormal(t([0.1]), t([0.3])),
    "Uniform": lambda: d.Uniform(t([-1.0]), t([3.0])),
    "Exponential": lambda: d.Exponential(t([0.5, 2.0])),
    "Laplace": lambda: d.Laplace(t([0.5]), t([1.5])),
    "Bernoulli": lambda: d.Bernoulli(t([0.2, 0.7])),
    "OneHotCategorical": lambda: d.OneHotCategorical(t([0.2, 0.5, 0.3])),
    "Gamma": lambda: d.Gamma(t([0.3, 1.0, 7.0]), t([1.0, 2.0, 0.5])),
    "Beta": lambda: d.Beta(t([0.5, 2.0]), t([0.5, 5.0])),
    "Dirichlet": lambda: d.Dirichlet(t([0.5, 2.0, 4.0])),
    "StudentT": lambda: d.StudentT(t([8.0]), 1.0, 2.0),
    "Poisson": lambda: d.Poisson(t([0.0, 0.5, 9.0, 11.0, 300.0])),
    "Geometric": lambda: d.Geometric(t([0.3, 0.8])),
    "Binomial": lambda: d.Binomial(t([3.0, 12.0]), t([0.2, 0.7])),
    "NegativeBinomial": lambda: d.NegativeBinomial(4.0, t([0.3, 0.6])),
    "Multinomial": lambda: d.Multinomial(5, t([0.2, 0.5, 0.3])),
    "HalfNormal": lambda: d.HalfNormal(t([0.5, 2.0])),
    "Gumbel": lambda: d.Gumbel(t([0.5]), t([2.0])),
    "Weibull": lambda: d.Weibull(t([0.5, 2.0]), t([1.0, 3.0])),
    "Pareto": lambda: d.Pareto(t([1.0]), t([8.0])),
    "Kumaraswamy": lambda: d.Kumaraswamy(t([0.5, 2.0]), t([3.0, 0.7])),
    "InverseGamma": lambda: d.InverseGamma(t([9.0]), t([2.0])),
    "FisherSnedecor": lambda: d.FisherSnedecor(t([6.0]), t([20.0])),
    "ContinuousBernoulli": lambda: d.ContinuousBernoulli(t([0.2, 0.5, 0.9])),
    "GeneralizedPareto": lambda: d.GeneralizedPareto(t([0.5, 0.5]), 2.0, t([-0.5, 0.1])),
    "LowRankMultivariateNormal": lambda: d.LowRankMultivariateNormal(t([1.0, 2.0]), t([[1.0], [0.5]]), t([1.0, 0.5])),
    "Wishart": lambda: d.Wishart(t(4.5), t([[2.0, 0.6], [0.6, 1.0]])),
    "MixtureSameFamily": lambda: d.MixtureSameFamily(
        d.Categorical(t([0.3, 0.7])), d.Independent(d.Normal(t([[-2.0, 0.0], [3.0, 1.0]]), 0.5), 1)
    ),
    "MultivariateNormal": lambda: d.MultivariateNormal(t([1.0, 2.0]), t([[2.0, 0.6], [0.6, 1.0]])),
}


@pytest.mark.parametrize("name", DRAWN)
def test_moments_of_samples(name: str) -> None:
    genesis.manual_seed(0)
    made = DRAWN[name]()
    drawn = made.sample((20000,)).numpy()
    mean, variance = made.mean.numpy(), made.variance.numpy()
    np.testing.assert_allclose(drawn.mean(0), mean, atol=6 * np.sqrt(variance.max() / 20000))
    np.testing.assert_allclose(drawn.var(0), variance, rtol=0.12)


def test_angles_and_correlations_spread_as_they_should() -> None:
    """E cos(x - loc) is 1 less the variance; correlations of n variables have the variance 1 / (2 a + n - 1)."""
    genesis.manual_seed(0)
    made = d.VonMises(t([0.5, 3.0]), t([0.2, 5.0]))
    drawn = made.sample((20000,))
    np.testing.assert_allclose((drawn - made.loc).cos().mean(0).tolist(), (1 - made.variance).tolist(), atol=0.03)
    np.testing.assert_allclose((drawn - made.loc).sin().mean(0).tolist(), [0, 0], atol=0.03)
    factor = d.LKJCholesky(3, 1.5).sample((20000,))
    found = (factor @ factor.mT).var(0).numpy()
    np.testing.assert_allclose(found[np.tril_indices(3, -1)], [0.2] * 3, rtol=0.05)


def test_gradients_of_gamma_numbers() -> None:
    """d E[x] / da = 1 / b, and d E[x²] / da = (2 a + 1) / b²."""
    genesis.manual_seed(0)
    for a in (0.4, 1.0, 4.0):
        concentration = t([a], requires_grad=True)
        x = d.Gamma(concentration, 2.0).rsample((40000,))
        first, second = (genesis.autograd.grad((x**k).mean(), concentration, retain_graph=True)[0] for k in (1, 2))
        np.testing.assert_allclose([first.item(), second.item()], [0.5, (2 * a + 1) / 4], rtol=0.08)


def test_numbers_without_a_mean_have_their_median() -> None:
    genesis.manual_seed(0)
    for made, median in ((d.Cauchy(t(1.0), 2.0), 1.0), (d.HalfCauchy(t(2.0)), 2.0)):
        np.testing.assert_allclose(np.median(made.sample((20000,)).numpy()), median, atol=0.1)


def test_the_density_of_kumaraswamy_is_highest_at_its_mode() -> None:
    made = d.Kumaraswamy(t([1.5, 3.0]), t([2.0, 1.5]))
    best = made.log_prob(made.mode)
    assert bool((best > made.log_prob(made.mode - 0.02)).all() and (best > made.log_prob(made.mode + 0.02)).all())


def test_outcomes_come_as_often_as_they_should() -> None:
    genesis.manual_seed(0)
    drawn = d.Categorical(t([[0.1, 0.6, 0.3], [1.0, 0.0, 0.0]])).sample((20000,)).numpy()
    np.testing.assert_allclose(np.bincount(drawn[:, 0]) / 20000, [0.1, 0.6, 0.3], atol=0.015)
    assert not drawn[:, 1].any()


def loss_of_a_policy(logits: Any, mean: Any) -> Any:
    policy, moves = d.Categorical(logits=logits), d.Independent(d.Normal(mean, 1.0), 1)
    action, move = policy.sample(), moves.rsample()
    return -(policy.log_prob(action) * 0.5 + moves.log_prob(move.detach())).mean() - 0.1 * policy.entropy().mean()


def loss_of_a_vae(logits: Any, mean: Any) -> Any:
    q = d.Normal(mean, logits[:, :2].exp())
    kl = d.kl_divergence(q, d.Normal(genesis.zeros_like(mean), 1.0)).sum()
    return kl + (q.rsample() ** 2).sum()


def loss_of_shares(logits: Any, mean: Any) -> Any:
    prior = d.Dirichlet(genesis.ones(3))
    return d.kl_divergence(d.Dirichlet(logits.exp()), prior).sum() + (d.Gamma(mean.exp(), 1.0).rsample() ** 2).sum()


def loss_of_a_mixture(logits: Any, mean: Any) -> Any:
    covariance = genesis.eye(2) + 0.1 * mean[0].outer(mean[0])
    return -d.MultivariateNormal(mean, covariance).log_prob(logits[:, :2]).sum()


def loss_of_counts(logits: Any, mean: Any) -> Any:
    counts = d.Poisson(mean.exp()).sample() + d.Binomial(5, logits=mean).sample()
    relaxed = d.RelaxedOneHotCategorical(0.7, logits=logits).rsample()
    mixture = d.MixtureSameFamily(d.Categorical(logits=logits), d.Gumbel(mean[:, :1].expand(4, 3), 1.0))
    return d.Poisson(mean.exp()).log_prob(counts).sum() + (relaxed**2).sum() + mixture.log_prob(counts[:, 0]).sum()


def loss_of_a_squashed_policy(logits: Any, mean: Any) -> Any:
    squashed = d.TransformedDistribution(d.Normal(mean * 9, 1.0), d.transforms.TanhTransform(cache_size=1))
    return squashed.log_prob(squashed.rsample()).sum() + logits.sum()


@pytest.mark.parametrize(
    "loss",
    [loss_of_a_policy, loss_of_a_vae, loss_of_shares, loss_of_a_mixture, loss_of_counts, loss_of_a_squashed_policy],
)
def test_compiled_as_eager(loss: Any) -> None:
    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal(shape).astype(np.float32) * 0.5 for shape in ((4, 3), (4, 2))]
    results = []
    for wrapper in (lambda f: f, genesis.compile(keep_grads=True)):
        genesis.manual_seed(3)
        leaves = [t(a, requires_grad=True) for a in arrays]

        def step(leaves: Any = leaves) -> Any:
            value = loss(*leaves)
            value.backward()
            return value

        run = wrapper(step)
        results.append([run(), *(leaf.grad for leaf in leaves)])
    for got, want in zip(results[1], results[0], strict=True):
        np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), rtol=1e-3, atol=1e-4)
