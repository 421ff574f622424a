"""The stand-in for an argument in a recording answers as the argument does: its class, its attributes."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any

import pytest

import genesis
from compiler.errors import TraceError
from genesis import Tensor, nn, optim


class Marked(Tensor):
    """A user's kind of tensor."""


def _kind(x: Any) -> str:
    kinds = (bool, int, float, numbers.Number, Tensor, nn.Parameter, Marked)
    return " ".join(kind.__name__ for kind in kinds if isinstance(x, kind))


def _marked(note: str) -> Tensor:
    made = Marked(2)
    made.fill_(3)
    made.note = note  # type: ignore[attr-defined]
    return made


ARGUMENTS: dict[str, Callable[[], Any]] = {
    "tensor": lambda: genesis.ones(2),
    "parameter": lambda: nn.Parameter(genesis.ones(2)),
    "part of a parameter": lambda: nn.Parameter(genesis.ones(2, 2))[0],
    "subclass": lambda: _marked("a"),
    "float": lambda: 1.5,
    "int": lambda: 3,
    "bool": lambda: True,
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_isinstance_answers_as_outside(name: str) -> None:
    def step(x: Any, nested: Any) -> Any:
        return [_kind(x), _kind(nested["x"]), _kind(x * 2), x * 2, type(x) is int, type(x) is bool]

    compiled = genesis.compile(step, backend="interpret")
    for _ in range(2):
        x = ARGUMENTS[name]()
        expected, found = step(x, {"x": x}), compiled(x, {"x": x})
        assert [*map(str, found)] == [*map(str, expected)]


def test_floats_leave_a_step_as_floats() -> None:
    def step(k: float, state: dict[str, Any]) -> Any:
        before = state["n"]
        state["n"] += k
        state["n"] += before
        state["of a tensor"] = genesis.ones(1) * k
        return k, k / 4, k > 1, [k**2 + 1]

    compiled = genesis.compile(step, backend="interpret")
    for k in (1.5, 3.0, 2.0):
        states = [{"n": 1.0, "of a tensor": 2.0} for _ in range(2)]
        results = [run(k, state) for run, state in zip((step, compiled), states, strict=True)]
        assert results[0] == results[1] and [*map(type, results[1])] == [float, float, bool, list]
        assert states[0]["n"] == states[1]["n"] and type(states[1]["n"]) is float
        assert states[0]["of a tensor"].tolist() == states[1]["of a tensor"].tolist()
    assert compiled.compiles == 1
    with pytest.raises(TraceError, match="would fix a number"):
        genesis.compile(lambda k: math.sqrt(k), backend="interpret")(2.0)


def test_a_rate_read_in_a_step_is_a_float() -> None:
    optimizer = optim.SGD([nn.Parameter(genesis.ones(1))], lr=0.5)

    def step() -> Any:
        rate = optimizer.param_groups[0]["lr"]
        return isinstance(rate, float), isinstance(rate, Tensor), rate * 2

    compiled = genesis.compile(step, backend="interpret")
    for rate in (0.5, 0.25):
        optimizer.param_groups[0]["lr"] = rate
        assert compiled() == step() == (True, False, rate * 2)


def test_attributes_of_an_argument() -> None:
    step = genesis.compile(lambda x: x * (2 if x.note == "a" else 5), backend="interpret")
    assert [step(_marked(note)).tolist()[0] for note in "aba"] == [6, 15, 6]
    assert step.compiles == 2

    def mark(x: Any) -> Any:
        x.note = "b"
        return x * 1

    for x in (_marked("a"), genesis.ones(2)):
        with pytest.raises(TraceError, match=r"the step changes x\.note, an attribute of an argument"):
            genesis.compile(mark, backend="interpret")(x)
