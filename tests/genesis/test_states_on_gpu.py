"""Parameters that a GPU keeps in halves are those that it would keep whole, bit by bit."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import genesis
from compiler import narrow_states
from genesis import nn, optim
from genesis.amp import autocast

pytest.importorskip("triton", minversion="3.9")
from tests.runtime.devices.interpreted import plugged_in
from tests.runtime.triton.conftest import worker

__all__ = ["worker"]  # a fixture


class Words(nn.Module):
    """A layer and a table; the table is read in 32 bits, too."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.layer = nn.Embedding(9, 16), nn.Linear(16, 16)

    def forward(self, words: genesis.Tensor) -> genesis.Tensor:
        return self.layer(self.table(words)) @ self.table.weight.t()


class Trained(NamedTuple):
    """The bytes of the parameters and all losses; bytes on the device after a step; what one sends behind others."""

    parameters: dict[str, bytes]
    losses: list[float]
    allocated: int
    uploads: list[str]


def train(folder: str) -> Trained:
    """Some steps, with evaluations, a write and a reload between them."""
    genesis.manual_seed(0)
    model = Words()
    optimizer = optim.AdamW(model.parameters(), lr=0.01)
    words = genesis.tensor(np.arange(8))
    losses: list[float] = []

    @genesis.compile(backend="cuda")
    def step() -> genesis.Tensor:
        optimizer.zero_grad()
        with autocast(device_type="cuda", dtype=genesis.bfloat16):
            loss = nn.functional.cross_entropy(model(words), words)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    @genesis.compile(backend="cuda")
    def evaluate() -> genesis.Tensor:
        with genesis.no_grad(), autocast(device_type="cuda", dtype=genesis.bfloat16):
            return nn.functional.cross_entropy(model(words), words)

    @genesis.compile(backend="cuda")
    def norm() -> genesis.Tensor:
        return (model.layer.weight**2).sum()

    with plugged_in(folder) as device:
        losses.append(step().item())
        allocated = device.allocated
        losses += [step().item(), evaluate().item(), norm().item()]
        device.uploads.clear()
        losses.append(step().item())
        uploads = list(device.uploads)
        with genesis.no_grad():
            model.layer.weight.mul_(1.5)  # the host's
        losses.append(step().item())
        genesis.save(model.state_dict(), f"{folder}/model.pth")
        losses.append(step().item())
        model.load_state_dict(genesis.load(f"{folder}/model.pth"))
        losses += [step().item(), evaluate().item(), norm().item()]
        parameters = {name: value.numpy().tobytes() for name, value in model.state_dict().items()}
        return Trained(parameters, losses, allocated, uploads)


def train_whole(folder: str) -> Trained:
    """:func:`train` with kernels that join no halves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(narrow_states, "_can_join", lambda node, state: False)
        return train(folder)


def test_training_in_halves(worker, tmp_path: Path) -> None:
    halves = worker.submit(train, f"{tmp_path}/halves").result()
    whole = worker.submit(train_whole, f"{tmp_path}/whole").result()
    assert halves.losses == whole.losses and halves.parameters == whole.parameters
    assert halves.losses[6] == halves.losses[7] < halves.losses[0], "what was saved was loaded"
    assert whole.allocated - halves.allocated == 2 * (9 * 16 + 16 * 16)
    assert halves.uploads == [], "a program that reads the whole leaves the halves as they are"


def share(folder: str) -> list[float]:
    """Two programs take turns on a weight that a NumPy array shows."""
    layer = nn.Linear(4, 3)
    shown = layer.weight.detach().numpy()

    @genesis.compile(backend="cuda")
    def double() -> None:
        with genesis.no_grad():
            layer.weight.mul_(2.0)

    @genesis.compile(backend="cuda")
    def norm() -> genesis.Tensor:
        return (layer.weight**2).sum()

    @genesis.compile(backend="interpret")
    def on_the_host() -> genesis.Tensor:
        return (layer.weight**2).sum()

    with plugged_in(folder):
        first = (shown**2).sum()
        double()
        norms = [norm().item()]
        double()
        norms += [norm().item(), on_the_host().item(), (shown**2).sum()]
        return [n / first for n in norms]


def test_programs_take_turns_on_a_parameter_that_numpy_shows(worker, tmp_path: Path) -> None:
    found = worker.submit(share, f"{tmp_path}/share").result()
    np.testing.assert_allclose(found, [4, 16, 16, 16], rtol=1e-6)
