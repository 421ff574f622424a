"""``genesis.compile`` takes modules, methods, partial functions and callable objects."""

from __future__ import annotations

import copy
import functools
import pickle
from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn, optim


class Net(nn.Module):
    """A module with a method, a property and an attribute of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
        self.scale = 2.0

    def forward(self, x: Any, shift: float = 0.0) -> Any:
        return self.layers(x) * self.scale + shift

    def generate(self, x: Any) -> Any:
        return self(x) * 10

    @property
    def width(self) -> int:
        return self.layers[0].out_features


def net() -> Net:
    genesis.manual_seed(0)
    return Net()


def batch() -> Any:
    return genesis.tensor(np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32))


def trained(model: Any, twin: Any) -> list[np.ndarray]:
    """Three steps and an evaluation: the forward by ``twin``, all else by ``model``."""
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    genesis.manual_seed(1)
    for _ in range(3):
        optimizer.zero_grad()
        twin(batch(), shift=0.5).pow(2).mean().backward()
        optimizer.step()
    model.eval()
    return [twin(batch()).detach().numpy(), *(v.numpy() for v in model.state_dict().values())]


def same(actual: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_a_compiled_module_is_the_module() -> None:
    model = net()
    twin = genesis.compile(model)
    assert isinstance(twin, nn.Module) and isinstance(twin, Net)
    assert list(twin.state_dict()) == list(model.state_dict()) and [*twin.parameters()] == [*model.parameters()]
    assert [n for n, _ in twin.named_modules()] == [n for n, _ in model.named_modules()]
    assert twin.width == 4 and twin.scale == 2.0
    twin.scale = 3.0
    twin.eval()
    assert model.scale == 3.0 and not model.training and not model.layers.training
    twin.load_state_dict(net().state_dict())
    np.testing.assert_allclose(twin(batch()).detach().numpy(), model(batch()).detach().numpy(), rtol=1e-5)
    np.testing.assert_allclose(twin.generate(batch()).detach().numpy(), 10 * model(batch()).detach().numpy(), rtol=1e-5)
    assert repr(twin) == repr(model)


def test_a_compiled_module_trains_as_the_module() -> None:
    one, two, three = net(), net(), net()
    expected = trained(one, one)
    same(trained(two, genesis.compile(two)), expected)
    assert three.compile() is None  # type: ignore[attr-defined]
    same(trained(three, three), expected)
    four = genesis.compile(net())
    same(trained(four, four), expected)


def test_a_compiled_module_inside_a_step_and_inside_a_module() -> None:
    def run(wrap: Any) -> list[np.ndarray]:
        model = net()
        inner = wrap(model)
        outer = nn.Sequential(inner, nn.Linear(4, 2))
        optimizer = optim.SGD(outer.parameters(), lr=0.1)
        genesis.manual_seed(1)

        @genesis.compile
        def step(x: Any) -> Any:
            optimizer.zero_grad()
            loss = outer(x).pow(2).mean()
            loss.backward()
            optimizer.step()
            return loss

        losses = [step(batch()).detach().numpy() for _ in range(3)]
        assert "0.layers.0.weight" in outer.state_dict()
        optimizer.zero_grad()
        outer(batch()).sum().backward()
        return [*losses, *(np.array(p.grad) for p in outer.parameters())]

    same(run(genesis.compile), run(lambda model: model))


def test_copies_of_compiled_modules_are_compiled_and_their_own() -> None:
    model = net().eval()
    twin = genesis.compile(model)
    model.compile()
    expected = model(batch()).detach().numpy()
    for copied in (copy.deepcopy(twin), pickle.loads(pickle.dumps(twin)), copy.deepcopy(model)):
        assert next(copied.parameters()) is not next(model.parameters())
        np.testing.assert_allclose(copied(batch()).detach().numpy(), expected, rtol=1e-6)
        with genesis.no_grad():
            next(copied.parameters()).add_(1)
        assert not np.allclose(copied(batch()).detach().numpy(), expected)
    np.testing.assert_allclose(model(batch()).detach().numpy(), expected, rtol=1e-6)


class Scaler:
    """A callable object."""

    def __init__(self) -> None:
        self.factor = genesis.tensor(2.0, requires_grad=True)
        self.shift = 1

    def __call__(self, x: Any) -> Any:
        return x * self.factor + self.shift

    def method(self, x: Any, y: Any = None) -> Any:
        return self(x) + (0 if y is None else y)


def test_callables() -> None:
    thing, x = Scaler(), genesis.tensor([1.0, 2.0])
    for function, value in (
        (thing, [3, 5]),
        (thing.method, [3, 5]),
        (functools.partial(thing.method, y=1.0), [4, 6]),
        (functools.partial(functools.partial(Scaler.method, thing), y=x), [4, 7]),
        (lambda x: thing(x), [3, 5]),
        (genesis.compile(thing), [3, 5]),
    ):
        compiled = genesis.compile(function)
        thing.shift, thing.factor.grad = 1, None
        out = compiled(x)
        assert out.tolist() == value
        out.sum().backward()
        assert thing.factor.grad.item() == 3
        thing.shift = 2
        assert compiled(x).tolist() == [v + 1 for v in value]
    for wrong in (3, "step"):
        with pytest.raises(TypeError, match=r"genesis.compile\(\) takes a function"):
            genesis.compile(wrong)
