"""Training scripts that import torch, under ``genesis run`` and, where it is installed, under PyTorch."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from genesis.commands import main

ROOT = Path(__file__).parents[3]
SCRIPTS = sorted(path for path in (ROOT / "tests" / "scripts").glob("*.py") if path.name != "__init__.py")


def learns(*command: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_learns_as_it_is(script: Path) -> None:
    learns("-m", "genesis", "run", "--strict", str(script))


@pytest.mark.oracle
@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("script", [s for s in SCRIPTS if s.stem != "compiled_step"], ids=lambda path: path.stem)
def test_a_script_is_one_of_pytorch(script: Path) -> None:
    learns(str(script))


def test_their_names_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", *map(str, SCRIPTS)]) == 0, capsys.readouterr().out
