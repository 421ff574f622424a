"""``step.export``: the exported program trains as the compiled step does, bit for bit."""

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import ChoiceError, UnsupportedError
from genesis import nn, optim
from runtime.toolchain import find_compiler

RNG = np.random.default_rng(0)
BATCHES = [(RNG.standard_normal((16, 8), np.float32), RNG.integers(0, 4, 16)) for _ in range(4)]
builds = pytest.mark.skipif(find_compiler() is None or shutil.which("make") is None, reason="needs make, a C compiler")


def training() -> tuple[Any, nn.Module, optim.Optimizer]:
    genesis.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 4))
    optimizer = optim.AdamW(model.parameters(), lr=0.05)

    @genesis.compile(precision="bf16-mixed", clip_grad_norm=1.0)
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step, model, optimizer


def run(folder: Path, *arguments: str) -> list[list[float]]:
    """The results that are one number, of each call."""
    subprocess.run(["make", "-s"], cwd=folder, check=True, capture_output=True)
    done = subprocess.run(["./step", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return [[float.fromhex(x) for x in re.findall(r"\((\S+)\)", line)] for line in done.stdout.splitlines()]


@builds
@pytest.mark.parametrize("threads", ["1", "2"])
def test_it_trains_as_the_compiled_step_does(tmp_path: Path, threads: str) -> None:
    step, *_ = training()
    step(*BATCHES[0])
    files = step.export(tmp_path, batches=BATCHES)
    assert {file.name for file in files} == {
        "step.c", "step.h", "main.c", "pool.c", "Makefile", "states.bin", "scalars.bin", "inputs.bin",
    }  # fmt: skip
    found = run(tmp_path, "-n", "6", "-t", threads, "-w", "after.bin")
    expected = [step(*BATCHES[i % 4]).item() for i in range(6)]
    assert [line[0] for line in found] == expected
    assert expected[-1] < expected[0]
    states = [cell.fetched().data.tobytes() for cell in step._program.traced.states]
    assert (tmp_path / "after.bin").read_bytes() == b"".join(states)


@builds
def test_a_forward_function_exports_for_deployment(tmp_path: Path) -> None:
    _, model, _ = training()
    model.eval()
    forward = genesis.compile(lambda x: model(x).softmax(-1))
    with genesis.no_grad():
        expected = forward(BATCHES[0][0]).numpy()
        forward.export(tmp_path)
    run(tmp_path, "-o", "out.bin")
    assert (tmp_path / "out.bin").read_bytes() == expected.tobytes()


@builds
def test_an_index_out_of_range_is_named(tmp_path: Path) -> None:
    step, *_ = training()
    x, y = BATCHES[0]
    step(x, y)
    step.export(tmp_path, batches=[(x, y), (x, np.full(16, 9))])
    subprocess.run(["make", "-s"], cwd=tmp_path, check=True, capture_output=True)
    done = subprocess.run(["./step"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout.startswith("call 1 ")
    assert "step: call 2: class index is wrong at " in done.stderr and "for 9, element 0" in done.stderr
    (tmp_path / "inputs.bin").write_bytes(b"123")
    done = subprocess.run(["./step"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr == "step: wrong size: inputs.bin\n"


def test_a_triton_module_can_be_imported(tmp_path: Path) -> None:
    pytest.importorskip("triton")
    step, *_ = training()
    step(*BATCHES[0])
    step.export(tmp_path, "triton")
    spec = importlib.util.spec_from_file_location("step_triton", tmp_path / "step_triton.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    record = json.loads((tmp_path / "launches.json").read_text())
    assert record["steps"] and all(hasattr(module, launch["kernel"]) for launch in record["steps"])
    assert {"buffers", "kernels", "slots"} <= record.keys() and "source" not in record


def test_what_cannot_be_exported_is_refused(tmp_path: Path) -> None:
    step, model, _ = training()
    step(*BATCHES[0])
    with pytest.raises(ChoiceError, match=r"export\(language='cuda'\); there are: c, triton"):
        step.export(tmp_path, "cuda")
    forward = genesis.compile(lambda x: model(x))
    forward(BATCHES[0][0])
    with pytest.raises(UnsupportedError, match="of a function whose results carry gradients"):
        forward.export(tmp_path)
