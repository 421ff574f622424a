"""Scatters and look-ups by index tensors against PyTorch: values, dtypes, gradients, errors."""

from typing import Any

import numpy as np
import pytest

from tests.oracle.compare import agree, both_raise

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(13)
M = (3, 4)
WHOLE = RNG.integers(-3, 4, (3, 4))
FLAGS = RNG.random((3, 4)) < 0.5
PLACES = np.array([[0, 2, 1, 3], [3, 1, 0, 2]])
REPEATED = np.array([[0, 2, 0], [1, 1, 1], [2, 0, 2]])
ROWS = np.array([2, 0, 2, 1])
TWO = np.array([2, 0])
ZEROS = np.array([[0, 2, 0, 1], [3, 0, 1, 0], [0, 0, 0, 2]], np.float32)
FEWER = ZEROS[:, 1:].copy()
REDUCE = ("sum", "prod", "mean", "amax", "amin")

CASES: dict[str, tuple[Any, ...]] = {
    "scatter": (lambda t, x, i, y: (x.scatter(1, i, y), t.scatter(x, -1, i, src=y)), M, PLACES, (2, 4)),
    "scatter a number": (lambda t, x, i: (x.scatter(1, i, 2.5), x.scatter(1, i[:1], value=1)), M, PLACES),
    "scatter along the first": (lambda t, x, i, y: x.scatter(0, i[:, :3] % 2, y), (4, 3), PLACES, (2, 3)),
    "scatter of ints": (lambda t, x, i: x.scatter(1, i, x[:2]), WHOLE, PLACES),
    "scatter_": (lambda t, x, i, y: (x * 1).scatter_(1, i, y) * 2, M, PLACES, (2, 4)),
    "scatter one-hot": (lambda t, i: t.zeros(2, 4).scatter_(1, i[:, :1], 1.0), PLACES),
    "scatter multiply": (lambda t, x, i: x.detach().scatter(1, i, 3, reduce="multiply"), M, REPEATED),
    "scatter of nothing": (lambda t, x: x.detach().scatter(1, t.zeros(0, 0, dtype=t.int64), x.detach()), M),
    "scatter 0-d": (lambda t, x, y: x.scatter(0, t.tensor(0), y), (), ()),
    **{
        f"scatter_reduce {how} {own}": (
            lambda t, x, i, y, how=how, own=own: x.scatter_reduce(1, i, y, how, include_self=own),
            M, REPEATED, (3, 3),
        )
        for how in REDUCE
        for own in (True, False)
    },
    **{
        f"scatter_reduce {how} of ints": (lambda t, x, i, how=how: x.scatter_reduce(1, i, x + 1, how), WHOLE, REPEATED)
        for how in REDUCE
    },
    "scatter_reduce at zeros": (lambda t, x, i, y: x.scatter_reduce(1, i, y, "prod"), ZEROS, REPEATED, FEWER),
    "scatter_reduce ties": (lambda t, x, i, y: x.scatter_reduce(1, i, y, "amax"), ZEROS, REPEATED, FEWER),
    "scatter_reduce in bf16": (
        lambda t, x, i, y: x.bfloat16().scatter_reduce(1, i, y.bfloat16(), "sum"), M, REPEATED, (3, 3),
    ),
    "index_add": (lambda t, x, i, y: (x.index_add(0, i, y), t.index_add(x, 0, i, y, alpha=2)), M, ROWS, (4, 4)),
    "index_add of columns": (lambda t, x, i, y: x.index_add(1, i, y), (2, 3), ROWS, (2, 4)),
    "index_add of ints": (lambda t, x, i: x.index_add(1, i, x), WHOLE, ROWS),
    "index_add_": (lambda t, x, i, y: (x * 1).index_add_(0, i, y).exp(), M, ROWS, (4, 4)),
    "index_add 0-d": (lambda t, x, y: x.index_add(0, t.tensor(0), y), (), ()),
    "index_copy": (lambda t, x, i, y: x.index_copy(0, i, y), M, TWO, (2, 4)),
    "index_copy of columns": (lambda t, x, i, y: (x * 1).index_copy_(1, i, y), M, TWO, (3, 2)),
    "index_fill": (lambda t, x, i: (x.index_fill(1, i, -1.5), (x * 1).index_fill_(0, i - 3, 2)), M, TWO),
    "index_fill by a tensor": (lambda t, x, i: x.index_fill(1, i, t.tensor(3.0)), M, TWO),
    **{
        f"index_reduce {how}": (lambda t, x, i, y, how=how: x.index_reduce(0, i, y, how), M, ROWS, (4, 4))
        for how in ("prod", "mean", "amax", "amin")
    },
    "index_put": (lambda t, x, i, y: (x * 1).index_put((i,), y), M, TWO, (2, 4)),
    "index_put by two": (lambda t, x, i, y: (x * 1).index_put_((i, i + 1), y), M, TWO, (2,)),
    "index_put accumulates": (lambda t, x, i, y: x.index_put((i,), y, accumulate=True), M, ROWS, (4, 4)),
    "index_put accumulates one": (lambda t, x, i, y: x.index_put((i % 3, i), y, True), M, ROWS, ()),
    "put": (lambda t, x, i, y: x.put(i[:1], y[:1]), M, PLACES, M),
    "put accumulates": (lambda t, x, i, y: (x * 1).put_(i - 3, y, accumulate=True), M, ROWS, (4,)),
    "take": (lambda t, x, i: (t.take(x, i), x.take(i - 12), x.take(t.tensor(3))), M, PLACES),
    "take_along_dim": (lambda t, x, i: (t.take_along_dim(x, i[:1], 1), x.take_along_dim(i % 3, dim=0)), M, PLACES),
    "take_along_dim of all": (lambda t, x, i: x.take_along_dim(i), M, PLACES),
    "masked_scatter": (lambda t, x, m, y: x.masked_scatter(m, y), M, FLAGS, M),
    "masked_scatter broadcasts": (lambda t, x, m, y: (x * 1).masked_scatter_(m[:1], y), M, FLAGS, M),
    "select_scatter": (lambda t, x, y: (x.select_scatter(y, 0, 1), t.select_scatter(x, y[:3], 1, -1)), M, (4,)),
    "slice_scatter": (lambda t, x, y: (x.slice_scatter(y, 1, 1, 4, 2), t.slice_scatter(x, x * 2)), M, (3, 2)),
    "diagonal_scatter": (lambda t, x, y: (x.diagonal_scatter(y), x.diagonal_scatter(y, 1)), M, (3,)),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:index_reduce")
@pytest.mark.parametrize("name", CASES)
def test_it_is_what_torch_computes(name: str) -> None:
    call, *shapes = CASES[name]
    agree(call, *shapes, rtol=1e-2 if "bf16" in name else 1e-5)


ERRORS: dict[str, tuple[Any, ...]] = {
    "scatter of another type": (lambda t, x, i, y: x.scatter(1, i, y), M, PLACES, WHOLE),
    "scatter of too few": (lambda t, x, i, y: x.scatter(1, i, y), M, PLACES, (1, 4)),
    "scatter of too many rows": (lambda t, x, i, y: x.scatter(1, i, y), (1, 4), PLACES, M),
    "scatter_reduce by another way": (lambda t, x, i, y: x.scatter_reduce(1, i, y, "median"), M, PLACES, M),
    "index_add of other slices": (lambda t, x, i, y: x.index_add(0, i, y), M, ROWS, (4, 3)),
    "index_add by a matrix": (lambda t, x, i, y: x.index_add(0, i, y), M, PLACES, M),
    "index_put of another type": (lambda t, x, i, y: (x * 1).index_put((i,), y), M, TWO, WHOLE[:2]),
    "take by floats": (lambda t, x, y: x.take(y), M, M),
    "take out of range": (lambda t, x, i: x.take(i + 12), M, PLACES),
    "masked_scatter of too few": (lambda t, x, m, y: x.masked_scatter(m | True, y), M, FLAGS, (2,)),
    "masked_scatter by ints": (lambda t, x, m, y: x.masked_scatter(m, y), M, WHOLE, M),
    "select_scatter of another shape": (lambda t, x, y: x.select_scatter(y, 1, 0), M, (4,)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_it_raises_as_torch_does(name: str) -> None:
    call, *shapes = ERRORS[name]
    both_raise(call, *shapes)
