"""The folder that ``step.dump`` and ``GENESIS_DUMP`` write."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.interpret import interpret
from compiler.pipeline import release
from compiler.text.parser import parse_graph
from genesis import nn, optim
from genesis.compiled import Compiled
from runtime.toolchain import find_compiler


def trained(**options: Any) -> Any:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)

    @genesis.compile(**options)
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


X, Y = np.ones((4, 8), np.float32), np.arange(4)


def test_a_dump_has_every_stage_with_its_changes_and_a_summary(tmp_path: Path) -> None:
    step = trained(precision="bf16-mixed", loss_scale="dynamic", backend="interpret")
    step(X, Y)
    files = {path.name: path.read_text() for path in step.dump(tmp_path)}
    assert {path.name for path in tmp_path.iterdir()} == files.keys()
    stages = [name for name in files if name.endswith(".gir")]
    assert stages[:3] == ["00_traced.gir", "01_loss_scale.gir", "02_autocast.gir"]
    assert [f"{name[:-3]}diff" for name in stages[1:]] == [name for name in files if name.endswith(".diff")]
    assert all(parse_graph(files[name]) for name in stages)
    assert re.search(r"^-  (%\d+): .* = linear\(.*^\+  \1: ", files["02_autocast.diff"], re.DOTALL | re.MULTILINE)
    assert "nothing changed" in files["03_last_steps.diff"]
    summary = files["SUMMARY.txt"]
    assert "because it was called for the first time" in summary and "input f32[4,8]  x" in summary
    assert re.search(r"^  02  autocast +\d+ +\+9 -3 ", summary, re.MULTILINE)


def test_names_that_stay_mean_the_same_value(tmp_path: Path) -> None:
    step = genesis.compile(lambda x: (x.sigmoid() * 2).sum(), backend="interpret")
    step(X)
    step.dump(tmp_path)
    for path in sorted(tmp_path.glob("*.gir")):
        outputs, _ = interpret(parse_graph(path.read_text()), [X])
        assert abs(outputs[0] - (2 / (1 + np.exp(-X))).sum()) < 1e-4


@pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")
def test_the_summary_names_the_kernels_and_the_lines_they_come_from(tmp_path: Path) -> None:
    step = trained()
    step(X, Y)
    step.dump(tmp_path)
    summary = (tmp_path / "SUMMARY.txt").read_text()
    code = (tmp_path / "step.c").read_text()
    lines = code.splitlines()
    for launch in step.plan.launches:
        first = rf"%{launch.values[0]}\b.*" if launch.values else ""
        row = re.search(rf"^  {launch.kernel} +(\d+) +{first}{re.escape(launch.place)}", summary, re.MULTILINE)
        assert row, launch
        assert re.match(rf".*void {launch.kernel}\(", lines[int(row[1]) - 1])
        assert launch.values and all(f"%{name}" in row[0] or " more " in row[0] for name in launch.values)
    counts = re.search(r"\d+ runs of \d+ kernels.*", summary)
    assert counts and f": {counts[0]}." in lines[0]
    assert int(counts[0].split()[3]) == len(set(re.findall(r"^KERNEL void (\w+)", code, re.MULTILINE)))
    assert f"temporaries take {step.plan.arena_bytes:,} bytes" in summary


@pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")
def test_a_tensor_can_be_followed_from_the_line_to_the_loop(tmp_path: Path) -> None:
    triton = bool(release("triton"))
    step = trained(precision="bf16-mixed")
    step(X, Y)
    files = {path.name: path.read_text() for path in step.dump(tmp_path)}
    stages = [text for name, text in files.items() if name.endswith(".gir")]
    relu = re.search(r"%(\w+): bf16\[4,16\] = relu\(.*# (test_ledger.py:\d+) ", stages[0])
    assert relu
    assert all(f"%{relu[1]}: bf16[4,16] = " in text for text in stages)
    comments = re.findall(r"/\* (\w+: [^/]*) \*/\n(?:/\*.*\n)?KERNEL", files["step.c"])
    for name in (relu[1], "grad_0"):
        assert any(f"%{name}" in text and relu[2] in text for text in comments), name
        assert re.search(rf"^  k\d+_.*%{name}\b", files["SUMMARY.txt"], re.MULTILINE)
        assert not triton or re.search(rf"^# .*%{name}\b", files["step_triton.py"], re.MULTILINE)


@pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")
def test_a_dump_by_the_environment_runs_the_passes_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []
    lowered = Compiled.lowered
    monkeypatch.setattr(Compiled, "lowered", lambda self, target: runs.append(self) or lowered(self, target))
    monkeypatch.setenv("GENESIS_DUMP", str(tmp_path))
    trained()(X, Y)
    assert len(runs) == 1


def test_the_environment_asks_for_every_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_DUMP", str(tmp_path))
    step = trained(backend="interpret")
    step(X, Y)
    step(X[:2], Y[:2])
    first, second = sorted((tmp_path / "trained.step").iterdir())
    assert "because it was called for the first time" in (first / "SUMMARY.txt").read_text()
    assert (
        "because argument x changed (from f32[4,8] to f32[2,8]), and argument y changed (from i64[4] to i64[2])"
    ) in (second / "SUMMARY.txt").read_text().replace("int64", "i64").replace("float32", "f32")
    index = (tmp_path / "INDEX.txt").read_text().splitlines()
    assert [row.split()[0] for row in index[2:]] == ["trained.step/01", "trained.step/02"]
    assert index[2].endswith("for the first time") and "argument x changed" in index[3]


def test_a_compiled_function_says_what_it_is() -> None:
    step = trained(backend="interpret")
    assert repr(step) == "<compiled trained.<locals>.step: not called yet>"
    step(X, Y)
    said = r"<compiled trained.<locals>.step: 1 program, the last for \(f32\[4,8\], i64\[4\]\) on the interpreter, "
    assert re.fullmatch(said + r"compiled in \d+\.\d\d s>", repr(step))
    step(X[:2], Y[:2])
    assert "2 programs, the last for (f32[2,8], i64[2])" in repr(step)


def test_a_machine_without_triton_has_the_reason_in_place_of_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compiler.pipeline.release", lambda package: "")
    monkeypatch.setenv("GENESIS_DUMP", str(tmp_path))
    step = trained(backend="interpret")
    step(X, Y)
    (text,) = [path.read_text() for path in tmp_path.glob("*/*/step_triton.py")]
    assert text.startswith("# kernels for a GPU need the package triton, which is not installed: pip install triton")
    with pytest.raises(NotImplementedError, match="kernels for a GPU need the package triton"):
        step.cost(device="h100")
