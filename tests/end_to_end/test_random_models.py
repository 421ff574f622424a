"""Networks that no example has, drawn at random: compiled to C they train as they do eager."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import genesis
from genesis import nn, optim
from genesis.nn import functional as F

STEPS = 3
ACTIVATIONS: list[Callable[[], nn.Module]] = [nn.ReLU, nn.Tanh, nn.GELU, nn.Sigmoid, nn.SiLU]
OPTIMIZERS: list[tuple[Any, dict[str, Any]]] = [
    (optim.SGD, {"lr": 0.1}),
    (optim.SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    (optim.Adam, {"lr": 0.01, "amsgrad": True}),
    (optim.AdamW, {"lr": 0.01, "weight_decay": 0.1}),
]


@dataclass(frozen=True)
class Plan:
    """What a training run consists of: ``make()`` gives model, loss and batches, the same at every call."""

    make: Callable[[], tuple[nn.Module, Callable[..., Any], list[tuple[Any, ...]]]]
    optimizer: tuple[Any, dict[str, Any]]
    clip: float | None

    def train(self, compiled: Callable[..., Any]) -> tuple[list[float], dict[str, np.ndarray]]:
        """Losses of a few steps, and the parameters after them."""
        genesis.manual_seed(0)
        model, criterion, batches = self.make()
        kind, options = self.optimizer
        optimizer = kind(model.parameters(), **options)

        @compiled
        def step(*batch: Any) -> Any:
            optimizer.zero_grad()
            loss = criterion(model, *batch)
            loss.backward()
            if self.clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), self.clip)
            optimizer.step()
            return loss

        losses = [step(*batch).item() for batch in batches]
        return losses, {n: np.array(p.detach().numpy()) for n, p in model.named_parameters()}


def floats(rng: np.random.Generator, *shape: int) -> Any:
    return genesis.tensor(rng.standard_normal(shape).astype(np.float32))


@st.composite
def perceptrons(draw: st.DrawFn) -> Plan:
    """One to three hidden layers of odd widths with norms, dropout and residuals, under one of four losses."""
    widths = draw(st.lists(st.integers(1, 19), min_size=2, max_size=4))
    activation = draw(st.sampled_from(ACTIVATIONS))
    norm, dropout, bias = draw(st.booleans()), draw(st.sampled_from([0.0, 0.3])), draw(st.booleans())
    loss = draw(st.sampled_from(["cross_entropy", "mse", "bce", "smoothed"]))
    rows = draw(st.integers(2, 9))

    def make() -> Any:
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after, bias=bias)]
            layers += [nn.LayerNorm(after)] if norm else []
            layers += [activation(), nn.Dropout(dropout)]
        model = nn.Sequential(*layers, nn.Linear(widths[-1], 3))
        rng = np.random.default_rng(1)
        classes = loss in ("cross_entropy", "smoothed")
        targets = [rng.integers(0, 3, rows) if classes else rng.uniform(0, 1, (rows, 3)) for _ in range(STEPS)]
        batches = [
            (floats(rng, rows, widths[0]), genesis.tensor(t if classes else t.astype(np.float32))) for t in targets
        ]

        def criterion(model: nn.Module, x: Any, y: Any) -> Any:
            out = model(x)
            if loss == "mse":
                return F.mse_loss(out, y)
            if loss == "bce":
                return F.binary_cross_entropy_with_logits(out, y, reduction="sum")
            return F.cross_entropy(out, y, label_smoothing=0.1 if loss == "smoothed" else 0.0)

        return model, criterion, batches

    return Plan(make, draw(st.sampled_from(OPTIMIZERS)), draw(st.sampled_from([None, 0.5])))


class Attention(nn.Module):
    """Self-attention of ``heads`` heads, masked in one of three ways, written with or without the library function."""

    def __init__(self, width: int, heads: int, mask: str, by_hand: bool) -> None:
        super().__init__()
        self.heads, self.mask, self.by_hand = heads, mask, by_hand
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Any) -> Any:
        batch, time, width = x.shape
        q, k, v = self.qkv(x).reshape(batch, time, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        allowed = genesis.ones(time, time, dtype=genesis.bool).tril() if self.mask != "none" else None
        if self.by_hand:
            scores = q @ k.transpose(-2, -1) * (width // self.heads) ** -0.5
            if allowed is not None:
                scores = scores.masked_fill(allowed.logical_not(), float("-inf"))
            y = scores.softmax(-1) @ v
        else:
            mask = allowed if self.mask == "matrix" else None
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=self.mask == "causal")
        return self.out(y.transpose(1, 2).reshape(batch, time, width))


class Transformer(nn.Module):
    """Embeddings, blocks with the norm before or after, a head."""

    def __init__(self, width: int, layers: int, attention: Callable[[], nn.Module], before: bool, kind: Any) -> None:
        super().__init__()
        self.before = before
        self.token, self.position = nn.Embedding(11, width), nn.Parameter(genesis.randn(7, width) * 0.1)
        self.attention = nn.ModuleList([attention() for _ in range(layers)])
        self.mlp = nn.ModuleList(
            [nn.Sequential(nn.Linear(width, width + 3), kind(), nn.Linear(width + 3, width)) for _ in range(layers)]
        )
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(2 * layers)])
        self.head = nn.Linear(width, 11)

    def forward(self, tokens: Any) -> Any:
        x = self.token(tokens) + self.position[: tokens.shape[1]]
        for i, (attention, mlp) in enumerate(zip(self.attention, self.mlp, strict=True)):
            for part, norm in ((attention, self.norms[2 * i]), (mlp, self.norms[2 * i + 1])):
                x = x + part(norm(x)) if self.before else norm(x + part(x))
        return self.head(x)


@st.composite
def transformers(draw: st.DrawFn) -> Plan:
    """One or two blocks of odd sizes that classify every position."""
    heads, each = draw(st.sampled_from([1, 2, 3])), draw(st.integers(1, 6))
    layers, time, rows = draw(st.integers(1, 2)), draw(st.integers(1, 7)), draw(st.integers(1, 3))
    mask, by_hand = draw(st.sampled_from(["none", "causal", "matrix"])), draw(st.booleans())
    before, kind = draw(st.booleans()), draw(st.sampled_from(ACTIVATIONS))
    width = heads * each

    def make() -> Any:
        model = Transformer(width, layers, lambda: Attention(width, heads, mask, by_hand), before, kind)
        rng = np.random.default_rng(2)
        batches = [tuple(genesis.tensor(rng.integers(0, 11, (rows, time))) for _ in range(2)) for _ in range(STEPS)]

        def criterion(model: nn.Module, tokens: Any, following: Any) -> Any:
            return F.cross_entropy(model(tokens).flatten(0, 1), following.flatten())

        return model, criterion, batches

    return Plan(make, draw(st.sampled_from(OPTIMIZERS)), draw(st.sampled_from([None, 1.0])))


def assert_trains_alike(plan: Plan) -> None:
    """Losses of the first steps agree; parameters do where the optimizer does not divide by their noise."""
    expected, wanted = plan.train(lambda f: f)
    losses, parameters = plan.train(genesis.compile)
    assert losses == pytest.approx(expected, rel=2e-4, abs=1e-6)
    if plan.optimizer[0] is optim.SGD:
        for name, value in wanted.items():
            np.testing.assert_allclose(parameters[name], value, rtol=1e-3, atol=1e-5, err_msg=name)


FEW = settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow])


@FEW
@given(perceptrons())
def test_random_perceptrons_train_as_in_eager_mode(plan: Plan) -> None:
    assert_trains_alike(plan)


@FEW
@given(transformers())
def test_random_transformers_train_as_in_eager_mode(plan: Plan) -> None:
    assert_trains_alike(plan)
