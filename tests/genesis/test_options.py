"""Options of ``torch.compile`` in ``genesis.compile``."""

from typing import Any

import pytest

import genesis
from compiler.errors import GenesisWarning
from genesis import nn, once


def double(x: Any) -> Any:
    return x * 2


def test_what_changes_nothing_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "_SAID", set())
    with pytest.warns(
        GenesisWarning, match=r"compile\(mode='reduce-overhead', dynamic=True\) changes nothing"
    ) as warned:
        compiled = genesis.compile(double, mode="reduce-overhead", dynamic=True)
    assert warned[0].filename == __file__
    genesis.compile(double, mode="reduce-overhead", dynamic=True)
    assert compiled(genesis.ones(2)).tolist() == [2, 2]


@pytest.mark.parametrize("options", [{"backend": "inductor"}, {"fullgraph": True}, {"dynamic": None, "mode": None}])
def test_what_is_so_anyway_is_not_said(options: dict[str, Any]) -> None:
    assert genesis.compile(double, **options)(genesis.ones(1)).tolist() == [2]
    assert genesis.compile(**options)(double)(genesis.ones(1)).tolist() == [2]


def test_disabled() -> None:
    layer = nn.Linear(2, 2)
    assert genesis.compile(double, disable=True) is double
    assert genesis.compile(layer, disable=True) is layer
    assert genesis.compile(disable=True)(double) is double


def test_in_place_and_unknown_backends() -> None:
    layer = nn.ReLU()
    layer.compile(fullgraph=True, backend="inductor")
    assert layer(genesis.ones(1)).tolist() == [1]
    with pytest.raises(ValueError, match="backend='nonsense'"):
        genesis.compile(double, backend="nonsense")
