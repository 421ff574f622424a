"""Probability distributions, with the names and results of ``torch.distributions``; all are ops that compile."""

from typing import TYPE_CHECKING

import genesis.distributions.constraints as constraints
import genesis.distributions.kl as kl
import genesis.distributions.transforms as transforms
from genesis.distributions.composed import Independent, TransformedDistribution
from genesis.distributions.continuous import Exponential, Laplace, LogNormal, Normal, Uniform
from genesis.distributions.counts import Binomial, Geometric, Multinomial, NegativeBinomial, Poisson
from genesis.distributions.discrete import Bernoulli, Categorical, OneHotCategorical, OneHotCategoricalStraightThrough
from genesis.distributions.distribution import Distribution
from genesis.distributions.gammas import Beta, Chi2, Dirichlet, FisherSnedecor, Gamma, InverseGamma, StudentT
from genesis.distributions.kl import kl_divergence, register_kl
from genesis.distributions.mixtures import MixtureSameFamily
from genesis.distributions.multivariate_normal import MultivariateNormal
from genesis.distributions.relaxed import RelaxedBernoulli, RelaxedOneHotCategorical
from genesis.distributions.tails import Cauchy, Gumbel, HalfCauchy, HalfNormal, Kumaraswamy, Pareto, Weibull
from genesis.distributions.transforms import (
    AbsTransform,
    AffineTransform,
    ComposeTransform,
    CumulativeDistributionTransform,
    ExpTransform,
    IndependentTransform,
    LowerCholeskyTransform,
    PowerTransform,
    ReshapeTransform,
    SigmoidTransform,
    SoftmaxTransform,
    SoftplusTransform,
    StickBreakingTransform,
    TanhTransform,
    Transform,
    biject_to,
    identity_transform,
    transform_to,
)
from genesis.names import module_getattr

__all__ = [
    "AbsTransform",
    "AffineTransform",
    "Bernoulli",
    "Beta",
    "Binomial",
    "Categorical",
    "Cauchy",
    "Chi2",
    "ComposeTransform",
    "CumulativeDistributionTransform",
    "Dirichlet",
    "Distribution",
    "ExpTransform",
    "Exponential",
    "FisherSnedecor",
    "Gamma",
    "Geometric",
    "Gumbel",
    "HalfCauchy",
    "HalfNormal",
    "Independent",
    "IndependentTransform",
    "InverseGamma",
    "Kumaraswamy",
    "Laplace",
    "LogNormal",
    "LowerCholeskyTransform",
    "MixtureSameFamily",
    "Multinomial",
    "MultivariateNormal",
    "NegativeBinomial",
    "Normal",
    "OneHotCategorical",
    "OneHotCategoricalStraightThrough",
    "Pareto",
    "Poisson",
    "PowerTransform",
    "RelaxedBernoulli",
    "RelaxedOneHotCategorical",
    "ReshapeTransform",
    "SigmoidTransform",
    "SoftmaxTransform",
    "SoftplusTransform",
    "StickBreakingTransform",
    "StudentT",
    "TanhTransform",
    "Transform",
    "TransformedDistribution",
    "Uniform",
    "Weibull",
    "biject_to",
    "constraints",
    "identity_transform",
    "kl",
    "kl_divergence",
    "register_kl",
    "transform_to",
    "transforms",
]

if not TYPE_CHECKING:
    __getattr__ = module_getattr("genesis.distributions", globals())
