"""Whole training runs with the same weights and batches: compiled by Genesis, and in PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn, optim
from genesis.nn import functional as F
from tests.end_to_end.training import Gpt, digits_batches, token_batches

torch = pytest.importorskip("torch")

STEPS = 20
RELATIVE = 1e-4


class TorchBlock(torch.nn.Module):
    """``tests.end_to_end.training.Block`` in PyTorch."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
        self.qkv, self.out = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
        self.mlp = torch.nn.Sequential(
            torch.nn.Linear(width, 2 * width), torch.nn.GELU(), torch.nn.Linear(2 * width, width)
        )

    def forward(self, x: Any) -> Any:
        batch, time, width = x.shape
        q, k, v = (
            part.reshape(batch, time, self.heads, width // self.heads).transpose(1, 2)
            for part in self.qkv(self.norm1(x)).split(width, dim=2)
        )
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(batch, time, width))
        return x + self.mlp(self.norm2(x))


class TorchGpt(torch.nn.Module):
    """``tests.end_to_end.training.Gpt`` in PyTorch."""

    def __init__(self, vocabulary: int = 13, time: int = 8, width: int = 16, layers: int = 2, heads: int = 2) -> None:
        super().__init__()
        self.token, self.position = torch.nn.Embedding(vocabulary, width), torch.nn.Embedding(time, width)
        self.blocks = torch.nn.ModuleList([TorchBlock(width, heads) for _ in range(layers)])
        self.norm = torch.nn.LayerNorm(width)
        self.head = torch.nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.token.weight

    def forward(self, tokens: Any) -> Any:
        x = self.token(tokens) + self.position(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def mlps() -> tuple[nn.Module, Any]:
    ours = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 24), nn.ReLU(), nn.Linear(24, 10))
    theirs = torch.nn.Sequential(
        torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 24), torch.nn.ReLU(), torch.nn.Linear(24, 10)
    )
    return ours, theirs


def theirs_of(tensor: Any) -> Any:
    return torch.tensor(np.array(tensor.detach().numpy()))


def copied(ours: nn.Module, theirs: Any) -> None:
    """Give the PyTorch model our weights, by name."""
    theirs.load_state_dict({name: theirs_of(value) for name, value in ours.state_dict().items()})


def losses_of(
    model: Any,
    optimizer: Any,
    scheduler: Any,
    batches: list[tuple[Any, ...]],
    functional: Any,
    clip: Any,
    compiled: Any,
) -> list[float]:
    """One training run, written once for both libraries."""

    @compiled
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        out = model(x)
        loss = functional.cross_entropy(out.reshape(-1, out.shape[-1]), y.reshape(-1))
        loss.backward()
        clip(model.parameters(), 1.0)
        optimizer.step()
        return loss

    losses = []
    for batch in batches:
        losses.append(step(*batch).item())
        scheduler.step()
    return losses


CASES = {
    "mlp-adam": (mlps, digits_batches, "Adam", {"lr": 1e-2}),
    "gpt-adamw": (lambda: (Gpt(dropout=0.0), TorchGpt()), token_batches, "AdamW", {"lr": 3e-3, "betas": (0.9, 0.95)}),
    "mlp-sgd": (mlps, digits_batches, "SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3}),
}


@pytest.mark.parametrize("name", CASES)
def test_losses_of_compiled_training_are_pytorchs(name: str) -> None:
    make, batches, kind, options = CASES[name]
    genesis.manual_seed(0)
    ours, theirs = make()
    copied(ours, theirs)
    data = batches(STEPS)
    runs = []
    for library, model, compiled in ((genesis, ours, genesis.compile), (torch, theirs, lambda f: f)):
        optimizer = getattr(library.optim, kind)(model.parameters(), **options)
        runs.append(
            losses_of(
                model,
                optimizer,
                library.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS),
                data if library is genesis else [tuple(map(theirs_of, batch)) for batch in data],
                library.nn.functional,
                library.nn.utils.clip_grad_norm_,
                compiled,
            )
        )
    got, expected = runs
    assert got == pytest.approx(expected, rel=RELATIVE)
    assert expected[-1] < 0.98 * expected[0], "there is something to agree on"


# Loss scaling: overflow of the gradients, skipped updates, moves of the scale

SCRIPT = [1.0, float("inf"), 1.0, 1.0, 1.0, float("nan"), float("inf"), 1.0, 1.0, 1.0, 1.0, -float("inf"), 1.0]


def scaled_run(library: Any, scaler: Any, compiled: Any, unscale: bool) -> list[tuple[Any, ...]]:
    """Loss, scale, growth tracker and weights after every step of the script."""
    weight = library.nn.Parameter(library.tensor([[0.5, -1.0, 2.0]]))
    optimizer = library.optim.Adam([weight], lr=0.1)
    x = library.tensor([[1.0, 2.0, -1.0], [0.5, 1.0, 3.0]])

    @compiled
    def step(factor: Any) -> Any:
        optimizer.zero_grad()
        loss = ((x * weight).sum(1) * factor).square().mean()
        scaler.scale(loss).backward()
        if unscale:
            scaler.unscale_(optimizer)
            library.nn.utils.clip_grad_norm_([weight], 0.5)
        scaler.step(optimizer)
        scaler.update()
        return loss

    found = []
    for factor in SCRIPT:
        loss = step(library.tensor(factor)).item()
        found.append((loss, scaler.get_scale(), scaler._get_growth_tracker(), weight.detach().tolist()[0]))
    return found


@pytest.mark.parametrize("unscale", [False, True])
def test_a_compiled_gradient_scaler_is_pytorchs_step_by_step(unscale: bool) -> None:
    options = {"init_scale": 8.0, "growth_factor": 4.0, "backoff_factor": 0.25, "growth_interval": 3}
    expected = scaled_run(torch, torch.amp.GradScaler("cpu", **options), lambda f: f, unscale)
    got = scaled_run(genesis, genesis.amp.GradScaler(**options), genesis.compile, unscale)
    for mine, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(mine[0], other[0], rtol=1e-5)
        assert mine[1:3] == other[1:3]
        np.testing.assert_allclose(mine[3], other[3], rtol=1e-5)
    assert len({scale for _, scale, _, _ in expected}) == 3, "it went up and down"


def test_a_trained_model_moves_to_pytorch_and_back() -> None:
    genesis.manual_seed(1)
    ours, theirs = Gpt(dropout=0.0), TorchGpt()
    copied(ours, theirs)
    tokens, _ = token_batches(1)[0]
    compiled = genesis.compile(lambda x: ours(x))
    np.testing.assert_allclose(
        compiled(tokens).detach().numpy(), theirs(theirs_of(tokens)).detach().numpy(), rtol=1e-4, atol=1e-5
    )
    ours.load_state_dict({name: genesis.tensor(value) for name, value in theirs.state_dict().items()})
    assert F.cross_entropy(ours(tokens)[0], tokens[0]).item() > 0
    assert isinstance(optim.AdamW(ours.parameters()).state_dict(), dict)
