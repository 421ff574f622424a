"""Containers as sequences and mappings."""

from collections import OrderedDict

import numpy as np
import pytest

import genesis
from genesis import nn


def kinds(modules: object) -> list[str]:
    return [type(m).__name__ for m in modules]  # type: ignore[attr-defined]


def test_sequential_runs_in_order() -> None:
    net = nn.Sequential(OrderedDict(twice=nn.Linear(1, 1, bias=False), flat=nn.Flatten(0)))
    net.twice.weight.data.fill_(2.0)
    np.testing.assert_array_equal(net(genesis.ones(3, 1)).detach().numpy(), [2, 2, 2])
    assert list(net.state_dict()) == ["twice.weight"]


def test_sequential_is_a_list() -> None:
    net = nn.Sequential(nn.ReLU(), nn.Tanh())
    net.append(nn.Sigmoid()).extend([nn.GELU()]).insert(1, nn.Identity())
    assert kinds(net) == ["ReLU", "Identity", "Tanh", "Sigmoid", "GELU"]
    assert kinds(net[1:3]) == ["Identity", "Tanh"] and isinstance(net[1:3], nn.Sequential)
    assert type(net[-1]) is nn.GELU
    net[0] = nn.SiLU()
    del net[1:3]
    assert kinds(net) == ["SiLU", "Sigmoid", "GELU"]
    assert [n for n, _ in net.named_children()] == ["0", "1", "2"]
    with pytest.raises(IndexError, match="index 3 is out of range"):
        net[3]
    with pytest.raises(IndexError):
        del net[-4]


def test_module_list() -> None:
    layers = nn.ModuleList([nn.ReLU()])
    layers += [nn.Tanh()]
    layers.insert(0, nn.GELU())
    assert kinds(layers) == ["GELU", "ReLU", "Tanh"]
    assert kinds(layers + nn.ModuleList([nn.SiLU()])) == ["GELU", "ReLU", "Tanh", "SiLU"]
    assert type(layers.pop(1)) is nn.ReLU
    layers[-1] = nn.Sigmoid()
    assert kinds(layers[:]) == ["GELU", "Sigmoid"] and len(layers) == 2
    with pytest.raises(IndexError):
        layers[2]
    with pytest.raises(TypeError, match="should be called with an iterable"):
        layers.extend(nn.ReLU())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="is not a Module subclass"):
        layers.append(3)  # type: ignore[arg-type]


def test_module_dict() -> None:
    heads = nn.ModuleDict({"a": nn.Linear(2, 1), "b": nn.Linear(2, 3)})
    heads["c"] = nn.Identity()
    assert list(heads) == list(heads.keys()) == ["a", "b", "c"] and "b" in heads and len(heads) == 3
    assert heads["b"].out_features == 3 and list(heads.values())[2] is heads["c"]
    assert list(heads.state_dict()) == ["a.weight", "a.bias", "b.weight", "b.bias"]
    assert type(heads.pop("c")) is nn.Identity
    heads.update([("d", nn.ReLU())])
    assert [k for k, _ in heads.items()] == ["a", "b", "d"]
    heads.clear()
    assert not len(heads)
    with pytest.raises(KeyError):
        heads["a"]


def test_parameter_list() -> None:
    weights = nn.ParameterList([nn.Parameter(genesis.ones(2)), genesis.zeros(3, 1)])
    weights.append(nn.Parameter(genesis.ones(1)))
    assert [n for n, _ in weights.named_parameters()] == ["0", "1", "2"]
    assert isinstance(weights[1], nn.Parameter) and len(weights) == 3
    assert weights[-1] is weights[2] and len(weights[1:]) == 2
    weights[0] = genesis.zeros(5)
    assert weights[0].shape == (5,)
    assert repr(weights) == (
        "ParameterList(\n"
        "  (0): Parameter containing: [genesis.float32 of size 5]\n"
        "  (1): Parameter containing: [genesis.float32 of size 3x1]\n"
        "  (2): Parameter containing: [genesis.float32 of size 1]\n"
        ")"
    )
    with pytest.raises(IndexError):
        weights[3]


def test_parameter_dict() -> None:
    weights = nn.ParameterDict({"w": genesis.ones(2), "b": nn.Parameter(genesis.zeros(1))})
    assert [n for n, _ in weights.named_parameters()] == ["w", "b"]
    weights["w"] = genesis.zeros(4)
    assert weights["w"].shape == (4,) and weights.get("x") is None and "b" in weights
    assert weights.pop("b").shape == (1,) and list(weights.keys()) == ["w"]
    assert dict(weights.items())["w"] is next(iter(weights.values()))
    with pytest.raises(KeyError):
        weights["b"]
    with pytest.raises(KeyError, match="already exists"):
        weights["training"] = genesis.ones(1)
    weights.clear()
    assert len(weights) == 0 and not list(weights.parameters())


def test_sequentials_are_added_and_repeated() -> None:
    a, b = nn.Sequential(nn.Linear(2, 2), nn.ReLU()), nn.Sequential(nn.Tanh())
    assert [type(m) for m in a + b] == [nn.Linear, nn.ReLU, nn.Tanh] and len(a) == 2
    assert [type(m) for m in 2 * b] == [nn.Tanh] * 2
    a += b
    b *= 3
    assert list(a.state_dict()) == ["0.weight", "0.bias"] and len(a) == 3 and len(b) == 3
    assert isinstance(a.pop(1), nn.ReLU) and list(a._modules) == ["0", "1"]
    for times in (0, -1):
        with pytest.raises(ValueError, match=f"not {times} times"):
            a * times
        with pytest.raises(ValueError, match=f"not {times} times"):
            a *= times


def test_a_list_shows_equal_modules_once() -> None:
    several = nn.ModuleList([nn.Tanh(), nn.Sequential(nn.ReLU()), nn.Sequential(nn.ReLU())])
    assert repr(several) == ("ModuleList(\n  (0): Tanh()\n  (1-2): 2 x Sequential(\n    (0): ReLU()\n  )\n)")
    assert repr(nn.ModuleList()) == "ModuleList()"
