"""Every way to change something between two calls, wherever the step finds it, equals the eager call."""

from __future__ import annotations

import os
from collections import OrderedDict, UserDict, UserList, deque
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial, singledispatch
from operator import attrgetter, methodcaller
from types import SimpleNamespace
from typing import Any, NamedTuple
from weakref import ref

import numpy as np
import pytest

import genesis
from compiler.errors import GenesisError
from genesis import nn

X = genesis.tensor([1.0, 2.0])


class Case(NamedTuple):
    """An object that a step uses, and a change of it."""

    make: Callable[[], Any]
    use: Callable[[Any, Any], Any]
    change: Callable[[Any], Any]


COMPUTED = ("array computed on", "array used both ways", "large array", "array over 1 MiB", "array of objects")
"""As arguments arrays are tensors, whose contents a step cannot compute on in Python."""


class Scaled:
    """Reads its attributes in methods that operators call."""

    shared = 2.0

    def __init__(self) -> None:
        self.by = 2.0
        self.inner = SimpleNamespace(values=[2.0])

    def __getitem__(self, i: int) -> float:
        return self.by * i

    def __mul__(self, x: Any) -> Any:
        return x * self.by

    def __len__(self) -> int:
        return int(self.by)

    def __contains__(self, i: float) -> bool:
        return i == self.by

    def __call__(self, x: Any) -> Any:
        return x * self.by

    @property
    def doubled(self) -> float:
        return 2 * self.by

    @classmethod
    def of_class(cls) -> float:
        return cls.shared

    @staticmethod
    def fixed() -> float:
        return Scaled.shared

    def method(self, x: Any) -> Any:
        return x * self.inner.values[0]


class Slotted:
    __slots__ = ("by",)

    def __init__(self) -> None:
        self.by = 2.0


@dataclass
class Config:
    by: float = 2.0
    deep: dict[str, Any] = field(default_factory=lambda: {"a": [1.0, {"b": 2.0}]})


def fresh_class() -> type:
    """A class of its own, whose methods may be replaced."""

    class Layer(nn.Module):
        def forward(self, x: Any) -> Any:
            return self.scaled(x)

        def scaled(self, x: Any) -> Any:
            return x * 2.0

    return Layer


def with_default() -> Callable[..., Any]:
    def scaled(x: Any, by: float = 2.0, *, table: dict[str, float] = {"a": 1.0}) -> Any:  # noqa: B006
        return x * by * table["a"]

    return scaled


def with_attribute() -> Callable[..., Any]:
    def scaled(x: Any) -> Any:
        return x * scaled.by  # type: ignore[attr-defined]

    scaled.by = 2.0  # type: ignore[attr-defined]
    return scaled


def by_type() -> Any:
    @singledispatch
    def scaled(kind: Any, x: Any) -> Any:
        return x

    return scaled


def derived() -> type:
    """A class whose method calls the method of its base."""

    class Base:
        by = 2.0

        def scaled(self, x: Any) -> Any:
            return x * self.by

    class Derived(Base):
        def scaled(self, x: Any) -> Any:
            return super().scaled(x) + 1

    return Derived


class Making:
    """Its attributes are made when they are asked for; there are no others, whatever is asked."""

    def __init__(self) -> None:
        self.table = {"by": 2.0}

    def __getattr__(self, name: str) -> Any:
        return self.table[name]


KEPT: list[Any] = []


def kept(thing: Any) -> Any:
    KEPT.append(thing)
    return ref(thing)


def linear() -> nn.Module:
    layer = nn.Linear(2, 2)
    layer.weight.data = genesis.eye(2)
    return layer


def nested(depth: int) -> list[Any]:
    found: Any = 2.0
    for _ in range(depth):
        found = [found]
    return found


def innermost(thing: Any) -> Any:
    while isinstance(thing[0], list):
        thing = thing[0]
    return thing


def _set(name: str, value: Any) -> Callable[[Any], Any]:
    return lambda thing: setattr(thing, name, value)


def _item(key: Any, value: Any) -> Callable[[Any], Any]:
    return lambda thing: thing.__setitem__(key, value)


class Total(nn.Module):
    """A module that keeps a NumPy array, a number and a list."""

    def __init__(self) -> None:
        super().__init__()
        self.array = np.ones(2, np.float32)
        self.by = 2.0
        self.factors = [1.0] * 3

    def forward(self, x: Any) -> Any:
        return x * self.by * self.factors[2] + self.array


def replaced_method(thing: Any) -> None:
    type(thing).scaled = lambda self, x: x * 5.0


CASES: dict[str, Case] = {
    # Containers
    "list item": Case(lambda: [1.0, 2.0], lambda t, x: x * t[1], _item(1, 5.0)),
    "item 300 of a list": Case(lambda: [1.0] * 400, lambda t, x: x * t[300], _item(300, 5.0)),
    "appended to a list": Case(lambda: [1.0] * 400, lambda t, x: x * len(t), lambda t: t.append(0.0)),
    "one type for another": Case(lambda: [1], lambda t, x: x * 2 if t[0] is True else x, _item(0, True)),
    "50 lists deep": Case(lambda: nested(50), lambda t, x: x * innermost(t)[0], lambda t: _item(0, 5.0)(innermost(t))),
    "dict of dicts": Case(
        lambda: {"a": {"b": {"c": {"d": {"e": 2.0}}}}},
        lambda t, x: x * t["a"]["b"]["c"]["d"]["e"],
        lambda t: t["a"]["b"]["c"]["d"].update(e=5.0),
    ),
    "key of a dict": Case(lambda: {"a": 1.0}, lambda t, x: x * len(next(iter(t))), lambda t: t.update(bb=t.pop("a"))),
    "order of a dict": Case(
        lambda: OrderedDict(a=1.0, b=2.0), lambda t, x: x * next(iter(t.values())), lambda t: t.move_to_end("a")
    ),
    "set": Case(lambda: {1.0}, lambda t, x: x * max(t), lambda t: t.add(5.0)),
    "deque": Case(lambda: deque([1.0, 2.0]), lambda t, x: x * t[-1], lambda t: t.append(5.0)),
    "user's dict": Case(lambda: UserDict(a=1.0), lambda t, x: x * t["a"], _item("a", 5.0)),
    "user's list": Case(lambda: UserList([1.0]), lambda t, x: x * t[0], _item(0, 5.0)),
    "bytes": Case(lambda: bytearray(b"ab"), lambda t, x: x * t[0], _item(0, 5)),
    # Arrays
    "array as operand": Case(lambda: np.ones(2, np.float32), lambda t, x: x * t, lambda t: t.fill(5.0)),
    "array as tensor": Case(lambda: np.ones(2, np.float32), lambda t, x: x * genesis.tensor(t), lambda t: t.fill(5.0)),
    "array of doubles": Case(
        lambda: np.ones(2), lambda t, x: x * genesis.tensor(t, dtype=genesis.float32), lambda t: t.fill(5.0)
    ),
    "array as shared memory": Case(
        lambda: np.ones(2, np.float32), lambda t, x: x * genesis.from_numpy(t), lambda t: t.fill(5.0)
    ),
    "view of an array": Case(lambda: np.ones(4, np.float32), lambda t, x: x * t[1:3], lambda t: t.fill(5.0)),
    "array computed on": Case(lambda: np.ones(2, np.float32), lambda t, x: x * float(t.sum() + 1), _item(0, 5.0)),
    "array used both ways": Case(lambda: np.ones(2, np.float32), lambda t, x: x * t + float(t[0]), _item(0, 5.0)),
    "array over 1 MiB": Case(
        lambda: np.ones(300_000, np.float32),
        lambda t, x: x * genesis.tensor(t)[0] * float(t[-1]),
        _item(299_999, 5.0),
    ),
    "large array": Case(lambda: np.ones(70000, np.float32), lambda t, x: x * float(t[-1]), _item(69999, 5.0)),
    "array in a dict": Case(lambda: {"m": np.ones(2, np.float32)}, lambda t, x: x * t["m"], lambda t: t["m"].fill(5.0)),
    "array of objects": Case(lambda: np.array([1.0, None]), lambda t, x: x * t[0], _item(0, 5.0)),
    "shape of an array": Case(lambda: np.ones((2, 1)), lambda t, x: x * t.shape[0], _set("shape", (1, 2))),
    # Objects
    "attribute": Case(Scaled, lambda t, x: x * t.by, _set("by", 5.0)),
    "attribute by vars": Case(Scaled, lambda t, x: x * t.by, lambda t: vars(t).update(by=5.0)),
    "attribute by getattr": Case(Scaled, lambda t, x: x * getattr(t, "b" + "y"), _set("by", 5.0)),
    "attribute by attrgetter": Case(
        Scaled, lambda t, x: x * attrgetter("inner.values")(t)[0], lambda t: t.inner.values.insert(0, 5.0)
    ),
    "subscript": Case(Scaled, lambda t, x: x * t[1], _set("by", 5.0)),
    "multiplication": Case(Scaled, lambda t, x: t * x, _set("by", 5.0)),
    "length": Case(Scaled, lambda t, x: x * len(t), _set("by", 5.0)),
    "membership": Case(Scaled, lambda t, x: x * 3 if 2.0 in t else x, _set("by", 5.0)),
    "call": Case(Scaled, lambda t, x: t(x), _set("by", 5.0)),
    "property": Case(Scaled, lambda t, x: x * t.doubled, _set("by", 5.0)),
    "list of an attribute": Case(Scaled, lambda t, x: t.method(x), lambda t: t.inner.values.insert(0, 5.0)),
    "slot": Case(Slotted, lambda t, x: x * t.by, _set("by", 5.0)),
    "dataclass": Case(Config, lambda t, x: x * t.by, _set("by", 5.0)),
    "deep in a dataclass": Case(Config, lambda t, x: x * t.deep["a"][1]["b"], lambda t: t.deep["a"][1].update(b=5.0)),
    "namespace": Case(lambda: SimpleNamespace(by=2.0), lambda t, x: x * t.by, _set("by", 5.0)),
    # Functions
    "default": Case(with_default, lambda t, x: t(x), _set("__defaults__", (5.0,))),
    "item of a default": Case(with_default, lambda t, x: t(x), lambda t: t.__kwdefaults__["table"].update(a=5.0)),
    "code": Case(
        with_default, lambda t, x: t(x, 2.0), lambda t: setattr(t, "__code__", (lambda x, by, *, table: x * 9).__code__)
    ),
    "argument of a partial": Case(
        lambda: partial(lambda by, x: x * by[0], [2.0]), lambda t, x: t(x), lambda t: _item(0, 5.0)(t.args[0])
    ),
    "keyword of a partial": Case(
        lambda: partial(lambda x, by: x * by, by=2.0), lambda t, x: t(x), lambda t: t.keywords.update(by=5.0)
    ),
    "object of a method": Case(
        lambda: Scaled().method, lambda t, x: t(x), lambda t: t.__self__.inner.values.insert(0, 5.0)
    ),
    "methodcaller": Case(Scaled, lambda t, x: methodcaller("method", x)(t), lambda t: t.inner.values.insert(0, 5.0)),
    "attribute of a function": Case(with_attribute, lambda t, x: t(x), _set("by", 5.0)),
    "function of a type": Case(by_type, lambda t, x: t(1, x), lambda t: t.register(int)(lambda k, x: x * 5.0)),
    # Classes
    "what super finds": Case(
        lambda: derived()(), lambda t, x: t.scaled(x), lambda t: _set("by", 5.0)(type(t).__base__)
    ),
    "replaced method of a base": Case(
        lambda: derived()(),
        lambda t, x: t.scaled(x),
        lambda t: setattr(type(t).__base__, "scaled", lambda self, x: x * 5.0),
    ),
    "class attribute": Case(lambda: type("Sub", (Scaled,), {}), lambda t, x: x * t.shared, _set("shared", 5.0)),
    "class attribute by a class method": Case(
        lambda: type("Sub", (Scaled,), {}), lambda t, x: x * t.of_class(), _set("shared", 5.0)
    ),
    "class attribute of an object": Case(
        lambda: type("Sub", (Scaled,), {})(), lambda t, x: x * t.shared, lambda t: setattr(type(t), "shared", 5.0)
    ),
    "replaced class method": Case(lambda: fresh_class()(), lambda t, x: t(x), replaced_method),
    # References
    "weak reference": Case(lambda: kept(Scaled()), lambda t, x: x * t().by, lambda t: _set("by", 5.0)(t())),
    "context variable": Case(lambda: ContextVar("by", default=2.0), lambda t, x: x * t.get(), lambda t: t.set(5.0)),
    "object that makes attributes": Case(Making, lambda t, x: x * t.by, lambda t: t.table.update(by=5.0)),
    # Modules
    "eval": Case(lambda: nn.Dropout(1.0), lambda t, x: t(x), lambda t: t.eval()),
    "module attribute": Case(Total, lambda t, x: t(x), _set("by", 5.0)),
    "module attribute by vars": Case(Total, lambda t, x: t(x), lambda t: vars(t).update(by=5.0)),
    "module attribute by __dict__": Case(Total, lambda t, x: t(x), lambda t: t.__dict__.__setitem__("by", 5.0)),
    "module attribute by object": Case(Total, lambda t, x: t(x), lambda t: object.__setattr__(t, "by", 5.0)),
    "list of a module": Case(Total, lambda t, x: t(x), lambda t: _item(2, 5.0)(t.factors)),
    "array of a module": Case(Total, lambda t, x: t(x), lambda t: t.array.fill(5.0)),
    "array of a module, by an operator": Case(Total, lambda t, x: t(x), lambda t: t.__setattr__("array", t.array * 5)),
    "parameter": Case(linear, lambda t, x: t(x), lambda t: t.weight.data.fill_(5.0)),
    "other parameter": Case(linear, lambda t, x: t(x), _set("weight", nn.Parameter(genesis.ones(2, 2)))),
    "parameter in its table": Case(linear, lambda t, x: t(x), lambda t: t._parameters.update(bias=None)),
    "forward hook": Case(linear, lambda t, x: t(x), lambda t: t.register_forward_hook(lambda m, a, y: y * 5)),
    "pre-hook of a child": Case(
        lambda: nn.Sequential(linear()),
        lambda t, x: t(x),
        lambda t: t[0].register_forward_pre_hook(lambda m, a: (a[0] * 5,)),
    ),
    "appended module": Case(
        lambda: nn.ModuleList([linear()]), lambda t, x: sum(m(x) for m in t), lambda t: t.append(linear())
    ),
    "module in a list": Case(lambda: [linear()], lambda t, x: t[0](x), lambda t: t[0].weight.data.fill_(5.0)),
}


def called(case: Case, place: str, thing: Any, fast: bool) -> Callable[[], Any]:
    """A call of the step, which finds ``thing`` in ``place``."""
    make = partial(genesis.compile, backend="interpret") if fast else lambda function: function
    use = case.use
    if place == "closure":
        step = make(lambda x: use(thing, x))
    elif place == "argument":
        given = make(lambda t, x: use(t, x))
        return lambda: given(thing, X)
    elif place == "attribute":
        holder = SimpleNamespace(thing=thing)
        step = make(lambda x: use(holder.thing, x))
    else:
        space = {"use": use, "thing": thing, "__name__": "a_module_of_the_user"}
        exec("def step(x):\n    return use(thing, x)", space)
        step = make(space["step"])
    return lambda: step(X)


def values(result: Any) -> Any:
    return result.tolist() if isinstance(result, genesis.Tensor) else result


@pytest.mark.parametrize("place", ["closure", "argument", "attribute", "global"])
@pytest.mark.parametrize("name", CASES)
def test_a_change_between_two_calls_is_seen(name: str, place: str) -> None:
    case = CASES[name]
    if place == "argument" and name in COMPUTED:
        with pytest.raises(GenesisError, match=r"needs the contents of a|takes numbers, not ndarray"):
            called(case, place, case.make(), True)()
        return
    thing = case.make()
    fast, eager = called(case, place, thing, True), called(case, place, thing, False)
    with genesis.no_grad():
        before = values(eager())
        assert values(fast()) == values(fast()) == values(fast()) == before
        case.change(thing)
        assert values(eager()) != before, "the case changes nothing"
        assert values(fast()) == values(fast()) == values(eager())


def test_variables_of_the_process_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_TEST_SCALE", "2")
    step = genesis.compile(lambda x: x * float(os.environ["GENESIS_TEST_SCALE"]), backend="interpret")
    got = genesis.compile(lambda x: x * float(os.getenv("GENESIS_TEST_SCALE", "0")), backend="interpret")
    assert values(step(X)) == values(got(X)) == [2.0, 4.0]
    monkeypatch.setenv("GENESIS_TEST_SCALE", "3")
    assert values(step(X)) == values(got(X)) == [3.0, 6.0]
    monkeypatch.delenv("GENESIS_TEST_SCALE")
    assert values(got(X)) == [0.0, 0.0]


def test_hooks_of_a_bare_parameter_are_seen() -> None:
    weight, factor = nn.Parameter(genesis.ones(2)), [2.0]

    @genesis.compile(backend="interpret", keep_grads=True)
    def step(x: Any) -> Any:
        weight.grad = None
        loss = (weight * x).sum()
        loss.backward()
        return loss

    def gradient() -> Any:
        step(X)
        return values(weight.grad)

    assert gradient() == gradient() == [1.0, 2.0]
    handle = weight.register_hook(lambda g: g * factor[0])
    assert gradient() == gradient() == [2.0, 4.0]
    factor[0] = 3.0
    assert gradient() == gradient() == [3.0, 6.0], "what a hook reads is guarded too"
    handle.remove()
    assert gradient() == [1.0, 2.0]


def test_an_optimizer_as_an_argument() -> None:
    def training(momentum: float) -> tuple[Any, Any]:
        weight = nn.Parameter(genesis.ones(2))
        return weight, genesis.optim.SGD([weight], lr=0.1, momentum=momentum)

    def step(weight: Any, optimizer: Any, x: Any) -> Any:
        optimizer.zero_grad()
        loss = (weight * x).sum()
        loss.backward()
        optimizer.step()
        return loss

    fast = genesis.compile(step, backend="interpret")
    (a, first), (b, second) = training(0.0), training(0.0)
    for call in range(6):
        if call == 2:
            first.param_groups[0]["momentum"] = second.param_groups[0]["momentum"] = 0.9
        if call == 4:
            first.param_groups[0]["lr"] = second.param_groups[0]["lr"] = 0.5
        fast(a, first, X)
        step(b, second, X)
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-6)


def test_two_models_as_arguments_in_turn() -> None:
    one, two = linear(), linear()
    two.weight.data = genesis.eye(2) * 3
    step = genesis.compile(lambda model, x: model(x), backend="interpret")
    with genesis.no_grad():
        for _ in range(3):
            for model in (one, two):
                assert values(step(model, X)) == values(model(X))
    assert step.compiles == 2


def test_arrays_are_inputs_that_never_compile_again() -> None:
    mask, table = np.ones(2, np.float32), {"shift": np.zeros((3, 2))}
    step = genesis.compile(
        lambda x: x * genesis.from_numpy(mask) + genesis.tensor(table["shift"][1], dtype=genesis.float32)
    )
    for i in range(12):
        mask[:] = i
        table["shift"][1] = 10 * i
        assert values(step(X)) == [i + 10 * i, 2 * i + 10 * i]
    assert step.compiles == 1


def test_arrays_as_operands_are_inputs_too() -> None:
    mask = np.ones(2, np.float32)
    step = genesis.compile(lambda x: x * mask)
    for i in range(12):
        mask[:] = i
        assert values(step(X)) == [i, 2 * i]
    assert step.compiles == 1


def test_an_array_that_is_computed_on_later_guards() -> None:
    mask, flag = np.ones(2, np.float32), [False]
    step = genesis.compile(lambda x: x * mask * float(mask[0] if flag[0] else 1), backend="interpret")
    assert values(step(X)) == [1.0, 2.0]
    mask[:] = 2
    assert values(step(X)) == [2.0, 4.0] and step.compiles == 1
    flag[0] = True
    assert values(step(X)) == [4.0, 8.0] and step.compiles == 2
    mask[:] = 3
    assert values(step(X)) == values(step(X)) == [9.0, 18.0]
    mask[:] = 2
    assert values(step(X)) == [4.0, 8.0]
