"""Dropout of elements and of channels."""

from __future__ import annotations

from math import sqrt

from compiler.errors import ChoiceError, OpError
from compiler.ir.op import o
from genesis.functions.conversion import into
from genesis.functions.creation import draw, ones
from genesis.functions.pointwise import add, cast, lt, mul, sub
from genesis.functions.table import everywhere, functional_only
from genesis.random import default_generator
from genesis.tensor import Tensor, wrap


def check_probability(p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ChoiceError(f"dropout probability has to be between 0 and 1, but got {p}")


@everywhere
def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each element with probability ``p`` and scale the rest by ``1 / (1 - p)``."""
    check_probability(p)
    if not training or p == 0:
        return input
    seed, offset, index = default_generator.reserve()
    return into(input, wrap(o.dropout(input.value, seed, offset, p=float(p), index=index)), inplace)


def _channel_dropout(input: Tensor, p: float, training: bool, inplace: bool, spatial: int) -> Tensor:
    check_probability(p)
    if not training or p == 0:
        return input
    shape = (*input.shape[: input.ndim - spatial], *(1 for _ in range(spatial)))
    keep = dropout(ones(*shape, dtype=input.dtype), p)
    return into(input, mul(input, keep), inplace)


@functional_only
def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels of ``[N, C, L]`` or ``[C, L]``."""
    return _channel_dropout(input, p, training, inplace, 1)


@functional_only
def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels of ``[N, C, H, W]``."""
    return _channel_dropout(input, p, training, inplace, 2)


@functional_only
def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels of ``[N, C, D, H, W]``."""
    return _channel_dropout(input, p, training, inplace, 3)


def _alpha(input: Tensor, p: float, training: bool, inplace: bool, shape: tuple[int, ...]) -> Tensor:
    """Sets to the limit of SELU, then restores mean 0 and variance 1; one draw for each element of ``shape``.

    Klambauer et al., "Self-normalizing neural networks", 2017.
    """
    check_probability(p)
    if not training or p == 0:
        return input
    if p == 1:
        return into(input, mul(input, 0), inplace)
    limit = 1.6732632423543772 * 1.0507009873554805
    scale = 1 / sqrt((limit * limit * p + 1) * (1 - p))
    kept = cast(lt(draw("uniform", shape, None, None), 1 - p), input.dtype)
    offset = add(mul(sub(kept, 1), limit * scale), limit * scale * p)
    return into(input, add(mul(input, mul(kept, scale)), offset), inplace)


@everywhere
def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout that keeps mean and variance of what comes from SELU."""
    return _alpha(input, p, training, inplace, tuple(input.shape))


@everywhere
def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """:func:`alpha_dropout` of whole channels of ``[N, C, *]``."""
    if input.ndim < 2:
        raise OpError("Feature dropout requires at least 2 dimensions in the input")
    return _alpha(input, p, training, inplace, (*input.shape[:2], *(1 for _ in input.shape[2:])))
