"""``genesis explore`` and ``genesis profile``: a script, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.toolchain import find_compiler

ROOT = Path(__file__).parents[3]
SCRIPT = """
import sys
import torch

@torch.compile
def double(x):
    return 2 * x

@torch.compile
def never_done(x):
    raise ValueError("no")

print(len(sys.argv))
for n in range(4):
    print(double(torch.ones(n // 2 + 1)).sum().item())
"""


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "genesis", *command]
    return subprocess.run(words, capture_output=True, text=True, check=False, env=environment, cwd=cwd)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(SCRIPT)
    return tmp_path


def test_a_script_runs_to_its_end_and_its_page_is_written(folder: Path) -> None:
    done = run("explore", "train.py", "--lr", "1", cwd=folder)
    assert done.returncode == 0 and done.stdout.split() == ["3", "2.0", "2.0", "4.0", "4.0"], done.stderr
    assert done.stderr.count("genesis: compiled double in ") == 2
    assert (folder / "train.html").read_text().startswith("<!doctype html>")


def test_a_script_ends_after_so_many_calls(folder: Path) -> None:
    done = run("explore", "--steps", "2", "-o", "out.html", "train.py", cwd=folder)
    assert done.returncode == 0 and done.stdout.split() == ["1", "2.0"], done.stderr
    assert (folder / "out.html").exists() and not (folder / "train.html").exists()


def test_the_page_may_be_named_behind_the_script(folder: Path) -> None:
    done = run("explore", "--steps", "2", "train.py", "-o", "out.html", "--lr", "1", "--", "-o", cwd=folder)
    assert done.returncode == 0 and done.stdout.split() == ["4", "2.0"], done.stderr
    assert (folder / "out.html").exists() and not (folder / "train.html").exists()


def test_what_a_script_did_before_an_error_is_shown(folder: Path) -> None:
    (folder / "train.py").write_text(f"{SCRIPT}\nnever_done(torch.ones(1))\n")
    done = run("explore", "train.py", cwd=folder)
    assert done.returncode == 1 and "ValueError: no" in done.stderr and (folder / "train.html").exists()


def test_a_script_without_a_compiled_step_is_told(folder: Path) -> None:
    (folder / "train.py").write_text("print(1)")
    done = run("explore", "train.py", cwd=folder)
    assert done.returncode == 1 and "train.py called no compiled function" in done.stderr
    assert run("explore", "no.py", cwd=folder).returncode == 2
    assert run("explore", "--steps", "0", "train.py", cwd=folder).returncode == 2


@pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")
def test_a_profile_is_printed_for_each_program(folder: Path) -> None:
    done = run("profile", "--runs", "2", "train.py", cwd=folder)
    assert done.returncode == 0 and done.stdout.count("mean of the faster half of 2 runs") == 2, done.stderr
    assert "train.py:7" in done.stdout
