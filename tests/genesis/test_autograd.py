"""Gradients at once: accumulation, modes, leaves, second derivatives, errors."""

from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import AutogradError
from genesis.autograd import gradients, need_history
from genesis.tensor import wrap


def grad(output: Any, inputs: Any, create_graph: bool = False) -> list[Any]:
    """The gradients of ``output`` with respect to ``inputs``, returned instead of added to ``.grad``."""
    nodes, _ = need_history(output.value)
    wrt = [t.value for t in (inputs if isinstance(inputs, tuple) else (inputs,))]
    return [wrap(g) for g in gradients(output.value, None, wrt, nodes, create_graph, create_graph)]


# backward


def test_gradients_add_up() -> None:
    x = genesis.tensor([1.0, 2.0], requires_grad=True)
    for n in (1, 2):
        (x * x).sum().backward()
        assert x.grad.tolist() == [2.0 * n, 4.0 * n]
    x.grad = None
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_a_value_used_twice() -> None:
    x = genesis.tensor(2.0, requires_grad=True)
    y = x * x
    (y * y + y).backward()
    assert x.grad.item() == 4 * 8 + 4


def test_gradient_weighs_the_outputs() -> None:
    x = genesis.ones(3, requires_grad=True)
    (x * 2).backward(gradient=genesis.tensor([1.0, 10.0, 100.0]))
    assert x.grad.tolist() == [2, 20, 200]


def test_only_what_the_output_needs() -> None:
    x, y = genesis.ones(1, requires_grad=True), genesis.ones(1, requires_grad=True)
    (x * 2 + y.detach()).sum().backward()
    assert x.grad is not None and y.grad is None


def test_broadcasting_sums_back() -> None:
    x, b = genesis.ones(2, 3, requires_grad=True), genesis.ones(3, requires_grad=True)
    s = genesis.ones((), requires_grad=True)
    (x * b + s).sum().backward()
    assert b.grad.tolist() == [2, 2, 2] and s.grad.item() == 6 and s.grad.shape == ()


def test_views_and_in_place_writes_carry_gradients() -> None:
    x = genesis.arange(4, dtype=genesis.float32).requires_grad_()
    y = x * 1
    y[1:3].mul_(10)
    y.view(2, 2)[0] += 5
    (y * y).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [10, 300, 400, 6])


def test_overwritten_elements_get_no_gradient() -> None:
    x, v = genesis.ones(3, requires_grad=True), genesis.ones((), requires_grad=True)
    y = x * 1
    y[1] = v * 4
    y.sum().backward()
    assert x.grad.tolist() == [1, 0, 1] and v.grad.item() == 4


def test_the_gradient_has_the_leafs_dtype() -> None:
    x = genesis.ones(2).half().requires_grad_()
    (x.float() * 2).sum().backward()
    assert x.grad.dtype is genesis.float16


# Modes


def test_no_grad_and_enable_grad() -> None:
    x = genesis.ones(2, requires_grad=True)
    with genesis.no_grad():
        assert not genesis.is_grad_enabled() and not (x * 2).requires_grad
        with genesis.enable_grad():
            assert (x * 2).requires_grad
    assert genesis.is_grad_enabled() and (x * 2).requires_grad

    @genesis.no_grad()
    def double(t: Any) -> Any:
        return t * 2

    assert not double(x).requires_grad and double(x).is_leaf
    with genesis.inference_mode():
        assert not (x * 2).requires_grad
    with genesis.set_grad_enabled(False):
        assert not (x * 2).requires_grad
    genesis.set_grad_enabled(False)
    assert not genesis.is_grad_enabled()
    genesis.set_grad_enabled(True)
    with pytest.raises(KeyError), genesis.no_grad():
        raise KeyError
    assert genesis.is_grad_enabled()


def test_detach_shares_and_cuts() -> None:
    x = genesis.ones(2, requires_grad=True)
    y = x * 2
    (y * y.detach()).sum().backward()
    assert x.grad.tolist() == [4, 4]
    assert not y.detach().requires_grad and y.detach().is_leaf


def test_a_frozen_leaf() -> None:
    x, w = genesis.ones(2, requires_grad=True), genesis.ones(2, requires_grad=True)
    w.requires_grad_(False)
    (x * w).sum().backward()
    assert w.grad is None and x.grad is not None


# Gradients as values, and higher derivatives


def test_grad_returns_and_does_not_add() -> None:
    x, y = genesis.tensor(3.0, requires_grad=True), genesis.tensor(2.0, requires_grad=True)
    gx, gy = grad(x * x * y, (x, y))
    assert (gx.item(), gy.item()) == (12, 9) and x.grad is None


def test_grad_of_an_inner_value() -> None:
    x = genesis.tensor(3.0, requires_grad=True)
    y = x * x
    assert grad(y * y, y)[0].item() == 18


def test_second_derivatives() -> None:
    x = genesis.tensor([1.0, 2.0], requires_grad=True)
    (g,) = grad((x**3).sum(), x, create_graph=True)
    assert g.requires_grad
    (h,) = grad(g.sum(), x)
    np.testing.assert_allclose(h.numpy(), [6, 12], rtol=1e-6)


SECOND: dict[str, Any] = {
    "tanh": lambda x: x.tanh(),
    "sigmoid": lambda x: x.sigmoid(),
    "softmax": lambda x: x.softmax(-1) * genesis.arange(4),
    "gelu": lambda x: genesis.nn.functional.gelu(x),
    "attention by hand": lambda x: (x @ x.t()).softmax(-1) @ x,
    "matmul": lambda x: (x @ x.t()) ** 2,
}


@pytest.mark.parametrize("name", SECOND)
def test_second_derivatives_are_the_differences_of_the_first(name: str) -> None:
    rng = np.random.default_rng(0)
    array, direction = rng.standard_normal((2, 2, 4))

    def first(at: np.ndarray) -> np.ndarray:
        x = genesis.tensor(at, requires_grad=True)
        return grad(SECOND[name](x).sum(), x)[0].numpy()

    x = genesis.tensor(array, requires_grad=True)
    (g,) = grad(SECOND[name](x).sum(), x, create_graph=True)
    (h,) = grad((g * genesis.tensor(direction)).sum(), x)
    step = 1e-6
    difference = (first(array + step * direction) - first(array - step * direction)) / (2 * step)
    np.testing.assert_allclose(h.numpy(), difference, rtol=1e-5, atol=1e-7)


# Errors


def test_nothing_to_differentiate() -> None:
    with pytest.raises(AutogradError, match="does not require grad and does not have a grad_fn"):
        genesis.ones(1).sum().backward()


def test_backward_needs_a_scalar() -> None:
    with pytest.raises(AutogradError, match="can be implicitly created only for scalar outputs"):
        genesis.ones(2, requires_grad=True).exp().backward()


def test_backward_twice_needs_retain_graph() -> None:
    x = genesis.ones(1, requires_grad=True)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 4
    with pytest.raises(AutogradError, match="backward through the graph a second time"):
        y.backward()


def test_leaves_are_not_written_in_place() -> None:
    w = genesis.ones(2, requires_grad=True)
    with pytest.raises(AutogradError, match="a leaf Variable that requires grad is being used"):
        w.add_(1)
    with pytest.raises(AutogradError, match="a view of a leaf Variable"):
        w[0] = 1
    with genesis.no_grad():
        w.add_(1)
        w[0] = 5
    assert w.tolist() == [5, 2] and w.is_leaf and w.requires_grad


def test_a_gradient_read_after_its_leaf_was_updated_uses_the_old_value() -> None:
    """A write replaces the leaf's value; what an earlier op read is still there."""
    w = genesis.ones(1, requires_grad=True)
    loss = (w * w).sum()
    with genesis.no_grad():
        w.mul_(10)
    loss.backward()
    assert w.grad.item() == 2


def test_requires_grad_is_for_floating_leaves() -> None:
    with pytest.raises(AutogradError, match="only Tensors of floating point dtype can require gradients"):
        genesis.ones(1, dtype=genesis.int64).requires_grad_()
    x = genesis.ones(1, requires_grad=True)
    with pytest.raises(AutogradError, match="you can only change requires_grad flags of leaf variables"):
        (x * 2).requires_grad_(False)
    with pytest.raises(AutogradError, match=r"Can't call numpy\(\) on Tensor that requires grad"):
        x.numpy()
