"""Functions of the elements in a mask against PyTorch: values and gradients, dimensions, rows without an element."""

from typing import Any

import numpy as np
import pytest

import genesis
from tests.oracle.compare import agree

torch = pytest.importorskip("torch")

MASK = np.array([[True, False, True, True], [False, True, False, False], [True, True, True, True]])
EMPTY = np.array([[True, False, True, True], [False, False, False, False], [True, True, True, True]])
PART = np.array([True, False, True, True])
REDUCTIONS = ("sum", "prod", "mean", "amax", "amin", "logsumexp", "norm", "var", "std")


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(name: str) -> None:
    def call(t: Any, x: Any) -> Any:
        mask, part, f = t.tensor(MASK), t.tensor(PART), getattr(t.masked, name)
        return f(x, dim=0, mask=part), f(x, dim=1, keepdim=True, mask=part), f(x, dim=(0, 1), mask=mask), f(x, dim=-1)

    agree(call, (3, 4), rtol=1e-4)


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "amax", "amin", "median", "norm"])
def test_rows_without_an_element(name: str) -> None:
    agree(lambda t, x: getattr(t.masked, name)(x.detach(), dim=1, mask=t.tensor(EMPTY)), (3, 4))


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin", "cumsum", "cumprod", "normalize"])
def test_functions_along_a_dimension(name: str) -> None:
    order = (2.0,) if name == "normalize" else ()

    def call(t: Any, x: Any) -> Any:
        found = getattr(t.masked, name)(x, *order, 1, mask=t.tensor(MASK))
        return t.where(t.tensor(MASK), found, 0.0)

    agree(call, (3, 4), rtol=1e-4)


def test_indices_are_integers() -> None:
    """PyTorch gives them in the dtype of the elements."""
    x, mask = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32), EMPTY
    for name in ("argmax", "argmin"):
        got = getattr(genesis.masked, name)(genesis.tensor(x), 1, mask=genesis.tensor(mask))
        assert got.tolist() == getattr(torch.masked, name)(torch.tensor(x), 1, mask=torch.tensor(mask)).tolist()
        assert got.dtype is genesis.int64


def test_integers_and_other_options() -> None:
    agree(lambda t: t.masked.amax(t.arange(6).reshape(2, 3), 1, mask=t.tensor([True, True, False])), grad=False)
    agree(lambda t, x: t.masked.var(x, 1, False, mask=t.tensor(MASK)) + t.masked.median(x, 1), (3, 4))
    agree(lambda t, x, y: t.masked.logaddexp(x, y, input_mask=t.tensor(MASK)), (3, 4), (3, 4), grad=False)
    agree(lambda t, x: t.masked.sum(x, 0, dtype=t.float64, mask=t.tensor(MASK)), (3, 4))
