"""Types, as editors and mypy see them in a user's program."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.genesis.typed.program import main

ROOT = Path(__file__).parents[2]
TYPED = Path(__file__).parent / "typed"


def test_a_training_program_passes_mypy_and_mistakes_do_not(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    options = ("--strict", "--follow-imports=silent", "--explicit-package-bases", "--config-file=", "--cache-dir=.mypy")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, TYPED / "program.py", TYPED / "mistakes.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    found = re.findall(r"(\w+\.py):(\d+): error: .*\[([\w-]+)\]$", done.stdout, flags=re.MULTILINE)
    lines = (TYPED / "mistakes.py").read_text().splitlines()
    meant = [("mistakes.py", str(i), line.partition("  # ")[2]) for i, line in enumerate(lines, 1) if "  # " in line]
    assert found == meant, done.stdout + done.stderr


def test_the_program_trains(tmp_path: Path) -> None:
    losses = main(str(tmp_path / "checkpoint.pth"))
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("package", ["genesis", "compiler", "runtime"])
def test_a_package_says_that_it_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()
