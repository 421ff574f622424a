"""Parametrizations: weight norm, spectral norm, orthogonal matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

import genesis.functions as fn
import genesis.nn.functional as F
from compiler.errors import ChoiceError, IndexingError, UndefinedError
from genesis.functions.control import scan
from genesis.functions.conversion import to
from genesis.functions.decompositions import solve
from genesis.nn.module import Module
from genesis.nn.utils.norms import as_matrix, iterate, norm_except, over_largest, weight_of
from genesis.nn.utils.parametrize import register_parametrization
from genesis.tensor import Tensor, from_array

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]

_MAPS = ("matrix_exp", "cayley", "householder")


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return weight_of(weight_g, weight_v, self.dim)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """``module.name`` becomes ``g v / |v|``, with the norm of each slice along ``dim``, or of all of it if None.

    ``g`` and ``v`` are the parameters ``parametrizations.name.original0`` and ``original1``. State dicts with the names
    of before (``name_g``, ``name_v``) load. Source: Salimans & Kingma, "Weight normalization", 2016.
    """
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def rename(state: dict[str, Any], prefix: str, *rest: Any) -> None:
        for i, end in enumerate(("_g", "_v")):
            if f"{prefix}{name}{end}" in state:
                state[f"{prefix}parametrizations.{name}.original{i}"] = state.pop(f"{prefix}{name}{end}")

    module._register_load_state_dict_pre_hook(rename)
    return module


class _SpectralNorm(Module):
    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        rank = weight.ndim
        if not -rank <= dim < rank:
            raise IndexingError(
                f"Dimension out of range (expected to be in range of [-{rank}, {rank - 1}] but got {dim})"
            )
        if n_power_iterations <= 0:
            raise ChoiceError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.dim, self.eps = dim % rank, eps
        if rank > 1:
            self.n_power_iterations = n_power_iterations
            matrix = as_matrix(weight.detach(), self.dim)
            for vector, size in zip(("_u", "_v"), matrix.shape, strict=True):
                self.register_buffer(vector, F.normalize(fn.randn(size, dtype=weight.dtype), dim=0, eps=eps))
            iterate(matrix, self._u, self._v, 15, eps)

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            iterate(matrix, self._u, self._v, self.n_power_iterations, self.eps)
        return over_largest(weight, matrix, self._u, self._v)

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """``module.name`` is divided by its largest singular value, as a matrix with ``dim`` in front.

    Two vectors that follow it are buffers; in training each read makes ``n_power_iterations``. ``dim`` is 1 for
    transposed convolutions, else 0. Source: Miyato et al., "Spectral normalization for generative adversarial
    networks", 2018.
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ChoiceError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    dim = channels(module) if dim is None else dim
    return register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))


def channels(module: Module) -> int:
    """The dimension of a weight that the outputs of a module lie in."""
    return 1 if type(module).__name__.startswith("ConvTranspose") else 0


class _Orthogonal(Module):
    base: Tensor

    def __init__(self, weight: Tensor, orthogonal_map: str, use_trivialization: bool) -> None:
        super().__init__()
        self.shape = tuple(weight.shape)
        self.orthogonal_map = orthogonal_map
        self.use_trivialization = use_trivialization
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X: Tensor) -> Tensor:
        wide = X.shape[-2] < X.shape[-1]
        x = fn.transpose(X, -2, -1) if wide else X
        columns = x.shape[-1]
        if self.orthogonal_map == "householder":
            q = fn.mul(_reflections(fn.tril(x, -1)), _signs(x))
        else:
            lower = F.pad(fn.tril(x), (0, x.shape[-2] - columns))
            skew = fn.sub(lower, fn.transpose(lower, -2, -1))
            q = fn.narrow((_exponential if self.orthogonal_map == "matrix_exp" else _cayley)(skew), -1, 0, columns)
        if self.use_trivialization:
            q = fn.matmul(self.base, q)
        return fn.transpose(q, -2, -1) if wide else q

    def right_inverse(self, Q: Tensor) -> Tensor:
        if tuple(Q.shape) != self.shape:
            raise ChoiceError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape {tuple(Q.shape)}."
            )
        array = np.array(Q.detach().numpy())
        wide = array.shape[-2] < array.shape[-1]
        tall = array.swapaxes(-2, -1) if wide else array
        if not self.use_trivialization:
            if self.orthogonal_map != "householder":
                raise UndefinedError(
                    "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
                    "use_trivialization=False."
                )
            found = _reflectors(tall)
            return from_array(np.ascontiguousarray(found.swapaxes(-2, -1) if wide else found))
        rows, columns = tall.shape[-2:]
        identity = np.eye(columns)
        if rows != columns:
            more = fn.randn(*tall.shape[:-2], rows, rows - columns, dtype=Q.dtype).numpy()
            tall = _orthogonalised(np.concatenate([tall, more], -1))
        elif not np.allclose(tall.swapaxes(-2, -1) @ tall, identity, atol=10 * rows * np.finfo(tall.dtype).eps):
            tall = _orthogonalised(tall)
        self.base = from_array(np.ascontiguousarray(tall))
        start = np.zeros_like(array)
        for i in range(min(array.shape[-2:])):
            start[..., i, i] = -1
        return from_array(start)


def _signs(x: Tensor) -> Tensor:
    """The diagonal, which is 1 or -1, as a row; no gradient goes there."""
    diagonal = fn.diagonal(x.detach(), dim1=-2, dim2=-1)
    return fn.unsqueeze(to(fn.trunc(diagonal), dtype=x.dtype), -2)


def _reflections(lower: Tensor) -> Tensor:
    """The first columns of the product of the reflections whose vectors are the columns, with ones on the diagonal."""
    rows, columns = lower.shape[-2:]
    factors = fn.div(2.0, fn.add(fn.sum(fn.mul(lower, lower), -2), 1.0))
    start = fn.eye(rows, columns, dtype=lower.dtype).expand(*lower.shape)
    vectors = fn.movedim(fn.add(lower, start), -1, 0)

    def reflect(q: Tensor, x: tuple[Tensor, Tensor]) -> tuple[Tensor, None]:
        v, factor = x
        along = fn.matmul(fn.unsqueeze(v, -2), q)
        return fn.sub(q, fn.mul(fn.unsqueeze(fn.unsqueeze(factor, -1), -1), fn.mul(fn.unsqueeze(v, -1), along))), None

    return scan(reflect, start, (vectors, fn.movedim(factors, -1, 0)), reverse=True)[0]


def _exponential(x: Tensor) -> Tensor:
    """``exp(x)`` by sixteen terms of the series at ``x / 16``, squared four times: exact for norms up to about 16."""
    x = fn.div(x, 16.0)
    identity = fn.eye(x.shape[-1], dtype=x.dtype)
    result = fn.add(identity, fn.div(x, 16.0))
    for k in range(15, 0, -1):
        result = fn.add(identity, fn.div(fn.matmul(x, result), float(k)))
    for _ in range(4):
        result = fn.matmul(result, result)
    return result


def _cayley(x: Tensor) -> Tensor:
    """``(I - x / 2)⁻¹ (I + x / 2)``."""
    identity, half = fn.eye(x.shape[-1], dtype=x.dtype), fn.div(x, 2.0)
    return solve(fn.sub(identity, half), fn.add(identity, half))


def _reflectors(matrix: np.ndarray) -> np.ndarray:
    """The Householder vectors of ``matrix``'s QR decomposition, below a diagonal of signs that makes R's positive."""
    found = np.empty_like(matrix)
    for place in np.ndindex(matrix.shape[:-2]):
        packed, factors = np.linalg.qr(matrix[place], mode="raw")
        packed = packed.T.copy()
        for i, factor in enumerate(factors):
            packed[i, i] = np.sign(packed[i, i]) * (-1 if factor == 0 else 1)
        found[place] = packed
    return found


def _orthogonalised(matrix: np.ndarray) -> np.ndarray:
    q, r = np.linalg.qr(matrix)
    return q * np.sign(np.diagonal(r, axis1=-2, axis2=-1))[..., None, :]


def orthogonal(
    module: Module, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> Module:
    """``module.name`` becomes a matrix with orthonormal columns (or rows, if it is wide), or a batch of them.

    ``orthogonal_map`` leads there: ``"matrix_exp"`` (of square matrices by default), ``"householder"``, or
    ``"cayley"``, outside compiled steps only. ``use_trivialization``: the map starts from the value of now. Source:
    Lezcano-Casado, "Trivializations for gradient-based optimization on manifolds", 2019.
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ChoiceError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if weight.ndim < 2:
        raise ChoiceError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions.")
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.shape[-2] == weight.shape[-1] else "householder"
    if orthogonal_map not in _MAPS:
        raise ChoiceError(
            f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}'
        )
    return register_parametrization(module, name, _Orthogonal(weight, orthogonal_map, use_trivialization), unsafe=True)
