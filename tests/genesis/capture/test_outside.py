"""Acts on the world outside of Python: a step that does one is refused before it is done."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import genesis as t
from compiler.errors import TraceError
from genesis.utils.tensorboard import SummaryWriter

Act = Callable[[Path], Any]
ACTS: dict[str, tuple[Act, str]] = {
    "open": (lambda p: (p / "f").open("a").close(), "writes the file"),
    "pathlib": (lambda p: (p / "f").write_text("x"), "writes the file"),
    "descriptor": (lambda p: os.close(os.open(p / "f", os.O_WRONLY | os.O_CREAT)), "writes the file"),
    "numpy": (lambda p: np.save(p / "f.npy", np.ones(2)), "writes the file"),
    "genesis": (lambda p: t.save({"n": 1}, p / "f.pt"), "writes the file"),
    "folder": (lambda p: os.makedirs(p / "f" / "g"), "makes a folder"),
    "environment": (lambda p: os.environ.__setitem__("GENESIS_TEST_OUTSIDE", str(p)), "changes the environment"),
    "process": (lambda p: subprocess.run([sys.executable, "-c", f"open({str(p / 'f')!r}, 'w')"]), "starts a process"),
}


@pytest.mark.parametrize("act, said", ACTS.values(), ids=list(ACTS))
@pytest.mark.parametrize("caught", [False, True], ids=["", "caught"])
def test_an_act_is_refused(act: Act, said: str, caught: bool, tmp_path: Path) -> None:
    def step(x: Any) -> Any:
        try:
            act(tmp_path)
        except Exception:
            if not caught:
                raise
        return x * 2

    with pytest.raises(TraceError, match=rf"^step {said}.*\n  at test_outside\.py:\d+\n.*outside"):
        t.compile(step)(t.ones(2))
    assert os.listdir(tmp_path) == [] and "GENESIS_TEST_OUTSIDE" not in os.environ
    act(tmp_path)
    os.environ.pop("GENESIS_TEST_OUTSIDE", None)


def test_a_step_may_read_files_and_import_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "module_of_a_step.py").write_text("factor = 3.0\n")

    @t.compile
    def step(x: Any) -> Any:
        import module_of_a_step  # type: ignore[import-not-found]

        with open(os.devnull, "w") as nothing:
            nothing.write("x")
        return x * module_of_a_step.factor * len((tmp_path / "module_of_a_step.py").read_text())

    assert step(t.ones(2)).tolist() == [3.0 * 13] * 2
    assert (tmp_path / "__pycache__").exists()


def test_open_files_are_refused(tmp_path: Path) -> None:
    file = (tmp_path / "f").open("w")
    rows = csv.writer(file)

    def prints(x: Any) -> Any:
        print("x", file=file)
        return x * 2

    def writes(x: Any) -> Any:
        rows.writerow([1, 2])
        return x * 2

    for step, name in ((prints, "file"), (writes, "rows")):
        with pytest.raises(TraceError, match=rf"uses {name}, an open file .*\n  at test_outside\.py:\d+\n"):
            t.compile(step)(t.ones(2))
    file.close()
    assert (tmp_path / "f").read_text() == ""


def test_events_are_written_outside(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    writer = SummaryWriter(tmp_path)

    def step(x: Any) -> Any:
        writer.add_scalar("n", 1.0, 0)
        return x * 2

    with pytest.raises(TraceError, match=r"SummaryWriter in a step .*\n  at test_outside\.py:\d+\n"):
        t.compile(step)(t.ones(2))
    writer.close()
