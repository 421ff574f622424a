"""Decompositions, inverses and solutions of matrices, by NumPy: only outside compiled steps, with gradients.

Gradients: M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation",
2008;
G. Golub and V. Pereyra, "The differentiation of pseudo-inverses", 1973.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from compiler.errors import OpError, UnsupportedError
from compiler.ir.types import f32, f64
from genesis.custom import Function
from genesis.functions.creation import eye
from genesis.functions.matrices import cross, diag_embed
from genesis.functions.pointwise import div
from genesis.functions.products import matmul
from genesis.functions.rearranging import diagonal
from genesis.functions.reductions import amax, amin, norm, sum
from genesis.functions.shapes import squeeze, tril, triu, unsqueeze
from genesis.functions.table import api, decomposition, linalg
from genesis.scope import DECOMPOSED
from genesis.tensor import Tensor, copied, from_array, wrap

_ADVICE = "decompositions run on the CPU, outside compiled steps: compute it there and pass the result in"


def matrices(name: str, input: Tensor, square: bool = False) -> np.ndarray:
    """The contents of a matrix or a batch of them, of float32 or float64."""
    if input.dtype not in (f32, f64):
        raise OpError(f"linalg.{name}: Expected a tensor of float32 or float64, not {input._type}")
    if input.ndim < 2:
        raise OpError(f"linalg.{name}: The input tensor must have at least 2 dimensions, not {input._type}")
    if square and input.shape[-1] != input.shape[-2]:
        raise OpError(f"linalg.{name}: must be batches of square matrices, but they are {input._type}")
    return input._array(f"linalg.{name}()", _ADVICE)


def _computed(name: str, function: Callable[..., Any], *arrays: np.ndarray, **options: Any) -> tuple[Tensor, ...]:
    """The results of a function of NumPy as tensors of the operands' type."""
    try:
        results = function(*arrays, **options)
    except np.linalg.LinAlgError as error:
        raise OpError(f"linalg.{name}: the input is not as it must be: {error}") from None
    several = results if isinstance(results, tuple) else (results,)
    return tuple(from_array(np.array(r, arrays[0].dtype, order="C")) for r in several)


def _kept(ctx: Any, name: str, compute: Callable[..., Any], a: Tensor) -> Tensor:
    """The one result of square matrices, which the gradient is made of."""
    (result,) = _computed(name, compute, matrices(name, a, square=True))
    ctx.save_for_backward(result)
    return result


# Inverses, solutions and determinants


class _Inverse(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        return _kept(ctx, "inv", np.linalg.inv, a)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        (b,) = ctx.saved_tensors
        return -matmul(matmul(b.mT, g), b.mT)


@decomposition
def inv(A: Tensor) -> Tensor:
    """The inverse of square matrices ``[*, n, n]``. Eager only; raises for a singular one."""
    result: Tensor = _Inverse.apply(A)
    return result


@api(eager_only=DECOMPOSED)
def inverse(input: Tensor) -> Tensor:
    """The inverse of square matrices ``[*, n, n]``. Eager only; raises for a singular one."""
    return inv(input)


class _Solve(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        left, right = matrices("solve", a, square=True), matrices("solve", b)
        if left.shape[-1] != right.shape[-2]:
            raise OpError(f"linalg.solve: Incompatible shapes of A and B: {a._type} and {b._type}")
        (result,) = _computed("solve", np.linalg.solve, left, right)
        ctx.save_for_backward(a, result)
        ctx.shapes = tuple(a.shape), tuple(b.shape)
        return result

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:
        a, x = ctx.saved_tensors
        to_b = _Solve.apply(a.mT, g)
        to_a = -matmul(to_b, x.mT)
        return to_a.sum_to_size(ctx.shapes[0]), to_b.sum_to_size(ctx.shapes[1])


@decomposition
def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """``X`` with ``A X = B`` (``X A = B`` if not ``left``); ``B`` is a vector, or matrices. Eager only."""
    if not left:
        return solve(A.mT, B.mT).mT
    vector = B.ndim == 1 or (B.ndim == A.ndim - 1 and B.shape == A.shape[:-1])
    result: Tensor = _Solve.apply(A, unsqueeze(B, -1) if vector else B)
    return squeeze(result, -1) if vector else result


@decomposition
def solve_triangular(A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Tensor:
    """:func:`solve` with one triangle of ``A``, the diagonal taken for ones if ``unitriangular``. Eager only."""
    part = triu(A, int(unitriangular)) if upper else tril(A, -int(unitriangular))
    if unitriangular:
        part = part + eye(A.shape[-1], dtype=A.dtype)
    return solve(part, B, left=left)


@api(eager_only=DECOMPOSED)
def cholesky_solve(input: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """``X`` with ``L L^T X = input``, of a factor by :func:`cholesky`. Eager only."""
    return solve(matmul(L.mT, L) if upper else matmul(L, L.mT), input)


class _LogDeterminant(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> tuple[Tensor, Tensor]:
        array = matrices("slogdet", a, square=True)
        sign, logarithm = _computed("slogdet", lambda x: tuple(np.linalg.slogdet(x)), array)
        ctx.save_for_backward(a)
        ctx.mark_non_differentiable(sign)
        return sign, logarithm

    @staticmethod
    def backward(ctx: Any, _: Tensor, g: Tensor) -> Tensor:
        (a,) = ctx.saved_tensors
        return inv(a).mT * g[..., None, None]


class _Determinant(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        (result,) = _computed("det", np.linalg.det, matrices("det", a, square=True))
        ctx.save_for_backward(a, result)
        return result

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        a, result = ctx.saved_tensors
        u, s, vh = np.linalg.svd(a._array("det"))
        if (s[..., -1:] > s[..., :1] * s.shape[-1] * np.finfo(s.dtype).eps).all():
            return inv(a).mT * (g * result)[..., None, None]
        # The cofactors exist where the inverse does not; they have no gradient here.
        others = np.stack([np.delete(s, i, -1).prod(-1) for i in range(s.shape[-1])], -1)
        cofactors = np.linalg.det(u @ vh)[..., None, None] * (u * others[..., None, :]) @ vh
        return from_array(cofactors.astype(a.dtype.numpy)) * g[..., None, None]


@api(eager_only=DECOMPOSED)
def det(input: Tensor) -> Tensor:
    """The determinants of square matrices ``[*, n, n]``. Eager only."""
    result: Tensor = _Determinant.apply(input)
    return result


class SignLogDeterminant(NamedTuple):
    """The sign of a determinant, and the logarithm of its absolute value."""

    sign: Tensor
    logabsdet: Tensor


@api(eager_only=DECOMPOSED)
def slogdet(input: Tensor) -> SignLogDeterminant:
    """The sign of determinants, and the logarithms of their absolute values. Eager only."""
    return SignLogDeterminant(*_LogDeterminant.apply(input))


@api(eager_only=DECOMPOSED)
def logdet(input: Tensor) -> Tensor:
    """The logarithms of determinants; NaN of negative ones. Eager only."""
    sign, logarithm = slogdet(input)
    return logarithm.masked_fill(sign < 0, float("nan"))


# Decompositions


class _Cholesky(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        return _kept(ctx, "cholesky", np.linalg.cholesky, a)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        (factor,) = ctx.saved_tensors
        inner = tril(matmul(factor.mT, g))
        inner = inner - diag_embed(diagonal(inner, 0, -2, -1)) * 0.5
        back = inv(factor)
        spread = matmul(matmul(back.mT, inner), back)
        return (spread + spread.mT) * 0.5


@api(eager_only=DECOMPOSED)
def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """The lower triangular ``L`` with ``L L^T = input``, or its transpose. Eager only; raises if there is none."""
    factor: Tensor = _Cholesky.apply(input)
    return factor.mT if upper else factor


class Eigen(NamedTuple):
    """Eigenvalues in ascending order, and eigenvectors as columns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class _Eigen(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, lower: bool) -> tuple[Tensor, Tensor]:
        array = matrices("eigh", a, square=True)
        values, vectors = _computed("eigh", lambda x: tuple(np.linalg.eigh(x, "L" if lower else "U")), array)
        ctx.save_for_backward(values, vectors)
        return values, vectors

    @staticmethod
    def backward(ctx: Any, to_values: Tensor, to_vectors: Tensor) -> tuple[Tensor, None]:
        values, vectors = ctx.saved_tensors
        turns = matmul(vectors.mT, to_vectors)
        turns = (turns - turns.mT) * 0.5 * _inverse_gaps(values)
        return matmul(matmul(vectors, turns + diag_embed(to_values)), vectors.mT), None


def _inverse_gaps(values: Tensor) -> Tensor:
    """``1 / (values[j] - values[i])``, 0 on the diagonal."""
    gaps = unsqueeze(values, -2) - unsqueeze(values, -1)
    one = eye(values.shape[-1], dtype=values.dtype)
    return div(1 - one, gaps + one)


@decomposition
def eigh(A: Tensor, UPLO: str = "L") -> Eigen:
    """Eigenvalues and eigenvectors of symmetric matrices, of which one triangle is read. Eager only."""
    return Eigen(*_Eigen.apply(A, UPLO == "L"))


@decomposition
def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """Eigenvalues of symmetric matrices, in ascending order. Eager only."""
    return eigh(A, UPLO).eigenvalues


class Svd(NamedTuple):
    """``U``, the singular values in descending order, and the transpose of ``V``."""

    U: Tensor
    S: Tensor
    Vh: Tensor


class _Svd(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, full: bool) -> tuple[Tensor, ...]:
        array = matrices("svd", a)
        results = _computed("svd", lambda x: tuple(np.linalg.svd(x, full_matrices=full)), array)
        ctx.save_for_backward(*results)
        ctx.square = results[0].shape[-1] == results[2].shape[-2]
        return results

    @staticmethod
    def backward(ctx: Any, to_u: Tensor, to_s: Tensor, to_vh: Tensor) -> tuple[Tensor, None]:
        u, s, vh = ctx.saved_tensors
        n = s.shape[-1]
        if not ctx.square:
            if to_u.numel() and (to_u._array("svd").any() or to_vh._array("svd").any()):
                raise UnsupportedError("gradients of U and V of svd(full_matrices=True); take full_matrices=False")
            return matmul(u[..., :n] * unsqueeze(to_s, -2), vh[..., :n, :]), None
        gaps = _inverse_gaps(s * s)
        left, right = matmul(u.mT, to_u), matmul(vh, to_vh.mT)
        inner = (left - left.mT) * gaps * unsqueeze(s, -2) + unsqueeze(s, -1) * ((right - right.mT) * gaps)
        found = matmul(matmul(u, inner + diag_embed(to_s)), vh)
        if u.shape[-2] > n:
            rest = (to_u - matmul(u, left)) / unsqueeze(s, -2)
            found = found + matmul(rest, vh)
        if vh.shape[-1] > n:
            rest = (to_vh - matmul(right.mT, vh)) / unsqueeze(s, -1)
            found = found + matmul(u, rest)
        return found, None


@api(function=False, method=False, name="svd", eager_only=DECOMPOSED)
def full_svd(A: Tensor, full_matrices: bool = True) -> Svd:
    """``A = U diag(S) Vh``; ``full_matrices`` makes ``U`` and ``Vh`` square. Eager only."""
    return Svd(*_Svd.apply(A, full_matrices))


@decomposition
def svdvals(A: Tensor) -> Tensor:
    """The singular values, in descending order. Eager only."""
    return full_svd(A, False).S


@api(eager_only=DECOMPOSED)
def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """``U``, ``S`` and ``V`` (not its transpose) with ``input = U diag(S) V^T``. Eager only."""
    u, s, vh = full_svd(input, not some)
    return u, s, vh.mT


class Qr(NamedTuple):
    """A matrix with orthonormal columns, and an upper triangular one."""

    Q: Tensor
    R: Tensor


class _Qr(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, mode: Any) -> tuple[Tensor, ...]:
        results = _computed("qr", lambda x: tuple(np.linalg.qr(x, mode)), matrices("qr", a))
        ctx.save_for_backward(*results)
        return results

    @staticmethod
    def backward(ctx: Any, to_q: Tensor, to_r: Tensor) -> tuple[Tensor, None]:
        q, r = ctx.saved_tensors
        if r.shape[-1] != r.shape[-2]:
            raise UnsupportedError("gradients of qr of wide matrices, or with mode='complete'")
        inner = matmul(r, to_r.mT) - matmul(to_q.mT, q)
        both = tril(inner) + tril(inner, -1).mT
        return solve(r, (to_q + matmul(q, both)).mT).mT, None


@decomposition
def qr(A: Tensor, mode: str = "reduced") -> Qr:
    """``A = Q R``; ``mode`` "reduced", "complete" or "r". Eager only."""
    if mode not in ("reduced", "complete", "r"):
        raise OpError(f"qr received unrecognized mode '{mode}' but expected one of 'reduced', 'r', or 'complete'")
    q, r = _Qr.apply(A, "reduced" if mode == "r" else mode)
    return Qr(q[..., :0, :0].reshape(0) if mode == "r" else q, r)


class _PseudoInverse(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, rtol: float) -> Tensor:
        (result,) = _computed("pinv", lambda x: np.linalg.pinv(x, rtol), matrices("pinv", a))
        ctx.save_for_backward(a, result)
        return result

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        a, p = ctx.saved_tensors
        first = matmul(g.mT - matmul(matmul(a, p), g.mT), matmul(p, p.mT))
        second = matmul(matmul(p.mT, p), g.mT - matmul(matmul(g.mT, p), a))
        return first + second - matmul(matmul(p.mT, g), p.mT), None


@decomposition
def pinv(A: Tensor, *, atol: Any = None, rtol: float | None = None, hermitian: bool = False) -> Tensor:
    """The pseudo-inverse; singular values below ``rtol`` times the largest count as 0. Eager only."""
    cut = max(A.shape[-2:]) * float(np.finfo(A.dtype.numpy).eps) if rtol is None else rtol
    result: Tensor = _PseudoInverse.apply(A, cut)
    return result


class LeastSquares(NamedTuple):
    """The solution of a least-squares problem, its residuals, and the rank and singular values of its matrix."""

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


@decomposition
def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> LeastSquares:
    """``X`` with the least ``|A X - B|``, by the pseudo-inverse. Eager only."""
    vector = B.ndim == A.ndim - 1
    right = unsqueeze(B, -1) if vector else B
    found = matmul(pinv(A, rtol=rcond), right)
    left_over = right - matmul(A, found)
    residuals = sum(left_over * left_over, -2)
    tall = A.shape[-2] > A.shape[-1]
    return LeastSquares(
        squeeze(found, -1) if vector else found, residuals if tall else residuals[..., :0], matrix_rank(A), svdvals(A)
    )


@decomposition
def matrix_rank(A: Tensor, *, atol: Any = None, rtol: float | None = None, hermitian: bool = False) -> Tensor:
    """How many singular values are above ``rtol`` times the largest. Eager only."""
    cut = max(A.shape[-2:]) * float(np.finfo(A.dtype.numpy).eps) if rtol is None else rtol
    values = svdvals(A.detach())
    return sum(values > amax(values, -1, True) * cut, -1)


# Powers and chains


@api()
def matrix_power(input: Tensor, n: int) -> Tensor:
    """``n`` equal matrices multiplied; a negative ``n`` takes the inverse (eager only)."""
    if input.ndim < 2 or input.shape[-1] != input.shape[-2]:
        raise OpError(f"linalg.matrix_power: must be batches of square matrices, but they are {input._type}")
    if n < 0:
        return matrix_power(inv(input), -n)
    result: Tensor | None = None
    while n:
        if n % 2:
            result = wrap(copied(input)) if result is None else matmul(result, input)
        n //= 2
        input = matmul(input, input) if n else input
    return eye(input.shape[-1], dtype=input.dtype).expand(*input.shape).clone() if result is None else result


@api(eager_only=DECOMPOSED)
def matrix_exp(input: Tensor) -> Tensor:
    """The exponential of square matrices: a Taylor series of ``input / 2**s``, squared ``s`` times. Eager only."""
    size = float(np.abs(matrices("matrix_exp", input, square=True)).sum(-1).max(initial=0))
    squarings = max(0, int(np.ceil(np.log2(max(size, 1e-30)))) + 1)
    small = input / 2.0**squarings
    one = eye(input.shape[-1], dtype=input.dtype)
    result = reduce(lambda found, k: one + matmul(small, found) / k, range(18, 0, -1), one + input * 0)
    return reduce(lambda found, _: matmul(found, found), range(squarings), result)


@linalg
def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of matrices; the first and the last may be vectors."""
    if len(tensors) < 2:
        raise OpError(f"multi_dot(): expected at least 2 tensors but got {len(tensors)}")
    return reduce(matmul, tensors)


@linalg
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The sum of products along ``dim``; the two broadcast."""
    return sum(x * y, dim)


# Norms


@linalg
def matrix_norm(
    A: Tensor, ord: Any = "fro", dim: tuple[int, int] = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """A norm of matrices in ``dim``: "fro", "nuc", inf, -inf, 1, -1, 2 or -2 (with "nuc" by svd, eager only)."""
    input = A if dtype is None else A.to(dtype)
    if ord == "fro":
        return norm(input, 2, dim, keepdim)
    rows, columns = (d % input.ndim for d in dim)
    if ord in ("nuc", 2, -2):
        values = svdvals(input.movedim((rows, columns), (-2, -1)))
        found = sum(values, -1) if ord == "nuc" else _extremum(values, -1, ord)
        return unsqueeze(unsqueeze(found, min(rows, columns)), max(rows, columns)) if keepdim else found
    if ord not in (1, -1, float("inf"), -float("inf")):
        raise OpError(f"linalg.matrix_norm: Order {ord} not supported.")
    along, other = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = sum(input.abs(), along, True)
    found = _extremum(sums, other, ord, True)
    return found if keepdim else squeeze(squeeze(found, max(rows, columns)), min(rows, columns))


def _extremum(sizes: Tensor, axis: int, ord: float, keepdim: bool = False) -> Tensor:
    """The largest size for a norm of a positive order, 0 of none; the smallest for a negative one."""
    if ord > 0 and not sizes.shape[axis]:
        return sum(sizes, axis, keepdim)
    return (amax if ord > 0 else amin)(sizes, axis, keepdim)


@linalg
def vector_norm(x: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The norm of order ``ord`` over ``dim``, or of all elements."""
    return norm(x, ord, dim, keepdim, dtype)


@api(function=False, method=False, name="norm")
def matrix_or_vector_norm(
    A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """:func:`matrix_norm` for an ``ord`` of matrices, or of two dimensions ``dim``; else :func:`vector_norm`."""
    pair = dim if isinstance(dim, tuple | list) and len(dim) == 2 else (-2, -1) if dim is None and A.ndim == 2 else None
    if ord is not None and pair is not None:
        return matrix_norm(A, ord, (pair[0], pair[1]), keepdim, dtype=dtype)
    return norm(A, 2 if ord is None else ord, dim, keepdim, dtype)


@api(function=False, method=False, name="diagonal")
def last_diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonal of two dimensions, the last ones unless told otherwise; a view."""
    return diagonal(A, offset, dim1, dim2)


@api(function=False, method=False, name="cross")
def last_cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The cross product along ``dim``; the two broadcast."""
    return cross(input, other, dim)


@decomposition
def cond(A: Tensor, p: Any = None) -> Tensor:
    """How much a solution with these matrices may magnify errors: the norm times the inverse's norm. Eager only."""
    if p in (None, 2):
        values = svdvals(A)
        return values[..., 0] / values[..., -1]
    return matrix_norm(A, p) * matrix_norm(inv(A), p)
