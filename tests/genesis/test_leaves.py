"""Leaves made of parts and aliases of other tensors: ``x.detach().requires_grad_()`` and what starts with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn
from genesis.autograd import grad

MAKE: dict[str, Callable[[Any], Any]] = {
    "detach": lambda x: x.detach(),
    "data": lambda x: x.data,
    "row": lambda x: x[0].detach(),
    "view": lambda x: x.detach().view(-1),
    "plain view": lambda x: x.clone().detach()[1:],
    "cut": lambda x: (x * 2).detach(),
    "copy": lambda x: x.detach().clone(),
}


def base() -> Any:
    return genesis.tensor(np.arange(1, 7, dtype=np.float32).reshape(2, 3), requires_grad=True)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("name", MAKE)
def test_a_leaf_of_its_own(name: str, compiled: bool) -> None:
    x = base()

    def run() -> Any:
        leaf = MAKE[name](x).requires_grad_()
        assert leaf.is_leaf and leaf.requires_grad
        (leaf * leaf).sum().backward()
        return leaf.detach(), leaf.grad, leaf[0].detach()

    leaf, g, first = (genesis.compile(run) if compiled else run)()
    np.testing.assert_allclose(g.numpy(), 2 * leaf.numpy())
    assert x.grad is None and first.tolist() == leaf.tolist()[0]


def test_the_storage_is_shared() -> None:
    x = genesis.zeros(3)
    leaf = x[1:].requires_grad_()
    assert not x.requires_grad and leaf.is_leaf
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used in an in-place"):
        leaf.add_(1)
    with genesis.no_grad():
        leaf.add_(1)
    leaf.data.mul_(2)
    assert x.tolist() == [0, 2, 2]
    x.add_(1)
    (leaf**2).sum().backward()
    assert leaf.grad.tolist() == [6, 6] and x.grad is None
    leaf.requires_grad_(False)
    assert not leaf.requires_grad and not (leaf * 2).requires_grad
    with pytest.raises(RuntimeError, match="only change requires_grad flags of leaf"):
        (base() * 1).requires_grad_(False)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_flags_and_gradients_of_arguments_reach_the_caller(compiled: bool) -> None:
    def run(x: Any) -> Any:
        x.requires_grad_()
        (x * x).sum().backward()

    x = genesis.tensor([1.0, 2.0])
    (genesis.compile(run) if compiled else run)(x)
    assert x.requires_grad and x.grad.tolist() == [2, 4]


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_backward_inside_goes_on_outside(compiled: bool) -> None:
    w = genesis.tensor([1.0, 2.0], requires_grad=True)

    def run(x: Any, y: Any) -> None:
        (x * y).sum().backward()

    inner = w.exp()
    (genesis.compile(run) if compiled else run)(inner, inner * 2)
    np.testing.assert_allclose(w.grad.numpy(), 4 * np.exp([1.0, 2.0]) ** 2, rtol=1e-5)


def network() -> Any:
    genesis.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))


def images() -> tuple[Any, Any]:
    x = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    return genesis.tensor(x), genesis.tensor([0, 1, 0, 1])


def fgsm(model: Any, x: Any, y: Any) -> Any:
    """Goodfellow, Shlens & Szegedy, "Explaining and harnessing adversarial examples", 2015."""
    x = x.detach().requires_grad_()
    nn.functional.cross_entropy(model(x), y).backward()
    return (x + 0.1 * x.grad.sign()).detach()


def pgd(model: Any, x: Any, y: Any) -> Any:
    """Madry et al., "Towards deep learning models resistant to adversarial attacks", 2018."""
    moved = x.clone()
    for _ in range(3):
        moved = moved.detach().requires_grad_(True)
        (g,) = grad(nn.functional.cross_entropy(model(moved), y), moved)
        moved = x + (moved + 0.05 * g.sign() - x).clamp(-0.1, 0.1)
    return moved.detach()


def penalty(model: Any, x: Any, y: Any) -> Any:
    """The gradient penalty of Gulrajani et al., "Improved training of Wasserstein GANs", 2017."""
    between = (0.3 * x + 0.7 * x.flip(0)).detach().requires_grad_()
    (g,) = grad(model(between).sum(), between, create_graph=True, retain_graph=True)
    loss = ((g.view(4, -1).norm(2, dim=1) - 1) ** 2).mean()
    loss.backward()
    return loss.detach()


@pytest.mark.parametrize("attack", [fgsm, pgd, penalty], ids=lambda f: f.__name__)
def test_attacks_and_penalties(attack: Callable[..., Any]) -> None:
    """Eager, compiled as a whole, and eager round a compiled model: all the same."""
    x, y = images()

    def run(form: str) -> list[np.ndarray]:
        model = network()
        called = genesis.compile(model) if form == "model" else model
        whole = genesis.compile(lambda x, y: attack(called, x, y), keep_grads=True)
        result = whole(x, y) if form == "whole" else attack(called, x, y)
        return [result.numpy(), *(p.grad if p.grad is None else p.grad.numpy() for p in model.parameters())]

    expected = run("eager")
    for form in ("whole", "model"):
        for a, b in zip(run(form), expected, strict=True):
            assert (a is None) == (b is None), form
            if a is not None:
                np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=form)
