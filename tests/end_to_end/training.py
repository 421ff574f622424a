"""Small training runs that the tests run eager and compiled, from the same state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import genesis
from genesis import nn, optim
from genesis.amp import GradScaler, autocast
from genesis.nn import functional as F


def digits_mlp() -> nn.Module:
    """The network of the digits example, narrower: 16 pixels, 10 classes, dropout on."""
    return nn.Sequential(
        nn.Linear(16, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 24), nn.ReLU(), nn.Dropout(0.3), nn.Linear(24, 10)
    )


class Block(nn.Module):
    """Causal self-attention and a perceptron, each around a residual connection."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Any) -> Any:
        batch, time, width = x.shape
        q, k, v = (
            part.reshape(batch, time, self.heads, width // self.heads).transpose(1, 2)
            for part in self.qkv(self.norm1(x)).split(width, dim=2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.dropout(self.out(y.transpose(1, 2).reshape(batch, time, width)))
        return x + self.dropout(self.mlp(self.norm2(x)))


class Gpt(nn.Module):
    """Tokens [batch, time] to logits [batch, time, vocabulary]; the first and the last matrix are one."""

    def __init__(
        self,
        vocabulary: int = 13,
        time: int = 8,
        width: int = 16,
        layers: int = 2,
        heads: int = 2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.token, self.position = nn.Embedding(vocabulary, width), nn.Embedding(time, width)
        self.blocks = nn.ModuleList([Block(width, heads, dropout) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.token.weight
        nn.init.normal_(self.token.weight, std=0.2)

    def forward(self, tokens: Any) -> Any:
        x = self.token(tokens) + self.position(genesis.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


@dataclass
class Run:
    """A model in training: ``step(*batches[i])`` is one step, returning the loss."""

    model: Any
    optimizer: Any
    step: Callable[..., Any]
    batches: list[tuple[Any, ...]]
    scaler: GradScaler = field(default_factory=lambda: GradScaler(enabled=False))

    def save(self) -> dict[str, Any]:
        """A copy of everything the next step depends on."""
        return {
            "model": {k: np.array(v.numpy()) for k, v in _detached(self.model.state_dict()).items()},
            "optimizer": self.optimizer_arrays(),
            "rng": genesis.get_rng_state(),
            "scaler": self.scaler.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go back to what :meth:`save` copied; moments that did not exist yet are zero."""
        with genesis.no_grad():
            for name, value in _detached(self.model.state_dict()).items():
                value.copy_(genesis.tensor(state["model"][name]))
            for key, held in self._held():
                held.copy_(genesis.tensor(state["optimizer"].get(key, np.zeros(held.shape, np.float32))))
        genesis.set_rng_state(state["rng"])
        self.scaler.load_state_dict(state["scaler"])

    def optimizer_arrays(self) -> dict[str, np.ndarray]:
        return {key: np.array(held.numpy()) for key, held in self._held()}

    def _held(self) -> list[tuple[str, Any]]:
        state = self.optimizer.state_dict()["state"]
        return [(f"{i}.{key}", value) for i, entries in state.items() for key, value in entries.items()]

    def gradients(self) -> dict[str, np.ndarray]:
        """A copy of every ``.grad``."""
        return {n: np.array(p.grad.numpy()) for n, p in self.model.named_parameters()}


def _detached(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value.detach() for name, value in state.items()}


def digits_batches(count: int, size: int = 12, seed: int = 1) -> list[tuple[Any, ...]]:
    """Images whose class can be learned, [size, 16], and labels [size]."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, 1, (10, 16))
    found = []
    for _ in range(count):
        labels = rng.integers(0, 10, size)
        images = centres[labels] + 0.2 * rng.standard_normal((size, 16))
        found.append((genesis.tensor(images.astype(np.float32)), genesis.tensor(labels)))
    return found


def token_batches(count: int, size: int = 3, time: int = 8, vocabulary: int = 13) -> list[tuple[Any, ...]]:
    """Tokens that count up from random starts, and those that follow."""
    rng = np.random.default_rng(2)
    starts = rng.integers(0, vocabulary, (count, size, 1))
    tokens = (starts + np.arange(time + 1)) % vocabulary
    return [(genesis.tensor(t[:, :-1]), genesis.tensor(t[:, 1:])) for t in tokens]


Decorator = Callable[[Callable[..., Any]], Any]


def eager(function: Callable[..., Any]) -> Callable[..., Any]:
    """Leaves a step as it is."""
    return function


def digits_run(compiled: Decorator = eager, count: int = 50, precision: Any = None) -> Run:
    """The digits example in small: dropout, Adam, autocast to ``precision`` with a gradient scaler, clipping."""
    genesis.manual_seed(0)
    model = digits_mlp()
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    criterion = nn.CrossEntropyLoss()
    scaler = GradScaler(init_scale=1024.0, growth_interval=10, enabled=precision is not None)

    @compiled
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        with autocast(dtype=precision, enabled=precision is not None):
            loss = criterion(model(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        scaler.step(optimizer)
        scaler.update()
        return loss

    return Run(model, optimizer, step, digits_batches(count), scaler)


def gpt_run(compiled: Decorator = eager, count: int = 50, precision: Any = None) -> Run:
    """The GPT example in small: dropout, AdamW that decays matrices, autocast to ``precision``, clipping."""
    genesis.manual_seed(0)
    model = Gpt()
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = optim.AdamW(groups, lr=3e-3, betas=(0.9, 0.95))

    @compiled
    def step(tokens: Any, following: Any) -> Any:
        optimizer.zero_grad()
        with autocast(dtype=precision, enabled=precision is not None):
            logits = model(tokens)
            loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), following.reshape(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()
        return loss

    return Run(model, optimizer, step, token_batches(count))
