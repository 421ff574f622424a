"""The benchmark on busy processors, with a peer that measures nothing."""

from __future__ import annotations

import sys

import pytest

from benchmarks import oversubscribed
from benchmarks.peers import Peer

PEERS = {
    "genesis": Peer("genesis", "tests.benchmarks.stub", "numpy"),
    "dies": Peer("dies", "tests.benchmarks.stub_dies", "numpy"),
    "absent": Peer("absent", "tests.benchmarks.stub", "no_such_package"),
}


def test_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(oversubscribed, "PEERS", PEERS)
    monkeypatch.setattr(oversubscribed, "EFFORT", oversubscribed.Effort(steps=2))
    monkeypatch.setattr(sys, "argv", ["oversubscribed", "--rounds", "2", "--rows", "tiny", "--peers", *PEERS])
    oversubscribed.main()
    printed = capsys.readouterr().out
    assert "tiny fp32  (MLP 64-64-10, batch 32)" in printed
    assert "  dies: " in printed and "absent" not in printed
    *_, head, line = printed.splitlines()
    assert head.split() == ["free", "ms", "busy", "ms", "ratio"]
    name, free, busy, ratio = line.split()
    assert name == "genesis" and float(ratio.rstrip("x")) == pytest.approx(float(busy) / float(free), rel=0.02)


def test_the_loops_end() -> None:
    with oversubscribed.busy([0]) as loops:
        assert all(loop.poll() is None for loop in loops)
    assert all(loop.poll() is not None for loop in loops)
