"""Layers, functions, losses, initialisation and clipping against PyTorch, with the same weights and inputs."""

import math
from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn
from tests.oracle.compare import agree, arrays_of, both_raise, ours, same, theirs

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(5)
IDS = RNG.integers(0, 7, (3, 4))
LABELS = np.array([1, 0, 4, 2, 1, 3])
PIXELS = RNG.integers(0, 5, (2, 3, 4))
CHANCES = RNG.random((6, 5)).astype(np.float32)
ROWS = (CHANCES / CHANCES.sum(1, keepdims=True)).astype(np.float32)
WEIGHT = np.array([0.5, 2.0, 1.0, 0.1, 3.0], np.float32)
MASK = np.array([[1, 0, 0, 1], [1, 1, 0, 0], [1, 1, 1, 0]], bool)
X = (6, 5)

NOT_YET = {}


def known(cases: dict[str, Any]) -> list[Any]:
    """The names of ``cases``, those in ``NOT_YET`` marked."""
    return [
        pytest.param(n, marks=pytest.mark.xfail(strict=True, reason=NOT_YET[n])) if n in NOT_YET else n for n in cases
    ]


# Layers: constructor, inputs

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


@pytest.mark.parametrize("name", known(LAYERS))
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


# Functions

FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "linear": (lambda f, x, w, b: f.linear(x, w, b), X, (3, 5), (3,)),
    "embedding": (lambda f, i, w: f.embedding(i, w, padding_idx=2), IDS, (7, 3)),
    "relu in place": (lambda f, x: f.relu(x * 1, inplace=True), X),
    "leaky_relu in place": (lambda f, x: f.leaky_relu(x * 1, 0.1, inplace=True), X),
    "softmax dtype": (lambda f, x: f.softmax(x.half(), dim=-1, dtype=x.dtype), X),
    "layer_norm": (lambda f, x, w, b: f.layer_norm(x, (5,), w, b), X, (5,), (5,)),
    "layer_norm with bias alone": (lambda f, x, b: f.layer_norm(x, [5], None, b), X, (5,)),
    "rms_norm": (lambda f, x, w: f.rms_norm(x, (5,), w), X, (5,)),
    "rms_norm of tiny values": (lambda f, x: f.rms_norm(x * 1e-4, (5,)), X),
    "rms_norm of halves": (lambda f, x: f.rms_norm(x.half() * 1e-3, (5,)), X),
    "batch_norm": (lambda f, x, w, b: f.batch_norm(x, None, None, w, b, training=True), (4, 3, 5, 2), (3,), (3,)),
    "batch_norm with bias alone": (lambda f, x, b: f.batch_norm(x, None, None, None, b, training=True), X, (5,)),
    "batch_norm of running statistics": (
        lambda f, x, m, w: f.batch_norm(x, m.detach(), (m * m).detach(), w, eps=0.1),
        (4, 3, 5),
        (3,),
        (3,),
    ),
    "batch_norm far from zero": (lambda f, x: f.batch_norm(x + 30, None, None, training=True) * 0.1, (64, 2, 9)),
    "batch_norm of halves": (
        lambda f, x, w, b: f.batch_norm(x.bfloat16(), None, None, w, b, training=True).float(),
        (4, 3, 5),
        (3,),
        (3,),
    ),
    "group_norm": (lambda f, x, w, b: f.group_norm(x, 2, w, b), (3, 4, 5, 2), (4,), (4,)),
    "instance_norm": (lambda f, x, w, b: f.instance_norm(x, None, None, w, b), (3, 4, 5, 2), (4,), (4,)),
    "normalize": (lambda f, x: f.normalize(x), X),
    "normalize 1": (lambda f, x: f.normalize(x, p=1, dim=0), X),
    "normalize zeros": (lambda f, x: f.normalize(x * 0), X),
    "cosine_similarity": (lambda f, x, y: f.cosine_similarity(x, y, dim=-1), X, X),
    "glu": (lambda f, x: f.glu(x, 0), X),
    "pad": (lambda f, x: f.pad(x, (1, 2)), X),
    "pad two dims": (lambda f, x: f.pad(x, (1, 0, 0, 2), value=3.5), (2, 3, 4)),
    "pad by negative amounts": (lambda f, x: f.pad(x, (-1, 2, 1, -2)), X),
    "pad of ints": (lambda f, x: f.pad(x, (1, 1), value=7), IDS),
    "pad by nothing": (lambda f, x: f.pad(x, (0, 0)), X),
    "pad reflect": (lambda f, x: f.pad(x, (2, 1), mode="reflect"), (2, 3, 4)),
    "pad reflect 2-d": (lambda f, x: f.pad(x, (2, 1, 1, 2), mode="reflect"), (2, 3, 4, 5)),
    "pad replicate": (lambda f, x: f.pad(x, (3, 0), mode="replicate"), (2, 3, 4)),
    "pad circular": (lambda f, x: f.pad(x, (2, 3, 1, 0), mode="circular"), (2, 3, 4, 5)),
    # attention
    "attention": (lambda f, *x: f.scaled_dot_product_attention(*x), (2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 7)),
    "attention 2-d": (lambda f, *x: f.scaled_dot_product_attention(*x), (4, 5), (6, 5), (6, 7)),
    "attention causal": (
        lambda f, *x: f.scaled_dot_product_attention(*x, is_causal=True),
        (2, 3, 4, 5),
        (2, 3, 4, 5),
        (2, 3, 4, 5),
    ),
    "attention causal, fewer queries": (
        lambda f, *x: f.scaled_dot_product_attention(*x, is_causal=True),
        (2, 3, 5),
        (2, 6, 5),
        (2, 6, 5),
    ),
    "attention bool mask": (
        lambda f, q, k, v, m: f.scaled_dot_product_attention(q, k, v, attn_mask=m),
        (2, 3, 5),
        (2, 4, 5),
        (2, 4, 5),
        MASK,
    ),
    "attention, fully masked row": (
        lambda f, q, k, v, m: f.scaled_dot_product_attention(q, k, v, attn_mask=m),
        (2, 3, 5),
        (2, 4, 5),
        (2, 4, 5),
        MASK & np.array([[0], [1], [1]], bool),
    ),
    "attention trained mask": (
        lambda f, q, k, v, m: f.scaled_dot_product_attention(q, k, v, m, scale=0.3),
        (2, 3, 5),
        (2, 4, 5),
        (2, 4, 5),
        (3, 4),
    ),
    "attention fixed mask": (
        lambda f, q, k, v, m: f.scaled_dot_product_attention(q, k, v, m.detach(), scale=0.3),
        (2, 3, 5),
        (2, 4, 5),
        (2, 4, 5),
        (3, 4),
    ),
    "attention grouped": (
        lambda f, q, k, v: f.scaled_dot_product_attention(q, k, v, enable_gqa=True),
        (2, 6, 4, 5),
        (2, 3, 4, 5),
        (2, 3, 4, 5),
    ),
    "attention broadcasts": (
        lambda f, q, k, v: f.scaled_dot_product_attention(q, k, v),
        (2, 3, 4, 5),
        (1, 3, 6, 5),
        (2, 1, 6, 7),
    ),
    # losses
    "cross_entropy": (lambda f, x, y: f.cross_entropy(x, y), X, LABELS),
    "cross_entropy sum": (lambda f, x, y: f.cross_entropy(x, y, reduction="sum"), X, LABELS),
    "cross_entropy none": (lambda f, x, y: f.cross_entropy(x, y, reduction="none"), X, LABELS),
    "cross_entropy of one": (lambda f, x, y: f.cross_entropy(x, y[0]), (5,), LABELS),
    "cross_entropy of pixels": (lambda f, x, y: f.cross_entropy(x, y), (2, 5, 3, 4), PIXELS),
    "cross_entropy of far logits": (lambda f, x, y: f.cross_entropy(x * 100, y), X, LABELS),
    "cross_entropy weighted": (lambda f, x, y, w: f.cross_entropy(x, y, w.detach()), X, LABELS, WEIGHT),
    "cross_entropy ignoring": (lambda f, x, y: f.cross_entropy(x, y, ignore_index=1), X, LABELS),
    "cross_entropy ignoring all": (
        lambda f, x, y: f.cross_entropy(x, y * 0, ignore_index=0, reduction="sum"),
        X,
        LABELS,
    ),
    "cross_entropy ignoring, weighted, smoothed": (
        lambda f, x, y, w: f.cross_entropy(x, y, w.detach(), ignore_index=1, label_smoothing=0.2),
        X,
        LABELS,
        WEIGHT,
    ),
    "cross_entropy smoothed": (lambda f, x, y: f.cross_entropy(x, y, label_smoothing=0.1), X, LABELS),
    "cross_entropy smoothed sum": (
        lambda f, x, y: f.cross_entropy(x, y, label_smoothing=0.1, reduction="sum"),
        (2, 5, 3, 4),
        PIXELS,
    ),
    "cross_entropy of probabilities": (lambda f, x, y: f.cross_entropy(x, y), X, ROWS),
    "cross_entropy of probabilities, all options": (
        lambda f, x, y, w: f.cross_entropy(x, y, w.detach(), label_smoothing=0.3, reduction="none"),
        (2, 5, 3),
        (2, 5, 3),
        WEIGHT,
    ),
    "cross_entropy of half": (lambda f, x, y: f.cross_entropy(x.half(), y), X, LABELS),
    "nll_loss": (lambda f, x, y: f.nll_loss(x, y), X, LABELS),
    "nll_loss weighted, ignoring": (
        lambda f, x, y, w: f.nll_loss(x, y, w.detach(), ignore_index=4),
        X,
        LABELS,
        WEIGHT,
    ),
    "nll_loss of pixels": (lambda f, x, y: f.nll_loss(x, y, reduction="none"), (2, 5, 3, 4), PIXELS),
    "mse_loss": (lambda f, x, y: f.mse_loss(x, y), X, X),
    "mse_loss sum": (lambda f, x, y: f.mse_loss(x, y, reduction="sum"), X, X),
    "mse_loss none": (lambda f, x, y: f.mse_loss(x, y, reduction="none"), X, X),
    "l1_loss": (lambda f, x, y: f.l1_loss(x, y), X, X),
    "l1_loss at zero": (lambda f, x: f.l1_loss(x, x * 1, reduction="sum"), X),
    "smooth_l1_loss": (lambda f, x, y: f.smooth_l1_loss(x, y, beta=0.7), X, X),
    "smooth_l1_loss none": (lambda f, x, y: f.smooth_l1_loss(x, y, reduction="none", beta=0.0), X, X),
    "huber_loss": (lambda f, x, y: f.huber_loss(x, y, reduction="sum", delta=0.7), X, X),
    "bce_with_logits": (lambda f, x, y: f.binary_cross_entropy_with_logits(x, y), X, CHANCES),
    "bce_with_logits, far": (lambda f, x, y: f.binary_cross_entropy_with_logits(x * 100, y), X, CHANCES),
    "bce_with_logits weighted": (
        lambda f, x, y, w: f.binary_cross_entropy_with_logits(x, y, w.detach(), reduction="sum"),
        X,
        CHANCES,
        WEIGHT,
    ),
    "bce_with_logits pos_weight": (
        lambda f, x, y, w: f.binary_cross_entropy_with_logits(x, y, pos_weight=w.detach(), reduction="none"),
        X,
        CHANCES,
        WEIGHT,
    ),
    "binary_cross_entropy": (lambda f, x, y: f.binary_cross_entropy(x, y.detach()), CHANCES, CHANCES[::-1].copy()),
    "binary_cross_entropy weighted": (
        lambda f, x, y, w: f.binary_cross_entropy(x, y.detach(), w.detach(), reduction="none"),
        CHANCES,
        CHANCES[::-1].copy(),
        WEIGHT,
    ),
    "kl_div": (lambda f, x, y: f.kl_div(x, y.detach(), reduction="batchmean"), X, ROWS),
    "kl_div of logs": (lambda f, x, y: f.kl_div(x, y, reduction="sum", log_target=True), X, X),
}


@pytest.mark.parametrize("name", known(FUNCTIONS))
def test_a_function(name: str) -> None:
    call, *shapes = FUNCTIONS[name]
    agree(lambda t, *x: call(t.nn.functional, *x), *shapes, rtol=2e-3 if "half" in name or "halves" in name else 2e-5)


def test_losses_at_the_ends_of_probability() -> None:
    p, t = np.array([0.0, 1.0, 0.0, 1.0], np.float32), np.array([0.0, 0.0, 1.0, 1.0], np.float32)
    agree(lambda t_, x, y: t_.nn.functional.binary_cross_entropy(x, y, reduction="none"), p, t, grad=False)
    x = genesis.tensor(p, requires_grad=True)
    nn.functional.binary_cross_entropy(x, genesis.tensor(t)).backward()
    assert np.isfinite(x.grad.numpy()).all()


LOSSES: dict[str, tuple[Any, ...]] = {
    "CrossEntropyLoss": (lambda n, w: n.CrossEntropyLoss(w, ignore_index=2, label_smoothing=0.1), X, LABELS),
    "NLLLoss": (lambda n, w: n.NLLLoss(w, ignore_index=2, reduction="sum"), X, LABELS),
    "MSELoss": (lambda n, w: n.MSELoss(reduction="sum"), X, X),
    "L1Loss": (lambda n, w: n.L1Loss(), X, X),
    "SmoothL1Loss": (lambda n, w: n.SmoothL1Loss(beta=0.5), X, X),
    "HuberLoss": (lambda n, w: n.HuberLoss(delta=0.5), X, X),
    "BCELoss": (lambda n, w: n.BCELoss(w), CHANCES, CHANCES),
    "BCEWithLogitsLoss": (lambda n, w: n.BCEWithLogitsLoss(pos_weight=w, reduction="sum"), X, CHANCES),
    "KLDivLoss": (lambda n, w: n.KLDivLoss(reduction="batchmean", log_target=True), X, X),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss(name: str) -> None:
    make, *shapes = LOSSES[name]
    mine, other = make(nn, genesis.tensor(WEIGHT)), make(torch.nn, torch.tensor(WEIGHT))
    assert list(mine.state_dict()) == list(other.state_dict())
    assert repr(mine) == repr(other)
    agree(lambda t, x, y: (mine if t is genesis else other)(x, y if y.dtype == t.int64 else y.detach()), *shapes)


ERRORS: dict[str, tuple[Any, ...]] = {
    "linear shapes": (lambda n, x: n.Linear(4, 3)(x), X),
    "layer_norm shape": (lambda n, x: n.LayerNorm(4)(x), X),
    "layer_norm of nothing": (lambda n, x: n.functional.layer_norm(x, ()), X),
    "layer_norm weight": (lambda n, x, w: n.functional.layer_norm(x, (5,), w), X, (4,)),
    "conv groups": (lambda n: n.Conv2d(4, 6, 3, groups=3),),
    "conv padding": (lambda n: n.Conv2d(4, 6, 3, padding="some"),),
    "conv same with strides": (lambda n: n.Conv2d(4, 6, 3, 2, padding="same"),),
    "conv padding mode": (lambda n: n.Conv2d(4, 6, 3, padding_mode="some"),),
    "conv_transpose padding mode": (lambda n: n.ConvTranspose2d(4, 6, 3, padding_mode="reflect"),),
    "conv_transpose size": (lambda n, x: n.ConvTranspose1d(4, 6, 3, 2)(x, output_size=[9]), (2, 4, 5)),
    "batch_norm of one value": (lambda n, x: n.BatchNorm1d(5)(x), (1, 5)),
    "batch_norm rank": (lambda n, x: n.BatchNorm2d(5)(x), X),
    "batch_norm channels": (lambda n, x: n.BatchNorm1d(4)(x), X),
    "batch_norm weight": (lambda n, x, w: n.functional.batch_norm(x, None, None, w, training=True), X, (4,)),
    "batch_norm without statistics": (lambda n, x: n.functional.batch_norm(x, None, None), X),
    "batch_norm eps": (lambda n, x: n.functional.batch_norm(x, None, None, training=True, eps=0.0), X),
    "batch_norm of a vector": (lambda n, x: n.functional.batch_norm(x, None, None, training=True), (5,)),
    "group_norm groups": (lambda n, x: n.functional.group_norm(x, 2), X),
    "group_norm weight": (lambda n, x, w: n.functional.group_norm(x, 5, w), X, (4,)),
    "group_norm of a vector": (lambda n, x: n.functional.group_norm(x, 5), (5,)),
    "group_norm layer": (lambda n: n.GroupNorm(2, 5),),
    "instance_norm of one value": (lambda n, x: n.functional.instance_norm(x), (2, 3, 1)),
    "instance_norm channels": (lambda n, x: n.InstanceNorm1d(4, affine=True)(x), (2, 3, 5)),
    "embedding index": (lambda n, i: n.Embedding(3, 2)(i), IDS),
    "embedding of floats": (lambda n, x: n.Embedding(3, 2)(x), X),
    "embedding padding": (lambda n: n.Embedding(3, 2, padding_idx=3),),
    "dropout p": (lambda n: n.Dropout(1.5),),
    "functional dropout p": (lambda n, x: n.functional.dropout(x, -0.1), X),
    "label out of range": (lambda n, x, y: n.CrossEntropyLoss()(x, y + 3), X, LABELS),
    "weight shape": (lambda n, x, y, w: n.functional.cross_entropy(x, y, w), X, LABELS, (4,)),
    "label_smoothing": (lambda n, x, y: n.functional.cross_entropy(x, y, label_smoothing=1.5), X, LABELS),
    "reduction": (lambda n, x, y: n.functional.huber_loss(x, y, reduction="some"), X, X),
    "mse shapes": (lambda n, x, y: n.functional.mse_loss(x, y[:, :3]), X, X),
    "bce shapes": (lambda n, x, y: n.functional.binary_cross_entropy_with_logits(x, y), X, (6, 1)),
    "bce range": (lambda n, x, y: n.functional.binary_cross_entropy(x, y), X, CHANCES),
    "gelu form": (lambda n, x: n.GELU("some")(x), X),
    "glu of an odd size": (lambda n, x: n.GLU()(x), X),
    "pad reflect too far": (lambda n, x: n.functional.pad(x, (9, 1), mode="reflect"), (2, 3, 4)),
    "pad of odd length": (lambda n, x: n.functional.pad(x, (1, 1, 1)), X),
    "attention shapes": (lambda n, q, k: n.functional.scaled_dot_product_attention(q, k, k), (3, 4), (3, 5)),
    "attention mask shape": (
        lambda n, q, m: n.functional.scaled_dot_product_attention(q, q, q, m),
        (2, 3, 4),
        np.ones((2, 2), bool),
    ),
    "heads must divide": (lambda n: n.MultiheadAttention(5, 2),),
    "heads must be positive": (lambda n: n.MultiheadAttention(5, 0),),
    "fans of a vector": (lambda n, x: n.init.xavier_uniform_(x.detach()), (3,)),
    "gain of nothing": (lambda n: n.init.calculate_gain("softcrelu"),),
    "fan mode": (lambda n, x: n.init.kaiming_uniform_(x.detach(), mode="fan"), X),
    "eye of three dims": (lambda n, x: n.init.eye_(x.detach()), (2, 3, 4)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_it_raises_as_torch_does(name: str) -> None:
    call, *shapes = ERRORS[name]
    both_raise(lambda t, *x: call(t.nn, *x), *shapes)


def test_load_state_dict_reports_what_torch_reports() -> None:
    def message(n: Any, t: Any) -> str:
        model = n.Sequential(n.Linear(3, 2), n.Linear(2, 2))
        state = {"0.weight": t.zeros(2, 2), "0.bias": t.zeros(2), "1.weight": t.zeros(2, 2), "more": t.zeros(1)}
        with pytest.raises(RuntimeError) as raised:
            model.load_state_dict(state)
        return str(raised.value)

    assert message(nn, genesis).replace("genesis.Size", "torch.Size") == message(torch.nn, torch)


# Initialisation: deterministic parts equal, random parts equal in distribution

EXACT: dict[str, Any] = {
    "constant_": lambda n, x: n.init.constant_(x, 0.3),
    "ones_": lambda n, x: n.init.ones_(x),
    "zeros_": lambda n, x: n.init.zeros_(x),
    "eye_": lambda n, x: n.init.eye_(x[:, :, 0]),
    "dirac_": lambda n, x: n.init.dirac_(x),
    "dirac_ in groups": lambda n, x: n.init.dirac_(x, groups=2),
}


@pytest.mark.parametrize("name", EXACT)
def test_exact_initialisation(name: str) -> None:
    agree(lambda t, x: EXACT[name](t.nn, x.detach()), (6, 4, 3), grad=False)


@pytest.mark.parametrize("name", ["linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
def test_gains(name: str) -> None:
    assert nn.init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name), rel=1e-15)
    assert nn.init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)


RANDOM: dict[str, Any] = {
    "uniform_": lambda i, x: i.uniform_(x, -2, 3),
    "normal_": lambda i, x: i.normal_(x, 1, 0.5),
    "trunc_normal_": lambda i, x: i.trunc_normal_(x, 0.2, 0.5, -0.3, 1.0),
    "trunc_normal_ far out": lambda i, x: i.trunc_normal_(x, 0.0, 1.0, 3.0, 4.0),
    "xavier_uniform_": lambda i, x: i.xavier_uniform_(x, gain=2),
    "xavier_normal_": lambda i, x: i.xavier_normal_(x),
    "kaiming_uniform_": lambda i, x: i.kaiming_uniform_(x, a=math.sqrt(5)),
    "kaiming_uniform_ fan_out": lambda i, x: i.kaiming_uniform_(x, mode="fan_out", nonlinearity="relu"),
    "kaiming_normal_": lambda i, x: i.kaiming_normal_(x, nonlinearity="tanh"),
    "orthogonal_": lambda i, x: i.orthogonal_(x, gain=3),
}


@pytest.mark.filterwarnings("ignore:mean is more than 2 std")
@pytest.mark.parametrize("name", RANDOM)
def test_random_initialisation(name: str) -> None:
    genesis.manual_seed(1)
    torch.manual_seed(1)
    mine = np.sort(RANDOM[name](nn.init, genesis.zeros(60, 20, 5)).numpy().ravel())
    other = np.sort(RANDOM[name](torch.nn.init, torch.zeros(60, 20, 5)).numpy().ravel())
    spread = other.std()
    # 6000 draws: quantiles between 1 % and 99 % scatter by less than 0.15 standard deviations.
    np.testing.assert_allclose(mine[60:-60:50], other[60:-60:50], atol=0.15 * spread)


def test_orthogonal_rows_are_orthogonal() -> None:
    for shape in ((4, 9), (9, 4)):
        w = nn.init.orthogonal_(genesis.zeros(*shape), gain=2).numpy()
        product = w @ w.T if shape[0] < shape[1] else w.T @ w
        np.testing.assert_allclose(product, 4 * np.eye(4), atol=1e-5)


def test_sparse_has_the_zeros_it_should() -> None:
    w = nn.init.sparse_(genesis.zeros(10, 6), 0.25).numpy()
    assert ((w == 0).sum(0) == 3).all()


RANGES: dict[str, Any] = {
    "Linear": lambda n: n.Linear(50, 200),
    "Conv2d": lambda n: n.Conv2d(8, 200, 3, groups=2),
    "ConvTranspose1d": lambda n: n.ConvTranspose1d(200, 400, 3),
}


@pytest.mark.parametrize("name", RANGES)
def test_weights_start_in_torchs_range(name: str) -> None:
    mine, other = RANGES[name](nn), RANGES[name](torch.nn)
    for a, b in zip(mine.parameters(), other.parameters(), strict=True):
        assert abs(a.detach().numpy()).max() == pytest.approx(float(b.detach().abs().max()), rel=0.1)


# Clipping

GRADS = [(3, 4), (5,), ()]


def clipped(t: Any, n: Any, arrays: list[np.ndarray], max_norm: float, **options: Any) -> tuple[Any, list[Any]]:
    parameters = [t.zeros(a.shape, requires_grad=True) for a in arrays]
    for p, a in zip(parameters, arrays, strict=True):
        p.grad = t.tensor(a)
    norm = n.utils.clip_grad_norm_(parameters, max_norm, **options)
    return norm, [p.grad for p in parameters]


@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.0, math.inf, "inf", 0.0, -math.inf])
@pytest.mark.parametrize("max_norm", [0.5, 100.0, 0.0, -1.0])
def test_clip_grad_norm(norm_type: Any, max_norm: float) -> None:
    arrays = arrays_of(*GRADS)
    got, want = (clipped(t, t.nn, arrays, max_norm, norm_type=norm_type) for t in (genesis, torch))
    same(got[0], want[0])
    for a, b in zip(got[1], want[1], strict=True):
        same(a, b)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_clip_grad_norm_of_what_is_not_finite(bad: float) -> None:
    arrays = [np.array([1.0, bad, 2.0], np.float32), np.array([3.0], np.float32)]
    got, want = (clipped(t, t.nn, arrays, 1.0) for t in (genesis, torch))
    same(got[0], want[0])
    for a, b in zip(got[1], want[1], strict=True):
        same(a, b)
    messages = []
    for t in (genesis, torch):
        with pytest.raises(RuntimeError) as raised:
            clipped(t, t.nn, arrays, 1.0, error_if_nonfinite=True)
        messages.append(str(raised.value))
    assert messages[0] == messages[1]


def test_clip_in_two_steps() -> None:
    arrays = arrays_of(*GRADS)
    found = []
    for t in (genesis, torch):
        parameters = [t.zeros(a.shape, requires_grad=True) for a in arrays]
        for p, a in zip(parameters, arrays, strict=True):
            p.grad = t.tensor(a)
        norm = t.nn.utils.get_total_norm([p.grad for p in parameters])
        t.nn.utils.clip_grads_with_norm_(parameters, 0.7, norm)
        found.append([norm, *(p.grad for p in parameters)])
    for a, b in zip(*found, strict=True):
        same(a, b)


def test_clip_grad_value() -> None:
    array = np.array([-3.0, -0.2, 0.4, 7.0, np.inf, -np.inf, np.nan], np.float32)
    found = []
    for t in (genesis, torch):
        p = t.zeros(7, requires_grad=True)
        p.grad = t.tensor(array)
        assert t.nn.utils.clip_grad_value_(p, 0.5) is None
        found.append(p.grad)
    same(*found)


def test_parameters_as_a_vector() -> None:
    arrays = arrays_of((3, 4), (5,))
    mine, other = [ours(a) for a in arrays], [theirs(a) for a in arrays]
    got, want = nn.utils.parameters_to_vector(mine), torch.nn.utils.parameters_to_vector(other)
    same(got, want)
    (got * got).sum().backward()
    (want * want).sum().backward()
    nn.utils.vector_to_parameters(got.detach() + 1, mine)
    torch.nn.utils.vector_to_parameters(want.detach() + 1, other)
    for a, b in zip(mine, other, strict=True):
        same(a, b)
        same(a.grad, b.grad)
