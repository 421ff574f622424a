"""The results of a compiled step are as new, or as old, as those of the function itself."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import TraceError, UnsupportedError
from genesis import Tensor, tensor


class Notes:
    """An object without a tensor."""

    def __init__(self) -> None:
        self.lines: list[str] = []


CHANGES: dict[str, tuple[Callable[[], Any], Callable[[Any], Any], Callable[[Any], Any]]] = {
    "list": (list, lambda r: r.append(1), len),
    "set": (lambda: {1}, lambda r: r.add(2), len),
    "deque": (lambda: deque([1]), lambda r: r.append(2), len),
    "bytes": (lambda: bytearray(b"a"), lambda r: r.extend(b"b"), len),
    "array": (lambda: np.zeros(2), lambda r: operator.iadd(r, 1), lambda r: r.tolist()),
    "object": (Notes, lambda r: r.lines.append("a"), lambda r: r.lines),
}
"""Code that makes the result, code that changes it, and code that shows the change."""


@pytest.mark.parametrize("name", CHANGES)
def test_the_caller_may_change_what_a_call_made(name: str) -> None:
    make, change, look = CHANGES[name]

    @genesis.compile
    def step(x: Tensor) -> Any:
        return x * 2, make()

    for _ in range(3):
        _, made = step(tensor(1.0))
        assert look(made) == look(make())
        change(made)
        assert look(made) != look(make())


@pytest.mark.parametrize("thing", [[1], {"a": 1}, {1}, deque([1]), np.ones(2), Notes()], ids=lambda x: type(x).__name__)
def test_what_was_there_before_is_returned_itself(thing: Any) -> None:
    @genesis.compile
    def step(x: Tensor) -> Any:
        return x * 2, thing

    for _ in range(2):
        assert step(tensor(1.0))[1] is thing


def test_a_container_that_was_given_is_returned_itself() -> None:
    @genesis.compile
    def step(state: dict[str, Tensor], x: Tensor) -> Any:
        state["sum"] = state["sum"] + x
        return state, [state]

    state = {"sum": tensor(0.0)}
    for i in range(3):
        found, (inside,) = step(state, tensor(1.0))
        assert found is state and inside is state
        assert state["sum"].item() == i + 1


@pytest.mark.parametrize(
    "make",
    [lambda x: (x * k for k in range(2)), lambda x: iter([x]), lambda x: map(operator.neg, [x])],
    ids=["generator", "iter", "map"],
)
def test_iterators_are_refused(make: Callable[[Tensor], Any]) -> None:
    step = genesis.compile(lambda x: {"all": make(x)})
    with pytest.raises(TraceError, match=r"at result\['all'\], which is used up(.|\n)*return a list"):
        step(tensor(1.0))


def test_a_set_of_tensors_is_refused() -> None:
    step = genesis.compile(lambda x: deque([x * 2]))
    with pytest.raises(TraceError, match="returns a deque of tensors; return them in a list"):
        step(tensor(1.0))


def test_a_result_has_the_gradient_that_the_step_left_in_it() -> None:
    weight = tensor([1.0, 2.0], requires_grad=True)

    def step(x: Tensor) -> Any:
        leaf = (x * 2).detach().requires_grad_()
        inner = leaf * weight
        inner.retain_grad()
        inner.square().sum().backward()
        weight.grad = None
        return {"leaf": leaf, "inner": inner, "gradient": leaf.grad}

    x = tensor([3.0, -1.0])
    expected, found = step(x), genesis.compile(step, backend="interpret")(x)
    for name in ("leaf", "inner"):
        assert found[name].grad.tolist() == expected[name].grad.tolist(), name
    assert found["gradient"] is found["leaf"].grad

    def later(x: Tensor) -> Any:
        inner = x * weight
        inner.retain_grad()
        return inner, inner.square().sum()

    with pytest.raises(UnsupportedError, match="a backward pass outside does not come by there"):
        genesis.compile(later, backend="interpret")(x)


def test_a_leaf_that_shows_another_result_is_refused() -> None:
    def step(x: Tensor) -> Any:
        whole = x * 2
        return whole, whole.detach().requires_grad_()

    with pytest.raises(TraceError, match="made a leaf leaves the step as a view of another one"):
        genesis.compile(step, backend="interpret")(tensor([1.0]))
