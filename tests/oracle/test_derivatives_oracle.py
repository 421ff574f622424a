"""``autograd.functional`` and ``func`` against PyTorch's."""

from typing import Any

import numpy as np
import pytest

import genesis
from genesis import derivatives, func
from tests.oracle.compare import same

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script.*is deprecated")

X = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)
Y = np.random.default_rng(1).standard_normal(3).astype(np.float32)


def both(call: Any) -> None:
    results = []
    for lib, functional, made in ((genesis, derivatives, func), (torch, torch.autograd.functional, torch.func)):
        results.append(call(lib, functional, made, lib.tensor(X), lib.tensor(Y)))
    compare(*results)


def compare(got: Any, want: Any) -> None:
    if isinstance(want, tuple | list):
        assert len(got) == len(want)
        for a, b in zip(got, want, strict=True):
            compare(a, b)
    elif isinstance(want, dict):
        compare([got[k] for k in want], list(want.values()))
    else:
        same(got, want, 1e-4, 1e-5)


def vector(x: Any, y: Any) -> Any:
    return (x * y).exp().sum(1), y**3


def scalar(x: Any, y: Any) -> Any:
    return (x**3 * y).sum() + (y**2).sum() * x.sum()


FUNCTIONAL: dict[str, Any] = {
    "jacobian": lambda f, x, y: f.jacobian(vector, (x, y)),
    "jacobian of one": lambda f, x, y: f.jacobian(lambda x: x.sin() * y, x),
    "hessian": lambda f, x, y: f.hessian(scalar, (x, y)),
    "hessian of one": lambda f, x, y: f.hessian(lambda x: (x**3).sum(), x),
    "vjp": lambda f, x, y: f.vjp(vector, (x, y), (y[:2], y)),
    "jvp": lambda f, x, y: f.jvp(vector, (x, y), (x * 2, y)),
    "hvp": lambda f, x, y: f.hvp(scalar, (x, y), (x * 2, y)),
    "vhp": lambda f, x, y: f.vhp(lambda x: (x**3).sum(), x, x),
}


@pytest.mark.parametrize("name", FUNCTIONAL)
def test_functional(name: str) -> None:
    both(lambda lib, functional, made, x, y: FUNCTIONAL[name](functional, x, y))


def test_a_jacobian_may_be_differentiated() -> None:
    def call(lib: Any, functional: Any, made: Any, x: Any, y: Any) -> Any:
        x.requires_grad_()
        functional.jacobian(lambda x: (x**3).sum(0), x, create_graph=True).sum().backward()
        return x.grad

    both(call)


FUNC: dict[str, Any] = {
    "grad": lambda f, x, y: f.grad(scalar, argnums=(0, 1))(x, y),
    "grad of a dict": lambda f, x, y: f.grad(lambda p: (p["a"] * p["b"]).sum())({"a": x, "b": y}),
    "grad of grad": lambda f, x, y: f.grad(lambda x: f.grad(lambda x: (x**4).sum())(x).sum())(x),
    "value": lambda f, x, y: f.grad_and_value(scalar)(x, y),
    "aux": lambda f, x, y: f.grad(lambda x: ((x**2).sum(), x * 2), has_aux=True)(x),
    "vjp": lambda f, x, y: f.vjp(lambda x: x.sin(), x)[1](x),
    "jvp": lambda f, x, y: f.jvp(lambda x: x.sin(), (x,), (x,)),
    "jacrev": lambda f, x, y: f.jacrev(lambda a, b: a.sin() * b, argnums=1)(x, y),
    "hessian": lambda f, x, y: f.hessian(lambda x: (x**3).sum())(x),
    "vmap": lambda f, x, y: f.vmap(lambda a, b: (a * b).sum(), in_dims=(0, None))(x, y),
    "vmap of columns": lambda f, x, y: f.vmap(lambda a: (a * 2, a.sum()), in_dims=1, out_dims=(1, 0))(x),
    "vmap of trees": lambda f, x, y: f.vmap(
        lambda d, a: {"s": d["u"] * d["v"], "t": (a.sum(),)}, in_dims=({"u": 0, "v": None}, 0)
    )({"u": x, "v": y}, x),
    "gradients by a dict inside": lambda f, x, y: f.grad(
        lambda p: ((p["a"] - f.grad(lambda q: (q["a"] ** 3).sum())(p)["a"]) ** 2).sum()
    )({"a": x}),
    "a gradient of what is around it": lambda f, x, y: f.grad(
        lambda w: f.vmap(f.grad(lambda a: (a**2 * w).sum()))(x).square().sum()
    )(y),
    "vjp of a dict": lambda f, x, y: f.vjp(lambda p: (p["a"] * p["b"], p["b"]), {"a": x, "b": y})[1]((x, y)),
    "jvp of a dict": lambda f, x, y: f.jvp(lambda p: p["a"] * p["b"], ({"a": x, "b": y},), ({"a": x, "b": y},)),
    "jacrev of trees": lambda f, x, y: f.jacrev(
        lambda a, p: ({"s": a * p["b"]}, a.sum()), argnums=(0, 1), has_aux=True
    )(x, {"b": y}),
    "hessian of a dict": lambda f, x, y: f.hessian(lambda p: (p["a"] ** 2 * p["b"]).sum())({"a": y, "b": y * 2}),
    "gradients of samples": lambda f, x, y: f.vmap(f.grad(lambda w, a: ((w * a).sum()) ** 2), in_dims=(None, 0))(y, x),
}


@pytest.mark.parametrize("name", FUNC)
def test_func(name: str) -> None:
    both(lambda lib, functional, made, x, y: FUNC[name](made, x, y))


def test_calls_with_other_parameters() -> None:
    def call(lib: Any, functional: Any, made: Any, x: Any, y: Any) -> Any:
        layer = lib.nn.Sequential(lib.nn.Linear(3, 1))
        before = layer[0].weight
        found = made.grad(lambda w: made.functional_call(layer, {"0.weight": w, "0.bias": y[:1]}, (x,)).sum())(y[None])
        assert layer[0].weight is before
        return found

    both(call)


def test_results_have_the_history_of_what_is_outside() -> None:
    """And none of what the functions themselves differentiate by."""

    def call(lib: Any, functional: Any, made: Any, x: Any, y: Any) -> Any:
        y.requires_grad_()
        found = []
        for f in (lambda x: x**3, lambda x: x**3 * y, lambda x: x**2 + y):
            value, pull = made.vjp(f, x)
            found += [value, pull(x)[0], *made.jvp(f, (x,), (x,)), made.jacrev(f)(x)]
            found += made.grad_and_value(lambda x, f=f: f(x).sum())(x)
            found += [made.hessian(lambda x, f=f: f(x).sum())(x)]
            found += made.grad(lambda x, f=f: (f(x).sum(), f(x)), has_aux=True)(x)
            with lib.no_grad():
                found.append(made.grad(lambda x, f=f: f(x).sum())(x))
        made.grad(lambda x: (x**3 * y).sum())(x).sum().backward()
        return [x.requires_grad for x in found], y.grad

    both(call)


def test_calls_with_parameters_of_several_models_and_shared_ones() -> None:
    def call(lib: Any, functional: Any, made: Any, x: Any, y: Any) -> Any:
        models = [lib.nn.BatchNorm1d(3).eval() for _ in range(2)]
        with lib.no_grad():
            models[1].weight.mul_(2)
        table, buffers = made.stack_module_state(models)
        several = made.vmap(lambda p, b: made.functional_call(models[0], (p, b), (x,)))(table, buffers)
        tied = lib.nn.Sequential(lib.nn.Linear(3, 3, bias=False), lib.nn.Linear(3, 3, bias=False))
        tied[1].weight = tied[0].weight
        weights = {name: lib.ones(3, 3) for name, _ in tied.named_parameters()}
        return several, made.functional_call(tied, weights, (x,)), table["weight"].requires_grad

    both(call)


def test_compiled_as_eager() -> None:
    def step(x: Any) -> Any:
        inner = func.grad(lambda p: (p["x"] ** 3).sum())
        return (
            func.grad(lambda p: (p["x"] * inner(p)["x"]).sum())({"x": x})["x"],
            derivatives.hvp(lambda x: (x**3).sum(), x, x)[1],
        )

    x = genesis.tensor(X)
    for got, want in zip(genesis.compile(step)(x), step(x), strict=True):
        np.testing.assert_allclose(got.numpy(), want.numpy(), 1e-5)


def test_options_of_grad_and_backward() -> None:
    def call(lib: Any, functional: Any, made: Any, x: Any, y: Any) -> Any:
        x.requires_grad_(), y.requires_grad_()
        out = x.sin() * y
        several = lib.stack([x.detach(), x.detach() * 2])
        options = {"retain_graph": True, "only_inputs": True, "create_graph": True}
        found = [*lib.autograd.grad(out, (x, y), several, is_grads_batched=True, **options)]
        other = x.detach().requires_grad_()
        found += lib.autograd.grad(out, (other, y), x, materialize_grads=True, **options)
        out.sum().backward(inputs=[y], retain_graph=True)
        found += [y.grad.clone(), lib.tensor(float(x.grad is None))]
        lib.autograd.backward(out.sum(), inputs=x)
        return [*found, x.grad, y.grad]

    both(call)


ERRORS: dict[str, Any] = {
    "inputs of none": lambda f, x: (x.requires_grad_() * 2).sum().backward(inputs=[]),
    "inputs without gradient": lambda f, x: (x.clone().requires_grad_() * x).sum().backward(inputs=[x]),
    "no vector": lambda f, x: f.vjp(lambda x: x * 2, x),
    "another shape": lambda f, x: f.jvp(lambda x: x * 2, x, x[0]),
    "no scalar": lambda f, x: f.hessian(lambda x: x * 2, x),
    "independent": lambda f, x: f.jacobian(lambda x: x.new_zeros(2).requires_grad_() * 1, x, strict=True),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    with pytest.raises(RuntimeError):
        ERRORS[name](torch.autograd.functional, torch.tensor(X))
    with pytest.raises(RuntimeError):
        ERRORS[name](derivatives, genesis.tensor(X))
