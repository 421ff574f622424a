"""The benchmark on busy processors, with a peer that measures nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import oversubscribed
from benchmarks.oversubscribed import OtherWork, Turns
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
    assert line.split()[0] == "genesis" and line.endswith("x")


def test_medians() -> None:
    turns = Turns([1e-3, 2e-3, 4e-3], [3e-3, 4e-3, 9e-3])
    assert turns.line() == ("2.00", "4.00", "2.25x")


def state(loop: subprocess.Popen[bytes]) -> str:
    return Path(f"/proc/{loop.pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells the state of a process")
def test_other_work_stops_goes_on_and_ends() -> None:
    with OtherWork([0]) as work:
        (loop,) = work.loops
        os.waitid(os.P_PID, loop.pid, os.WSTOPPED)
        assert state(loop) == "T"
        work.go_on()
        os.waitid(os.P_PID, loop.pid, os.WCONTINUED)
        assert state(loop) != "T" and loop.poll() is None
    assert loop.poll() == -signal.SIGKILL
