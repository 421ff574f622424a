"""A step that changes Python state is refused at its first call, by name and line, and leaves everything as it was."""

from __future__ import annotations

import itertools
import math
import random
import sys
import time
from collections import deque
from collections.abc import Callable
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import TraceError
from genesis import nn
from genesis.capture.tracing import Tracer

X = genesis.ones(2)


def compiled(function: Callable[..., Any]) -> Any:
    return genesis.compile(function, backend="interpret")


class Counter:
    total = 0

    def __init__(self) -> None:
        self.n = 0
        self.seen: Any = None
        self.log: list[Any] = []
        self.table = {"n": 0}

    def bump(self) -> int:
        self.n += 1
        return self.n


COUNT = 0
HISTORY: list[Any] = []


def _global(x: Any) -> Any:
    global COUNT
    COUNT += 1
    return x * COUNT


def _closure() -> Callable[[Any], Any]:
    n = 0

    def step(x: Any) -> Any:
        nonlocal n
        n += 1
        return x * n

    return step


def _of(thing: Any, do: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    def step(x: Any) -> Any:
        do(thing, x)
        return x * 1.5

    return step


def _toggle(weight: Any, _: Any) -> None:
    weight.requires_grad_(not weight.requires_grad)


class Total:
    """Counts in an operator."""

    def __init__(self) -> None:
        self.calls = 0

    def __getitem__(self, i: int) -> int:
        self.calls += 1
        return self.calls


class Slotted:
    __slots__ = ("n",)

    def __init__(self) -> None:
        self.n = 0


def _function_attribute() -> Callable[[Any], Any]:
    def step(x: Any) -> Any:
        step.n = getattr(step, "n", 0) + 1  # type: ignore[attr-defined]
        return x * step.n  # type: ignore[attr-defined]

    return step


CHANGES: dict[str, tuple[Callable[[], Callable[[Any], Any]], str]] = {
    "attribute": (lambda: _of(Counter(), lambda c, x: setattr(c, "n", c.n + 1)), r"thing\.n"),
    "method": (lambda: _of(Counter(), lambda c, x: c.bump()), r"thing\.n"),
    "class attribute": (lambda: _of(Counter, lambda c, x: setattr(c, "total", c.total + 1)), "thing"),
    "class of an object": (
        lambda: _of(Counter(), lambda c, x: setattr(type(c), "total", type(c).total + 1)),
        "Counter",
    ),
    "slot": (lambda: _of(Slotted(), lambda c, x: setattr(c, "n", c.n + 1)), r"thing\.n"),
    "attribute of a function": (_function_attribute, r"step\.n"),
    "global": (lambda: _global, "COUNT"),
    "closure variable": (_closure, "n"),
    "dict item": (lambda: _of(Counter(), lambda c, x: c.table.update(n=c.table["n"] + 1)), r"thing\.table\['n'\]"),
    "list": (lambda: _of([], lambda log, x: log.append(x)), "thing"),
    "list of results": (lambda: _of(Counter(), lambda c, x: c.log.append(x.sum())), r"thing\.log"),
    "global list": (lambda: _of(None, lambda _, x: HISTORY.append(x)), "HISTORY"),
    "deque": (lambda: _of(deque(maxlen=3), lambda log, x: log.append(1)), "thing"),
    "set": (lambda: _of(set(), lambda seen, x: seen.add(len(seen))), "thing"),
    "nested": (lambda: _of({"a": [{"b": [0]}]}, lambda t, x: t["a"][0]["b"].append(1)), "thing"),
    "namespace": (lambda: _of(SimpleNamespace(n=0), lambda s, x: vars(s).update(n=s.n + 1)), r"thing\.n"),
    "array": (lambda: _of(np.zeros(3), lambda a, x: a.__iadd__(1)), "thing"),
    "bytearray": (lambda: _of(bytearray(2), lambda a, x: a.__setitem__(0, a[0] + 1)), "thing"),
    "operator": (lambda: _of(Total(), lambda t, x: t[0]), r"thing\.calls"),
    "requires_grad": (
        lambda: _of(genesis.ones(2), lambda w, x: w.requires_grad_(not w.requires_grad)),
        "requires_grad",
    ),
    "random": (lambda: _of(None, lambda _, x: random.random()), "random"),
    "numpy.random": (lambda: _of(None, lambda _, x: np.random.rand()), r"numpy\.random"),
    "a generator of random": (lambda: _of(random.Random(0), lambda r, x: r.random()), "thing"),
    "a generator of NumPy": (lambda: _of(np.random.default_rng(0), lambda r, x: r.random()), "thing"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_step_that_changes_python_state_is_refused(name: str) -> None:
    make, subject = CHANGES[name]
    step = compiled(make())
    for _ in range(2):
        with pytest.raises(TraceError, match=subject) as raised:
            step(X)
        assert "test_audit.py:" in str(raised.value)
    assert not step.programs


def test_the_line_is_the_one_that_changes_it() -> None:
    counter = Counter()

    def step(x: Any) -> Any:
        y = x * counter.n
        for _ in range(2):
            counter.n += 1
        return y

    line = step.__code__.co_firstlineno + 3
    with pytest.raises(TraceError, match=rf"changes counter\.n; .*\n  at test_audit\.py:{line}\n  return the value"):
        compiled(step)(X)
    assert counter.n == 0


def test_everything_is_as_before() -> None:
    counter, array, numbers = Counter(), np.zeros(3), random.Random(1)
    random.seed(3)
    np.random.seed(3)
    expected = random.random(), np.random.rand(), random.Random(1).random()

    def step(x: Any) -> Any:
        counter.n += 1
        counter.log.append(x)
        counter.table["m"] = 3
        counter.new = 1  # type: ignore[attr-defined]
        Counter.total += 1
        array[1] = 7
        HISTORY.append(x)
        return x * random.random() * np.random.rand() * numbers.random()

    random.seed(3)
    np.random.seed(3)
    with pytest.raises(TraceError):
        compiled(step)(X)
    assert vars(counter) == {"n": 0, "seen": None, "log": [], "table": {"n": 0}}
    assert array.tolist() == [0, 0, 0] and not HISTORY and Counter.total == 0
    assert (random.random(), np.random.rand(), numbers.random()) == expected


def test_an_error_in_the_step_leaves_everything_as_it_was() -> None:
    log: list[int] = []

    def step(x: Any) -> Any:
        log.append(1)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        compiled(step)(X)
    assert log == []


def test_state_that_the_first_run_makes_stays() -> None:
    class Lazy:
        def __init__(self) -> None:
            self.scale: float | None = None
            self.made = 0

        @cached_property
        def shift(self) -> float:
            return 2.0

        def step(self, x: Any) -> Any:
            if self.scale is None:
                self.scale = 3.0
            return x * self.scale + self.shift

    lazy = Lazy()
    step = compiled(lazy.step)
    for _ in range(5):
        assert step(X).tolist() == [5.0, 5.0]
    assert step.compiles == 1 and lazy.scale == 3.0 and vars(lazy)["shift"] == 2.0
    lazy.scale = None
    assert step(X).tolist() == [5.0, 5.0] and lazy.scale == 3.0


def test_a_first_run_that_computes_something_else_is_refused() -> None:
    state: dict[str, Any] = {"ready": False, "scale": 5.0}

    def first(x: Any) -> Any:
        if not state["ready"]:
            state["ready"] = True
            return x * 100
        return x

    def leaves_another(x: Any) -> Any:
        scaled = x * state["scale"]
        state["scale"] = 1.0
        return scaled

    for step, name in ((first, "ready"), (leaves_another, "scale")):
        with pytest.raises(TraceError, match=rf"changes state\['{name}'\]"):
            compiled(step)(X)
    assert state == {"ready": False, "scale": 5.0}
    state.update(ready=True, scale=1.0)
    assert compiled(first)(X).tolist() == compiled(leaves_another)(X).tolist() == X.tolist()


@pytest.mark.parametrize(
    "make",
    [
        lambda: iter([1.0, 2.0]),
        lambda: (float(i) for i in range(9)),
        lambda: itertools.count(1.0),
        lambda: zip([1.0], [2.0]),
        lambda: map(float, [1, 2]),
    ],
)
def test_iterators_are_refused(make: Callable[[], Any]) -> None:
    source = make()

    def step(x: Any) -> Any:
        return x * next(source)

    first = make()
    line = step.__code__.co_firstlineno + 1
    with pytest.raises(
        TraceError, match=rf"reads source, a \w+, which is used up.*\n  at test_audit\.py:{line}\n.*next"
    ):
        compiled(step)(X)
    assert next(source) == next(first), "nothing was taken"


# Recording again


def test_a_clock_is_found_at_the_second_call() -> None:
    def step(x: Any) -> Any:
        return x * time.perf_counter()

    fast = compiled(step)
    fast(X)
    for _ in range(3):
        with pytest.raises(TraceError, match=r"would be recorded differently now(.|\n)*then: .*constant(.|\n)*now: "):
            fast(X)


def test_a_changing_constant_and_a_changing_result_are_found() -> None:
    def constant(x: Any) -> Any:
        return x + genesis.tensor([time.perf_counter(), 1.0])

    def result(x: Any) -> Any:
        return x, time.perf_counter()

    for function, words in ((constant, "then: it reads the constant float32"), (result, r"then: result\[1\] = ")):
        step = compiled(function)
        step(X)
        with pytest.raises(TraceError, match=words):
            step(X)


def test_calls_are_checked_at_powers_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded: list[int] = []

    class Counting(Tracer):
        def run(self, args: Any, kwargs: Any) -> Any:
            recorded.append(call)
            return super().run(args, kwargs)

    monkeypatch.setattr("genesis.capture.tracing.Tracer", Counting)
    step = compiled(lambda x: x * 2)
    for call in range(1, 40):  # noqa: B007  the tracer reads it
        step(X)
    assert recorded == [1, 2, 4, 8, 16, 32]


def test_recording_again_has_no_effects(capsys: pytest.CaptureFixture[str]) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5), nn.BatchNorm1d(2))
    optimizer = genesis.optim.Adam(model.parameters(), lr=0.1)
    twin = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5), nn.BatchNorm1d(2))
    twin.load_state_dict(model.state_dict())
    other = genesis.optim.Adam(twin.parameters(), lr=0.1)

    def training(model: Any, optimizer: Any) -> Callable[[Any], Any]:
        def step(x: Any) -> Any:
            print("called")
            optimizer.zero_grad()
            loss = model(x).square().sum()
            loss.backward()
            optimizer.step()
            return loss

        return step

    step, eager = compiled(training(model, optimizer)), training(twin, other)
    data = genesis.arange(8).reshape(4, 2).float()
    genesis.manual_seed(0)
    for _ in range(9):
        step(data)
    assert capsys.readouterr().out == "called\n" * 9
    genesis.manual_seed(0)
    for _ in range(9):
        eager(data)
    for p, q in zip(model.state_dict().values(), twin.state_dict().values(), strict=True):
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-4, atol=1e-5)
    assert step.compiles == 1 and sys.stdout is not None


def test_a_tensor_made_in_the_step_is_new_at_every_call() -> None:
    def step(x: Any) -> Any:
        total = genesis.tensor([0.0, 1.0])
        total += x
        return total

    fast = compiled(step)
    assert [fast(X).tolist() for _ in range(3)] == [[1.0, 2.0]] * 3


@pytest.mark.parametrize(
    "ask",
    [
        lambda k: type(k) is float,
        lambda k: float is type(k),
        lambda k: type(k) == float,  # noqa: E721
        lambda k: type(k) in (int, float),
        lambda k: type(k) is not float,
    ],
)
def test_the_type_of_a_float_argument_is_not_asked_for(ask: Callable[[Any], bool]) -> None:
    step = compiled(lambda x, k: x * (2 if ask(k) else 3))
    assert step(X, 1).tolist() == (X * (2 if ask(1) else 3)).tolist()
    with pytest.raises(TraceError, match=r"compares type\(\.\.\.\).*\n  at test_audit.py:\d+\n  write isinstance"):
        step(X, 1.0)


def test_the_type_of_other_things_is_asked_for() -> None:
    step = compiled(lambda x, k: x * k * (2 if type(x) is genesis.Tensor else 3))
    assert step(X, 1.5).tolist() == (X * 3).tolist()


@pytest.mark.parametrize("function", [round, math.floor, math.ceil, math.trunc, lambda k: round(k, 1)])
def test_a_float_argument_is_not_rounded_on_the_host(function: Callable[[Any], Any]) -> None:
    with pytest.raises(TraceError, match="would fix a number that is read at every call"):
        compiled(lambda x, k: x * function(k))(X, 1.5)
