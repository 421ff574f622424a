"""Arguments that are no contiguous tensors, and arguments that are no leaves, are seen as what they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import genesis
from genesis import Tensor, tensor

VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "itself": lambda b: b,
    "transposed": lambda b: b.t(),
    "columns": lambda b: b[:, 1:3],
    "stepped": lambda b: b[:, ::2],
    "rows": lambda b: b[1:],
    "expanded": lambda b: b[:1].expand(3, 4),
}


def _copy_or_view(x: Tensor) -> Tensor:
    x.reshape(-1).add_(1)
    x.contiguous().mul_(2)
    return x.flatten() * 1


STEPS: dict[str, Callable[[Tensor], Any]] = {
    "is_contiguous": lambda x: x * 2 if x.is_contiguous() else x * 3,
    "stride": lambda x: x * x.stride(0) + x.stride(1),
    "of a view": lambda x: x[1] * (1 if x[1].is_contiguous() else 5),
    "copy or view": _copy_or_view,
    "view": lambda x: x.view(-1) * 2,
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("step", STEPS)
def test_the_layout_of_an_argument_counts(step: str, view: str) -> None:
    def outcome(function: Callable[[Tensor], Any]) -> Any:
        base = genesis.arange(12.0).reshape(3, 4).clone()
        try:
            result = function(VIEWS[view](base)).tolist()
        except RuntimeError as error:
            result = str(error).splitlines()[0]
        return result, base.tolist()

    assert outcome(genesis.compile(STEPS[step])) == outcome(STEPS[step])


def test_another_place_in_memory_is_no_other_program() -> None:
    step = genesis.compile(lambda x: x.reshape(-1) * 2)
    data = genesis.arange(24.0).reshape(4, 6).clone()
    for i in range(4):
        assert step(data[:, i : i + 2]).tolist() == (data[:, i : i + 2].reshape(-1) * 2).tolist()
    assert step.compiles == 1
    assert "with strides [6, 1]" in str(step.guards())


def test_a_computed_argument_is_no_leaf() -> None:
    step = genesis.compile(lambda x: x * 2 if x.is_leaf else x * 3)
    leaf = tensor(1.0, requires_grad=True)
    for _ in range(2):
        assert (step(leaf).item(), step(leaf * 1).item()) == (2, 3)


def test_a_computed_argument_cannot_be_written() -> None:
    step = genesis.compile(lambda x: x.add_(1).sum())
    with pytest.raises(RuntimeError, match=r"argument that was computed outside(.|\n)*x = x.clone\(\)"):
        step(tensor(1.0, requires_grad=True) * 2)


def test_a_gradient_stays_where_the_flag_is_taken_back() -> None:
    def step(x: Tensor) -> None:
        x.requires_grad_(True)
        (x * x).sum().backward()
        x.requires_grad_(False)

    for function in (step, genesis.compile(step)):
        x = tensor(np.array([1.0, 2.0], np.float32))
        function(x)
        assert x.grad is not None and x.grad.tolist() == [2, 4]
        assert not x.requires_grad
