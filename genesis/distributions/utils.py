"""What writers of distributions use: probabilities and their logits, triangles of matrices, attributes made once."""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt
from typing import Any

import numpy as np

import genesis.functions as fn
from compiler.errors import ArgumentError
from genesis.distributions.distribution import broadcast
from genesis.tensor import Tensor

euler_constant = 0.57721566490153286060


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """Numbers and tensors as tensors of one shape. Raises ValueError for anything else."""
    return tuple(broadcast(*values))


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities away from 0 and 1, whose logarithms are finite."""
    eps = float(np.finfo(probs.dtype.numpy).eps)
    return fn.clamp(probs, eps, 1 - eps)


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """Probabilities: of one outcome if ``is_binary``, else of those in the last dimension."""
    return fn.sigmoid(logits) if is_binary else fn.softmax(logits, -1)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """Logarithms of probabilities, or of their odds if ``is_binary``."""
    inside = clamp_probs(probs)
    return fn.log(inside) - fn.log1p(-inside) if is_binary else fn.log(inside)


class lazy_property:
    """A property that is computed at its first use and kept as an attribute."""

    def __init__(self, wrapped: Callable[[Any], Any]) -> None:
        self.wrapped, self.__doc__ = wrapped, wrapped.__doc__

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        found = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, found)
        return found


def _places(size: int, diag: int) -> Tensor:
    return fn.tril_indices(size, size, diag)


def tril_matrix_to_vec(mat: Tensor, diag: int = 0) -> Tensor:
    """The elements on and below a diagonal of ``[*, n, n]``, row by row. Raises TypeError for a diagonal outside."""
    size = mat.shape[-1]
    if not isinstance(diag, int) or not -size <= diag < size:
        raise ArgumentError(f"diag ({diag}) provided is outside [{-size}, {size - 1}].")
    rows, columns = _places(size, diag)
    return fn.index_select(mat.flatten(-2), -1, rows * size + columns)


def vec_to_tril_matrix(vec: Tensor, diag: int = 0) -> Tensor:
    """The matrices ``[*, n, n]`` with zeros and these elements on and below a diagonal. Raises TypeError for a length
    that is none of such a triangle."""
    length, step = vec.shape[-1], 1 + 2 * diag
    size = (isqrt(step * step + 8 * length + 4 * abs(diag) * (diag + 1)) - step) // 2
    rows, columns = _places(size, diag)
    if rows.numel() != length:
        raise ArgumentError(f"The size of last dimension is {length} which cannot be expressed as a triangle.")
    blank = fn.zeros(*vec.shape[:-1], size * size, dtype=vec.dtype)
    places = (rows * size + columns).expand(*vec.shape)
    return fn.scatter(blank, -1, places, vec).unflatten(-1, (size, size))
