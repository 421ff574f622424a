"""Decompositions, inverses, solutions and norms of matrices against PyTorch: values, gradients, errors, steps."""

from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import OpError, TraceError
from tests.oracle.compare import agree, both_raise

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(23)
SQUARE = (RNG.standard_normal((3, 3)) + 3 * np.eye(3)).astype(np.float32)
BATCH = (RNG.standard_normal((2, 3, 3)) + 3 * np.eye(3)).astype(np.float32)
POSITIVE = (BATCH @ BATCH.swapaxes(1, 2)).astype(np.float32)
SINGULAR = np.array([[1, 2, 3], [2, 4, 6], [1, 0, 1]], np.float32)
TALL, WIDE = (5, 3), (3, 5)
inf = float("inf")


def fixed(vectors: Any) -> Any:
    """Vectors up to their signs, which any library chooses: their outer products."""
    return vectors.unsqueeze(-1).transpose(-1, -2) * vectors.unsqueeze(-2)


CASES: dict[str, tuple[Any, ...]] = {
    "inv": (lambda t, x, y: (t.linalg.inv(x), t.inverse(y), x.inverse()), SQUARE, BATCH),
    "det": (lambda t, x, y: (t.linalg.det(x), t.det(y), x.det()), SQUARE, BATCH),
    "slogdet": (lambda t, x, y: (*t.linalg.slogdet(x), *t.slogdet(y)), SQUARE, BATCH),
    "logdet": (lambda t, x: t.logdet(x), POSITIVE),
    "solve": (lambda t, a, b: t.linalg.solve(a, b), SQUARE, (3, 2)),
    "solve for a vector": (lambda t, a, b: t.linalg.solve(a, b), SQUARE, (3,)),
    "solve in batches": (lambda t, a, b: (t.linalg.solve(a, b), t.linalg.solve(a, b[:, 0])), BATCH, (2, 3, 3)),
    "solve for one side": (lambda t, a, b: t.linalg.solve(a, b), BATCH, (1, 3, 2)),
    "solve from the right": (lambda t, a, b: t.linalg.solve(a, b, left=False), SQUARE, (2, 3)),
    "solve_triangular": (
        lambda t, a, b: (
            t.linalg.solve_triangular(a, b, upper=True),
            t.linalg.solve_triangular(a, b, upper=False, unitriangular=True),
        ),
        SQUARE, (3, 2),
    ),
    "lu": (lambda t, x, y: (*t.linalg.lu(x)[1:], *t.linalg.lu(y)[1:]), SQUARE[::-1].copy(), BATCH),
    "lu of other sizes": (lambda t, x, y: (*t.linalg.lu(x.detach()), *t.linalg.lu_factor(y.detach())), TALL, WIDE),
    "lu_factor_ex": (lambda t, x: (*t.linalg.lu_factor_ex(x.detach()), *t.lu(x.detach(), get_infos=True)), SINGULAR),
    "lu_solve": (
        lambda t, x, b: tuple(
            t.linalg.lu_solve(*t.linalg.lu_factor(x), b, left=left, adjoint=adjoint)
            for left in (True, False) for adjoint in (True, False)
        ),
        BATCH, (2, 3, 3),
    ),
    "inv_ex": (lambda t, x: tuple(t.linalg.inv_ex(x)), BATCH),
    "inv_ex of singular": (lambda t, x: t.linalg.inv_ex(x.detach()).info > 0, np.stack([SINGULAR, SQUARE])),
    "solve_ex": (lambda t, x, b: tuple(t.linalg.solve_ex(x, b, left=False)), SQUARE, (2, 3)),
    "cholesky_ex": (lambda t, x: tuple(t.linalg.cholesky_ex(x, upper=True)), POSITIVE),
    "cholesky_ex of others": (
        lambda t, x: (t.linalg.cholesky_ex(x.detach()).info, t.linalg.cholesky_ex(x)[0][1]),
        np.stack([np.diag([1, -1, 2]).astype(np.float32), POSITIVE[0]]),
    ),
    "householder_product": (lambda t, a, tau: t.linalg.householder_product(a, tau), TALL, (3,)),
    "ormqr": (lambda t, a, b: t.ormqr(*t.geqrf(a.detach()), b, False, True), TALL, (2, 5)),
    "tensorinv": (lambda t, x: t.linalg.tensorinv(x, ind=1), (6, 2, 3)),
    "tensorsolve": (lambda t, x, b: t.linalg.tensorsolve(x, b, dims=(0,)), (6, 2, 3), (2, 3)),
    "vander": (lambda t, x: (t.linalg.vander(x), t.vander(x[0].detach(), 2)), (2, 3)),
    "triangular_solve": (lambda t, x, b: t.triangular_solve(b, x, False, True)[0], SQUARE, (3, 2)),
    "cholesky_inverse": (lambda t, x: t.cholesky_inverse(t.linalg.cholesky(x)), POSITIVE),
    "pca_lowrank": (lambda t, x: t.pca_lowrank(x.detach(), 3)[1], TALL),
    "cholesky": (lambda t, a: (t.linalg.cholesky(a), t.linalg.cholesky(a, upper=True)), POSITIVE),
    "cholesky_solve": (lambda t, a, b: t.cholesky_solve(b, t.linalg.cholesky(a)), POSITIVE[0], (3, 2)),
    "eigh": (lambda t, a: (t.linalg.eigh(a)[0], fixed(t.linalg.eigh(a)[1])), POSITIVE),
    "eigvalsh": (lambda t, a: t.linalg.eigvalsh(a + a.mT), SQUARE),
    "svd": (lambda t, a: (t.linalg.svd(a, False)[1], fixed(t.linalg.svd(a, full_matrices=False)[0])), TALL),
    "svd of wide": (lambda t, a: (t.linalg.svd(a).S, fixed(t.linalg.svd(a, False).Vh.mT)), WIDE),
    "svd by its old name": (lambda t, a: (t.svd(a)[1], fixed(t.svd(a)[2])), TALL),
    "svdvals": (lambda t, a: t.linalg.svdvals(a), (2, 4, 3)),
    "qr": (lambda t, a: tuple(t.linalg.qr(a)), TALL),
    "qr r": (lambda t, a: t.linalg.qr(a.detach(), mode="r")[1], TALL),
    "qr complete": (lambda t, a: tuple(t.linalg.qr(a.detach(), "complete")), TALL),
    "pinv": (lambda t, a, b: (t.linalg.pinv(a), t.linalg.pinv(b)), TALL, WIDE),
    "lstsq": (lambda t, a, b: t.linalg.lstsq(a, b).solution, TALL, (5, 2)),
    "matrix_rank": (lambda t, a, b: (t.linalg.matrix_rank(a), t.linalg.matrix_rank(b)), SINGULAR, SQUARE),
    "matrix_power": (lambda t, a: tuple(t.linalg.matrix_power(a, n) for n in (-2, -1, 0, 1, 2, 5)), SQUARE),
    "matrix_exp": (lambda t, a: (t.linalg.matrix_exp(a), t.matrix_exp(a * 0.01)), SQUARE),
    "multi_dot": (lambda t, a, b, c: t.linalg.multi_dot([a, b, c]), (2, 3), (3, 4), (4,)),
    "vecdot": (lambda t, a, b: (t.linalg.vecdot(a, b), t.linalg.vecdot(a, b, dim=0)), (3, 4), (3, 4)),
    "cross": (lambda t, a, b: t.linalg.cross(a, b), (4, 3), (1, 3)),
    "diagonal": (lambda t, a: t.linalg.diagonal(a, offset=1), (2, 3, 4)),
    "vector_norm": (lambda t, a: (t.linalg.vector_norm(a), t.linalg.vector_norm(a, 1, 0)), (3, 4)),
    "matrix_norm": (
        lambda t, a: tuple(t.linalg.matrix_norm(a, p, keepdim=p == 1) for p in ("fro", "nuc", inf, -inf, 1, -1, 2, -2)),
        (2, 3, 4),
    ),
    "norm": (lambda t, a: (t.linalg.norm(a), t.linalg.norm(a, 1), t.linalg.norm(a, 1, 0)), WIDE),
    "norm in doubles": (lambda t, a: t.linalg.norm(a, 2, dim=(0, 1), dtype=t.float64), WIDE),
    "cond": (lambda t, a: (t.linalg.cond(a.detach()), t.linalg.cond(a.detach(), 1)), SQUARE),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*deprecated:UserWarning")
@pytest.mark.parametrize("name", CASES)
def test_it_is_what_torch_computes(name: str) -> None:
    call, *shapes = CASES[name]
    agree(call, *shapes, rtol=1e-4, atol=1e-5)


ERRORS: dict[str, tuple[Any, ...]] = {
    "inv of a wide matrix": (lambda t, a: t.linalg.inv(a), WIDE),
    "inv of ints": (lambda t, a: t.linalg.inv(a), np.eye(2, dtype=np.int64)),
    "det of a vector": (lambda t, a: t.linalg.det(a), (3,)),
    "solve of other sizes": (lambda t, a, b: t.linalg.solve(a, b), SQUARE, (2, 2)),
    "qr in another mode": (lambda t, a: t.linalg.qr(a, "raw"), TALL),
    "matrix_norm of another order": (lambda t, a: t.linalg.matrix_norm(a, 3), WIDE),
}


@pytest.mark.parametrize("name", ERRORS)
def test_it_raises_as_torch_does(name: str) -> None:
    call, *shapes = ERRORS[name]
    both_raise(call, *shapes)


@pytest.mark.parametrize("name", ["inv", "cholesky"])
def test_a_matrix_that_has_none_is_an_error(name: str) -> None:
    with pytest.raises(OpError, match=rf"linalg\.{name}\(f32\[2,2\]\): the input is not as it must be"):
        getattr(genesis.linalg, name)(-genesis.ones(2, 2))


def test_an_inverse_has_second_derivatives() -> None:
    def slopes(t: Any, x: Any) -> Any:
        (first,) = t.autograd.grad(t.linalg.inv(x).sum(), x, create_graph=True)
        return (first * first).sum()

    agree(slopes, SQUARE, rtol=1e-4)


@pytest.mark.parametrize("name", ["inv", "det", "cholesky", "eigh", "svd", "qr", "pinv", "slogdet", "matrix_exp"])
def test_a_step_says_that_decompositions_run_outside(name: str) -> None:
    step = genesis.compile(lambda x: getattr(genesis.linalg, name)(x))
    with pytest.raises(TraceError, match=r"outside compiled steps: compute it there and pass the result in"):
        step(genesis.tensor(SQUARE))


def test_products_and_norms_compile() -> None:
    def step(x: Any) -> Any:
        return genesis.linalg.matrix_power(x, 3), genesis.linalg.matrix_norm(x), genesis.linalg.norm(x, 1)

    x = genesis.tensor(SQUARE)
    for compiled, eager in zip(genesis.compile(step)(x), step(x), strict=True):
        np.testing.assert_allclose(compiled.numpy(), eager.numpy(), 1e-5)
