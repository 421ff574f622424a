"""``genesis.monitor``."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import ChoiceError, GenesisWarning
from genesis import nn, optim

X = np.random.default_rng(0).standard_normal((16, 4), np.float32)


def training(**options: Any) -> tuple[Any, nn.Module]:
    genesis.manual_seed(0)
    model = nn.Linear(4, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    @genesis.compile(backend="interpret", clip_grad_norm=1e9, **options)
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = (model(x) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    return step, model


class Writer:
    def __init__(self) -> None:
        self.scalars: list[tuple[str, float, int]] = []

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        self.scalars.append((tag, scalar_value, global_step))


def test_every_call_is_written_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step, model = training()
    writer = Writer()
    with genesis.monitor(
        step, every=2, csv=tmp_path / "run.csv", jsonl=tmp_path / "run.jsonl", tensorboard=writer
    ) as watched:
        before = model.weight.detach().numpy().copy(), model.bias.detach().numpy().copy()
        losses = [watched(X).item() for _ in range(1)]
        after = model.weight.detach().numpy(), model.bias.detach().numpy()
        moved = sum(((b - a) ** 2).sum() for a, b in zip(before, after, strict=True))
        ratio = (moved / sum((a**2).sum() for a in before)) ** 0.5
        losses += [watched(X).item() for _ in range(4)]
    rows = list(csv.DictReader((tmp_path / "run.csv").read_text().splitlines()))
    lines = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert [float(row["loss"]) for row in rows] == [line["loss"] for line in lines] == losses
    assert [row["lr"] for row in rows] == ["0.01"] * 5
    assert lines[0]["update_ratio"] == pytest.approx(ratio, rel=1e-5) and lines[1]["update_ratio"] is None
    assert all(line["grad_norm"] > 0 and line["applied"] and line["seconds"] > 0 for line in lines)
    assert ("loss", losses[2], 3) in writer.scalars
    shown = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in shown] == ["call 1", "call 2", "call 4"]
    assert f"loss {losses[3]:.4g}  lr 0.01  norm " in shown[2]
    assert watched.records[-1].loss == losses[-1]


def test_a_spike_is_an_alarm(tmp_path: Path) -> None:
    step, _ = training()
    seen: list[Any] = []
    watched = genesis.monitor(step, bar=False, jsonl=tmp_path / "run.jsonl", on_alarm=seen.append)
    for _ in range(12):
        watched(X)
    with pytest.warns(GenesisWarning, match=r"call 13: the loss is .*, and .* in the middle of the last 12 calls"):
        watched(X * 100)
    assert [record.call for record in seen] == [13] and seen[0].alarm.startswith("the loss is ")
    watched.close()
    assert json.loads((tmp_path / "run.jsonl").read_text().splitlines()[-1])["alarm"] == seen[0].alarm


def test_skipped_steps_in_a_row_are_an_alarm() -> None:
    step, model = training(loss_scale="dynamic")
    watched = genesis.monitor(step, bar=False)
    watched(X)
    model.weight.data[0, 0] = float("nan")
    watched(X)
    watched(X)
    with pytest.warns(GenesisWarning, match="call 4: 3 steps in a row were skipped: a gradient was not finite"):
        watched(X)
    assert [record.applied for record in watched.records] == [True, False, False, False]


def test_a_loss_that_is_not_finite_is_an_alarm(tmp_path: Path) -> None:
    step, model = training()
    watched = genesis.monitor(step, bar=False, jsonl=tmp_path / "run.jsonl")
    model.weight.data[0, 0] = float("nan")
    with pytest.warns(GenesisWarning, match="call 1: the loss is nan; check_numerics=True names the op"):
        watched(X)
    assert json.loads((tmp_path / "run.jsonl").read_text())["loss"] == "nan"


def test_wrong_arguments_are_refused() -> None:
    step, _ = training()
    with pytest.raises(ChoiceError, match="takes a step decorated with @genesis"):
        genesis.monitor(step.function)
    with pytest.raises(ChoiceError, match="every is at least 1, spike more than 1"):
        genesis.monitor(step, every=0)
