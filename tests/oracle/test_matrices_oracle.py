"""Diagonals, products, distances, stacks and cuts against PyTorch: values, dtypes, gradients, errors."""

from typing import Any

import numpy as np
import pytest

from tests.oracle.compare import agree, both_raise

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(17)
M = (3, 4)
WHOLE = RNG.integers(-3, 4, (3, 4))
SMALL = RNG.integers(1, 4, (4,))

CASES: dict[str, tuple[Any, ...]] = {
    "diag": (lambda t, x: (t.diag(x), x.diag(1), t.diag(x[0], 2), x[0].diag(-1)), M),
    "diagflat": (lambda t, x: (t.diagflat(x), x.diagflat(-1)), (2, 2)),
    "diag_embed": (lambda t, x: (t.diag_embed(x), x.diag_embed(1), x.diag_embed(-2, 0, 1), x.diag_embed(1, 2, 0)), M),
    "trace": (lambda t, x: (t.trace(x), x.trace()), M),
    "trace of ints": (lambda t, x: x.trace(), WHOLE),
    "tril_indices": (lambda t: (t.tril_indices(3, 4), t.tril_indices(3, 3, -1), t.tril_indices(2, 4, 1)),),
    "triu_indices": (lambda t: (t.triu_indices(3, 4), t.triu_indices(3, 3, 1, dtype=t.int32)),),
    "inner": (lambda t, x, y: (t.inner(x, y), x.inner(y[0]), t.inner(x[0], y[0]), t.inner(x, t.tensor(2.0))), M, M),
    "vdot": (lambda t, x, y: t.vdot(x, y), (4,), (4,)),
    "tensordot": (lambda t, x, y: (t.tensordot(x, y, 1), t.tensordot(x, y, ([1, 2], [1, 0]))), (2, 3, 4), (4, 3, 5)),
    "tensordot of nothing": (lambda t, x, y: t.tensordot(x, y, 0), (2,), (3,)),
    "addmv": (lambda t, x, a, v: (t.addmv(x, a, v), x.addmv(a, v, beta=0.5, alpha=2)), (3,), M, (4,)),
    "addr": (lambda t, x, a, v: (t.addr(x, a, v), x.addr(a, v, beta=0, alpha=2)), M, (3,), (4,)),
    "addbmm": (lambda t, x, a, b: t.addbmm(x, a, b, alpha=0.5), (2, 4), (3, 2, 5), (3, 5, 4)),
    "kron": (lambda t, x, y: (t.kron(x, y), t.kron(x[0], y), x.kron(y[1])), (2, 3), (3, 2)),
    "cross": (lambda t, x, y: (t.cross(x, y, 0), x.cross(y, dim=0), t.cross(x.T, y.T, dim=-1)), M, M),
    "cross broadcasts": (lambda t, x, y: t.cross(x, y, dim=1), (4, 3), (1, 3)),
    "block_diag": (lambda t, x, y: t.block_diag(x, y, x[0], t.tensor(2.0)), (2, 3), (1, 2)),
    "cartesian_prod": (lambda t, x, y: (t.cartesian_prod(x, y), t.cartesian_prod(x)), (3,), (2,)),
    "combinations": (lambda t, x: (t.combinations(x), t.combinations(x, 3), t.combinations(x, 2, True)), (4,)),
    "cdist": (lambda t, x, y: (t.cdist(x, y), t.cdist(x, y, 1.0), t.cdist(x, y, float("inf"))), M, (5, 4)),
    "cdist of batches": (lambda t, x, y: t.cdist(x, y, p=3), (2, 3, 4), (2, 5, 4)),
    "dist": (lambda t, x, y: (t.dist(x, y), x.dist(y, 1), x.dist(y[0], 3)), M, M),
    "renorm": (lambda t, x: (t.renorm(x * 3, 2, 0, 1.5), x.renorm(1, 1, 0.7)), M),
    "cov": (lambda t, x: (t.cov(x), x.cov(correction=0), x[0].cov(), x[:1].cov(), t.corrcoef(x[:1])), M),
    "cov with weights": (
        lambda t, x, n: (x.cov(fweights=n), x.cov(aweights=n * 0.5), x.cov(fweights=n, aweights=n * 0.5)), M, SMALL,
    ),
    "corrcoef": (lambda t, x: (t.corrcoef(x), x[0].corrcoef()), M),
    "as_strided": (lambda t, x: (x.as_strided((2, 3), (1, 2)), t.as_strided(x, (2, 2), (4, 1), 3)), M),
    "as_strided is a view": (lambda t, x: _strided(x * 1), M),
    "logspace": (lambda t: (t.logspace(0, 2, 5), t.logspace(0, 3, 4, base=2.0)),),
    "scalar_tensor": (lambda t: (t.scalar_tensor(3), t.scalar_tensor(2, dtype=t.int64)),),
    "fill": (lambda t, x: t.fill(x, 2.5), M),
    "atleast": (lambda t, x, y: (*t.atleast_1d(x, y), *t.atleast_2d(x, y), *t.atleast_3d(x, y)), (), (3,)),
    "atleast of one": (lambda t, x: (t.atleast_1d(x), t.atleast_2d(x), t.atleast_3d(x)), (3,)),
    "hstack": (lambda t, x, y: (t.hstack([x, y]), t.hstack((x[0], y[0]))), M, (3, 2)),
    "vstack": (lambda t, x, y: (t.vstack([x, y]), t.vstack((x[0], y[0])), t.row_stack((x, y))), M, (2, 4)),
    "dstack": (lambda t, x, y: (t.dstack([x, y]), t.dstack((x[0], y[0]))), M, M),
    "column_stack": (lambda t, x, y: t.column_stack([x[:, 0], y]), M, (3, 2)),
    "broadcast_tensors": (lambda t, x, y: t.broadcast_tensors(x, y), (3, 1), (4,)),
    "tensor_split": (
        lambda t, x: (*t.tensor_split(x, 3, 1), *x.tensor_split([1, 3], 1), *x.tensor_split((2, 1), 0)), (3, 5),
    ),
    "hsplit": (lambda t, x: (*t.hsplit(x, 2), *x[0].hsplit(2), *x.hsplit([1])), M),
    "vsplit": (lambda t, x: (*t.vsplit(x, 3), *x.vsplit([1])), M),
    "dsplit": (lambda t, x: t.dsplit(x, 2), (2, 3, 4)),
    "split_with_sizes": (lambda t, x: x.split_with_sizes([1, 3], 1), M),
    "flips": (lambda t, x: (t.fliplr(x), x.flipud()), M),
    "rot90": (lambda t, x: (*(t.rot90(x, k) for k in (-1, 0, 1, 2, 3)), x.rot90(1, (1, 2))), (2, 3, 4)),
    "sum_to_size": (lambda t, x: (x.sum_to_size(1, 4), x.sum_to_size(4), x.sum_to_size(3, 1)), M),
}  # fmt: skip


def _strided(x: Any) -> Any:
    x.as_strided((2, 2), (4, 1), 1).mul_(10)
    return x


@pytest.mark.parametrize("name", CASES)
def test_it_is_what_torch_computes(name: str) -> None:
    call, *shapes = CASES[name]
    agree(call, *shapes)


ERRORS: dict[str, tuple[Any, ...]] = {
    "diag of a cube": (lambda t, x: x.diag(), (2, 2, 2)),
    "trace of a vector": (lambda t, x: x.trace(), (3,)),
    "cross of other sizes": (lambda t, x, y: t.cross(x, y, 0), M, (2, 4)),
    "cross of two": (lambda t, x: t.cross(x, x, dim=0), (2, 4)),
    "tensordot of other sizes": (lambda t, x, y: t.tensordot(x, y, 1), M, M),
    "cartesian_prod of a matrix": (lambda t, x: t.cartesian_prod(x, x), M),
    "combinations of a matrix": (lambda t, x: t.combinations(x), M),
    "cdist of other widths": (lambda t, x, y: t.cdist(x, y), M, (3, 5)),
    "hsplit that does not divide": (lambda t, x: x.hsplit(3), M),
    "vsplit of a vector": (lambda t, x: x.vsplit(1), (3,)),
    "tensor_split in none": (lambda t, x: x.tensor_split(0), M),
    "rot90 of one dimension": (lambda t, x: x.rot90(1, (0,)), M),
    "sum to another size": (lambda t, x: x.sum_to_size(2, 4), M),
    "as_strided too far": (lambda t, x: x.as_strided((4, 4), (4, 1), 1), M),
}


@pytest.mark.parametrize("name", ERRORS)
def test_it_raises_as_torch_does(name: str) -> None:
    call, *shapes = ERRORS[name]
    both_raise(call, *shapes)
