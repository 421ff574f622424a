"""Recurrent layers against PyTorch: outputs, states, gradients, initialisation, errors."""

from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn
from tests.oracle.compare import same, theirs

torch = pytest.importorskip("torch")

LAYERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "two layers": {"num_layers": 2},
    "both directions": {"bidirectional": True},
    "everything": {"num_layers": 2, "bidirectional": True, "batch_first": True},
    "no bias": {"bias": False},
}


def pair(kind: str, sizes: tuple[int, int], options: dict[str, Any]) -> tuple[Any, Any]:
    """The same layer twice, with the same weights."""
    torch.manual_seed(0)
    other = getattr(torch.nn, kind)(*sizes, **options)
    mine = getattr(nn, kind)(*sizes, **options)
    assert [(n, tuple(p.shape)) for n, p in mine.named_parameters()] == [
        (n, tuple(p.shape)) for n, p in other.named_parameters()
    ]
    mine.load_state_dict({k: v.numpy() for k, v in other.state_dict().items()})
    return mine, other


def run(layer: Any, x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    given = tuple(states) if len(states) > 1 else states[0] if states else None
    output, last = layer(x, given)
    return output, list(last) if isinstance(last, tuple) else [last]


def total(output: Any, last: list[Any]) -> Any:
    return (output * output).sum() + sum((s * s * s).sum() for s in last)


def arrays(
    kind: str, options: dict[str, Any], given: bool, batched: bool = True
) -> tuple[np.ndarray, list[np.ndarray]]:
    rng = np.random.default_rng(1)
    shape = (3, 4) if batched else (3,)
    batch = (3 if options.get("batch_first") else 4,) if batched else ()
    rows = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    states = [rng.standard_normal((rows, *batch, 5)).astype(np.float32) for _ in range(2 if kind == "LSTM" else 1)]
    return rng.standard_normal((*shape, 6)).astype(np.float32), states if given else []


def compare(kind: str, options: dict[str, Any], given: bool = True, batched: bool = True) -> None:
    mine, other = pair(kind, (6, 5), options)
    x, states = arrays(kind, options, given, batched)
    leaves = [theirs(a) for a in (x, *states)]
    output, last = run(other, leaves[0], leaves[1:])
    total(output, last).backward()
    inputs = [genesis.tensor(a, requires_grad=True) for a in (x, *states)]
    results = run(mine, inputs[0], inputs[1:])
    total(*results).backward()
    for got, want in zip((results[0], *results[1]), (output, *last), strict=True):
        same(got, want)
    for got, want in zip(inputs, leaves, strict=True):
        same(got.grad, want.grad, 1e-4, 1e-5)
    for (name, got), want in zip(mine.named_parameters(), other.parameters(), strict=True):
        assert name and got.grad is not None
        same(got.grad, want.grad, 1e-4, 1e-5)


@pytest.mark.parametrize("options", LAYERS)
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_layers(kind: str, options: str) -> None:
    compare(kind, LAYERS[options])


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_states_are_zero_where_none_is_given_and_a_batch_need_not_be(kind: str) -> None:
    compare(kind, {"num_layers": 2}, given=False)
    compare(kind, {"bidirectional": True}, batched=False)


def test_relu() -> None:
    compare("RNN", {"nonlinearity": "relu", "num_layers": 2})


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
def test_cells(kind: str, batched: bool) -> None:
    for options in ({}, {"bias": False}):
        mine, other = pair(kind, (6, 5), options)
        rng = np.random.default_rng(2)
        x = rng.standard_normal((4, 6) if batched else (6,)).astype(np.float32)
        h, c = (rng.standard_normal((4, 5) if batched else (5,)).astype(np.float32) for _ in range(2))
        for states in ((), (h, c) if kind == "LSTMCell" else (h,)):
            results = []
            for layer, make in ((mine, genesis.tensor), (other, torch.tensor)):
                given = tuple(make(s) for s in states)
                result = layer(make(x), *([given] if len(given) > 1 else given))
                results.append(result if isinstance(result, tuple) else (result,))
            for got, want in zip(*results, strict=True):
                same(got, want)


ERRORS: dict[str, Any] = {
    "a wrong size": lambda lib: lib.nn.LSTM(6, 5)(lib.zeros(3, 4, 7)),
    "a wrong rank": lambda lib: lib.nn.GRU(6, 5)(lib.zeros(3, 4, 6, 1)),
    "a wrong state": lambda lib: lib.nn.LSTM(6, 5)(lib.zeros(3, 4, 6), (lib.zeros(1, 3, 5), lib.zeros(1, 4, 5))),
    "no size": lambda lib: lib.nn.RNN(6, 0),
    "dropout": lambda lib: lib.nn.RNN(6, 5, dropout=2.0),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    with pytest.raises((ValueError, RuntimeError)) as want:
        ERRORS[name](torch)
    with pytest.raises(type(want.value)) as got:
        ERRORS[name](genesis)
    assert str(want.value).split("\n")[0][:40] == str(got.value).split("\n")[0][:40]
