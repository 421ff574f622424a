"""Transformers against PyTorch's: keys, results, gradients, errors; and compiled as eager."""

from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn
from tests.oracle.compare import agree, same

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")

SIZES = {"d_model": 6, "nhead": 2, "dim_feedforward": 8, "dropout": 0.0}
FORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "norms first": {"norm_first": True, "batch_first": True, "activation": "gelu"},
    "without bias": {"bias": False, "layer_norm_eps": 1e-3},
}
PADDING = np.array([[0, 0, 0, 1], [0, 0, 0, 0]], bool)
S, T = (4, 2, 6), (3, 2, 6)


def pair(make: Any) -> tuple[Any, Any]:
    """The same module in both libraries, with the same weights."""
    mine, other = make(nn), make(torch.nn)
    assert list(mine.state_dict()) == list(other.state_dict())
    rng = np.random.default_rng(3)
    values = {k: rng.standard_normal(v.shape).astype(np.float32) for k, v in other.state_dict().items()}
    mine.load_state_dict(values)
    other.load_state_dict({k: torch.tensor(v) for k, v in values.items()})
    return mine, other


def compare(make: Any, call: Any, *shapes: Any) -> None:
    mine, other = pair(make)
    agree(lambda lib, *x: call(lib, mine if lib is genesis else other, *x), *shapes, rtol=1e-4, atol=1e-5)
    for (name, a), (_, b) in zip(mine.named_parameters(), other.named_parameters(), strict=True):
        assert name and a.grad is not None
        same(a.grad, b.grad, 1e-3, 1e-4)


def shaped(shape: tuple[int, ...], form: dict[str, Any]) -> tuple[int, ...]:
    return (shape[1], shape[0], shape[2]) if form.get("batch_first") else shape


@pytest.mark.parametrize("form", FORMS)
def test_encoder_layers(form: str) -> None:
    options = {**SIZES, **FORMS[form]}
    mask = np.triu(np.ones((4, 4), bool), 1)
    for masks in ({}, {"src_key_padding_mask": PADDING}, {"src_mask": mask, "is_causal": True}):

        def call(lib: Any, layer: Any, x: Any, masks: Any = masks) -> Any:
            return layer(x, **{k: lib.tensor(v) if isinstance(v, np.ndarray) else v for k, v in masks.items()})

        compare(lambda n: n.TransformerEncoderLayer(**options), call, shaped(S, options))


@pytest.mark.parametrize("form", FORMS)
def test_whole_transformers(form: str) -> None:
    options = {**SIZES, **FORMS[form]}

    def call(lib: Any, model: Any, src: Any, tgt: Any) -> Any:
        causal = lib.nn.Transformer.generate_square_subsequent_mask(3)
        padding = lib.tensor(np.where(PADDING, -np.inf, 0).astype(np.float32))
        return model(
            src, tgt, tgt_mask=causal, src_key_padding_mask=padding, memory_key_padding_mask=padding, tgt_is_causal=True
        )

    def make(n: Any) -> Any:
        return n.Transformer(num_encoder_layers=2, num_decoder_layers=2, **options)

    compare(make, call, shaped(S, options), shaped(T, options))


def test_decoder_layers_without_a_batch() -> None:
    options = {**SIZES, "activation": None}

    def make(n: Any) -> Any:
        options["activation"] = n.functional.silu
        return n.TransformerDecoder(n.TransformerDecoderLayer(**options), 2, norm=n.LayerNorm(6))

    compare(make, lambda lib, layer, tgt, memory: layer(tgt, memory), (3, 6), (4, 6))


ERRORS: dict[str, Any] = {
    "activation": lambda lib: lib.nn.TransformerEncoderLayer(6, 2, activation="tanh"),
    "batch": lambda lib: lib.nn.Transformer(6, 2, 1, 1, 8)(lib.zeros(4, 2, 6), lib.zeros(3, 1, 6)),
    "width": lambda lib: lib.nn.Transformer(6, 2, 1, 1, 8)(lib.zeros(4, 2, 6), lib.zeros(3, 2, 5)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    with pytest.raises(RuntimeError) as want:
        ERRORS[name](torch)
    with pytest.raises(RuntimeError) as got:
        ERRORS[name](genesis)
    assert str(got.value).startswith(str(want.value))


def test_printed_alike() -> None:
    mine, other = (repr(n.Transformer(6, 2, 1, 1, 8)) for n in (nn, torch.nn))
    assert mine == other.replace("NonDynamicallyQuantizableLinear", "Linear")
