"""Probability distributions, with the names and results of ``torch.distributions``; all are ops that compile."""

from typing import TYPE_CHECKING

import genesis.distributions.constraints as constraints
import genesis.distributions.kl as kl
import genesis.distributions.transforms as transforms
from genesis.distributions.composed import Independent, TransformedDistribution
from genesis.distributions.continuous import Exponential, Laplace, LogNormal, Normal, Uniform
from genesis.distributions.discrete import Bernoulli, Categorical, OneHotCategorical
from genesis.distributions.distribution import Distribution
from genesis.distributions.gammas import Beta, Chi2, Dirichlet, Gamma, StudentT
from genesis.distributions.kl import kl_divergence, register_kl
from genesis.distributions.multivariate_normal import MultivariateNormal
from genesis.distributions.transforms import (
    AffineTransform,
    ExpTransform,
    SigmoidTransform,
    TanhTransform,
    Transform,
)
from genesis.names import module_getattr

__all__ = [
    "AffineTransform",
    "Bernoulli",
    "Beta",
    "Categorical",
    "Chi2",
    "Dirichlet",
    "Distribution",
    "ExpTransform",
    "Exponential",
    "Gamma",
    "Independent",
    "Laplace",
    "LogNormal",
    "MultivariateNormal",
    "Normal",
    "OneHotCategorical",
    "SigmoidTransform",
    "StudentT",
    "TanhTransform",
    "Transform",
    "TransformedDistribution",
    "Uniform",
    "constraints",
    "kl",
    "kl_divergence",
    "register_kl",
    "transforms",
]

if not TYPE_CHECKING:
    __getattr__ = module_getattr("genesis.distributions", globals())
