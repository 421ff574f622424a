"""The command line, with a peer that measures nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import peak
from benchmarks.peers import Peer

PEERS = {
    "genesis": Peer("genesis", "tests.benchmarks.stub", "numpy"),
    "other": Peer("other", "tests.benchmarks.stub", "numpy"),
    "absent": Peer("absent", "tests.benchmarks.stub", "no_such_package"),
}


@pytest.fixture(autouse=True)
def peers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PEERS", PEERS)
    monkeypatch.setattr(peak, "RUNS", 1)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments])
    command.main()


def test_table_and_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    run(monkeypatch, "--rows", "tiny", "--precision", "bf16", "--rounds", "2", "--threads", "1", "--json", str(file))
    printed = capsys.readouterr().out
    assert "absent     absent (not installed)" in printed
    assert "\npeak       " in printed
    assert "\ntiny bf16  (MLP 64-64-10, batch 32; load" in printed
    assert "geometric mean bf16" in printed
    assert "stub 1.0" in printed
    (row,) = json.loads(file.read_text())["rows"]
    assert [result["peer"] for result in row["results"]] == ["genesis", "other"]
    assert all(len(result["rounds"]) == 2 for result in row["results"])


def test_unknown_names_are_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, "--rows", "tiny,huge")
    assert "no huge; known are tiny, mlp" in capsys.readouterr().err
