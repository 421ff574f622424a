"""Random draws from distributions: choices, coins, and tensors filled in place."""

from __future__ import annotations

from math import pi
from typing import Any

import numpy as np

from compiler.errors import ArgumentError, OpError, TraceError
from compiler.ir.location import user_location
from compiler.ir.types import defaults, f32, f64, u8
from compiler.ir.types import dtype as to_dtype
from genesis.functions.conversion import copy_
from genesis.functions.creation import arange, draw, randint
from genesis.functions.pointwise import cast, clamp, log1p, lt, maximum, mul, where, xlogy
from genesis.functions.reductions import argmax
from genesis.functions.scans import cumsum
from genesis.functions.searching import searchsorted
from genesis.functions.shapes import as_sizes, expand
from genesis.functions.sorting import topk
from genesis.functions.table import api, function_only, method_only
from genesis.random import Generator
from genesis.scope import DATA_SHAPE
from genesis.tensor import Tensor


def _uniform(like: Tensor, generator: Generator | None, shape: tuple[int, ...] | None = None) -> Tensor:
    """Draws from ``[0, 1)`` in f32, or f64 for a tensor of f64."""
    return draw("uniform", tuple(like.shape) if shape is None else shape, generator, f64 if like.dtype is f64 else f32)


def _exponential(like: Tensor, generator: Generator | None) -> Tensor:
    return -log1p(-_uniform(like, generator))


def _known(input: Tensor) -> np.ndarray | None:
    """The contents, where they are known already; in a step that is being compiled they are not."""
    data: np.ndarray | None = input.value.data
    return data


@api()
def bernoulli(input: Tensor, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability in ``input`` (or ``p``), else 0, in the dtype of ``input``."""
    if p is None and not input.dtype.is_floating_point:
        raise OpError(f"bernoulli expects probabilities of a floating type, not {input._type}")
    chance = input.detach() if p is None else p
    known = _known(input) if p is None else np.array(p)
    if known is not None and not ((known >= 0) & (known <= 1)).all():
        raise OpError("Expected p_in >= 0 && p_in <= 1 to be true")
    return cast(lt(_uniform(input, generator), chance), input.dtype)


@method_only
def bernoulli_(input: Tensor, p: float | Tensor = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fill with 1 with probability ``p``, a number or a tensor, else 0."""
    if isinstance(p, Tensor):
        return copy_(input, lt(_uniform(input, generator), expand(p.detach(), *input.shape)))
    return copy_(input, bernoulli(input, p, generator=generator))


_TRIALS = 16


@function_only
def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Counts of events of which ``input`` come on average, in its dtype.

    Below 10 the number of steps of the distribution function under a uniform draw. Above, the first of 16 draws that
    is accepted (Hörmann, "The transformed rejection method for generating Poisson random variables", 1993, algorithm
    PTRS; one in four is refused at most, so that the mean, which stands where all are, comes once in 10^9).
    """
    if not input.dtype.is_floating_point:
        raise OpError(f"poisson expects rates of a floating type, not {input._type}")
    known = _known(input)
    if known is not None and (known < 0).any():
        raise OpError("invalid Poisson rate, expected rate to be non-negative")
    rate = input.detach() if input.dtype is f64 else cast(input.detach(), f32)
    low, high = clamp(rate, max=10.0), clamp(rate, min=10.0)
    steps = arange(_STEPS, dtype=rate.dtype)
    chances = (xlogy(steps, low.unsqueeze(-1)) - low.unsqueeze(-1) - (steps + 1).lgamma()).exp()
    few = (_uniform(rate, generator).unsqueeze(-1) >= cumsum(chances, -1)).sum(-1)
    b = high.sqrt() * 2.53 + 0.931
    a = b * 0.02483 - 0.059
    inverse = 1.1328 / (b - 3.4) + 1.1239
    many = high.floor()
    first, second = (_uniform(rate, generator, (_TRIALS, *rate.shape)) for _ in range(2))
    for i in reversed(range(_TRIALS)):  # the first that is accepted is written last
        u, v = first[i] - 0.5, second[i]
        room = 0.5 - u.abs()
        count = ((2 * a / room + b) * u + high + 0.43).floor()
        inside = clamp(count, min=0)
        bent = (v * inverse / (a / (room * room) + b)).log()
        under = bent <= inside * high.log() - high - (inside + 1).lgamma()
        refused = (count < 0).logical_or((room < 0.013).logical_and(v > room))
        accepted = (room >= 0.07).logical_and(v <= 0.9277 - 3.6224 / (b - 2)).logical_or(under) & ~refused
        many = where(accepted, count, many)
    return cast(where(rate < 10, cast(few, rate.dtype), many), input.dtype)


_STEPS = 48
"""At a rate of 10, more events than these come once in 10^17."""


@api(method=False, eager_only=DATA_SHAPE)
def binomial(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """How many of ``count`` trials of probability ``prob`` succeed, in the dtype of ``count``; both broadcast.

    Draws ``[*, max(count)]`` numbers, so that the counts must be known: not computed in a step that is being compiled.
    """
    known = _known(count)
    if known is None:
        raise TraceError(
            "binomial draws as many numbers as the largest count, which does not exist while the step is being "
            f"compiled\n  at {user_location()}\n  use distributions.Binomial(n, prob).sample() with n as an int"
        )
    if (known < 0).any():
        raise OpError("binomial expects counts of 0 or more")
    return successes(count, prob, int(known.max(initial=0)), generator)


def successes(count: Tensor, prob: Tensor, most: int, generator: Generator | None = None) -> Tensor:
    """:func:`binomial` for counts up to ``most``."""
    chance = prob.detach()
    like = count.detach() * chance
    trials = _uniform(like, generator, (*like.shape, most)) < chance.unsqueeze(-1)
    return cast((trials & (arange(most) < count.detach().unsqueeze(-1))).sum(-1), count.dtype)


@method_only
def exponential_(input: Tensor, lambd: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Fill with draws of density ``lambd exp(-lambd x)``."""
    if lambd <= 0:
        raise OpError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    return copy_(input, _exponential(input, generator) / lambd)


@method_only
def geometric_(input: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Fill with the numbers of trials, 1 or more, until one of probability ``p`` succeeds."""
    if not 0 < p < 1:
        raise OpError(f"geometric_ expects p to be in (0, 1), but got p={p}")
    return copy_(input, clamp((_exponential(input, generator) / -float(np.log1p(-p))).ceil(), min=1))


@method_only
def log_normal_(input: Tensor, mean: float = 1, std: float = 2, *, generator: Generator | None = None) -> Tensor:
    """Fill with exponentials of normal draws of this mean and standard deviation."""
    if std <= 0:
        raise OpError(f"log_normal_ expects std > 0.0, but found std={std}")
    kind = f64 if input.dtype is f64 else f32
    return copy_(input, (draw("normal", tuple(input.shape), generator, kind) * std + mean).exp())


@method_only
def cauchy_(input: Tensor, median: float = 0, sigma: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Fill with draws from the Cauchy distribution of this median and half width at half height."""
    if sigma <= 0:
        raise OpError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma}")
    angle = (_uniform(input, generator) - 0.5) * pi
    return copy_(input, angle.sin() / angle.cos() * sigma + median)


@method_only
def random_(input: Tensor, low: int = 0, high: int | None = None, *, generator: Generator | None = None) -> Tensor:
    """Fill with whole numbers from ``[low, high)``; one number is ``high``; without any, all that the dtype holds."""
    if high is None and low:
        low, high = 0, low
    if high is None:
        top = {"bool": 2, "float": 2**24}
        high = top.get(input.dtype.kind) or 2 ** (input.dtype.bits - (input.dtype is not u8)) - 1
    if low >= high:
        raise OpError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    return copy_(input, randint(low, high, tuple(input.shape), generator=generator))


@function_only
def normal(
    mean: float | Tensor = 0.0,
    std: float | Tensor = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal draws: of this mean and standard deviation in a shape, or one for each element of tensors of them."""
    if isinstance(std, Tensor):
        known = _known(std)
        if known is not None and (known < 0).any():
            raise OpError("normal expects all elements of std >= 0.0")
    elif std < 0:
        raise OpError(f"normal expects std >= 0.0, but found std {std}")
    tensors = [x for x in (mean, std) if isinstance(x, Tensor)]
    if size is None and not tensors:
        raise ArgumentError("normal() of numbers takes a size: normal(mean, std, size)")
    if size is None:
        like = tensors[0] * tensors[-1] if len(tensors) > 1 else tensors[0]
        kind = like.dtype
        shape = tuple(like.shape)
    else:
        kind, shape = to_dtype(dtype or defaults.float), as_sizes((size,))
    drawn = draw("normal", shape, generator, kind)
    made = (drawn * _constant(std) + _constant(mean)).detach()
    return made.requires_grad_() if requires_grad else made


def _constant(x: Any) -> Any:
    return x.detach() if isinstance(x, Tensor) else x


@api()
def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Places drawn with probabilities in proportion to ``input`` (one row, or rows), int64.

    With ``replacement`` where the running sum passes a uniform draw; without, the places of the largest of ``input``
    over exponential draws (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006).
    """
    if input.ndim not in (1, 2):
        raise OpError(f"prob_dist must be 1 or 2 dim, not {input._type}")
    if not input.dtype.is_floating_point:
        raise OpError(f"multinomial only supports floating-point dtypes for input, got: {input.dtype!r}")
    n = input.shape[-1]
    if num_samples <= 0 or not n:
        raise OpError(f"cannot sample {num_samples} of {n} categories; n_sample must be more than 0")
    if not replacement and num_samples > n:
        raise OpError(f"cannot sample n_sample > prob_dist.size(-1) samples without replacement: {num_samples} > {n}")
    known = _known(input)
    if known is not None:
        _check_probabilities(np.asarray(known, np.float64), 1 if replacement else num_samples)
    weights = input.detach() if input.dtype is f64 else cast(input.detach(), f32)
    if not replacement:
        tiny = float(np.finfo(weights.dtype.numpy).tiny)
        scores = weights / maximum(_exponential(weights, generator), tiny)
        return argmax(scores, -1, keepdim=True) if num_samples == 1 else topk(scores, num_samples).indices
    running = cumsum(weights, -1)
    drawn = _uniform(weights, generator, (*input.shape[:-1], num_samples))
    return searchsorted(running, mul(drawn, running[..., -1:]), right=True)


def _check_probabilities(p: np.ndarray, draws: int) -> None:
    if not np.isfinite(p).all() or (p < 0).any():
        raise OpError("probability tensor contains either `inf`, `nan` or element < 0")
    if ((p > 0).sum(-1) < draws).any():
        raise OpError(
            "invalid multinomial distribution (sum of probabilities <= 0)"
            if draws == 1
            else f"invalid multinomial distribution (with replacement=False, not enough non-negative category to "
            f"sample {draws})"
        )


@function_only
def randint_like(input: Tensor, low: int, high: int | None = None, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Whole numbers in ``[low, high)``, or in ``[0, low)``, in the same shape and dtype."""
    bounds = (0, low) if high is None else (low, high)
    return randint(*bounds, tuple(input.shape), dtype=dtype or input.dtype, device=device)
