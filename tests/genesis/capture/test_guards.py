"""Compiled functions are guarded by everything that they refer to, however it is reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn
from genesis.capture.guards.keys import IdentityKey, guard_key
from genesis.capture.guards.reachable import Reachable

X = genesis.ones(2)


def compiled(function: Callable[..., Any]) -> Any:
    return genesis.compile(function, backend="interpret")


def run(step: Any, x: Any = X) -> float:
    with genesis.no_grad():
        return float(step(x).sum())


def scale(by: float) -> nn.Module:
    layer = nn.Linear(2, 2, bias=False)
    layer.weight.data = genesis.eye(2) * by
    return layer


# Modules


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = scale(1.0)
        self.sizes = (1, 2)
        self.gain: Any = nn.Parameter(genesis.ones(2))
        self.register_buffer("shift", genesis.zeros(2))

    def forward(self, x: Any) -> Any:
        return self.layer(x) * self.gain + self.shift + float(self.sizes[0])


CHANGES: dict[str, tuple[Callable[[Net], Any], float]] = {
    "submodule": (lambda net: setattr(net, "layer", scale(10.0)), 22),
    "parameter": (lambda net: setattr(net, "gain", nn.Parameter(genesis.full((2,), 3.0))), 8),
    "buffer": (lambda net: setattr(net, "shift", genesis.ones(2)), 6),
    "tuple attribute": (lambda net: setattr(net, "sizes", (5, 2)), 12),
    "forward hook": (lambda net: net.register_forward_hook(lambda m, a, y: y * 100), 400),
    "hook below": (lambda net: net.layer.register_forward_pre_hook(lambda m, a: (a[0] * 2,)), 6),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_of_a_module_are_seen(name: str) -> None:
    net = Net()
    step = compiled(lambda x: net(x))
    assert run(step) == run(step) == 4 and step.compiles == 1
    change, result = CHANGES[name]
    change(net)
    assert run(step) == run(step) == result and step.compiles == 2


def test_a_removed_hook_leads_back_to_the_first_program() -> None:
    net = Net()
    step = compiled(lambda x: net(x))
    assert run(step) == 4
    handle = net.register_forward_hook(lambda m, a, y: y * 100)
    assert run(step) == 400
    handle.remove()
    assert run(step) == 4 and step.compiles == 2


def test_a_list_attribute_changed_in_place() -> None:
    class Listed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factors = [2.0]

        def forward(self, x: Any) -> Any:
            for factor in self.factors:
                x = x * factor
            return x

    net = Listed()
    step = compiled(lambda x: net(x))
    assert run(step) == 4
    net.factors.append(3.0)
    assert run(step) == 12


def test_frozen_parameters_are_compiled_anew() -> None:
    net = Net()

    @genesis.compile(backend="interpret", keep_grads=True)
    def step(x: Any) -> Any:
        loss = net(x).sum()
        loss.backward()
        return loss

    step(X)
    net.zero_grad()
    net.layer.weight.requires_grad_(False)
    step(X)
    assert net.layer.weight.grad is None and net.gain.grad is not None


def test_globals_of_forward_are_guarded() -> None:
    class Reader(nn.Module):
        def forward(self, x: Any) -> Any:
            return x * FACTOR

    net = Reader()
    step = compiled(lambda x: net(x))
    global FACTOR
    FACTOR = 2.0
    assert run(step) == 4
    FACTOR = 3.0
    assert run(step) == 6


FACTOR = 2.0

# Closures and containers


def test_an_exchanged_function() -> None:
    def twice(x: Any) -> Any:
        return x * 2

    def thrice(x: Any) -> Any:
        return x * 3

    act = twice
    step = compiled(lambda x: act(x))
    assert run(step) == 4
    act = thrice
    assert run(step) == 6
    act = genesis.exp
    assert run(step) == pytest.approx(2 * np.e, rel=1e-6)
    act = twice
    assert run(step) == 4 and step.compiles == 3


def test_functions_of_one_code_with_different_closures() -> None:
    def by(factor: list[float]) -> Callable[[Any], Any]:
        return lambda x: x * factor[0]

    a, b = [2.0], [3.0]
    first, second = by(a), by(b)
    step = compiled(lambda x: first(x) + second(x))
    assert run(step) == 10
    b[0] = 30.0
    assert run(step) == 64


def test_partial_and_bound_methods() -> None:
    class Scaled:
        def __init__(self) -> None:
            self.by = 2.0

        def apply(self, x: Any) -> Any:
            return x * self.by

    scaled = Scaled()
    method = scaled.apply
    step = compiled(lambda x: method(x))
    assert run(step) == 4
    scaled.by = 5.0
    assert run(step) == 10
    bound = partial(lambda x, by: x * by, by=2.0)
    other = compiled(lambda x: bound(x))
    assert run(other) == 4
    bound = partial(lambda x, by: x * by, by=7.0)
    assert run(other) == 14


def test_membership_of_containers() -> None:
    layers = [scale(2.0)]
    table = {"a": 1.0}

    @compiled
    def step(x: Any) -> Any:
        for layer in layers:
            x = layer(x)
        return x * sum(table.values())

    assert run(step) == 4
    layers.append(scale(3.0))
    assert run(step) == 12
    layers[0] = scale(1.0)
    assert run(step) == 6
    table["b"] = 1.0
    assert run(step) == 12


def test_contents_of_nested_containers() -> None:
    table: dict[str, Any] = {"a": [1.0, (2.0, [3.0])], "b": {4.0}}
    step = compiled(lambda x: x * (table["a"][0] + table["a"][1][1][0] + max(table["b"])))
    for change, result in (
        (lambda: None, 16),
        (lambda: table["a"].__setitem__(0, 2.0), 18),
        (lambda: table["a"][1][1].__setitem__(0, 4.0), 20),
        (lambda: table["b"].add(5.0), 22),
        (lambda: table.update(a=[2.0, (0.0, [4.0])]), 22),
    ):
        change()
        assert run(step) == run(step) == result
    assert step.compiles == 5


def test_a_container_filled_again_with_the_same() -> None:
    factors = [1000.5]
    step = compiled(lambda x: x * factors[0])
    for _ in range(3):
        factors[:] = [float("1000.5")]
        assert run(step) == 2001
    assert step.compiles == 1


def test_a_deleted_variable() -> None:
    factor = 2.0
    step = compiled(lambda x: x * factor)
    assert run(step) == run(step) == 4
    del factor
    with pytest.raises(NameError):
        run(step)
    factor = 3.0
    assert run(step) == 6


class Plain:
    factor: float | None


class Slotted:
    __slots__ = ("factor",)


@pytest.mark.parametrize("kind", [Plain, Slotted])
def test_an_attribute_that_is_gone_is_not_one_that_is_none(kind: Callable[[], Any]) -> None:
    thing = kind()

    def function(x: Any) -> Any:
        if not hasattr(thing, "factor"):
            return x * 5
        return x if thing.factor is None else x * thing.factor

    step = compiled(function)
    thing.factor = None
    assert [run(step) for _ in range(4)] == [2] * 4
    del thing.factor
    assert run(step) == 10


def _tries(thing: Any) -> bool:
    try:
        return thing.factor is None
    except AttributeError:
        return True


@pytest.mark.parametrize(
    "is_absent", [lambda t: not hasattr(t, "factor"), lambda t: getattr(t, "factor", None) is None, _tries]
)
@pytest.mark.parametrize(
    "kind", [Plain, Slotted, SimpleNamespace, lambda: ModuleType("config"), lambda: type("Own", (), {})]
)
def test_an_attribute_that_comes_later(kind: Callable[[], Any], is_absent: Callable[[Any], bool]) -> None:
    thing = kind()
    step = compiled(lambda x: x * 5 if is_absent(thing) else x * thing.factor)
    assert [run(step) for _ in range(5)] == [10] * 5
    thing.factor = 3.0
    assert run(step) == 6
    del thing.factor
    assert run(step) == 10 and step.compiles == 2


last: float | None = None


def test_a_variable_that_is_gone_is_not_one_that_is_none() -> None:
    global last
    mine: float | None = None

    def function(x: Any) -> Any:
        try:
            return x if mine is None and last is None else x * 2
        except NameError:
            return x * 5

    step = compiled(function)
    assert [run(step) for _ in range(4)] == [2] * 4
    del mine
    assert run(step) == 10
    mine = None
    assert run(step) == 2
    del last
    assert run(step) == 10
    last = None
    assert run(step) == 2 and step.compiles == 3


def test_a_variable_that_comes_later() -> None:
    def function(x: Any) -> Any:
        return x * 5 if "comes_later" not in globals() else x

    step = compiled(function)
    assert [run(step) for _ in range(4)] == [10] * 4
    globals()["comes_later"] = None
    try:
        assert run(step) == 2
    finally:
        del globals()["comes_later"]


def test_a_rebound_module_brings_its_own_guards() -> None:
    net, other = Net(), Net()
    step = compiled(lambda x: net(x))
    assert run(step) == 4
    first, net = net, other
    assert run(step) == 4 and step.compiles == 2
    other.sizes = (3, 2)
    assert run(step) == 8
    net = first
    assert run(step) == 4 and step.compiles == 3


def test_a_rebound_tensor() -> None:
    mask = genesis.ones(2)
    step = compiled(lambda x: x * mask)
    assert run(step) == 2
    mask = genesis.zeros(2)
    assert run(step) == 0


def test_configurations() -> None:
    @dataclass
    class Config:
        factor: float = 2.0
        sizes: list[int] = field(default_factory=lambda: [1])

    config, space = Config(), SimpleNamespace(shift=1.0)
    step = compiled(lambda x: x * config.factor * len(config.sizes) + space.shift)
    assert run(step) == 6
    config.factor = 3.0
    assert run(step) == 8
    config.sizes.append(0)
    assert run(step) == 14
    space.shift = 0.0
    assert run(step) == 12
    config = Config(3.0, [1, 0])
    assert run(step) == 12 and step.compiles == 4


def test_attributes_read_through_self() -> None:
    class Trainer:
        rate = 2.0

        def __init__(self) -> None:
            self.model = scale(1.0)
            self.losses: list[float] = []
            self.offset = 0.0

        @property
        def doubled(self) -> float:
            return self.offset * 2

        def helper(self, x: Any) -> Any:
            return x * self.rate + self.doubled

        @genesis.compile(backend="interpret")
        def step(self, x: Any) -> Any:
            return self.helper(self.model(x))

    trainer = Trainer()
    for _ in range(10):
        trainer.losses.append(run(trainer.step))
    assert trainer.losses == [4] * 10 and trainer.step.compiles == 1, "what the step does not read is no guard"
    trainer.offset = 1.0
    assert run(trainer.step) == 8
    trainer.rate = 3.0
    assert run(trainer.step) == 10
    trainer.model = scale(2.0)
    assert run(trainer.step) == 16


# Tokens


def test_nan_is_one_value() -> None:
    limit = float("nan")
    step = compiled(lambda x: x * (2 if limit != limit else 3))
    assert run(step) == 4
    limit = float("nan")
    assert run(step) == 4 and step.compiles == 1
    limit = 0.0
    assert run(step) == 6


def test_types_count() -> None:
    assert len({guard_key(x) for x in (1, True, 1.0, "1", np.float32(1), None)}) == 6
    assert guard_key(0.0) != guard_key(-0.0)


def test_unhashable_arguments() -> None:
    @dataclass
    class Config:
        factor: float

    step = compiled(lambda x, config, names: x * config.factor * len(names))
    with genesis.no_grad():
        assert float(step(X, Config(2.0), {"a", "b"}).sum()) == 8
        assert float(step(X, Config(2.0), {"b", "a"}).sum()) == 8 and step.compiles == 1
        assert float(step(X, Config(3.0), {"a"}).sum()) == 6


def test_identity_outlives_the_object() -> None:
    first, other = IdentityKey([1]), IdentityKey([1])
    assert first == IdentityKey(first.thing) and first != other and len({first, IdentityKey(first.thing)}) == 1


def test_containers_that_contain_themselves() -> None:
    loop: list[Any] = [1]
    loop.append(loop)
    assert guard_key(loop) == guard_key(loop)
    assert "loop" in Reachable(lambda x: x * loop[0]).guards


def test_a_global_named_like_an_attribute_guards_nothing() -> None:
    space: dict[str, object] = {}
    exec("def step(x):\n    return x.double", space)
    before = list(Reachable(space["step"]).guards)  # type: ignore[arg-type]
    space["double"] = 3.5
    assert list(Reachable(space["step"]).guards) == before  # type: ignore[arg-type]
