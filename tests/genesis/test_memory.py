"""The memory of a compiled step, and ``activation_memory=``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import genesis
from compiler import pipeline
from compiler.errors import DeviceError, MemoryBudgetError
from genesis import compiled, nn, optim
from genesis.nn import functional as F
from genesis.options import Options
from runtime.toolchain import find_compiler

needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")
VOCABULARY, TOKENS, WIDTH = 17, 16, 32
STEPS = 3


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.projection = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Any) -> Any:
        parts = self.qkv(self.norm1(x)).split(WIDTH, dim=2)
        q, k, v = (part.view(-1, TOKENS, 2, WIDTH // 2).transpose(1, 2) for part in parts)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.dropout(self.projection(mixed.transpose(1, 2).reshape(-1, TOKENS, WIDTH)))
        return x + self.dropout(self.down(F.gelu(self.up(self.norm2(x)))))


def gpt(layers: int) -> nn.Module:
    return nn.Sequential(
        nn.Embedding(VOCABULARY, WIDTH),
        *(Block() for _ in range(layers)),
        nn.LayerNorm(WIDTH),
        nn.Linear(WIDTH, VOCABULARY),
    )


def mlp() -> nn.Module:
    layers = [layer for _ in range(4) for layer in (nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Dropout(0.2))]
    return nn.Sequential(nn.Embedding(VOCABULARY, WIDTH), *layers, nn.Linear(WIDTH, VOCABULARY))


def train(model: Any, steps: int = STEPS, rows: int = 8, **options: Any) -> tuple[Any, list[np.ndarray]]:
    """The compiled step, and the losses and parameters after ``steps`` calls."""
    genesis.manual_seed(0)
    net = model()
    optimizer = optim.AdamW(net.parameters(), lr=1e-2)

    @genesis.compile(backend="c", **options)
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x).view(-1, VOCABULARY), y.view(-1))
        loss.backward()
        optimizer.step()
        return loss

    rng = np.random.default_rng(0)
    x, y = (genesis.tensor(rng.integers(0, VOCABULARY, (rows, TOKENS))) for _ in range(2))
    losses = [step(x, y).detach().numpy() for _ in range(steps)]
    return step, [*losses, *(p.detach().numpy() for p in net.parameters())]


def assert_same_losses(actual: list[np.ndarray], expected: list[np.ndarray], rtol: float) -> None:
    """The interpreter gives the same bits; a C compiler contracts multiply and add differently in another kernel."""
    np.testing.assert_allclose(actual[:STEPS], expected[:STEPS], rtol=rtol)


@needs_compiler
@pytest.mark.parametrize("precision", ["fp32", "bf16-mixed", "fp16-mixed"])
@pytest.mark.parametrize("model", [mlp, lambda: gpt(2)], ids=["mlp", "gpt"])
def test_recomputation_changes_no_loss(model: Any, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_it, results = train(model, precision=precision)
    monkeypatch.setitem(pipeline.PASSES, "remat", lambda graph: graph)
    monkeypatch.setattr(compiled, "compiler_version", lambda: "without remat")
    without, expected = train(model, precision=precision)
    assert with_it.memory().arena <= without.memory().arena + 512  # large buffers start at different lines of a page
    assert with_it.memory().kept <= without.memory().kept
    assert_same_losses(results, expected, 1e-6 if precision == "fp32" else 1e-3)


@needs_compiler
def test_half_the_memory() -> None:
    """With many rows, so that the activations and not the gradients are what takes memory."""
    usual, expected = train(lambda: gpt(8), rows=32)
    half, results = train(lambda: gpt(8), rows=32, activation_memory=0.5)
    assert 2 * half.memory().arena <= usual.memory().arena
    assert 2 * half.memory().kept <= usual.memory().kept
    assert half.memory().states == usual.memory().states
    assert_same_losses(results, expected, 1e-5)


@needs_compiler
def test_too_little_memory() -> None:
    with pytest.raises(MemoryBudgetError, match=r"activation_memory= leaves 1,000\.\n  Give it [\d]+ or more"):
        train(lambda: gpt(2), activation_memory="1kB")


@needs_compiler
def test_what_a_step_takes() -> None:
    step, results = train(mlp)
    memory = step.memory()
    assert memory.arena == step.plan.arena_bytes > memory.kept > 0
    assert memory.outputs == results[0].nbytes
    assert memory.states >= 3 * sum(a.nbytes for a in results[3:])


@pytest.mark.parametrize(
    ("given", "amount"),
    [
        (None, None),
        (4096, 4096),
        (0.5, 0.5),
        ("4096", 4096),
        ("512MB", 512_000_000),
        ("1.5 GiB", 3 << 29),
        ("2k", 2000),
    ],
)
def test_amounts(given: Any, amount: Any) -> None:
    found = Options(activation_memory=given).budget()
    assert found == amount and type(found) is type(amount)


@pytest.mark.parametrize("given", ["much", "12 parsecs", 0, -1, 0.0, 1.5, "1.2.3MB", True])
def test_what_is_no_amount(given: Any) -> None:
    with pytest.raises(ValueError, match="it is a number of bytes, a text like '512MB'"):
        Options(activation_memory=given)


def test_the_interpreter_plans_nothing() -> None:
    with pytest.raises(DeviceError, match="activation_memory= needs a C compiler"):
        genesis.compile(lambda x: x + 1, backend="interpret", activation_memory=0.5)(genesis.ones(2))
    step = genesis.compile(lambda x: x + 1, backend="interpret")
    step(genesis.ones(2))
    with pytest.raises(NotImplementedError, match=r"memory\(\) of a step that runs in the interpreter"):
        step.memory()
