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


def test_compiled_as_eager() -> None:
    def step(x: Any) -> Any:
        return func.grad(lambda x: (x**3).sum())(x), derivatives.hvp(lambda x: (x**3).sum(), x, x)[1]

    x = genesis.tensor(X)
    for got, want in zip(genesis.compile(step)(x), step(x), strict=True):
        np.testing.assert_allclose(got.numpy(), want.numpy(), 1e-5)


ERRORS: dict[str, Any] = {
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
