"""Gradients at once: accumulation, modes, leaves, second derivatives, errors."""

from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import AutogradError
from genesis.autograd import Function, grad, gradcheck
from genesis.nn import functional as F

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
    "gelu": lambda x: F.gelu(x),
    "layer_norm": lambda x: F.layer_norm(x, (4,)) ** 3,
    "rms_norm": lambda x: F.rms_norm(x, (4,)) ** 3,
    "cross_entropy": lambda x: F.cross_entropy(x.view(4, 2), genesis.tensor([0, 1, 1, 0])) ** 2,
    "attention": lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True) ** 2,
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


def test_grad_of_several() -> None:
    x, y = genesis.tensor(3.0, requires_grad=True), genesis.tensor(2.0, requires_grad=True)
    z = x * y
    both = grad((z * z, z), (x, z, y), (genesis.tensor(1.0), genesis.tensor(10.0)))
    assert [g.item() for g in both] == [2 * 6 * 2 + 20, 2 * 6 + 10, 2 * 6 * 3 + 30]


def test_grad_of_what_is_not_used() -> None:
    x, y = genesis.ones(1, requires_grad=True), genesis.ones(1, requires_grad=True)
    with pytest.raises(AutogradError, match="appears to not have been used in the graph"):
        grad(x.sum(), (x, y))
    assert grad(x.sum(), (x, y), allow_unused=True)[1] is None
    with pytest.raises(AutogradError, match="One of the differentiated Tensors does not require grad"):
        grad(x.sum(), genesis.ones(1))
    with pytest.raises(AutogradError, match=r"Mismatch in shape: grad_output\[0\] has a shape of \[3\]"):
        grad(x * 2, x, genesis.ones(3))


def test_backward_of_several() -> None:
    x = genesis.ones(2, requires_grad=True)
    genesis.autograd.backward([x * 2, (x * 3).sum()], [genesis.tensor([1.0, 10.0]), None])
    assert x.grad.tolist() == [5, 23]


# Hooks


def test_hooks_see_and_replace_gradients() -> None:
    seen: list[Any] = []
    x = genesis.ones(2, requires_grad=True)
    y = x * 2
    z = y + y
    y.register_hook(lambda g: seen.append(g.tolist()))
    handle = y.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: g + 1)
    z.sum().backward(retain_graph=True)
    assert seen == [[2, 2]] and x.grad.tolist() == [41, 41]
    handle.remove()
    x.grad = None
    z.sum().backward()
    assert x.grad.tolist() == [5, 5]
    with pytest.raises(AutogradError, match="cannot register a hook on a tensor that doesn't require gradient"):
        genesis.ones(1).register_hook(lambda g: g)


def test_retain_grad() -> None:
    x = genesis.ones(2, requires_grad=True)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 5)
    for n in (1, 2):
        (y * 3).sum().backward(retain_graph=True)
        assert y.grad.tolist() == [15.0 * n] * 2
    assert (x * 2).grad is None


def test_inner_gradients_are_those_of_one_whole() -> None:
    x = genesis.tensor(2.0, requires_grad=True)
    y = x * x
    z = y * x
    gz, gy, gx = grad(z * y, (z, y, x))
    assert (gz.item(), gy.item(), gx.item()) == (4, 8 + 4 * 2, 5 * 16)


# Custom functions


class Cube(Function):
    """``x ** 3`` scaled by a constant."""

    @staticmethod
    def forward(ctx: Any, x: Any, scale: float) -> Any:
        ctx.save_for_backward(x)
        ctx.scale = scale
        return x * x * x * scale

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g * 3 * x * x * ctx.scale, None


class Exp(Function):
    """Saves its result, in the style with ``setup_context``."""

    @staticmethod
    def forward(x: Any) -> Any:
        return x.exp()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * ctx.saved_tensors[0]


class Doubled(Function):
    """Wrong on purpose: the gradient is twice what it should be."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x * 1

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * 2


def test_custom_functions() -> None:
    x = genesis.tensor([1.0, 2.0], requires_grad=True)
    y = Cube.apply(x * 1, 2.0)
    assert y.requires_grad and not y.is_leaf
    (g,) = grad(y.sum(), x, create_graph=True)
    assert g.tolist() == [6, 24]
    assert grad(g.sum(), x)[0].tolist() == [12, 24]
    assert not Cube.apply(genesis.ones(1), 1.0).requires_grad
    (g,) = grad(Exp.apply(x).sum(), x, create_graph=True)
    np.testing.assert_allclose(grad(g.sum(), x)[0].numpy(), np.exp([1.0, 2.0]), rtol=1e-6)


def test_custom_functions_of_several_results() -> None:
    class Split(Function):
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            whole = (x > 0).long()
            ctx.mark_non_differentiable(whole)
            return x + y, x * 2, whole

        @staticmethod
        def backward(ctx: Any, a: Any, b: Any, whole: Any) -> Any:
            assert b.tolist() == [0, 0] and ctx.needs_input_grad == (True, False)
            return a, None

    x = genesis.ones(2, requires_grad=True)
    total, _, whole = Split.apply(x, genesis.ones(2))
    total.sum().backward()
    assert x.grad.tolist() == [1, 1] and not whole.requires_grad


def test_errors_of_custom_functions() -> None:
    class TooMany(Cube):
        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g, g, g

    x = genesis.ones(2, requires_grad=True)
    with pytest.raises(AutogradError, match=r"incorrect number of gradients \(expected 2, got 3\)"):
        TooMany.apply(x, 1.0).sum().backward()
    y = x * 1
    z = Cube.apply(y, 1.0)
    y.add_(1)
    with pytest.raises(AutogradError, match="modified by an inplace operation"):
        z.sum().backward()


def test_gradcheck() -> None:
    rng = np.random.default_rng(0)
    x, w = (genesis.tensor(rng.standard_normal(s), requires_grad=True) for s in ((2, 3), (3,)))
    assert gradcheck(lambda x, w: ((x * w).tanh(), Cube.apply(x, 0.5)), (x, w))
    assert not gradcheck(Doubled.apply, x, raise_exception=False)
    with pytest.raises(AutogradError, match="Jacobian mismatch for output 0 with respect to input 0"):
        gradcheck(Doubled.apply, x)


# The same inside a compiled step


def derivative(loss: Any, x: Any, order: int) -> Any:
    y = loss(x)
    for n in range(order):
        (y,) = grad(y.sum(), x, create_graph=n + 1 < order)
    return y


def hooked(x: Any) -> Any:
    y = x * x
    y.register_hook(lambda g: g * 10)
    z = y * x
    z.register_hook(lambda g: g + 1)
    return z * y + y


def with_inner(x: Any) -> Any:
    y = x * x
    gy, gx = grad((y * y * x).sum(), (y, x))
    return (gy + gx) * x * x


LOSSES: dict[str, Any] = {
    "plain": lambda x: x**3,
    "hooks": hooked,
    "custom": lambda x: Cube.apply(x * x, 0.5) * x,
    "custom of a leaf": lambda x: Exp.apply(x) + Cube.apply(x, 1.0),
    "custom of custom": lambda x: Cube.apply(Exp.apply(x * 0.1), 1.0),
    "gradients as constants": with_inner,
    "layer_norm": lambda x: F.layer_norm(x, (4,)) ** 3,
    "cross_entropy": lambda x: F.cross_entropy(x.view(2, 2), genesis.tensor([0, 1]), label_smoothing=0.1) ** 2,
}


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", LOSSES)
def test_compiled_as_at_once(name: str, order: int) -> None:
    x = genesis.tensor([0.5, 1.0, -2.0, 3.0], requires_grad=True)
    step = genesis.compile(lambda: derivative(LOSSES[name], x, order), backend="interpret")
    expected = derivative(LOSSES[name], x, order)
    np.testing.assert_allclose(step().numpy(), expected.numpy(), rtol=2e-5, atol=1e-5)


def test_hooks_of_leaves_in_a_step() -> None:
    x = genesis.ones(2, requires_grad=True)
    x.register_hook(lambda g: g * 2)

    @genesis.compile(backend="interpret", keep_grads=True)
    def step() -> None:
        x.grad = None
        x.register_hook(lambda g: g + 1)
        (x * 3).sum().backward()

    step()
    assert x.grad.tolist() == [7, 7]
    x.grad = None
    (x * 3).sum().backward()
    assert x.grad.tolist() == [6, 6], "a hook registered inside a step belongs to the step"


def test_a_program_sees_new_hooks() -> None:
    w = genesis.nn.Linear(1, 1, bias=False)
    x = genesis.ones(1, 1)

    @genesis.compile(backend="interpret", keep_grads=True)
    def step(x: Any) -> None:
        w.zero_grad()
        w(x).sum().backward()

    step(x)
    assert w.weight.grad.item() == 1
    w.weight.register_hook(lambda g: g * 5)
    step(x)
    assert w.weight.grad.item() == 5


# Errors


def test_nothing_to_differentiate() -> None:
    with pytest.raises(AutogradError, match="does not require grad and does not have a grad_fn"):
        genesis.ones(1).sum().backward()


def test_backward_needs_a_scalar() -> None:
    with pytest.raises(AutogradError, match="can be implicitly created only for scalar outputs"):
        genesis.ones(2, requires_grad=True).exp().backward()


@pytest.mark.parametrize("run", [lambda f: f, genesis.compile], ids=["eager", "compiled"])
def test_a_gradient_uses_up_only_what_it_goes_through(run: Any) -> None:
    def through(x: Any) -> Any:
        h, k = (x * 2).sin(), (x * 3).sin()
        (g,) = genesis.autograd.grad((h.cos() * k).sum(), h)
        return g, *genesis.autograd.grad(h.sum(), x), *genesis.autograd.grad(k.sum(), x)

    def twice(x: Any) -> Any:
        h = (x * 2).sin()
        c = h.cos()
        genesis.autograd.grad((c * h).sum(), h)
        return genesis.autograd.grad(c.sum(), h)

    x = genesis.tensor([0.5], requires_grad=True)
    wanted = [-np.sin(np.sin(1.0)) * np.sin(1.5), 2 * np.cos(1.0), 3 * np.cos(1.5)]
    np.testing.assert_allclose([g.item() for g in run(through)(x)], wanted, 1e-5)
    with pytest.raises(AutogradError, match="a second time"):
        run(twice)(x)


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


def test_a_leaf_updated_before_its_gradient_is_an_error() -> None:
    w = genesis.ones(1, requires_grad=True)
    loss = (w * w).sum()
    with genesis.no_grad():
        w.mul_(10)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_requires_grad_is_for_floating_leaves() -> None:
    with pytest.raises(AutogradError, match="only Tensors of floating point dtype can require gradients"):
        genesis.ones(1, dtype=genesis.int64).requires_grad_()
    x = genesis.ones(1, requires_grad=True)
    with pytest.raises(AutogradError, match="you can only change requires_grad flags of leaf variables"):
        (x * 2).requires_grad_(False)
    with pytest.raises(AutogradError, match=r"Can't call numpy\(\) on Tensor that requires grad"):
        x.numpy()


def test_grad_modes_decorate_with_and_without_parentheses() -> None:
    def enabled() -> bool:
        return genesis.is_grad_enabled()

    for mode in (genesis.no_grad, genesis.no_grad(), genesis.inference_mode, genesis.inference_mode()):
        assert mode(enabled)() is False and genesis.is_grad_enabled()
    assert genesis.inference_mode(False)(enabled)() is True
    with genesis.no_grad():
        assert genesis.enable_grad(enabled)() is True and not genesis.is_grad_enabled()
        with genesis.inference_mode(mode=False):
            assert genesis.is_grad_enabled()
    assert genesis.set_grad_enabled(False)(enabled)() is False and genesis.is_grad_enabled()


def test_a_decorated_generator_runs_in_its_mode_and_the_caller_does_not() -> None:
    @genesis.no_grad
    def modes() -> Any:
        got = yield genesis.is_grad_enabled()
        yield got, genesis.is_grad_enabled()
        return "end"

    running = modes()
    assert next(running) is False and genesis.is_grad_enabled()
    assert running.send(5) == (5, False) and genesis.is_grad_enabled()
    with pytest.raises(StopIteration, match="end"):
        next(running)


def _convolved(x: Any, w: Any) -> Any:
    return F.conv2d(x, w, padding=1).tanh().sum()


def _attended(x: Any, w: Any) -> Any:
    q = (x.view(2, 5, -1) @ w.view(-1)[:15].view(15, 1)).tanh() * x.view(2, 5, -1)
    return (F.scaled_dot_product_attention(q, q, q, is_causal=True) ** 2).sum()


@pytest.mark.parametrize("function", [_convolved, _attended])
def test_compiled_gradients_to_third_order(function: Any) -> None:
    rng = np.random.default_rng(0)
    x = genesis.tensor(rng.standard_normal((2, 3, 5, 5)).astype(np.float32) / 2, requires_grad=True)
    w = genesis.tensor(rng.standard_normal((4, 3, 3, 3)).astype(np.float32) / 2, requires_grad=True)

    def third() -> Any:
        (g,) = grad(function(x, w), x, create_graph=True)
        (h,) = grad((g * g).sum(), x, create_graph=True)
        return g, h, *grad((h * h).sum(), (x, w))

    for actual, expected in zip(genesis.compile(third)(), third(), strict=True):
        actual, expected = actual.detach().numpy(), expected.detach().numpy()
        np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
