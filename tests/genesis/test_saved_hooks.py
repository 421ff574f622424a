"""Hooks on what eager ops keep for their gradients."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import TraceError
from genesis import Tensor
from genesis.autograd import disable_saved_tensors_hooks, grad, save_on_cpu, saved_tensors_hooks

FUNCTIONS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], int]] = {
    "exp": (lambda x, w: x.exp(), 1),
    "product": (lambda x, w: x * w, 1),
    "matmul": (lambda x, w: x @ w, 1),
    "softmax, a composite": (lambda x, w: x.softmax(-1) * genesis.arange(2.0), 2),
    "sum, which keeps nothing": (lambda x, w: x.sum(0), 0),
}


def leaves() -> tuple[Tensor, Tensor]:
    return (
        genesis.tensor([[1.0, 2.0], [3.0, -0.5]], requires_grad=True),
        genesis.tensor([[0.5, 2.0], [1.0, 1.5]], requires_grad=True),
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_read_what_comes_out(name: str) -> None:
    function, factors = FUNCTIONS[name]
    for factor in (1.0, 3.0):
        packed: list[np.ndarray] = []

        def pack(x: Tensor) -> int:
            packed.append(x.numpy().copy())  # noqa: B023
            return len(packed) - 1  # noqa: B023

        x, w = leaves()
        with saved_tensors_hooks(pack, lambda i: genesis.from_numpy(packed[i]) * factor):  # noqa: B023
            y = function(x, w).sum()
        y.backward()
        other, v = leaves()
        function(other, v).sum().backward()
        assert x.grad is not None and other.grad is not None
        assert bool(packed) == bool(factors)
        if factor == 1.0 or factors < 2:
            np.testing.assert_allclose(x.grad.numpy(), other.grad.numpy() * factor ** min(factors, 1), rtol=1e-5)


def test_gradients_of_gradients_go_through() -> None:
    x = genesis.tensor([1.0, 2.0], requires_grad=True)
    with saved_tensors_hooks(lambda t: t.numpy().copy(), genesis.from_numpy):
        y = (x * x * x).sum()
    (first,) = grad(y, x, create_graph=True)
    (second,) = grad(first.sum(), x)
    assert first.tolist() == [3.0, 12.0] and second.tolist() == [6.0, 12.0]


def test_the_innermost_hooks_count_and_end() -> None:
    seen: list[str] = []

    def named(name: str) -> saved_tensors_hooks:
        return saved_tensors_hooks(lambda t: seen.append(name) or t, lambda t: t)

    x = genesis.tensor(2.0, requires_grad=True)
    with named("outer"):
        x.exp()
        with named("inner"):
            x.exp()
        x.exp()
    x.exp()
    assert seen == ["outer", "inner", "outer"]


def test_what_a_function_saves_is_packed() -> None:
    class Power(genesis.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, n: int) -> Tensor:
            y = x**n
            ctx.save_for_backward(x, None, y)
            ctx.n = n
            return y

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Any:
            x, nothing, y = ctx.saved_tensors
            assert nothing is None
            return g * ctx.n * y / x, None

    def packed(x: Tensor) -> list[Any]:
        kept.append(x.tolist())
        return kept[-1]

    kept: list[Any] = []
    x = genesis.tensor([1.0, 2.0], requires_grad=True)
    with saved_tensors_hooks(packed, lambda numbers: genesis.tensor(numbers) * 2):
        y = Power.apply(x, 3)
    assert kept == [[1.0, 2.0], [1.0, 8.0]]
    (first,) = grad(y.sum(), x, create_graph=True)
    assert first.tolist() == [3.0, 12.0]  # the factors 2 divide out
    (second,) = grad(first.sum(), x)
    assert second.shape == (2,) and kept == [[1.0, 2.0], [1.0, 8.0]]


def test_refusals() -> None:
    x = genesis.tensor([1.0, 2.0], requires_grad=True)
    wrong: Any = (lambda t: t[0], lambda t: 3)
    for unpack in wrong:
        with saved_tensors_hooks(lambda t: t, unpack):
            y = x.exp().sum()
        with pytest.raises(RuntimeError, match=r"f32\[2\] was packed(.|\n)*at test_saved_hooks.py"):
            y.backward()
    with disable_saved_tensors_hooks("not here"), pytest.raises(RuntimeError, match="not here"):
        saved_tensors_hooks(lambda t: t, lambda t: t).__enter__()
    for hooks in (lambda: saved_tensors_hooks(lambda t: t, lambda t: t), save_on_cpu):

        @genesis.compile(backend="interpret")
        def step(x: Tensor, hooks: Any = hooks) -> Tensor:
            with hooks():
                return x.exp()

        with pytest.raises(TraceError, match="activation_memory"):
            step(x)
    with save_on_cpu(pin_memory=True):
        y = x.exp().sum()
    y.backward()
    assert x.grad is not None
