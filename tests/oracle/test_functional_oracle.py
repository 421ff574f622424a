"""Functions of ``nn.functional``, losses and errors against PyTorch."""

from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn
from tests.oracle.compare import agree, both_raise
from tests.oracle.inputs import CHANCES, IDS, LABELS, MASK, PIXELS, ROWS, WEIGHT, X

torch = pytest.importorskip("torch")


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


@pytest.mark.parametrize("name", FUNCTIONS)
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
