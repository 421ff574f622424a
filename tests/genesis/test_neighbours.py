"""Foreign packages that bear the names of Genesis's own, in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(folder: Path, script: str) -> "subprocess.CompletedProcess[str]":
    """``script``, with ``folder`` first in the path and Genesis behind it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("name", ["compiler", "runtime"])
@pytest.mark.parametrize("kind", ["folder", "file", "imported"])
def test_a_foreign_package_is_named_with_the_way_out(tmp_path: Path, name: str, kind: str) -> None:
    if kind == "file":
        found = tmp_path / f"{name}.py"
    else:
        found = tmp_path / name
        found.mkdir()
    (found if kind == "file" else found / "__init__.py").write_text("")
    done = run(tmp_path, f"import {name}; import genesis" if kind == "imported" else "import genesis")
    assert done.returncode == 1
    assert f"ImportError: Genesis's own package '{name}' is hidden" in done.stderr
    assert f"finds {found.resolve()}, not {ROOT / name}. Rename it, or" in done.stderr


def test_folders_without_python_in_them_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "runtime").mkdir()
    done = run(tmp_path, "import genesis; print(genesis.neighbours.HOME)")
    assert (done.stdout.strip(), done.stderr) == (str(ROOT), "")
