"""Values that a backward pass needs must not have been written over: PyTorch's error, eager and in a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn
from genesis.nn import functional as F


def leaf() -> Any:
    return genesis.tensor([1.0, 2.0, 3.0], requires_grad=True)


def product(x: Any) -> Any:
    y = x * 2
    z = y * y
    y.add_(1)
    return z


def item(x: Any) -> Any:
    y = x * 2
    z = y * y
    y[0] = 3
    return z


def result(x: Any) -> Any:
    y = x.exp()
    y.add_(1)
    return y


def view(x: Any) -> Any:
    y = x * 2
    z = y[1:].sigmoid() * y[:2]
    y.mul_(2)
    return z


def by_detach(x: Any) -> Any:
    z = x * x
    x.detach().mul_(10)
    return z


def without_grad(x: Any) -> Any:
    z = x * x
    with genesis.no_grad():
        x.mul_(10)
    return z


def constant(x: Any) -> Any:
    b = genesis.ones(3)
    z = x * b
    b.add_(1)
    return z


def composite(x: Any) -> Any:
    y = x * 2
    z = F.gelu(y)
    y.add_(1)
    return z


WRONG = [product, item, result, view, by_detach, without_grad, constant, composite]


def not_saved(x: Any) -> Any:
    y = x + 1
    z = y * 2
    y.add_(1)
    return z + y


def activation(x: Any) -> Any:
    y = x * 2
    F.relu(y, inplace=True)
    return y + nn.SiLU(inplace=True)(y * 1) + F.dropout(y * 1, 0.0, inplace=True)


def masked(x: Any) -> Any:
    y = x * 2
    y[y > 3] = 0
    y[:2] *= y[:2] * 1
    y += x
    return y


def a_copy(x: Any) -> Any:
    y = x * 2
    kept = y.clone()
    z = kept * kept
    y.add_(1)
    return z + y


def copied_into(x: Any) -> Any:
    buffer = genesis.zeros(3)
    buffer.copy_(x)
    z = buffer * buffer
    with genesis.no_grad():
        y = x.detach().clone()
        y.add_(1)
    return z


def unseen_history(x: Any) -> Any:
    y = x * 2
    y.detach().add_(1)
    with genesis.no_grad():
        y.mul_(2)
    assert y.requires_grad
    return y * 3


def filled(x: Any) -> Any:
    y = x.clone()
    y[...] = 0.5
    assert y.requires_grad
    return y


RIGHT = [not_saved, activation, masked, a_copy, copied_into, unseen_history, filled]


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("function", WRONG, ids=lambda f: f.__name__)
def test_a_saved_value_written_over_is_an_error(function: Callable[..., Any], compiled: bool) -> None:
    x = leaf()

    def run() -> None:
        function(x).sum().backward()

    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        (genesis.compile(run) if compiled else run)()


@pytest.mark.parametrize("function", WRONG, ids=lambda f: f.__name__)
def test_also_where_the_backward_pass_is_outside(function: Callable[..., Any]) -> None:
    x = leaf()
    out = genesis.compile(lambda: function(x))()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("function", RIGHT, ids=lambda f: f.__name__)
def test_other_writes_are_none(function: Callable[..., Any], compiled: bool) -> None:
    torch = pytest.importorskip("torch")
    x = leaf()

    def run() -> None:
        (function(x) * genesis.tensor([1.0, 10.0, 100.0])).sum().backward()

    (genesis.compile(run, keep_grads=True) if compiled else run)()
    expected = EXPECTED[function](torch)
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-5)


def _by_torch(function: Callable[..., Any]) -> Callable[[Any], np.ndarray]:
    """The gradient in PyTorch: the functions are written for both."""

    def expected(torch: Any) -> np.ndarray:
        x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
        space = {"genesis": torch, "nn": torch.nn, "F": torch.nn.functional, "Any": Any}
        body = type(function)(function.__code__, space)
        (body(x) * torch.tensor([1.0, 10.0, 100.0])).sum().backward()
        found: np.ndarray = x.grad.numpy()
        return found

    return expected


EXPECTED = {function: _by_torch(function) for function in RIGHT}


def test_data_is_not_seen() -> None:
    """A write by ``.data`` is no error; the backward pass uses the new contents, as in PyTorch."""
    x = leaf()
    z = (x * x).sum()
    x.data.mul_(10)
    z.backward()
    assert x.grad.tolist() == [20, 40, 60]
    x = leaf()
    z = (x * x).sum()
    x.data = genesis.full((3,), 7.0)
    z.backward()
    assert x.grad.tolist() == [14, 14, 14]
