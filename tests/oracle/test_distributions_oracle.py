"""Distributions against PyTorch's: moments, densities, entropies, divergences with gradients, and errors."""

from typing import Any

import numpy as np
import pytest

import genesis
from tests.oracle.compare import agree, same

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)


def real(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def positive(*shape: int) -> np.ndarray:
    return RNG.uniform(0.5, 3.0, shape).astype(np.float32)


def share(*shape: int) -> np.ndarray:
    return RNG.uniform(0.1, 0.9, shape).astype(np.float32)


def simplex(*shape: int) -> np.ndarray:
    drawn = RNG.uniform(0.1, 1.0, shape)
    return (drawn / drawn.sum(-1, keepdims=True)).astype(np.float32)


def lower(*shape: int) -> np.ndarray:
    return np.tril(RNG.standard_normal(shape) * 0.3 + np.eye(shape[-1]) * 1.5).astype(np.float32)


def definite(*shape: int) -> np.ndarray:
    factor = lower(*shape)
    return factor @ factor.swapaxes(-1, -2)


CORRELATED = lower(3, 3)
CORRELATED /= np.linalg.norm(CORRELATED, axis=-1, keepdims=True)
D: dict[str, Any] = {
    "Normal": (lambda d, a, b: d.Normal(a, b), [real(3), positive(2, 1)], real(2, 3)),
    "Normal of a number": (lambda d, a: d.Normal(a, 2.0), [real(3)], real(3)),
    "LogNormal": (lambda d, a, b: d.LogNormal(a, b), [real(3), positive(3)], positive(3)),
    "Uniform": (lambda d, a, b: d.Uniform(a, b), [-positive(3), positive(3)], share(3) * 0.4),
    "Exponential": (lambda d, a: d.Exponential(a), [positive(3)], positive(2, 3)),
    "Laplace": (lambda d, a, b: d.Laplace(a, b), [real(3), positive(3)], real(3)),
    "Bernoulli": (lambda d, a: d.Bernoulli(a), [share(4)], np.array([0, 1, 1, 0], np.float32)),
    "Bernoulli by logits": (lambda d, a: d.Bernoulli(logits=a), [real(4)], np.array([0, 1, 1, 0], np.float32)),
    "Categorical": (lambda d, a: d.Categorical(a), [positive(2, 4)], np.array([3, 0])),
    "Categorical by logits": (lambda d, a: d.Categorical(logits=a), [real(2, 4)], np.array([[3], [0]])),
    "OneHotCategorical": (lambda d, a: d.OneHotCategorical(a), [positive(2, 3)], np.eye(3, dtype=np.float32)[[2, 0]]),
    "Gamma": (lambda d, a, b: d.Gamma(a, b), [positive(3), positive(3)], positive(3)),
    "Chi2": (lambda d, a: d.Chi2(a), [positive(3)], positive(3)),
    "Beta": (lambda d, a, b: d.Beta(a, b), [positive(3), positive(3)], share(3)),
    "Dirichlet": (lambda d, a: d.Dirichlet(a), [positive(2, 3)], simplex(2, 3)),
    "StudentT": (lambda d, a, b, c: d.StudentT(a, b, c), [positive(3) + 2, real(3), positive(3)], real(3)),
    "MultivariateNormal": (lambda d, a, b: d.MultivariateNormal(a, b), [real(2, 3), definite(3, 3)], real(2, 3)),
    "MultivariateNormal by factor": (
        lambda d, a, b: d.MultivariateNormal(a, scale_tril=b.tril()),
        [real(3), lower(3, 3)],
        real(4, 3),
    ),
    "MultivariateNormal by precision": (
        lambda d, a, b: d.MultivariateNormal(a, precision_matrix=b),
        [real(3), definite(3, 3)],
        real(3),
    ),
    "Independent": (lambda d, a, b: d.Independent(d.Normal(a, b), 1), [real(2, 3), positive(3)], real(2, 3)),
    "squashed": (
        lambda d, a, b: d.TransformedDistribution(
            d.Normal(a, b), [d.transforms.AffineTransform(0.5, 2.0), d.transforms.TanhTransform()]
        ),
        [real(3), positive(3)],
        share(3),
    ),
    "sigmoids": (
        lambda d, a: d.TransformedDistribution(
            d.Independent(d.Normal(a, 1.0), 1), [d.transforms.SigmoidTransform(), d.transforms.ExpTransform()]
        ),
        [real(2, 3)],
        np.exp(share(2, 3)),
    ),
    "Poisson": (lambda d, a: d.Poisson(a), [positive(3) * 4], np.array([0, 2, 9], np.float32)),
    "Geometric": (lambda d, a: d.Geometric(a), [share(3)], np.array([0, 2, 9], np.float32)),
    "Geometric by logits": (lambda d, a: d.Geometric(logits=a), [real(3)], np.array([0, 2, 9], np.float32)),
    "Binomial": (lambda d, a: d.Binomial(5, a), [share(3)], np.array([0, 2, 5], np.float32)),
    "Binomial by logits": (lambda d, a: d.Binomial(5, logits=a), [real(3)], np.array([0, 2, 5], np.float32)),
    "NegativeBinomial": (lambda d, a: d.NegativeBinomial(3.0, a), [share(3)], np.array([0, 2, 5], np.float32)),
    "Multinomial": (lambda d, a: d.Multinomial(4, a), [positive(2, 3)], np.array([[1, 3, 0], [0, 0, 4]], np.float32)),
    "Cauchy": (lambda d, a, b: d.Cauchy(a, b), [real(3), positive(3)], real(3)),
    "HalfCauchy": (lambda d, a: d.HalfCauchy(a), [positive(3)], positive(3)),
    "HalfNormal": (lambda d, a: d.HalfNormal(a), [positive(3)], positive(3)),
    "Gumbel": (lambda d, a, b: d.Gumbel(a, b), [real(3), positive(3)], real(3)),
    "Weibull": (lambda d, a, b: d.Weibull(a, b + 1), [positive(3), positive(3)], positive(3)),
    "Pareto": (lambda d, a, b: d.Pareto(a, b + 2), [share(3) * 0.5, positive(3)], positive(3)),
    "Kumaraswamy": (lambda d, a, b: d.Kumaraswamy(a + 1, b + 1), [positive(3), positive(3)], share(3)),
    "InverseGamma": (lambda d, a, b: d.InverseGamma(a + 2, b), [positive(3), positive(3)], positive(3)),
    "FisherSnedecor": (lambda d, a, b: d.FisherSnedecor(a + 2, b + 4), [positive(3), positive(3)], positive(3)),
    "RelaxedBernoulli": (lambda d, a, b: d.RelaxedBernoulli(b, a), [share(3), share(1)], share(3)),
    "RelaxedOneHotCategorical": (
        lambda d, a, b: d.RelaxedOneHotCategorical(b, a),
        [positive(2, 3), share(1)],
        simplex(2, 3),
    ),
    "OneHotCategoricalStraightThrough": (
        lambda d, a: d.OneHotCategoricalStraightThrough(a),
        [positive(2, 3)],
        np.eye(3, dtype=np.float32)[[2, 0]],
    ),
    "MixtureSameFamily": (
        lambda d, a, b, c: d.MixtureSameFamily(d.Categorical(a), d.Normal(b, c)),
        [positive(2, 3), real(2, 3), positive(3)],
        real(2),
    ),
    "mixture of vectors": (
        lambda d, a, b: d.MixtureSameFamily(d.Categorical(logits=a), d.Independent(d.Normal(b, 1.0), 1)),
        [real(3), real(3, 2)],
        real(5, 2),
    ),
    "LogisticNormal": (lambda d, a, b: d.LogisticNormal(a, b), [real(2, 3), positive(3)], simplex(2, 4)),
    "ContinuousBernoulli": (lambda d, a: d.ContinuousBernoulli(a), [np.float32([0.2, 0.5, 0.9])], share(2, 3)),
    "ContinuousBernoulli by logits": (lambda d, a: d.ContinuousBernoulli(logits=a), [real(3)], share(3)),
    "GeneralizedPareto": (
        lambda d, a, b: d.GeneralizedPareto(-a, b, a * 0.1),
        [positive(3), positive(3)],
        share(3),
    ),
    "VonMises": (lambda d, a, b: d.VonMises(a, b), [real(3), positive(3)], real(3)),
    "LowRankMultivariateNormal": (
        lambda d, a, b, c: d.LowRankMultivariateNormal(a, b, c),
        [real(2, 4), real(4, 2), positive(4)],
        real(2, 4),
    ),
    "Wishart": (lambda d, a, b: d.Wishart(a + 5, b), [positive(2), definite(3, 3)], definite(2, 3, 3)),
    "Wishart by precision": (lambda d, a: d.Wishart(6.5, precision_matrix=a), [definite(3, 3)], definite(2, 3, 3)),
    "LKJCholesky": (lambda d, a: d.LKJCholesky(3, a), [positive(2)], CORRELATED),
    "sticks": (
        lambda d, a, b: d.TransformedDistribution(d.Normal(a, b), d.transforms.StickBreakingTransform()),
        [real(2, 3), positive(3)],
        simplex(2, 4),
    ),
    "reshaped powers": (
        lambda d, a: d.TransformedDistribution(
            d.Exponential(a), [d.transforms.PowerTransform(2.0), d.transforms.ReshapeTransform((4,), (2, 2))]
        ),
        [positive(3, 4)],
        positive(3, 2, 2),
    ),
}
PARTS = ("mean", "variance", "stddev", "mode")
WITHOUT: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ["squashed", "sigmoids", "RelaxedBernoulli", "RelaxedOneHotCategorical", "sticks", "reshaped powers"],
        (*PARTS, "entropy"),
    ),
    **dict.fromkeys(["MixtureSameFamily", "mixture of vectors", "Multinomial"], ("mode", "entropy")),
    **dict.fromkeys(["Poisson", "NegativeBinomial", "FisherSnedecor"], ("entropy",)),
    **dict.fromkeys(["Uniform", "Kumaraswamy", "ContinuousBernoulli", "ContinuousBernoulli by logits"], ("mode",)),
    "VonMises": ("entropy",),
    **dict.fromkeys(["LogisticNormal", "LKJCholesky"], (*PARTS, "entropy")),
}
"""What PyTorch does not have; its mode of Kumaraswamy is never a number."""


@pytest.mark.parametrize("name", D)
def test_densities_and_moments(name: str) -> None:
    make, parameters, value = D[name]
    known: list[str] = []

    def call(lib: Any, *given: Any) -> Any:
        made = make(lib.distributions, *given)
        found = [made.log_prob(lib.tensor(value))]
        if lib is torch:
            assert (tuple(made.batch_shape), tuple(made.event_shape)) == known.pop()
        else:
            known.append((tuple(made.batch_shape), tuple(made.event_shape)))  # type: ignore[arg-type]
        found += [getattr(made, part) for part in PARTS if part not in WITHOUT.get(name, ())]
        return found if "entropy" in WITHOUT.get(name, ()) else [*found, made.entropy()]

    agree(call, *parameters, rtol=2e-4, atol=2e-5)


CDF = (
    "Normal", "LogNormal", "Uniform", "Exponential", "Laplace", "Cauchy", "HalfCauchy", "HalfNormal", "Gumbel",
    "Weibull", "Pareto", "Kumaraswamy", "squashed", "ContinuousBernoulli", "GeneralizedPareto",
)  # fmt: skip


@pytest.mark.parametrize("name", CDF)
def test_distribution_functions(name: str) -> None:
    make, parameters, value = D[name]

    def call(lib: Any, *given: Any) -> Any:
        made = make(lib.distributions, *given)
        return made.cdf(lib.tensor(value)), made.icdf(lib.tensor(share(3) * 0 + 0.3))

    agree(call, *parameters, rtol=1e-4, atol=1e-5)


KL = [
    "Normal", "LogNormal", "Exponential", "Laplace", "Bernoulli", "Bernoulli by logits", "Categorical",
    "Categorical by logits", "OneHotCategorical", "Gamma", "Beta", "Dirichlet", "MultivariateNormal", "Independent",
    "Poisson", "Geometric", "Binomial", "Cauchy", "Gumbel", "HalfNormal", "squashed", "ContinuousBernoulli by logits",
    "LowRankMultivariateNormal",
]  # fmt: skip


@pytest.mark.parametrize("name", KL)
def test_divergences(name: str) -> None:
    make, parameters, _ = D[name]
    others = [p * 0.5 + 0.2 if p.ndim < 2 or p.shape[-1] != p.shape[-2] else p * 2 for p in parameters]

    def call(lib: Any, *given: Any) -> Any:
        half = len(given) // 2
        d = lib.distributions
        return d.kl_divergence(make(d, *given[:half]), make(d, *given[half:]))

    agree(call, *parameters, *others, rtol=2e-4, atol=2e-5)


def test_uniforms_diverge_where_one_leaves_the_other() -> None:
    for low in (0.0, -2.0):
        got, want = (
            lib.distributions.kl_divergence(lib.distributions.Uniform(low, 1.0), lib.distributions.Uniform(-1.0, 1.0))
            for lib in (genesis, torch)
        )
        same(got, want)


PAIRS: dict[str, tuple[Any, list[np.ndarray]]] = {
    "Laplace, Normal": (lambda d, a, b: (d.Laplace(a, b), d.Normal(0.3, b + 1)), [real(3), positive(3)]),
    "Uniform, Normal": (lambda d, a, b: (d.Uniform(a - b, a + b), d.Normal(0.3, b)), [real(3), positive(3)]),
    "Exponential, Gamma": (lambda d, a, b: (d.Exponential(a), d.Gamma(b, a + 1)), [positive(3), positive(3)]),
    "vectors": (
        lambda d, a, b, c: (d.MultivariateNormal(a, c), d.LowRankMultivariateNormal(a * 2, b, a * a + 1)),
        [real(2, 3), real(3, 2), definite(3, 3)],
    ),
    "vectors of few factors": (
        lambda d, a, b, c: (d.LowRankMultivariateNormal(a * 2, b, a * a + 1), d.MultivariateNormal(a, c)),
        [real(3), real(3, 2), definite(3, 3)],
    ),
    "Pareto": (lambda d, a, b: (d.Pareto(a + 1, b), d.Pareto(a, b + 1)), [positive(3), positive(3)]),
}


@pytest.mark.parametrize("name", PAIRS)
def test_divergences_of_two_families(name: str) -> None:
    make, parameters = PAIRS[name]
    agree(lambda lib, *given: lib.distributions.kl_divergence(*make(lib.distributions, *given)), *parameters, rtol=2e-4)


TRANSFORMS: dict[str, tuple[Any, np.ndarray]] = {
    "exp": (lambda t: t.ExpTransform(), real(3)),
    "power": (lambda t: t.PowerTransform(1.7), positive(3)),
    "affine": (lambda t: t.AffineTransform(0.5, -2.0, event_dim=1), real(2, 3)),
    "sigmoid": (lambda t: t.SigmoidTransform(), real(3)),
    "tanh": (lambda t: t.TanhTransform(cache_size=1), real(3)),
    "softplus": (lambda t: t.SoftplusTransform(), real(3)),
    "sticks": (lambda t: t.StickBreakingTransform(), real(2, 3)),
    "inverse": (lambda t: t.ExpTransform().inv, positive(3)),
    "vectors": (lambda t: t.IndependentTransform(t.ExpTransform(), 1), real(2, 3)),
    "composed": (
        lambda t: t.ComposeTransform([t.AffineTransform(1.0, 2.0), t.StickBreakingTransform(), t.ExpTransform()]),
        real(2, 3),
    ),
    "correlations": (lambda t: t.CorrCholeskyTransform(), real(2, 6)),
    "parts": (lambda t: t.CatTransform([t.ExpTransform(), t.AffineTransform(1.0, 2.0)], -1, [1, 2]), real(2, 3)),
    "slices": (lambda t: t.StackTransform([t.ExpTransform(), t.AffineTransform(1.0, 2.0)], 1), real(3, 2)),
    "to a simplex": (lambda t: t.biject_to(t.constraints.simplex), real(2, 3)),
    "to an interval": (lambda t: t.transform_to(t.constraints.interval(-1.0, 3.0)), real(2)),
    "to numbers below": (lambda t: t.transform_to(t.constraints.less_than(2.0)), real(2)),
    "to positive vectors": (
        lambda t: t.transform_to(t.constraints.independent(t.constraints.greater_than(1.0), 1)),
        real(2, 3),
    ),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name: str) -> None:
    make, value = TRANSFORMS[name]

    def call(lib: Any, x: Any) -> Any:
        transform = make(lib.distributions)
        y = transform(x)
        known = (transform.bijective, transform.domain.event_dim, transform.codomain.event_dim)
        assert transform.forward_shape(x.shape) == y.shape and transform.inverse_shape(y.shape) == x.shape
        facts.append(known)
        return y, transform.inv(y), transform.log_abs_det_jacobian(x, y), transform.inv.inv(x)

    facts: list[Any] = []
    agree(call, value, rtol=1e-4, atol=1e-5)
    assert len({*facts}) == 1


@pytest.mark.filterwarnings("ignore:Singular sample:UserWarning")
@pytest.mark.parametrize("name", D)
def test_shapes_of_samples_and_wider_batches(name: str) -> None:
    make, parameters, _ = D[name]
    shapes = []
    for lib in (genesis, torch):
        made = make(lib.distributions, *(lib.tensor(p) for p in parameters))
        drawn = made.sample((5, 2))
        assert not drawn.requires_grad
        shapes.append((tuple(drawn.shape), str(drawn.dtype).rpartition(".")[2], made.has_rsample))
        made.log_prob(drawn)
        made.expand((2, *made.batch_shape)).log_prob(drawn)
    assert shapes[0] == shapes[1]


ERRORS: dict[str, Any] = {
    "a scale": lambda d, t: d.Normal(0.0, t([1.0, -1.0])),
    "a probability": lambda d, t: d.Bernoulli(t(1.5)),
    "both": lambda d, t: d.Categorical(t([0.5, 0.5]), t([0.5, 0.5])),
    "neither": lambda d, t: d.Bernoulli(),
    "a number": lambda d, t: d.Categorical(t(0.5)),
    "limits": lambda d, t: d.Uniform(1.0, 0.0),
    "a value": lambda d, t: d.Exponential(1.0).log_prob(t(-1.0)),
    "a shape": lambda d, t: d.Normal(t([0.0, 1.0]), 1.0).log_prob(t([0.0, 1.0, 2.0])),
    "an outcome": lambda d, t: d.Categorical(t([0.5, 0.5])).log_prob(t(2)),
    "no matrix": lambda d, t: d.MultivariateNormal(t([0.0])),
    "too many dimensions": lambda d, t: d.Independent(d.Normal(0.0, 1.0), 1),
    "an unknown pair": lambda d, t: d.kl_divergence(d.Categorical(t([1.0])), d.Dirichlet(t([1.0]))),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    with pytest.raises((ValueError, NotImplementedError)) as want:
        ERRORS[name](torch.distributions, torch.tensor)
    with pytest.raises(want.type) as got:
        ERRORS[name](genesis.distributions, genesis.tensor)
    assert name == "limits" or str(got.value)[:25] == str(want.value)[:25]


def test_unchecked_and_printed() -> None:
    for lib in (genesis, torch):
        d = lib.distributions
        assert repr(d.Normal(0.0, 1.0)) == "Normal(loc: 0.0, scale: 1.0)"
        d.Normal(0.0, -1.0, validate_args=False)


PLAIN: dict[str, Any] = {
    "triangles": lambda lib, u, x: (
        u.tril_matrix_to_vec(x, -1),
        u.tril_matrix_to_vec(x, 1),
        u.vec_to_tril_matrix(x, 0),
    ),
    "below": lambda lib, u, x: u.vec_to_tril_matrix(x, -1),
    "logits": lambda lib, u, x: (u.logits_to_probs(x), u.logits_to_probs(x, True)),
    "probs": lambda lib, u, x: (u.probs_to_logits(x.sigmoid()), u.probs_to_logits(x.sigmoid(), is_binary=True)),
    "broadcast_all clamp_probs": lambda lib, u, x: (*u.broadcast_all(x[0, 0], 2.0), u.clamp_probs(x.sigmoid())),
    "PositiveDefiniteTransform": lambda lib, u, x: lib.distributions.PositiveDefiniteTransform()(x[:, :3]),
    "to correlations": lambda lib, u, x: lib.distributions.transform_to(lib.distributions.constraints.corr_cholesky)(x),
}


@pytest.mark.parametrize("name", PLAIN)
def test_helpers_of_writers_of_distributions(name: str) -> None:
    agree(lambda lib, x: PLAIN[name](lib, lib.distributions.utils, x), (2, 3, 3), rtol=1e-4, atol=1e-5)


def test_constraints_of_parts() -> None:
    def checked(lib: Any) -> list[Any]:
        c = lib.distributions.constraints
        x = lib.tensor([[1.0, -1.0], [-1.0, 2.0], [3.0, 1.0]])
        made = (
            c.cat([c.positive, c.real], 0, [2, 1]),
            c.stack([c.real, c.positive], 1),
            c.stack([c.real, c.positive], -1),
        )
        corner = lib.tensor([[1.0, 0.0], [0.6, 0.8]])
        known = [c.corr_cholesky.check(corner), c.corr_cholesky.check(corner * 2), c.square.check(corner)]
        return [m.check(x).tolist() for m in made] + [k.item() for k in known]

    assert checked(genesis) == checked(torch)


def test_properties_of_distributions_of_users() -> None:
    def made(lib: Any) -> list[Any]:
        class Own(lib.distributions.Normal):  # type: ignore[misc]
            @lib.distributions.constraints.dependent_property(is_discrete=False, event_dim=0)
            def support(self) -> Any:
                return lib.distributions.constraints.real

            @lib.distributions.utils.lazy_property
            def twice(self) -> Any:
                calls.append(1)
                return self.loc * 2

        calls: list[int] = []
        own = Own(1.0, 2.0)
        return [own.log_prob(lib.tensor(0.0)).item(), own.twice.item(), own.twice.item(), len(calls)]

    np.testing.assert_allclose(made(genesis), made(torch), rtol=1e-6)
