"""Gradients that cross the border of a compiled function: forward compiled, backward from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn
from genesis.amp import autocast
from genesis.autograd import Function, grad
from genesis.nn import functional as F

Build = Callable[[], tuple[list[Any], Callable[..., Any]]]
Use = Callable[[list[Any], Any, Callable[..., Any]], Any]


def network() -> tuple[list[Any], Callable[..., Any]]:
    genesis.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.GELU(), nn.LayerNorm(8), nn.Dropout(0.3), nn.Linear(8, 3), nn.Tanh()
    )
    return [*model.parameters(), *model.buffers()], model


def batch(rows: int = 5) -> Any:
    return genesis.tensor(np.random.default_rng(rows).standard_normal((rows, 4)).astype(np.float32))


def usual(model: Callable[..., Any]) -> None:
    (model(batch()).pow(2).sum() + batch().sum()).backward()


def with_a_penalty(model: Callable[..., Any]) -> None:
    w = genesis.ones(3, requires_grad=True)
    (model(batch()) * w + w.exp()).sum().backward()


def twice_before_backward(model: Callable[..., Any]) -> None:
    one, two = model(batch()), model(batch() * 2)
    (one * two).sum().backward()


def backward_in_another_order(model: Callable[..., Any]) -> None:
    one, two = model(batch()), model(batch(3))
    two.sum().backward()
    one.mean().backward()


def retained(model: Callable[..., Any]) -> None:
    loss = model(batch()).sum()
    loss.backward(retain_graph=True)
    loss.backward()


def under_autocast(model: Callable[..., Any]) -> None:
    with autocast(dtype=genesis.bfloat16):
        loss = model(batch()).float().pow(2).mean()
    loss.backward()


def some_calls_without_gradient(model: Callable[..., Any]) -> None:
    with genesis.no_grad():
        assert not model(batch()).requires_grad
    model(batch())
    model(batch()).sum().backward()


USES = [
    usual,
    with_a_penalty,
    twice_before_backward,
    backward_in_another_order,
    retained,
    under_autocast,
    some_calls_without_gradient,
]


def outcome(use: Callable[..., Any], compiled: bool, backend: str) -> list[np.ndarray]:
    """The parameters, statistics and gradients after three rounds of ``use``."""
    tensors, model = network()
    genesis.manual_seed(1)
    forward = genesis.compile(lambda x: model(x), backend=backend) if compiled else model
    for _ in range(3):
        use(forward)
    return [np.array(x) for t in tensors for x in (t.detach(), t.grad) if x is not None]


@pytest.mark.parametrize("backend", ["auto", "interpret"])
@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_a_compiled_forward_has_the_eager_gradient(use: Callable[..., Any], backend: str) -> None:
    tolerance = 2e-2 if use is under_autocast else 1e-5
    for actual, expected in zip(outcome(use, True, backend), outcome(use, False, backend), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def both(function: Callable[..., Any], use: Callable[[Callable[..., Any]], list[Any]]) -> None:
    """``use`` finds the same with ``function`` eager and compiled."""
    for actual, expected in zip(use(genesis.compile(function)), use(function), strict=True):
        np.testing.assert_allclose(np.array(actual), np.array(expected), rtol=1e-5, atol=1e-6)


def test_gradients_of_arguments() -> None:
    def use(f: Callable[..., Any]) -> list[Any]:
        leaf, other = genesis.tensor([1.0, 2.0, 3.0], requires_grad=True), genesis.ones(3)
        inner = leaf * 2  # the eager history goes on through the compiled function
        (f(inner, {"b": other})["out"] + leaf).sum().backward()
        (direct,) = grad(f(leaf, {"b": other})["out"].sum(), leaf)
        assert other.grad is None
        return [leaf.grad, direct]

    both(lambda a, d: {"out": a.exp() * d["b"], "rest": 3}, use)


def test_a_result_that_nothing_depends_on_has_no_part_in_the_gradient() -> None:
    """The slope of the square root is infinite at 0: weighed by a seed of 0 it would be NaN."""
    w, v = genesis.zeros(2, requires_grad=True), genesis.ones(2, requires_grad=True)
    one, _, three = genesis.compile(lambda: (w * 2, w.sqrt(), (v * 3).exp()))()
    one.sum().backward(retain_graph=True)
    assert w.grad.tolist() == [2, 2] and v.grad is None
    three.sum().backward()
    np.testing.assert_allclose(v.grad.numpy(), 3 * np.exp([3, 3]), rtol=1e-6)
    assert w.grad.tolist() == [2, 2]


def test_hooks_run_once_at_the_border_and_inside() -> None:
    def use(f: Callable[..., Any]) -> list[Any]:
        w = genesis.ones(3, requires_grad=True)
        w.register_hook(lambda g: g * 10)
        out = f(w)
        out.register_hook(lambda g: g + 1)
        out.sum().backward()
        return [w.grad]

    def inside(x: Any) -> Any:
        inner = x * 2
        inner.register_hook(lambda g: g * 3)
        return inner.exp()

    both(inside, use)


class Reversed(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * 1

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return -g * x


def test_functions_with_a_backward_of_their_own() -> None:
    def use(f: Callable[..., Any]) -> list[Any]:
        w = genesis.tensor([1.0, 2.0], requires_grad=True)
        f(w * 2).sum().backward()
        return [w.grad]

    both(lambda x: Reversed.apply(x * 3) ** 2, use)


def test_gradients_of_gradients_go_through() -> None:
    """A gradient penalty over a compiled critic, as in WGAN-GP."""
    genesis.manual_seed(0)
    critic = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))

    def use(f: Callable[..., Any]) -> list[Any]:
        for p in critic.parameters():
            p.grad = None
        x = batch().requires_grad_()
        (g,) = grad(f(x).sum(), x, create_graph=True)
        ((g.pow(2).sum(1).sqrt() - 1) ** 2).mean().backward()
        (third,) = grad(grad(grad(f(x).sum(), x, create_graph=True)[0].sum(), x, create_graph=True)[0].pow(2).sum(), x)
        return [x.grad, third, *(p.grad for p in critic.parameters() if p.grad is not None)]

    both(lambda x: critic(x), use)


def test_dropout_is_drawn_again_for_a_gradient_of_a_gradient() -> None:
    def use(f: Callable[..., Any]) -> list[Any]:
        genesis.manual_seed(7)
        w = genesis.tensor(np.linspace(1, 2, 40, dtype=np.float32), requires_grad=True)
        out = f(w)
        genesis.rand(3)
        (g,) = grad(out.sum(), w, create_graph=True)
        g.sum().backward()
        return [w.grad, genesis.rand(2)]

    both(lambda x: F.dropout(x, 0.5) ** 3, use)


def test_a_parameter_updated_before_backward_is_an_error() -> None:
    w, x = genesis.ones(3, requires_grad=True), genesis.ones(3, requires_grad=True)
    forward = genesis.compile(lambda x: w * x)
    step = genesis.compile(lambda: w.detach().add_(1))
    out = forward(x)
    with genesis.no_grad():
        w.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()
    step()
    out = forward(x)
    step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()
    out = forward(x)
    out.sum().backward()
    assert x.grad.tolist() == [4, 4, 4]


def test_an_array_that_the_caller_changes_is_kept_as_it_was() -> None:
    w, x = genesis.ones(3, requires_grad=True), np.ones(3, np.float32)
    out = genesis.compile(lambda x: w * x)(x)
    x[:] = 7
    out.sum().backward()
    assert w.grad.tolist() == [1, 1, 1]


def test_a_second_backward_is_an_error_inside_and_outside() -> None:
    w = genesis.ones(3, requires_grad=True)

    def inside(again: bool) -> Any:
        loss = (w * w).sum()
        loss.backward()
        if again:
            loss.backward()
        return loss

    def by_grad() -> Any:
        loss = (w * w).sum()
        return grad(loss, w)[0] + grad(loss, w)[0]

    for f, args in ((inside, (True,)), (by_grad, ())):
        for form in (f, genesis.compile(f)):
            with pytest.raises(RuntimeError, match="a second time"):
                form(*args)
    loss = genesis.compile(inside)(False)
    assert loss.requires_grad and not loss.is_leaf
    with pytest.raises(RuntimeError, match="a second time"):
        loss.backward()
    out = genesis.compile(lambda: (w * w).sum())()
    out.backward()
    with pytest.raises(RuntimeError, match="a second time"):
        out.backward()


def test_a_step_may_leave_a_part_of_its_history() -> None:
    def use(f: Callable[..., Any]) -> list[Any]:
        w, v = genesis.ones(3, requires_grad=True), genesis.ones(3, requires_grad=True)
        _, rest = f(w, v)
        rest.backward()
        return [w.grad, v.grad]

    def step(w: Any, v: Any) -> Any:
        loss = (w * w).sum()
        loss.backward()
        return loss, (v.exp() * w).sum()

    both(step, use)


def test_results_of_options_that_change_gradients_say_so() -> None:
    w = genesis.ones(3, requires_grad=True)
    out = genesis.compile(lambda x: (w * x).sum(), loss_scale="dynamic")(genesis.ones(3))
    with pytest.raises(RuntimeError, match="loss_scale="):
        out.backward()


def test_leaves_made_inside_are_leaves() -> None:
    def use(f: Callable[..., Any]) -> list[Any]:
        leaf, out = f(genesis.ones(3))
        assert leaf.is_leaf and leaf.requires_grad
        out.backward()
        return [leaf.grad]

    def make(x: Any) -> Any:
        leaf = x.clone().requires_grad_()
        return leaf, (leaf**2).sum()

    both(make, use)


def test_results_collect_gradients_in_a_compiled_step() -> None:
    """A compiled forward inside a compiled step is a part of it."""
    w = genesis.ones(3, requires_grad=True)
    forward = genesis.compile(lambda x: w * x)

    @genesis.compile(keep_grads=True)
    def step(x: Any) -> Any:
        (forward(x) + w).sum().backward()

    step(genesis.ones(3))
    assert w.grad.tolist() == [2, 2, 2]
