"""Functions whose results have a shape that depends on data, and counts, against PyTorch: values, gradients, errors."""

from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import TraceError
from tests.oracle.compare import agree, both_raise

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(19)
M = (3, 4)
WHOLE = RNG.integers(-1, 2, (3, 4))
COUNTS = RNG.integers(0, 5, (9,))
FLAGS = RNG.random((3, 4)) < 0.5
NANS = np.array([1, np.nan, 1, 2, np.nan], np.float32)

CASES: dict[str, tuple[Any, ...]] = {
    "nonzero": (lambda t, x: (t.nonzero(x), x.nonzero(), t.argwhere(x)), WHOLE),
    "nonzero as a tuple": (lambda t, x: (*x.nonzero(as_tuple=True), *t.nonzero(x[0], as_tuple=True)), WHOLE),
    "nonzero 0-d": (lambda t: (t.tensor(3).nonzero(), t.tensor(0).nonzero()),),
    "where of a condition alone": (lambda t, m: (*t.where(m), *t.where(m[0]), *t.where(t.tensor(True))), FLAGS),
    "masked_select": (lambda t, x, m: (t.masked_select(x, m), x.masked_select(m[0])), M, FLAGS),
    "masked_select 0-d": (lambda t, x: x.masked_select(t.tensor(True)), ()),
    "unique": (lambda t, x: (t.unique(x), *x.unique(return_inverse=True, return_counts=True)), WHOLE),
    "unique rows": (lambda t, x: (x.unique(dim=0), *t.unique(x, dim=1, return_counts=True)), WHOLE),
    "unique of NaN": (lambda t, x: x.detach().unique(), NANS),
    "unique_consecutive": (lambda t, x: (t.unique_consecutive(x), *x.unique_consecutive(True, True)), WHOLE),
    "unique_consecutive rows": (lambda t, x: x.unique_consecutive(dim=0, return_inverse=True), WHOLE[[0, 0, 1, 2, 2]]),
    "bincount": (lambda t, x: (t.bincount(x), x.bincount(minlength=8)), COUNTS),
    "bincount of weights": (lambda t, x, w: (x.bincount(w.detach()), x.bincount(x)), COUNTS, (9,)),
    "bincount of nothing": (lambda t: t.bincount(t.tensor([], dtype=t.int64), minlength=2),),
    "histc": (lambda t, x: (t.histc(x.detach(), 4), x.detach().histc(5, -1, 1)), M),
    "histc of one value": (lambda t: t.histc(t.tensor([2.0, 2.0]), 4),),
    "histogram": (lambda t, x: (*t.histogram(x.detach(), 4), *x.detach().histogram(3, range=(-1.0, 1.0))), M),
    "histogram between edges": (lambda t, x: tuple(x.detach().histogram(t.tensor([-1.0, 0.0, 2.0]), density=True)), M),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_it_is_what_torch_computes(name: str) -> None:
    call, *shapes = CASES[name]
    agree(call, *shapes)


ERRORS: dict[str, tuple[Any, ...]] = {
    "bincount of negatives": (lambda t, x: x.bincount(), WHOLE[0] - 2),
    "bincount of a matrix": (lambda t, x: x.bincount(), WHOLE),
    "histc of no bins": (lambda t, x: x.histc(0), M),
    "masked_select by ints": (lambda t, x, m: x.masked_select(m), M, WHOLE),
    "multinomial of a cube": (lambda t, x: t.multinomial(x.abs(), 1), (2, 2, 2)),
    "multinomial of negatives": (lambda t, x: t.multinomial(-x.abs(), 1), M),
    "multinomial of too many": (lambda t, x: t.multinomial(x.abs(), 5), M),
    "multinomial of none": (lambda t, x: t.multinomial(x.abs(), 0), M),
    "multinomial of ints": (lambda t, x: t.multinomial(x, 1), COUNTS + 1),
    "multinomial of zeros": (lambda t, x: t.multinomial(x * 0, 1), M),
    "bernoulli beyond 1": (lambda t, x: t.bernoulli(x.abs() + 2), M),
    "exponential_ of 0": (lambda t, x: x.detach().exponential_(0), M),
    "geometric_ of 1": (lambda t, x: x.detach().geometric_(1.5), M),
    "normal of negative deviation": (lambda t, x: t.normal(x, -1.0), M),
}


@pytest.mark.parametrize("name", ERRORS)
def test_it_raises_as_torch_does(name: str) -> None:
    call, *shapes = ERRORS[name]
    both_raise(call, *shapes)


@pytest.mark.parametrize(
    "name", ["nonzero", "argwhere", "where", "unique", "unique_consecutive", "bincount", "histogram"]
)
def test_a_step_says_why_it_cannot(name: str) -> None:
    step = genesis.compile(lambda x: getattr(genesis, name)(x, *[3] * (name == "histogram")))
    with pytest.raises(TraceError, match="shapes in a step are fixed"):
        step(genesis.tensor(COUNTS))
