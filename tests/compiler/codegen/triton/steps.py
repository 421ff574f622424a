"""Whole training steps, recorded: what a user writes, as graphs to generate code for."""

from collections.abc import Callable
from typing import Any

import numpy as np

import genesis
from compiler.codegen.triton.features import FEATURES
from compiler.ir.ambient import using
from compiler.ir.graph import Graph, Value
from compiler.ir.types import TensorType, dtype
from compiler.pipeline import Stages, lowering
from genesis import nn, optim
from genesis.amp import GradScaler, autocast
from genesis.memory.values import TensorValue
from genesis.nn import functional as F
from genesis.recording import Recording
from genesis.tensor import Tensor, wrap

Step = tuple[Callable[..., Any], list[np.ndarray]]


class Block(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.heads, self.dropout = heads, dropout

    def forward(self, x: Tensor) -> Tensor:
        batch, time, width = x.shape
        parts = self.qkv(self.norm1(x)).split(width, dim=2)
        q, k, v = (t.reshape(batch, time, self.heads, width // self.heads).transpose(1, 2) for t in parts)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=self.dropout)
        x = x + F.dropout(self.project(y.transpose(1, 2).reshape(batch, time, width)), self.dropout, True)
        return x + F.dropout(self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh")), self.dropout, True)


class GPT(nn.Module):
    def __init__(self, layers: int, width: int, heads: int, time: int, vocabulary: int, dropout: float) -> None:
        super().__init__()
        self.token, self.position = nn.Embedding(vocabulary, width), nn.Embedding(time, width)
        for table in (self.token, self.position):
            nn.init.normal_(table.weight, std=0.1)
        self.blocks = nn.ModuleList([Block(width, heads, dropout) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.token.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.token(tokens) + self.position(genesis.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def gpt(
    layers: int = 2,
    width: int = 32,
    heads: int = 2,
    time: int = 16,
    vocabulary: int = 11,
    batch: int = 2,
    dropout: float = 0.0,
    amp: Any = genesis.bfloat16,
) -> Step:
    """A transformer language model with tied embeddings, clipped gradients and AdamW.

    With so large an eps, the sign of a gradient that is almost zero decides nothing.
    """
    genesis.manual_seed(0)
    model = GPT(layers, width, heads, time, vocabulary, dropout)
    optimizer = optim.AdamW(model.parameters(), lr=1e-3, eps=1e-3)

    def step(tokens: Tensor, targets: Tensor) -> Tensor:
        optimizer.zero_grad()
        with autocast(device_type="cuda", dtype=amp, enabled=amp is not None):
            loss = F.cross_entropy(model(tokens).reshape(-1, vocabulary), targets.reshape(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    rng = np.random.default_rng(0)
    return step, [rng.integers(0, vocabulary, (batch, time)) for _ in range(2)]


def mlp(batch: int = 7, inputs: int = 20, hidden: int = 33, classes: int = 5, amp: Any = genesis.float16) -> Step:
    """A perceptron with dropout, layer norm, a gradient scaler, clipping and AdamW; no size is a power of two."""
    genesis.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(inputs, hidden), nn.GELU(), nn.LayerNorm(hidden), nn.Dropout(0.25), nn.Linear(hidden, classes)
    )
    optimizer = optim.AdamW(model.parameters(), lr=1e-2, eps=1e-3)
    scaler = GradScaler(init_scale=1024.0)

    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        with autocast(device_type="cuda", dtype=amp):
            loss = F.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        return loss

    rng = np.random.default_rng(0)
    return step, [rng.standard_normal((batch, inputs)).astype(np.float32), rng.integers(0, classes, batch)]


def perceptron() -> Step:
    """A step small enough to be read as a whole."""
    genesis.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 33), nn.ReLU(), nn.Linear(33, 5))
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    rng = np.random.default_rng(0)
    return step, [rng.standard_normal((64, 20)).astype(np.float32), rng.integers(0, 5, 64)]


def record(step: Callable[..., Any], inputs: list[np.ndarray]) -> tuple[Graph, list[np.ndarray]]:
    """The graph of a step, and an array for each of its parameters."""
    recording = Recording("train_step")
    graph = recording.graph
    with using(recording.builder):
        types = [TensorType(dtype(x.dtype), x.shape) for x in inputs]
        given = [graph.add_input(TensorValue(kind, f"x{i}"), "input", "") for i, kind in enumerate(types)]
        results = [step(*map(wrap, given)).value]
    recording.finish(results)
    cells = {value: cell for cell, value in recording.state.items()}
    numbers = {value: recording.host.numbers[i] for value, i in recording.host.scalars.items()}
    arrays: dict[Value, np.ndarray] = dict(zip(given, inputs, strict=True))
    for value in graph.inputs():
        if value in cells:
            arrays[value] = np.array(cells[value].value.data)
        elif value in numbers:
            arrays[value] = np.asarray(numbers[value], np.float64)
    return graph, [arrays[value] for value in graph.inputs()]


def lowered(graph: Graph) -> Graph:
    """The graph as fused kernels."""
    return Stages(graph).run(lowering(FEATURES))
