"""Recurrent layers: what they are made of, and training them compiled as eager."""

from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn

KINDS = ["RNN", "LSTM", "GRU"]


def array(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_parameters_have_the_names_of_pytorch() -> None:
    layer = nn.GRU(4, 3, num_layers=2, bidirectional=True)
    shapes = {n: tuple(p.shape) for n, p in layer.named_parameters()}
    assert shapes["weight_ih_l0"] == (9, 4) and shapes["weight_ih_l1_reverse"] == (9, 6)
    assert shapes["weight_hh_l1"] == (9, 3) and shapes["bias_hh_l0_reverse"] == (9,)
    assert len(shapes) == 16
    assert not any("bias" in n for n, _ in nn.LSTM(4, 3, bias=False).named_parameters())
    assert all(abs(p.detach().numpy()).max() <= 1 / np.sqrt(3) for p in layer.parameters())
    assert repr(layer) == "GRU(4, 3, num_layers=2, bidirectional=True)"


def train(kind: str, compiled: bool, **options: Any) -> tuple[list[float], dict[str, np.ndarray]]:
    genesis.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 6))
    layer = getattr(nn, kind)(6, 8, num_layers=2, dropout=0.2)
    optimizer = genesis.optim.AdamW([*model.parameters(), *layer.parameters()], lr=1e-2)
    scaler = genesis.amp.GradScaler(init_scale=2.0**4, enabled="scaled" in options)
    x, y = genesis.tensor(array(4, 3, 5)), genesis.tensor(array(4, 3, 8, seed=1))

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        with genesis.autocast(dtype=genesis.bfloat16, enabled="autocast" in options):
            output, _ = layer(model(x))
            loss = ((output.float() - y) ** 2).mean()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(layer.parameters(), 0.5)
        scaler.step(optimizer)
        scaler.update()
        return loss

    run = genesis.compile(step) if compiled else step
    losses = [float(run(x, y)) for _ in range(4)]
    return losses, {n: p.detach().numpy().copy() for n, p in layer.named_parameters()}


@pytest.mark.parametrize("kind", KINDS)
def test_compiled_training_is_eager_training(kind: str) -> None:
    eager, compiled = train(kind, False), train(kind, True)
    np.testing.assert_allclose(compiled[0], eager[0], 1e-4)
    assert compiled[0][-1] < compiled[0][0]
    for name, want in eager[1].items():
        np.testing.assert_allclose(compiled[1][name], want, 1e-2, 1e-3, err_msg=name)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_autocast_and_scaling(kind: str) -> None:
    eager = train(kind, False, autocast=True, scaled=True)
    compiled = train(kind, True, autocast=True, scaled=True)
    np.testing.assert_allclose(compiled[0], eager[0], 2e-2)
    plain = train(kind, True)
    assert plain[0] != compiled[0]
    np.testing.assert_allclose(compiled[0], plain[0], 5e-2)


def test_the_loop_has_one_product_and_the_weights_are_laid_out_once() -> None:
    layer = nn.LSTM(16, 16)

    @genesis.compile(keep_grads=True)
    def step(x: Any) -> Any:
        layer.zero_grad()
        layer(x)[0].sum().backward()

    step(genesis.tensor(array(6, 4, 16)))
    forward, back = (n for n in step.graph("hoist").nodes if n.op.name == "loop")
    for loop in (forward, back):
        assert [n.op.name for n in loop.body.nodes].count("dot") == 1
    products = [n.inputs[0].shape for n in step.graph("hoist").nodes if n.op.name == "dot"]
    assert sorted(products) == [(24, 16), (64, 24), (64, 24)], (
        "the inputs, and both weights' gradients, in one product each"
    )


def test_options_that_do_not_fit() -> None:
    with pytest.raises(TypeError, match="PackedSequence"):
        nn.LSTM(4, 3)([genesis.zeros(2, 4)])
    with pytest.raises(ValueError, match="nonlinearity"):
        nn.RNN(4, 3, nonlinearity="sin")
    with pytest.warns(genesis.GenesisWarning, match="num_layers=1"):
        nn.RNN(4, 3, dropout=0.5)


def test_one_program_serves_packed_sequences_of_all_lengths() -> None:
    layer = nn.LSTM(3, 4, bidirectional=True)
    pack = nn.utils.rnn.pack_padded_sequence

    def run(x: Any, lengths: Any) -> Any:
        output, (h, c) = layer(pack(x, lengths, enforce_sorted=False))
        return nn.utils.rnn.pad_packed_sequence(output, total_length=5)[0], h, c

    compiled = genesis.compile(run)
    x = genesis.tensor(array(5, 2, 3))
    for lengths in ([2, 5], [5, 1], [3, 3]):
        for got, want in zip(compiled(x, genesis.tensor(lengths)), run(x, genesis.tensor(lengths)), strict=True):
            np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), 1e-5, 1e-6)
    assert compiled.compiles == 1
    with pytest.raises(IndexError):
        compiled(x, genesis.tensor([2, 6]))
    with pytest.raises(genesis.GenesisError, match="give the lengths as a list"):
        genesis.compile(lambda x, n: pack(x, n, enforce_sorted=False).data)(x, genesis.tensor([2, 5]))
    by_list = genesis.compile(lambda x: layer(pack(x, [5, 2]))[0].data)(x)
    np.testing.assert_allclose(by_list.detach().numpy(), layer(pack(x, [5, 2]))[0].data.detach().numpy(), 1e-5, 1e-6)
