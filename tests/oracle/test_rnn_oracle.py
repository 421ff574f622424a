"""Recurrent layers against PyTorch: outputs, states, gradients, initialisation, errors."""

from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn
from tests.oracle.compare import same, theirs

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

LAYERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "two layers": {"num_layers": 2},
    "both directions": {"bidirectional": True},
    "everything": {"num_layers": 2, "bidirectional": True, "batch_first": True},
    "no bias": {"bias": False},
}
PROJECTED = {"proj_size": 3, "num_layers": 2, "bidirectional": True}


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
    sizes = (options.get("proj_size", 5), 5) if kind == "LSTM" else (5,)
    states = [rng.standard_normal((rows, *batch, size)).astype(np.float32) for size in sizes]
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


def test_projected_states() -> None:
    compare("LSTM", PROJECTED)
    compare("LSTM", {"proj_size": 2, "bias": False}, given=False, batched=False)


@pytest.mark.parametrize("lengths", [[4, 2, 1], [2, 4, 1]])
@pytest.mark.parametrize(("kind", "options"), [("RNN", {}), ("GRU", LAYERS["everything"]), ("LSTM", PROJECTED)])
def test_packed_sequences(kind: str, options: dict[str, Any], lengths: list[int]) -> None:
    mine, other = pair(kind, (6, 5), options)
    x = np.random.default_rng(1).standard_normal((5, 3, 6)).astype(np.float32)
    x[4] = np.nan  # what lies behind the ends counts nowhere
    falling = lengths == sorted(lengths, reverse=True)
    results = []
    for layer, lib, leaf in ((mine, genesis, genesis.tensor(x, requires_grad=True)), (other, torch, theirs(x))):
        rnn = lib.nn.utils.rnn
        packed = rnn.pack_padded_sequence(leaf, lib.tensor(lengths), enforce_sorted=falling)
        output, last = layer(packed)
        states = list(last) if isinstance(last, tuple) else [last]
        total(output.data, states).backward()
        padded, counts = rnn.pad_packed_sequence(output, batch_first=True, padding_value=2.0, total_length=7)
        grads = [leaf.grad, *(p.grad for p in layer.parameters())]
        results.append([padded, counts, *packed, *output, *states, *rnn.unpack_sequence(output), *grads])
    for got, want in zip(*results, strict=True):
        same(got, want, 1e-4, 1e-5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_sequences_are_padded_and_packed(side: str) -> None:
    results = []
    for lib in (genesis, torch):
        rnn = lib.nn.utils.rnn
        rows = [lib.arange(float(n * 2)).reshape(n, 2) for n in (2, 4, 1)]
        padded = rnn.pad_sequence(rows, batch_first=True, padding_value=-1.0, padding_side=side)
        packed = rnn.pack_sequence(rows, enforce_sorted=False)
        again = rnn.PackedSequence(packed.data * 2, *list(packed)[1:])
        counts = lib.tensor([2, 4, 1])
        unpadded = rnn.unpad_sequence(padded, counts, batch_first=True)
        results.append([padded, *packed, *rnn.pad_packed_sequence(again), *rnn.unpack_sequence(again), *unpadded])
    for got, want in zip(*results, strict=True):
        same(got, want)


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
    "a projection that is no shorter": lambda lib: lib.nn.LSTM(6, 5, proj_size=5),
    "a projection of a GRU": lambda lib: lib.nn.GRU(6, 5, proj_size=2),
    "lengths that grow": lambda lib: lib.nn.utils.rnn.pack_padded_sequence(lib.zeros(3, 2, 1), [1, 2]),
    "no length": lambda lib: lib.nn.utils.rnn.pack_padded_sequence(lib.zeros(3, 2, 1), [1, 0]),
    "too few lengths": lambda lib: lib.nn.utils.rnn.pack_padded_sequence(lib.zeros(3, 2, 1), [1]),
    "a total that is too short": lambda lib: lib.nn.utils.rnn.pad_packed_sequence(
        lib.nn.utils.rnn.pack_sequence([lib.zeros(3)]), total_length=2
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    with pytest.raises((ValueError, RuntimeError)) as want:
        ERRORS[name](torch)
    with pytest.raises(type(want.value)) as got:
        ERRORS[name](genesis)
    assert str(want.value).split("\n")[0][:40] == str(got.value).split("\n")[0][:40]
