"""Activations."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import genesis.functions.pointwise as pointwise
import genesis.functions.reductions as reductions
from compiler.errors import ChoiceError, DivisionError, GenesisWarning, OpError
from compiler.ir.location import here
from compiler.ir.op import o
from compiler.ops.reduce import normalize_axis
from genesis.functions.calls import presetting
from genesis.functions.conversion import detach, into
from genesis.functions.creation import draw
from genesis.functions.pointwise import abs, add, cast, clamp, div, le, log, mul, neg, sign, sub, tanh, where
from genesis.functions.shapes import chunk, reshape
from genesis.functions.table import api, everywhere, functional_only
from genesis.tensor import Tensor, row_major, wrap


@functional_only
def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """``max(x, 0)``."""
    return into(input, pointwise.relu(input), inplace)


@functional_only
def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """``min(max(x, 0), 6)``."""
    return hardtanh(input, 0.0, 6.0, inplace)


@functional_only
def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """``x`` limited to ``[min_val, max_val]``; no gradient at and beyond the limits."""
    if min_val > max_val:
        raise ChoiceError("min_val cannot be greater than max_val")
    return into(input, wrap(o.hardtanh(input.value, low=float(min_val), high=float(max_val))), inplace)


@functional_only
def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """``x`` times the normal distribution function of ``x``; ``approximate="tanh"`` for the tanh formula."""
    return wrap(o.gelu(input.value, approximate=approximate))


@functional_only
def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """``x * sigmoid(x)``."""
    return into(input, wrap(o.silu(input.value)), inplace)


@functional_only
def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """``x * tanh(softplus(x))``."""
    return into(input, mul(input, tanh(softplus(input))), inplace)


@functional_only
def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """``x`` if positive, else ``negative_slope * x``."""
    return into(input, wrap(o.leaky_relu(input.value, negative_slope=float(negative_slope))), inplace)


@functional_only
def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """``log(1 + exp(beta x)) / beta``, and ``x`` itself where ``beta x > threshold``."""
    return wrap(o.softplus(input.value, beta=float(beta), threshold=float(threshold)))


@functional_only
def logsigmoid(input: Tensor) -> Tensor:
    """``log(sigmoid(x))``."""
    return row_major(o.log_sigmoid(input.value))


@functional_only
def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``x`` if positive, else ``alpha * (exp(x) - 1)``."""
    return into(input, wrap(o.elu(input.value, alpha=float(alpha))), inplace)


@everywhere
def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``x`` if positive, else ``alpha * (exp(x / alpha) - 1)``."""
    if not alpha:
        raise DivisionError(here("ZeroDivisionError: alpha cannot be 0 for CELU"))
    return into(input, wrap(o.elu(input.value, alpha=float(alpha), input_scale=1 / alpha)), inplace)


@everywhere
def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """Klambauer et al., "Self-normalizing neural networks", 2017."""
    alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
    return into(input, wrap(o.elu(input.value, alpha=alpha, scale=scale)), inplace)


@functional_only
def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """``relu6(x + 3) / 6``."""
    return into(input, wrap(o.hardsigmoid(input.value)), inplace)


@functional_only
def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """``x * relu6(x + 3) / 6``."""
    return into(input, wrap(o.hardswish(input.value)), inplace)


@functional_only
def softsign(input: Tensor) -> Tensor:
    """``x / (1 + |x|)``."""
    return div(input, add(abs(input), 1))


@functional_only
def tanhshrink(input: Tensor) -> Tensor:
    """``x - tanh(x)``."""
    return sub(input, tanh(input))


@functional_only
def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """``x`` moved towards zero by ``lambd``, zero in between."""
    if lambd < 0:
        raise OpError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    inside = le(abs(input), lambd)
    return where(inside, mul(input, 0), sub(input, mul(sign(input), lambd)))


@api(functional=True)
def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """``x`` where ``|x| > lambd``, else zero."""
    return where(le(abs(input), lambd), 0, input)


@everywhere
def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """``x`` where it exceeds ``threshold``, else ``value``."""
    return into(input, where(le(input, threshold), value, input), inplace)


@api(functional=True)
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """``x`` if positive, else ``weight * x``, with one weight or one per channel (dimension 1)."""
    if weight.ndim > 1:
        raise OpError(f"prelu: expected weight to have 0 or 1 dimensions, but got {list(weight.shape)}")
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.numel() == 1:
        weight = reshape(weight, *(1 for _ in range(min(input.ndim, 1))))
    elif weight.numel() != channels:
        raise OpError(
            f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {weight.numel()}, "
            f"and channel size = {channels}"
        )
    else:
        weight = reshape(weight, -1, *(1 for _ in input.shape[2:]))
    return wrap(o.prelu(input.value, weight.value))


@functional_only
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half along ``dim`` times the sigmoid of the second."""
    if not input.ndim:
        raise OpError("glu does not support 0-dimensional tensors")
    size = input.shape[normalize_axis(dim, input.ndim)]
    if size % 2:
        raise OpError(f"Halving dimension must be even, but dimension {dim} is size {size}")
    value, gate = chunk(input, 2, dim)
    return wrap(o.glu(value.value, gate.value))


def _class_dim(name: str, dim: int | None, rank: int) -> int:
    if dim is not None:
        return dim
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        GenesisWarning,
        stacklevel=3,
    )
    return 0 if rank in (0, 1, 3) else 1


@functional_only
def softmax(input: Tensor, dim: int | None = None, *, dtype: Any = None) -> Tensor:
    """``exp(x) / sum(exp(x))`` along ``dim``."""
    return reductions.softmax(input, _class_dim("softmax", dim, input.ndim), dtype)


@functional_only
def log_softmax(input: Tensor, dim: int | None = None, *, dtype: Any = None) -> Tensor:
    """``log(softmax(x))`` along ``dim``."""
    return reductions.log_softmax(input, _class_dim("log_softmax", dim, input.ndim), dtype)


@everywhere
def rrelu(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """``x`` if positive, else ``x`` times a draw from ``[lower, upper)``; the middle of it outside training."""
    if lower > upper:
        raise OpError("Lower bound should be less than or equal to the upper bound")
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    slope = cast(add(mul(draw("uniform", tuple(input.shape), None, None), upper - lower), lower), input.dtype)
    return into(input, where(le(input, 0), mul(input, slope), input), inplace)


@functional_only
def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """A draw of the softmax of ``logits + g`` at temperature ``tau``; ``hard`` rounds it to one class.

    ``g`` are Gumbel's noise. A hard draw has the gradient of the soft one. Jang, Gu & Poole, "Categorical
    reparameterization with Gumbel-softmax", 2017. ``eps`` is not used, as in PyTorch.
    """
    uniform = sub(1, draw("uniform", tuple(logits.shape), None, None))  # in (0, 1]
    noise = neg(log(clamp(neg(log(uniform)), min=1e-20)))
    soft = reductions.softmax(div(add(logits, cast(noise, logits.dtype)), tau), dim)
    if not hard:
        return soft
    axis = normalize_axis(dim, soft.ndim)
    place = o.iota(shape=tuple(soft.shape), axis=axis)
    best = o.argmax(soft.value, axes=(axis,), keepdim=True)
    one = wrap(o.cast(o.eq(place, best), to=soft.dtype))
    return add(sub(one, detach(soft)), soft)


@functional_only
def softmin(input: Tensor, dim: int | None = None, *, dtype: Any = None) -> Tensor:
    """``softmax(-x)`` along ``dim``."""
    return reductions.softmax(neg(input), _class_dim("softmin", dim, input.ndim), dtype)


def _overwriting(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    name = f"{function.__name__}_"
    return everywhere(presetting(function, name, f"In place: {function.__doc__}", inplace=True))


relu_ = _overwriting(relu)
elu_ = _overwriting(elu)
celu_ = _overwriting(celu)
selu_ = _overwriting(selu)
rrelu_ = _overwriting(rrelu)
hardtanh_ = _overwriting(hardtanh)
leaky_relu_ = _overwriting(leaky_relu)
threshold_ = _overwriting(threshold)
