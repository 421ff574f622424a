"""A method or function of Genesis that is replaced between two calls counts at once, and so does its return."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

import pytest

import genesis
from genesis import Tensor, nn, optim
from genesis.nn import functional as F

PATCHES: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "forward of a layer": (nn.Linear, "forward", lambda self, x: x * 5),
    "forward of a container": (nn.Sequential, "forward", lambda self, x: x * 6),
    "call of a module": (nn.Module, "__call__", lambda self, x: x * 7),
    "method of Tensor": (Tensor, "relu", lambda self: self * 8),
    "operator": (Tensor, "__add__", lambda self, other: self * 9),
    "property": (Tensor, "T", property(lambda self: self * 2)),
    "nn.functional": (F, "relu", lambda x, inplace=False: x * 10),
    "function": (genesis, "exp", lambda x: x * 11),
    "forward of an activation": (nn.ReLU, "forward", lambda self, x: x * 12),
    "step of an optimizer": (optim.SGD, "step", lambda self, closure=None: None),
}


class Active(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x)


@pytest.mark.parametrize("name", PATCHES)
def test_a_replaced_method_counts_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    genesis.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), Active())
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(x: Tensor) -> Any:
        optimizer.zero_grad()
        result = genesis.exp(model(x) + x.relu()).T
        if result.requires_grad:
            result.sum().backward()
        optimizer.step()
        return result

    compiled, x, start = genesis.compile(step, backend="interpret"), genesis.ones(2, 2), model.state_dict()
    start = {key: value.clone() for key, value in start.items()}

    def outcomes() -> list[Any]:
        found = []
        for run in (step, compiled):
            model.load_state_dict(start)
            found.append((run(x).tolist(), [p.tolist() for p in model.parameters()]))
        return found

    for _ in range(5):  # calls 2 and 4 are recorded again
        before, same = outcomes()
    assert before == same
    with monkeypatch.context() as patch:
        patch.setattr(*PATCHES[name])
        eager, changed = outcomes()
        assert eager == changed != before
        assert compiled.compiles == 2
        assert f".{PATCHES[name][1]}" in str(compiled.explain_recompiles())
    assert outcomes() == [before, before]
    assert compiled.compiles == 2


def test_what_the_new_method_reads_is_guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    factor = [2.0]
    monkeypatch.setattr(nn.Linear, "forward", lambda self, x: x * factor[0])
    model = nn.Linear(2, 2)
    step = genesis.compile(lambda x: model(x), backend="interpret")
    assert step(genesis.ones(2)).tolist() == [2, 2]
    factor[0] = 3.0
    assert step(genesis.ones(2)).tolist() == [3, 3]


def test_subclasses_may_have_other_bases() -> None:
    class Sized(Protocol):
        def width(self) -> int: ...

    class Base(nn.Module, ABC):
        @abstractmethod
        def width(self) -> int: ...

    class Wide(Base, Sized):
        def width(self) -> int:
            return 3

    assert Wide().width() == 3 and isinstance(Wide(), nn.Module) and not isinstance(3, nn.Module)
    with pytest.raises(TypeError, match="abstract"):
        Base()  # type: ignore[abstract]
