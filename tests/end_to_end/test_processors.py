"""The same training on every kind of processor and with every C compiler that is here."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runtime.toolchain import find_compiler

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="no C compiler")
x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="flags of x86-64")


def train(name: str, precision: str, **environment: str) -> dict[str, Any]:
    """What ``tests.end_to_end.train`` prints in a process with ``environment``."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.end_to_end.train", name, precision],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@x86
@pytest.mark.parametrize(("march", "target"), [("x86-64-v3", "c/avx2"), ("x86-64", "c/portable")])
@pytest.mark.parametrize(("name", "precision", "tolerance"), [("gpt", "f32", 1e-5), ("digits", "f16", 2**-9)])
def test_older_processors(march: str, target: str, name: str, precision: str, tolerance: float) -> None:
    if march == "x86-64-v3" and "avx2" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this processor has no AVX2")
    found = train(name, precision, GENESIS_MARCH=march)
    assert found["target"] == target
    assert found["compiled"] == pytest.approx(found["eager"], rel=tolerance)


def test_bf16_without_instructions_for_it() -> None:
    march = "x86-64" if platform.machine() == "x86_64" else "native"
    found = train("gpt", "bf16", GENESIS_MARCH=march)
    assert found["compiled"] == pytest.approx(found["eager"], rel=2**-7)


@pytest.mark.parametrize("command", ["gcc", "clang"])
def test_compilers(command: str) -> None:
    if shutil.which(command) is None:
        pytest.skip(f"no {command}")
    found = train("gpt", "f32", GENESIS_CC=command)
    assert found["compiled"] == pytest.approx(found["eager"], rel=1e-5)


def test_the_zig_package() -> None:
    package = importlib.util.find_spec("ziglang")
    if package is None or not package.submodule_search_locations:
        pytest.skip("no ziglang")
    found = train("digits", "f16", GENESIS_CC=f"{Path(package.submodule_search_locations[0]) / 'zig'} cc")
    assert found["compiled"] == pytest.approx(found["eager"], rel=2**-9)
