"""Layers against PyTorch."""

from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn
from tests.oracle.compare import agree, arrays_of, same
from tests.oracle.inputs import IDS, MASK, X

torch = pytest.importorskip("torch")


LAYERS: dict[str, tuple[Any, ...]] = {
    "Identity": (lambda n: n.Identity(54, unused=1), X),
    "Linear": (lambda n: n.Linear(5, 3), X),
    "Linear without bias": (lambda n: n.Linear(5, 3, bias=False), (2, 3, 5)),
    "Linear of a vector": (lambda n: n.Linear(5, 3), (5,)),
    "Linear of an empty batch": (lambda n: n.Linear(5, 3), (0, 5)),
    "Conv1d": (lambda n: n.Conv1d(4, 6, 3, 2, 1, 2, 2), (2, 4, 9)),
    "Conv2d": (lambda n: n.Conv2d(3, 4, 3, padding=1), (2, 3, 5, 6)),
    "Conv2d of one image": (lambda n: n.Conv2d(3, 4, (3, 2), bias=False), (3, 5, 6)),
    "Conv2d same, reflect": (lambda n: n.Conv2d(3, 4, (3, 4), padding="same", padding_mode="reflect"), (2, 3, 5, 6)),
    "Conv2d circular": (lambda n: n.Conv2d(3, 4, 3, padding=(1, 2), padding_mode="circular"), (2, 3, 5, 6)),
    "Conv2d valid, replicate": (lambda n: n.Conv2d(3, 4, 3, padding="valid", padding_mode="replicate"), (2, 3, 5, 6)),
    "Conv3d": (lambda n: n.Conv3d(2, 3, 2), (1, 2, 3, 4, 3)),
    "ConvTranspose1d": (lambda n: n.ConvTranspose1d(3, 4, 3, 2, 1), (2, 3, 5)),
    "ConvTranspose2d": (lambda n: n.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2), (2, 4, 3, 5)),
    "MaxPool1d": (lambda n: n.MaxPool1d(3, 2, 1, ceil_mode=True), (2, 3, 8)),
    "MaxPool2d": (lambda n: n.MaxPool2d(2), (2, 3, 5, 6)),
    "MaxPool2d with indices": (lambda n: n.MaxPool2d((2, 3), return_indices=True), (2, 3, 5, 6)),
    "AvgPool1d": (lambda n: n.AvgPool1d(3, 2, 1), (2, 3, 8)),
    "AvgPool2d": (lambda n: n.AvgPool2d(2, padding=1, count_include_pad=False), (2, 3, 5, 6)),
    "AdaptiveAvgPool2d": (lambda n: n.AdaptiveAvgPool2d((2, None)), (2, 3, 5, 6)),
    "AdaptiveMaxPool2d": (lambda n: n.AdaptiveMaxPool2d(2), (2, 3, 5, 6)),
    "Bilinear": (lambda n: n.Bilinear(5, 4, 3), (6, 5), (6, 4)),
    "Flatten": (lambda n: n.Flatten(), (2, 3, 4)),
    "Unflatten": (lambda n: n.Unflatten(1, (5, 1)), X),
    "ReLU": (lambda n: n.ReLU(), X),
    "ReLU6": (lambda n: n.ReLU6(), (np.linspace(-3, 9, 24, dtype=np.float32))),
    "GELU": (lambda n: n.GELU(), X),
    "GELU tanh": (lambda n: n.GELU(approximate="tanh"), X),
    "Tanh": (lambda n: n.Tanh(), X),
    "Sigmoid": (lambda n: n.Sigmoid(), X),
    "SiLU": (lambda n: n.SiLU(), X),
    "Mish": (lambda n: n.Mish(), X),
    "LeakyReLU": (lambda n: n.LeakyReLU(0.2), X),
    "ELU": (lambda n: n.ELU(0.7), X),
    "CELU": (lambda n: n.CELU(0.7), X),
    "SELU": (lambda n: n.SELU(), X),
    "Softplus": (lambda n: n.Softplus(2.0, 1.0), X),
    "Softplus far out": (lambda n: n.Softplus(), np.array([-100, -1, 0, 19, 21, 100], np.float32)),
    "LogSigmoid": (lambda n: n.LogSigmoid(), np.array([-100, -1, 0, 1, 100], np.float32)),
    "Softsign": (lambda n: n.Softsign(), X),
    "Tanhshrink": (lambda n: n.Tanhshrink(), X),
    "Softshrink": (lambda n: n.Softshrink(0.3), X),
    "Hardshrink": (lambda n: n.Hardshrink(0.3), X),
    "Hardtanh": (lambda n: n.Hardtanh(-0.4, 0.6), X),
    "Hardswish": (lambda n: n.Hardswish(), (np.linspace(-4.1, 4.3, 24, dtype=np.float32))),
    "Hardsigmoid": (lambda n: n.Hardsigmoid(), (np.linspace(-4.1, 4.3, 24, dtype=np.float32))),
    "Threshold": (lambda n: n.Threshold(0.1, 20), X),
    "PReLU": (lambda n: n.PReLU(), X),
    "PReLU by channel": (lambda n: n.PReLU(3), (2, 3, 4)),
    "GLU": (lambda n: n.GLU(), (3, 6)),
    "Softmax": (lambda n: n.Softmax(dim=1), (2, 3, 4)),
    "Softmin": (lambda n: n.Softmin(dim=-1), X),
    "LogSoftmax": (lambda n: n.LogSoftmax(dim=0), X),
    "Dropout of nothing": (lambda n: n.Dropout(0.0), X),
    "Dropout of all": (lambda n: n.Dropout(1.0), X),
    "Dropout in evaluation": (lambda n: n.Dropout(0.5).eval(), X),
    "LayerNorm": (lambda n: n.LayerNorm(5), X),
    "LayerNorm of two dims": (lambda n: n.LayerNorm((3, 4), eps=1e-3), (2, 3, 4)),
    "LayerNorm without affine": (lambda n: n.LayerNorm(5, elementwise_affine=False), X),
    "LayerNorm without bias": (lambda n: n.LayerNorm(5, bias=False), X),
    "RMSNorm": (lambda n: n.RMSNorm(5), X),
    "RMSNorm without affine": (lambda n: n.RMSNorm((3, 4), eps=1e-3, elementwise_affine=False), (2, 3, 4)),
    "Embedding": (lambda n: n.Embedding(7, 3), IDS),
    "Embedding with padding": (lambda n: n.Embedding(7, 3, padding_idx=-2), IDS),
    "Sequential": (lambda n: n.Sequential(n.Linear(5, 4), n.ReLU(), n.LayerNorm(4), n.Linear(4, 2)), X),
    "Nested": (
        lambda n: n.Sequential(n.Sequential(n.Linear(5, 4), n.Tanh()), n.ModuleList([n.Linear(4, 4)])[0]),
        X,
    ),
    "CosineSimilarity": (lambda n: n.CosineSimilarity(dim=1), X, X),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer(name: str) -> None:
    make, *shapes = LAYERS[name]
    mine, other = make(nn), make(torch.nn)
    values = {k: v.numpy() for k, v in mine.state_dict().items()}
    assert list(values) == list(other.state_dict())
    other.load_state_dict({k: torch.tensor(v) for k, v in values.items()})
    assert repr(mine) == repr(other)
    agree(lambda t, *x: (mine if t is genesis else other)(*x), *shapes)
    weights = dict(other.named_parameters())
    assert list(weights) == [n for n, _ in mine.named_parameters()]
    for key, parameter in mine.named_parameters():
        assert parameter.requires_grad == weights[key].requires_grad
        if weights[key].grad is not None:
            same(parameter.grad, weights[key].grad, 1e-4, 1e-5)


ATTENTION: dict[str, dict[str, Any]] = {
    "plain": {},
    "without weights": {"need_weights": False},
    "weights by head": {"average_attn_weights": False},
    "bool mask": {"attn_mask": MASK},
    "bool mask without weights": {"attn_mask": MASK, "need_weights": False},
    "floating mask": {"attn_mask": np.where(MASK, -1.5, 0.25).astype(np.float32), "need_weights": False},
    "mask by head": {"attn_mask": np.broadcast_to(MASK, (4, 3, 4)).copy()},
    "padding": {"key_padding_mask": np.array([[0, 0, 1, 1], [0, 0, 0, 1]], bool)},
    "padding and mask": {
        "key_padding_mask": np.array([[0, 1, 0, 0], [0, 0, 0, 0]], bool),
        "attn_mask": MASK,
        "need_weights": False,
    },
    "causal": {"attn_mask": np.triu(np.ones((3, 4), bool), 1), "is_causal": True, "need_weights": False},
}
FORMS: dict[str, dict[str, Any]] = {
    "": {},
    "batch first": {"batch_first": True},
    "without bias": {"bias": False},
    "own sizes": {"kdim": 5, "vdim": 7},
    "more keys": {"add_bias_kv": True, "add_zero_attn": True},
    "a key of zeros": {"add_zero_attn": True, "batch_first": True, "kdim": 5},
}


def attention_agrees(form: dict[str, Any], options: dict[str, Any], itself: bool = False) -> None:
    mine, other = (n.MultiheadAttention(6, 2, **form) for n in (nn, torch.nn))
    values = {k: v.numpy() for k, v in mine.state_dict().items()}
    assert list(values) == list(other.state_dict())
    other.load_state_dict({k: torch.tensor(v) for k, v in values.items()})
    query, key, value = (3, 2, 6), (4, 2, form.get("kdim", 6)), (4, 2, form.get("vdim", 6))
    shapes = [query] if itself else [query, key, value]
    if form.get("batch_first"):
        shapes = [(s[1], s[0], s[2]) for s in shapes]

    def call(t: Any, *x: Any) -> Any:
        given = {k: t.tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
        inputs = (x[0], x[0], x[0]) if itself else x
        found = (mine if t is genesis else other)(*inputs, **given)
        return [p for p in found if p is not None]

    agree(call, *shapes)
    for (_, a), (_, b) in zip(mine.named_parameters(), other.named_parameters(), strict=True):
        same(a.grad, b.grad, 1e-4, 1e-5)


@pytest.mark.parametrize("options", ATTENTION)
def test_multi_head_attention(options: str) -> None:
    attention_agrees({}, ATTENTION[options])


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_multi_head_attention(form: str) -> None:
    attention_agrees(FORMS[form], {})


def test_masks_do_not_hide_what_is_added() -> None:
    for options in ("padding and mask", "mask by head", "padding"):
        attention_agrees({"add_bias_kv": True, "add_zero_attn": True}, ATTENTION[options])


def test_attention_as_a_function() -> None:
    x = (3, 2, 6)
    static = (4, 5, 3)
    sizes = [x, (18, 6), (18,), (6, 6), (6,), static, static]

    def call(n: Any, q: Any, w: Any, b: Any, out: Any, out_b: Any, k: Any, v: Any) -> Any:
        f = n.nn.functional.multi_head_attention_forward
        separate = {f"{name}_proj_weight": part for name, part in zip("qkv", w.chunk(3))}
        plain = f(q, q, q, 6, 2, w, b, None, None, False, 0.5, out, out_b, training=False)
        fixed = f(q, q, q, 6, 2, None, b, None, None, True, 0.0, out, None, True, None, False, None, True, **separate,
                  static_k=k, static_v=v)  # fmt: skip
        return [*plain, fixed[0]]

    agree(call, *sizes)


def test_self_attention() -> None:
    attention_agrees({"batch_first": True}, {"need_weights": False}, itself=True)


# Normalisations with running statistics: constructor, shape of the input

NORMS: dict[str, tuple[Any, ...]] = {
    "BatchNorm1d of rows": (lambda n: n.BatchNorm1d(5), X),
    "BatchNorm1d": (lambda n: n.BatchNorm1d(3, momentum=0.3), (4, 3, 5)),
    "BatchNorm2d": (lambda n: n.BatchNorm2d(3, eps=0.01), (4, 3, 2, 5)),
    "BatchNorm3d": (lambda n: n.BatchNorm3d(3), (4, 3, 2, 2, 5)),
    "BatchNorm2d, cumulative": (lambda n: n.BatchNorm2d(3, momentum=None), (4, 3, 2, 5)),
    "BatchNorm2d, not affine": (lambda n: n.BatchNorm2d(3, affine=False), (4, 3, 2, 5)),
    "BatchNorm2d without bias": (lambda n: n.BatchNorm2d(3, bias=False), (4, 3, 2, 5)),
    "BatchNorm2d without statistics": (lambda n: n.BatchNorm2d(3, track_running_stats=False), (4, 3, 2, 5)),
    "InstanceNorm1d": (lambda n: n.InstanceNorm1d(3), (4, 3, 5)),
    "InstanceNorm1d of one example": (lambda n: n.InstanceNorm1d(3, affine=True), (3, 5)),
    "InstanceNorm2d with statistics": (lambda n: n.InstanceNorm2d(3, track_running_stats=True), (4, 3, 2, 5)),
    "GroupNorm": (lambda n: n.GroupNorm(2, 4), (3, 4, 5)),
    "GroupNorm, not affine": (lambda n: n.GroupNorm(2, 4, affine=False), (3, 4, 5)),
}


@pytest.mark.parametrize("name", NORMS)
def test_a_normalisation_moves_its_statistics(name: str) -> None:
    make, shape = NORMS[name]
    mine, other = make(nn), make(torch.nn)
    assert repr(mine) == repr(other)
    state = {k: v.numpy() for k, v in other.state_dict().items()}
    state |= {
        k: v for (k, _), v in zip(other.named_parameters(), arrays_of(*(tuple(p.shape) for p in other.parameters())))
    }
    for layer, t in ((mine, genesis), (other, torch)):
        layer.load_state_dict({k: t.tensor(v) for k, v in state.items()})
    for seed in range(3):
        agree(lambda t, x: (mine if t is genesis else other)(x), shape, seed=seed)
    for (key, a), (_, b) in zip(mine.state_dict().items(), other.state_dict().items(), strict=True):
        assert key in state
        same(a, b)
    mine.eval(), other.eval()
    agree(lambda t, x: (mine if t is genesis else other)(x), shape, rtol=2e-5, seed=7)


def test_a_transposed_convolution_of_a_chosen_size() -> None:
    mine, other = nn.ConvTranspose1d(3, 4, 3, 2), torch.nn.ConvTranspose1d(3, 4, 3, 2)
    state = dict(zip(mine.state_dict(), arrays_of((3, 4, 3), (4,)), strict=True))
    mine.load_state_dict({k: genesis.tensor(v) for k, v in state.items()})
    other.load_state_dict({k: torch.tensor(v) for k, v in state.items()})
    agree(lambda t, x: (mine if t is genesis else other)(x, output_size=[12]), (2, 3, 5))
