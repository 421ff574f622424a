"""The divergence between two distributions (Kullback & Leibler, "On information and sufficiency", 1951)."""

from __future__ import annotations

from collections.abc import Callable
from math import log, pi
from typing import Any

import genesis.functions as fn
from compiler.errors import UndefinedError
from genesis.distributions.bounded import ContinuousBernoulli
from genesis.distributions.composed import Independent, TransformedDistribution
from genesis.distributions.continuous import Exponential, Laplace, LogNormal, Normal, Uniform
from genesis.distributions.counts import Binomial, Geometric, Poisson
from genesis.distributions.discrete import Bernoulli, Categorical, OneHotCategorical
from genesis.distributions.distribution import Distribution, sum_last
from genesis.distributions.gammas import Beta, Dirichlet, Gamma
from genesis.distributions.multivariate_normal import LowRankMultivariateNormal, MultivariateNormal
from genesis.distributions.tails import EULER, Cauchy, Gumbel, HalfNormal, Pareto
from genesis.tensor import Tensor

AnyNormal = MultivariateNormal | LowRankMultivariateNormal
Rule = Callable[[Any, Any], Tensor]
_RULES: dict[tuple[type, type], Rule] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Rule], Rule]:
    """Decorates the divergence of a ``type_p`` from a ``type_q``."""

    def enter(rule: Rule) -> Rule:
        _RULES[type_p, type_q] = rule
        return rule

    return enter


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """The expectation under ``p`` of ``log p - log q``, ``[*batch_shape]``; NotImplementedError for unknown pairs."""
    for kind in type(p).__mro__:
        for other in type(q).__mro__:
            if (kind, other) in _RULES:
                return _RULES[kind, other](p, q)
    raise UndefinedError(f"No KL(p || q) is implemented for p type {type(p).__name__} and q type {type(q).__name__}")


@register_kl(Normal, Normal)
def _normal(p: Normal, q: Normal) -> Tensor:
    ratio = fn.square(fn.div(p.scale, q.scale))
    apart = fn.square(fn.div(fn.sub(p.loc, q.loc), q.scale))
    return fn.mul(fn.sub(fn.sub(fn.add(ratio, apart), 1.0), fn.log(ratio)), 0.5)


@register_kl(LogNormal, LogNormal)
def _log_normal(p: LogNormal, q: LogNormal) -> Tensor:
    return _normal(p.base_dist, q.base_dist)


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Bernoulli, q: Bernoulli) -> Tensor:
    a, b = p.probs, q.probs
    first = fn.sub(fn.xlogy(a, a), fn.xlogy(a, b))
    rest_a, rest_b = fn.sub(1.0, a), fn.sub(1.0, b)
    return fn.add(first, fn.sub(fn.xlogy(rest_a, rest_a), fn.xlogy(rest_a, rest_b)))


@register_kl(Categorical, Categorical)
@register_kl(OneHotCategorical, OneHotCategorical)
def _categorical(p: Categorical, q: Categorical) -> Tensor:
    terms = fn.mul(p.probs, fn.sub(p.logits, q.logits))
    terms = fn.where(fn.eq(q.probs, 0.0), float("inf"), terms)
    return fn.sum(fn.where(fn.eq(p.probs, 0.0), 0.0, terms), -1)


@register_kl(Uniform, Uniform)
def _uniform(p: Uniform, q: Uniform) -> Tensor:
    result = fn.log(fn.div(fn.sub(q.high, q.low), fn.sub(p.high, p.low)))
    outside = fn.logical_or(fn.gt(q.low, p.low), fn.lt(q.high, p.high))
    return fn.where(outside, float("inf"), result)


@register_kl(Exponential, Exponential)
def _exponential(p: Exponential, q: Exponential) -> Tensor:
    ratio = fn.div(q.rate, p.rate)
    return fn.sub(fn.sub(ratio, fn.log(ratio)), 1.0)


@register_kl(Laplace, Laplace)
def _laplace(p: Laplace, q: Laplace) -> Tensor:
    ratio = fn.div(p.scale, q.scale)
    apart = fn.abs(fn.sub(p.loc, q.loc))
    near = fn.mul(ratio, fn.exp(fn.neg(fn.div(apart, p.scale))))
    return fn.sub(fn.add(fn.add(fn.neg(fn.log(ratio)), fn.div(apart, q.scale)), near), 1.0)


@register_kl(Gamma, Gamma)
def _gamma(p: Gamma, q: Gamma) -> Tensor:
    a, b = p.concentration, q.concentration
    first = fn.add(fn.mul(b, fn.log(fn.div(p.rate, q.rate))), fn.sub(fn.lgamma(b), fn.lgamma(a)))
    second = fn.mul(fn.sub(a, b), fn.digamma(a))
    return fn.add(fn.add(first, second), fn.mul(fn.sub(q.rate, p.rate), fn.div(a, p.rate)))


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Dirichlet, q: Dirichlet) -> Tensor:
    a, b = p.concentration, q.concentration
    total = fn.sum(a, -1)
    first = fn.sub(fn.lgamma(total), fn.lgamma(fn.sum(b, -1)))
    second = fn.sum(fn.sub(fn.lgamma(a), fn.lgamma(b)), -1)
    third = fn.mul(fn.sub(a, b), fn.sub(fn.digamma(a), fn.unsqueeze(fn.digamma(total), -1)))
    return fn.add(fn.sub(first, second), fn.sum(third, -1))


@register_kl(Beta, Beta)
def _beta(p: Beta, q: Beta) -> Tensor:
    return _dirichlet(p._dirichlet, q._dirichlet)


def _normal_vectors(p: AnyNormal, q: AnyNormal) -> Tensor:
    size = float(p.event_shape[0])
    apart = fn.unsqueeze(fn.sub(q.loc, p.loc), -1)
    squares = fn.add(q.square_of(p.columns), q.square_of(apart))
    return fn.mul(fn.sub(fn.add(fn.sub(q.log_det, p.log_det), squares), size), 0.5)


for _p in (MultivariateNormal, LowRankMultivariateNormal):
    for _q in (MultivariateNormal, LowRankMultivariateNormal):
        register_kl(_p, _q)(_normal_vectors)


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _continuous_bernoulli(p: ContinuousBernoulli, q: ContinuousBernoulli) -> Tensor:
    mine, other = (d.log_norm + (-d.probs).log1p() for d in (p, q))
    return p.mean * (p.logits - q.logits) + mine - other


@register_kl(Independent, Independent)
def _independent(p: Independent, q: Independent) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise UndefinedError("KL(p || q) of Independent distributions with other event dimensions")
    return sum_last(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


@register_kl(Poisson, Poisson)
def _poisson(p: Poisson, q: Poisson) -> Tensor:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Geometric, Geometric)
def _geometric(p: Geometric, q: Geometric) -> Tensor:
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits


@register_kl(Binomial, Binomial)
def _binomial(p: Binomial, q: Binomial) -> Tensor:
    each = p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p()
    result = fn.where(p.total_count > q.total_count, float("inf"), p.total_count * each)
    return fn.where(p.total_count < q.total_count, float("nan"), result)


@register_kl(Cauchy, Cauchy)
def _cauchy(p: Cauchy, q: Cauchy) -> Tensor:
    apart = fn.square(p.scale + q.scale) + fn.square(p.loc - q.loc)
    return apart.log() - (4 * p.scale * q.scale).log()


@register_kl(Gumbel, Gumbel)
def _gumbel(p: Gumbel, q: Gumbel) -> Tensor:
    ratio, apart = p.scale / q.scale, (q.loc - p.loc) / q.scale
    return ratio * EULER - ratio.log() - apart + (apart + (ratio + 1).lgamma()).exp() - (1 + EULER)


@register_kl(HalfNormal, HalfNormal)
def _half_normal(p: HalfNormal, q: HalfNormal) -> Tensor:
    return _normal(p.base_dist, q.base_dist)


@register_kl(Pareto, Pareto)
def _pareto(p: Pareto, q: Pareto) -> Tensor:
    ratio = q.alpha / p.alpha
    result = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return fn.where(p.scale < q.scale, float("inf"), result)


@register_kl(Laplace, Normal)
def _laplace_normal(p: Laplace, q: Normal) -> Tensor:
    ratio = fn.square(p.scale / q.scale)
    return ratio - 0.5 * (ratio * (2 / pi)).log() + 0.5 * fn.square((p.loc - q.loc) / q.scale) - 1


@register_kl(Uniform, Normal)
def _uniform_normal(p: Uniform, q: Normal) -> Tensor:
    width = p.high - p.low
    spread = fn.square(width) / 12 + fn.square((p.high + p.low) / 2 - q.loc)
    return q.scale.log() + 0.5 * log(2 * pi) - width.log() + 0.5 * spread / fn.square(q.scale)


@register_kl(Exponential, Gamma)
def _exponential_gamma(p: Exponential, q: Gamma) -> Tensor:
    ratio, a = q.rate / p.rate, q.concentration
    return ratio - a * ratio.log() + a.lgamma() + a * EULER - (1 + EULER)


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p: TransformedDistribution, q: TransformedDistribution) -> Tensor:
    if [type(x) for x in p.transforms] != [type(x) for x in q.transforms] or p.event_shape != q.event_shape:
        raise UndefinedError("KL(p || q) of distributions under transforms that differ")
    return kl_divergence(p.base_dist, q.base_dist)
