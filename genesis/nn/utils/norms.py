"""Weight and spectral normalisation: the formulas behind parametrizations and the functions of old."""

from __future__ import annotations

import genesis.functions as fn
import genesis.nn.functional as F
from genesis.context import grad_mode
from genesis.functions.conversion import copy_
from genesis.tensor import Tensor


def norm_except(v: Tensor, dim: int | None) -> Tensor:
    """The norms of the slices of ``v`` along ``dim``, with dimensions of size one; of all of it if None or -1."""
    axes = tuple(range(v.ndim)) if dim in (None, -1) else tuple(i for i in range(v.ndim) if i != dim)
    norm = fn.sqrt(fn.sum(fn.mul(v, v), axes, keepdim=True)) if axes else fn.abs(v)
    return fn.reshape(norm, ()) if dim in (None, -1) else norm


def weight_of(g: Tensor, v: Tensor, dim: int | None) -> Tensor:
    """``g v / |v|``. Source: Salimans & Kingma, "Weight normalization", 2016."""
    return fn.mul(v, fn.div(g, norm_except(v, dim)))


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """``weight`` with dimension ``dim`` in front and the others as one."""
    return fn.flatten(fn.movedim(weight, dim, 0) if dim else weight, 1)


def iterate(matrix: Tensor, u: Tensor, v: Tensor, times: int, eps: float, order: str = "uv") -> None:
    """Power iterations: ``u`` and ``v`` come nearer to the first singular vectors of ``matrix``, in place."""
    with grad_mode(False):
        for _ in range(times):
            for name in order:
                target, product = (u, fn.mv(matrix, v)) if name == "u" else (v, fn.mv(fn.transpose(matrix, 0, 1), u))
                copy_(target, F.normalize(product, dim=0, eps=eps))


def over_largest(weight: Tensor, matrix: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """``weight`` over its largest singular value, ``uᵀ W v``.

    Source: Miyato et al., "Spectral normalization for generative adversarial networks", 2018.
    """
    u, v = u.detach().clone(), v.detach().clone()
    return fn.div(weight, fn.sum(fn.mul(u, fn.mv(matrix, v))))
