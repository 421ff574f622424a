"""Probability distributions, with the names and results of ``torch.distributions``; all are ops that compile."""

import genesis.distributions.constraints as constraints
import genesis.distributions.kl as kl
import genesis.distributions.transforms as transforms
import genesis.distributions.utils as utils
from genesis.distributions.bounded import ContinuousBernoulli, GeneralizedPareto, LogisticNormal, VonMises
from genesis.distributions.composed import Independent, TransformedDistribution
from genesis.distributions.continuous import Exponential, Laplace, LogNormal, Normal, Uniform
from genesis.distributions.counts import Binomial, Geometric, Multinomial, NegativeBinomial, Poisson
from genesis.distributions.discrete import Bernoulli, Categorical, OneHotCategorical, OneHotCategoricalStraightThrough
from genesis.distributions.distribution import Distribution
from genesis.distributions.gammas import Beta, Chi2, Dirichlet, FisherSnedecor, Gamma, InverseGamma, StudentT
from genesis.distributions.kl import kl_divergence, register_kl
from genesis.distributions.matrices import LKJCholesky, Wishart
from genesis.distributions.mixtures import MixtureSameFamily
from genesis.distributions.multivariate_normal import LowRankMultivariateNormal, MultivariateNormal
from genesis.distributions.relaxed import RelaxedBernoulli, RelaxedOneHotCategorical
from genesis.distributions.tails import Cauchy, Gumbel, HalfCauchy, HalfNormal, Kumaraswamy, Pareto, Weibull
from genesis.distributions.transforms import (
    AbsTransform,
    AffineTransform,
    CatTransform,
    ComposeTransform,
    CorrCholeskyTransform,
    CumulativeDistributionTransform,
    ExpTransform,
    IndependentTransform,
    LowerCholeskyTransform,
    PositiveDefiniteTransform,
    PowerTransform,
    ReshapeTransform,
    SigmoidTransform,
    SoftmaxTransform,
    SoftplusTransform,
    StackTransform,
    StickBreakingTransform,
    TanhTransform,
    Transform,
    biject_to,
    identity_transform,
    transform_to,
)

__all__ = [
    "AbsTransform",
    "AffineTransform",
    "Bernoulli",
    "Beta",
    "Binomial",
    "CatTransform",
    "Categorical",
    "Cauchy",
    "Chi2",
    "ComposeTransform",
    "ContinuousBernoulli",
    "CorrCholeskyTransform",
    "CumulativeDistributionTransform",
    "Dirichlet",
    "Distribution",
    "ExpTransform",
    "Exponential",
    "FisherSnedecor",
    "Gamma",
    "GeneralizedPareto",
    "Geometric",
    "Gumbel",
    "HalfCauchy",
    "HalfNormal",
    "Independent",
    "IndependentTransform",
    "InverseGamma",
    "Kumaraswamy",
    "LKJCholesky",
    "Laplace",
    "LogNormal",
    "LogisticNormal",
    "LowRankMultivariateNormal",
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
    "PositiveDefiniteTransform",
    "PowerTransform",
    "RelaxedBernoulli",
    "RelaxedOneHotCategorical",
    "ReshapeTransform",
    "SigmoidTransform",
    "SoftmaxTransform",
    "SoftplusTransform",
    "StackTransform",
    "StickBreakingTransform",
    "StudentT",
    "TanhTransform",
    "Transform",
    "TransformedDistribution",
    "Uniform",
    "VonMises",
    "Weibull",
    "Wishart",
    "biject_to",
    "constraints",
    "identity_transform",
    "kl",
    "kl_divergence",
    "register_kl",
    "transform_to",
    "transforms",
    "utils",
]
