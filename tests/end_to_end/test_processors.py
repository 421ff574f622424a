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
# Relative to a loss: f32 sums in another order; 16-bit results one unit in the last place apart.
TOLERANCE = {"f32": 1e-5, "f16": 2**-9, "bf16": 2**-7}

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="no C compiler")
x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="flags of x86-64")


def train(*runs: str, **environment: str) -> set[str]:
    """Train ``runs`` in a process with ``environment``: compiled as eager. Returns the targets of the plans."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.end_to_end.train", *runs],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    for run, losses in found.items():
        assert losses["compiled"] == pytest.approx(losses["eager"], rel=TOLERANCE[run.split(":")[1]]), run
    return {losses["target"] for losses in found.values()}


@x86
def test_a_processor_with_avx2() -> None:
    if "avx2" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this processor has no AVX2")
    assert train("gpt:f32", "digits:f16", GENESIS_MARCH="x86-64-v3") == {"c/avx2"}


@x86
def test_any_processor() -> None:
    assert train("gpt:f32", "digits:f16", "gpt:bf16", GENESIS_MARCH="x86-64") == {"c/portable"}


def test_clang() -> None:
    if shutil.which("clang") is None:
        pytest.skip("no clang")
    train("gpt:f32", GENESIS_CC="clang")


def test_the_zig_package() -> None:
    package = importlib.util.find_spec("ziglang")
    if package is None or not package.submodule_search_locations:
        pytest.skip("no ziglang")
    train("digits:f16", GENESIS_CC=f"{Path(package.submodule_search_locations[0]) / 'zig'} cc")
