"""LU and Householder factors of matrices, decompositions that tell of failures, and problems of tensors as matrices.

Gradient of the LU factors: F. de Hoog, R. Anderssen and M. Lukas, "Differentiation of matrix functionals using
triangular factorization", 2011. Random projections: N. Halko, P. Martinsson and J. Tropp, "Finding structure with
randomness", 2011.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from functools import reduce
from math import prod
from typing import Any, NamedTuple

import numpy as np

from compiler.errors import OpError, UnsupportedError
from genesis.custom import Function
from genesis.functions.creation import eye, ones, randn
from genesis.functions.decompositions import (
    Qr,
    cholesky,
    full_svd,
    inv,
    matrices,
    pinv,
    solve,
    solve_triangular,
)
from genesis.functions.decompositions import qr as reduced_qr
from genesis.functions.pointwise import where
from genesis.functions.products import matmul
from genesis.functions.reductions import mean
from genesis.functions.scans import cumprod
from genesis.functions.shapes import cat, expand, flip, permute, reshape, tril, triu, unsqueeze
from genesis.functions.table import api, decomposition, function_only, linalg
from genesis.scope import DECOMPOSED
from genesis.tensor import Tensor, from_array

# LU


def _eliminated(array: np.ndarray, pivot: bool) -> tuple[np.ndarray, np.ndarray]:
    """Both factors in one array, and the row, from 1, that each row was exchanged with."""
    lu, count = array.copy(), min(array.shape[-2:])
    pivots = np.empty((*array.shape[:-2], count), np.int32)
    for i in builtins.range(count):
        chosen = np.abs(lu[..., i:, i]).argmax(-1) + i if pivot else np.full(lu.shape[:-2], i)
        pivots[..., i] = chosen + 1
        at = chosen[..., None, None]
        here, there = lu[..., i : i + 1, :].copy(), np.take_along_axis(lu, at, -2)
        np.put_along_axis(lu, at, here, -2)
        lu[..., i : i + 1, :] = there
        corner = lu[..., i : i + 1, i : i + 1]
        lu[..., i + 1 :, i : i + 1] /= np.where(corner == 0, 1, corner)
        lu[..., i + 1 :, i + 1 :] -= lu[..., i + 1 :, i : i + 1] * lu[..., i : i + 1, i + 1 :]
    return lu, pivots


def _order(pivots: np.ndarray, rows: int) -> np.ndarray:
    """The row of the matrix that became each row of the factors."""
    order = np.broadcast_to(np.arange(rows), (*pivots.shape[:-1], rows)).copy()
    for i in builtins.range(pivots.shape[-1]):
        at = pivots[..., i : i + 1].astype(np.int64) - 1
        there = np.take_along_axis(order, at, -1)
        np.put_along_axis(order, at, order[..., i : i + 1].copy(), -1)
        order[..., i : i + 1] = there
    return order


def _permutation(pivots: Tensor, rows: int, kind: Any) -> Tensor:
    """``P`` with ``A = P L U``."""
    order = _order(pivots._array("lu_unpack"), rows)
    return from_array((order[..., None, :] == np.arange(rows)[:, None]).astype(kind.numpy))


class _Lu(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, pivot: bool) -> tuple[Tensor, Tensor]:
        lu, pivots = (from_array(x) for x in _eliminated(matrices("lu_factor", a), pivot))
        ctx.save_for_backward(lu, pivots)
        ctx.mark_non_differentiable(pivots)
        return lu, pivots

    @staticmethod
    def backward(ctx: Any, g: Tensor, _: Tensor) -> tuple[Tensor, None]:
        lu, pivots = ctx.saved_tensors
        if lu.shape[-1] != lu.shape[-2]:
            raise UnsupportedError("gradients of lu of matrices that are not square")
        p, lower, upper = lu_unpack(lu, pivots)
        inner = tril(matmul(lower.mT, tril(g, -1)), -1) + triu(matmul(triu(g), upper.mT))
        left = solve_triangular(lower.mT, inner, upper=True, unitriangular=True)
        return matmul(p, solve_triangular(upper.mT, left, upper=False, left=False)), None


class LuFactors(NamedTuple):
    """Both triangular factors in one matrix, and the row, from 1, that each row was exchanged with."""

    LU: Tensor
    pivots: Tensor


class LuFactorsInfo(NamedTuple):
    """:class:`LuFactors`, and the first pivot, from 1, that is 0; 0 where there is none."""

    LU: Tensor
    pivots: Tensor
    info: Tensor


class Lu(NamedTuple):
    """A permutation, a lower triangular matrix with ones on its diagonal, and an upper triangular one."""

    P: Tensor
    L: Tensor
    U: Tensor


def _zero_pivots(lu: np.ndarray) -> np.ndarray:
    zero = np.diagonal(lu, 0, -2, -1) == 0
    return np.where(zero.any(-1), zero.argmax(-1) + 1, 0).astype(np.int32)


def _told(name: str, info: np.ndarray, check_errors: bool) -> Tensor:
    if check_errors and info.any():
        raise OpError(f"linalg.{name}: the matrix at {int(np.flatnonzero(info)[0])} fails at row {info.max()}")
    return from_array(info)


@decomposition
def lu_factor(A: Tensor, *, pivot: bool = True) -> LuFactors:
    """The factors of ``A = P L U`` in one matrix, and pivots int32. Gradients for square ones. Eager only."""
    return LuFactors(*_Lu.apply(A, pivot))


@decomposition
def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> LuFactorsInfo:
    """:func:`lu_factor`, and where it met a pivot that is 0; raises LinAlgError for one if ``check_errors``."""
    factors = lu_factor(A, pivot=pivot)
    info = _zero_pivots(factors.LU._array("lu_factor_ex"))
    return LuFactorsInfo(*factors, _told("lu_factor_ex", info, check_errors))


@api(function=False, method=False, name="lu", eager_only=DECOMPOSED)
def permuted_lu(A: Tensor, *, pivot: bool = True) -> Lu:
    """``A = P L U``; ``P`` is empty without ``pivot``. Gradients for square matrices. Eager only."""
    return lu_unpack(*lu_factor(A, pivot=pivot), unpack_pivots=pivot)


@api(method=False, eager_only=DECOMPOSED)
def lu_unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True) -> Lu:
    """``P``, ``L`` and ``U`` of what :func:`linalg.lu_factor` gives; empty where not wanted. Eager only."""
    matrices("lu_unpack", LU_data)
    rows, columns = LU_data.shape[-2:]
    if tuple(LU_pivots.shape) != (*LU_data.shape[:-2], min(rows, columns)) or LU_pivots.dtype.kind != "int":
        raise OpError(f"lu_unpack: {LU_pivots._type} are no pivots of {LU_data._type}")
    count, nothing = min(rows, columns), LU_data.detach().flatten()[:0]
    p = _permutation(LU_pivots, rows, LU_data.dtype) if unpack_pivots else nothing
    if not unpack_data:
        return Lu(p, nothing, nothing)
    lower = tril(LU_data[..., :count], -1) + eye(rows, count, dtype=LU_data.dtype)
    return Lu(p, lower, triu(LU_data[..., :count, :]))


@api(function=False, method=False, name="lu_solve", eager_only=DECOMPOSED)
def factored_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False) -> Tensor:
    """``X`` with ``A X = B`` (``X A = B`` if not ``left``), of the factors of ``A``, or of ``A^T``. Eager only."""
    if not left:
        return factored_solve(LU, pivots, B.mT, adjoint=not adjoint).mT
    p, lower, upper = lu_unpack(LU, pivots)
    if adjoint:
        inner = solve_triangular(upper.mT, B, upper=False)
        return matmul(p, solve_triangular(lower.mT, inner, upper=True, unitriangular=True))
    inner = solve_triangular(lower, matmul(p.mT, B), upper=False, unitriangular=True)
    return solve_triangular(upper, inner, upper=True)


@api(eager_only=DECOMPOSED)
def lu_solve(b: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """``X`` with ``A X = b``, of the factors of ``A``; :func:`linalg.lu_solve`. Eager only."""
    return factored_solve(LU_data, LU_pivots, b)


@api(eager_only=DECOMPOSED)
def lu(A: Tensor, pivot: bool = True, get_infos: bool = False) -> tuple[Tensor, ...]:
    """:func:`linalg.lu_factor`, with ``get_infos`` :func:`linalg.lu_factor_ex`. Eager only."""
    return lu_factor_ex(A, pivot=pivot) if get_infos else lu_factor(A, pivot=pivot)


# Decompositions that tell of failures: the results of matrices that fail are NaN


class Inverse(NamedTuple):
    """The inverse, and the first pivot, from 1, that is 0; 0 where there is none."""

    inverse: Tensor
    info: Tensor


class Solution(NamedTuple):
    """The solution, and the first pivot, from 1, that is 0; 0 where there is none."""

    result: Tensor
    info: Tensor


class Cholesky(NamedTuple):
    """The factor, and the size of the first leading part that is not positive definite; 0 where all are."""

    L: Tensor
    info: Tensor


def _where_it_works(function: Callable[..., Tensor], a: Tensor, info: np.ndarray, *others: Tensor) -> Tensor:
    """``function(a, *others)``, NaN for the matrices with an ``info``."""
    if not info.any():
        return function(a, *others)
    failed = from_array((info != 0)[..., None, None])
    found = function(where(failed, eye(a.shape[-1], dtype=a.dtype), a), *others)
    return found.masked_fill(failed.reshape(failed.shape[: found.ndim]), float("nan"))


@decomposition
def inv_ex(A: Tensor, *, check_errors: bool = False) -> Inverse:
    """:func:`inv`, NaN for singular matrices, of which ``info`` tells; raises if ``check_errors``. Eager only."""
    info = _zero_pivots(_eliminated(matrices("inv_ex", A, square=True), True)[0])
    return Inverse(_where_it_works(inv, A, info), _told("inv_ex", info, check_errors))


@decomposition
def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> Solution:
    """:func:`solve`, NaN for singular matrices, of which ``info`` tells; raises if ``check_errors``. Eager only."""
    info = _zero_pivots(_eliminated(matrices("solve_ex", A, square=True), True)[0])
    found = _where_it_works(lambda a, b: solve(a, b, left=left), A, info, B)
    return Solution(found, _told("solve_ex", info, check_errors))


@decomposition
def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> Cholesky:
    """:func:`cholesky`, NaN where there is none, of which ``info`` tells; raises if ``check_errors``. Eager only."""
    array = matrices("cholesky_ex", A, square=True)
    info = np.zeros(array.shape[:-2], np.int32)
    for place in np.ndindex(info.shape):
        info[place] = _first_failure(array[place])
    found = _where_it_works(cholesky, A, info)
    return Cholesky(found.mT if upper else found, _told("cholesky_ex", info, check_errors))


def _first_failure(matrix: np.ndarray) -> int:
    """The size of the first leading part without a Cholesky factor; 0 where the matrix has one."""

    def works(size: int) -> bool:
        try:
            np.linalg.cholesky(matrix[:size, :size])
        except np.linalg.LinAlgError:
            return False
        return True

    size = len(matrix)
    return 0 if works(size) else next(k for k in builtins.range(1, size + 1) if not works(k))


# Householder reflections


@linalg
def householder_product(A: Tensor, tau: Tensor) -> Tensor:
    """The first columns of a product of reflections ``1 - tau v v^T`` with the columns ``v`` below ``A``'s diagonal."""
    return _reflections(A, tau)[..., : A.shape[-1]]


def _reflections(a: Tensor, tau: Tensor) -> Tensor:
    """The whole product of the reflections: a square matrix."""
    if a.ndim < 2:
        raise OpError(f"householder_product: A must have at least 2 dimensions, not {a._type}")
    rows, columns = a.shape[-2:]
    if rows < columns or tau.shape[-1] > columns:
        raise OpError(f"householder_product: A must have at least as many rows as columns, and as tau, not {a._type}")
    one = eye(rows, dtype=a.dtype)
    vectors = tril(a, -1) + one[:, :columns]
    found = one.expand(*a.shape[:-2], rows, rows)
    for i in builtins.range(tau.shape[-1]):
        v = vectors[..., i : i + 1]
        found = found - tau[..., i : i + 1, None] * matmul(matmul(found, v), v.mT)
    return found


@api()
def orgqr(input: Tensor, tau: Tensor) -> Tensor:
    """:func:`linalg.householder_product`."""
    return householder_product(input, tau)


@api()
def ormqr(input: Tensor, tau: Tensor, other: Tensor, left: bool = True, transpose: bool = False) -> Tensor:
    """The product of the reflections of :func:`geqrf`, or its transpose, with ``other`` behind it, or before it."""
    q = _reflections(input, tau)
    q = q.mT if transpose else q
    return matmul(q, other) if left else matmul(other, q)


class Reflections(NamedTuple):
    """The vectors of reflections below the diagonal of an upper triangular factor, and their weights."""

    a: Tensor
    tau: Tensor


@api(eager_only=DECOMPOSED)
def geqrf(input: Tensor) -> Reflections:
    """The QR decomposition as LAPACK keeps it; without gradients. Eager only."""
    packed, tau = np.linalg.qr(matrices("geqrf", input), "raw")
    return Reflections(from_array(np.ascontiguousarray(packed.swapaxes(-2, -1))), from_array(np.ascontiguousarray(tau)))


# Tensors as matrices


@decomposition
def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """The inverse of ``A`` as a matrix whose rows are the first ``ind`` dimensions. Eager only."""
    rows, columns = tuple(A.shape[:ind]), tuple(A.shape[ind:])
    if ind < 1 or prod(rows) != prod(columns):
        raise OpError(f"linalg.tensorinv: {A._type} is no square matrix of its first {ind} dimensions and the others")
    return reshape(inv(reshape(A, prod(rows), prod(columns))), *columns, *rows)


@decomposition
def tensorsolve(A: Tensor, B: Tensor, dims: Sequence[int] | None = None) -> Tensor:
    """``X`` with ``tensordot(A, X, X.ndim) = B``; ``dims`` of ``A`` are moved to its end first. Eager only."""
    if dims is not None:
        last = [d % A.ndim for d in dims]
        A = permute(A, *(d for d in builtins.range(A.ndim) if d not in last), *last)
    shape = tuple(A.shape[B.ndim :])
    if prod(shape) != B.numel():
        raise OpError(f"linalg.tensorsolve: {A._type} behind the dimensions of {B._type} has {prod(shape)} elements")
    return reshape(solve(reshape(A, B.numel(), prod(shape)), reshape(B, -1)), *shape)


# Old names, and what is composed


@api(function=False, method=False, name="vander")
def vandermonde(x: Tensor, *, N: int | None = None) -> Tensor:
    """The powers 0 to ``N - 1`` of each element, in a last dimension; as many as elements unless told otherwise."""
    count = x.shape[-1] if N is None else N
    powers = expand(unsqueeze(x, -1), *x.shape, max(count - 1, 0))
    return cumprod(cat([ones(*x.shape, 1, dtype=x.dtype), powers], -1), -1)[..., :count]


@function_only
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of the elements of a vector in rows, falling unless ``increasing``."""
    if x.ndim != 1:
        raise OpError(f"x must be a one-dimensional tensor, not {x._type}")
    rows = vandermonde(x, N=N)
    return rows if increasing else flip(rows, -1)


@function_only
def chain_matmul(*matrices: Tensor) -> Tensor:
    """The product of matrices."""
    if not matrices:
        raise OpError("chain_matmul(): Expected one or more matrices")
    return reduce(matmul, matrices)


@api(eager_only=DECOMPOSED)
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """:func:`linalg.pinv` with singular values below ``rcond`` times the largest as 0. Eager only."""
    return pinv(input, rtol=rcond)


@api(eager_only=DECOMPOSED)
def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """The inverse of the matrix that has the factor ``L`` by :func:`cholesky`. Eager only."""
    return inv(matmul(L.mT, L) if upper else matmul(L, L.mT))


class TriangularSolution(NamedTuple):
    """The solution, and a copy of the matrix."""

    solution: Tensor
    cloned_coefficient: Tensor


@api(eager_only=DECOMPOSED)
def triangular_solve(
    b: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> TriangularSolution:
    """:func:`linalg.solve_triangular` of ``A``, or of its transpose, and a copy of ``A``. Eager only."""
    matrix, side = (A.mT, not upper) if transpose else (A, upper)
    return TriangularSolution(solve_triangular(matrix, b, upper=side, unitriangular=unitriangular), A.clone())


@api(eager_only=DECOMPOSED)
def qr(input: Tensor, some: bool = True) -> Qr:
    """:func:`linalg.qr`, complete unless ``some``. Eager only."""
    return reduced_qr(input, "reduced" if some else "complete")


@api(method=False, eager_only=DECOMPOSED)
def svd_lowrank(
    A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """``U``, ``S``, ``V`` of the ``q`` largest singular values of ``A - M``, nearly: of a random part. Eager only."""
    matrices("svd_lowrank", A)
    a = A if M is None else A - M
    rank, rounds = 6 if q is None else q, 2 if niter is None else niter
    basis = reduced_qr(matmul(a, randn(a.shape[-1], rank, dtype=a.dtype))).Q
    for _ in builtins.range(rounds):
        basis = reduced_qr(matmul(a, reduced_qr(matmul(a.mT, basis)).Q)).Q
    u, s, vh = full_svd(matmul(basis.mT, a), False)
    return matmul(basis, u), s, vh.mT


@api(method=False, eager_only=DECOMPOSED)
def pca_lowrank(A: Tensor, q: int | None = None, center: bool = True, niter: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """:func:`svd_lowrank` of rows, less their mean if ``center``: the principal components are in ``V``. Eager only."""
    matrices("pca_lowrank", A)
    rank = min(6, *A.shape[-2:]) if q is None else q
    if not 0 <= rank <= min(A.shape[-2:]):
        raise OpError(f"q(={rank}) must be non-negative integer and not greater than min(m, n)={min(A.shape[-2:])}")
    return svd_lowrank(A - mean(A, -2, True) if center else A, rank, niter)
