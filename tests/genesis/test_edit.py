"""Edited steps: every stage can be re-entered, and what a person changed runs, on the same states."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import ChoiceError, ParseError, UnsupportedError
from compiler.pipeline import PASSES
from genesis import nn, optim
from runtime.toolchain import CompileError, find_compiler
from tests.genesis.step.test_ledger import X, Y, trained

needs_c = pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")
BACKENDS = ["interpret", pytest.param("c", marks=needs_c)]


def seeded(**options: Any) -> Any:
    genesis.manual_seed(0)
    return trained(**options)


@pytest.mark.parametrize("stage", ["traced", *PASSES])
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_stage_can_be_entered_again(backend: str, stage: str, tmp_path: Path) -> None:
    step, other = seeded(backend=backend, precision="bf16-mixed"), seeded(backend=backend, precision="bf16-mixed")
    for each in (step, other):
        each(X, Y)
    path = next(p for p in step.dump(tmp_path) if p.name.endswith(f"_{stage}.gir"))
    step.replace(path, after=stage if stage != "traced" else None)
    for _ in range(3):
        assert step(X, Y).item() == pytest.approx(other(X, Y).item(), rel=1e-5)
    step.replace(genesis.load_graph(path))  # passes are found by themselves
    assert step(X, Y).item() == pytest.approx(other(X, Y).item(), rel=1e-5)


def test_a_graph_prints_itself(tmp_path: Path) -> None:
    step = seeded(backend="interpret")
    step(X, Y)
    text = str(step.graph("autodiff"))
    assert "= linear(%x, %" in text and "step/test_ledger.py" in text
    (tmp_path / "edited.gir").write_text(text)
    assert str(genesis.load_graph(tmp_path / "edited.gir")) == text
    assert repr(step.graph()).startswith("<graph @step: ")


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_edit_changes_what_the_step_computes_and_training_goes_on(backend: str, tmp_path: Path) -> None:
    weight = nn.Parameter(genesis.ones(3))
    optimizer = optim.SGD([weight], lr=0.5)

    @genesis.compile(backend=backend)
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = (weight * x).sum()
        loss.backward()
        optimizer.step()
        return loss

    x = np.ones(3, np.float32)
    step(x)
    assert weight.tolist() == [0.5] * 3
    path = tmp_path / "edited.gir"
    text = next(p for p in step.dump(tmp_path) if p.name == "00_traced.gir").read_text()
    path.write_text(re.sub(r"(%\w+): f32\[3\] = mul\((%\w+), (%\w+)\)", r"\1: f32[3] = sub(\2, \3)", text))
    step.replace(path)
    assert step(x).item() == 3 * (0.5 - 1)
    assert weight.tolist() == [0.0] * 3  # the gradient of the difference is 1
    assert "its graph was edited" in (step.dump(tmp_path)[0]).read_text()
    assert (tmp_path / "01_edited.gir").exists()
    for _ in range(8):  # calls 4 and 8 are recorded again, which the edit is not held against
        step(x)
    assert weight.tolist() == [-4.0] * 3
    optimizer.param_groups[0]["lr"] = 0.0
    step(x)
    assert weight.tolist() == [-4.0] * 3


@needs_c
def test_edited_code_runs_in_place_of_the_generated(tmp_path: Path) -> None:
    step = genesis.compile(lambda x: x * 3.0 + 1.0, backend="c")
    assert step(X[0, :2]).tolist() == [4.0, 4.0]
    step.dump(tmp_path)
    source = (tmp_path / "step.c").read_text()
    assert source.count("3.0f") == 1
    (tmp_path / "step.c").write_text(source.replace("3.0f", "5.0f"))
    step.replace(tmp_path / "step.c")
    assert step(X[0, :2]).tolist() == [6.0, 6.0] and "5.0f" in step.source()
    with pytest.raises(UnsupportedError, match="this step runs code that was edited"):
        step.profile()
    (tmp_path / "step.c").write_text(source.replace("3.0f", "3.0f)"))
    with pytest.raises(CompileError):
        step.replace(tmp_path / "step.c")
    assert step(X[0, :2]).tolist() == [6.0, 6.0]


def test_what_does_not_fit_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    step = seeded(backend="interpret", loss_scale="dynamic")
    step(X, Y)
    files = {p.name: p for p in step.dump(tmp_path)}
    with pytest.raises(ChoiceError, match=r"input \d+ is nothing, and the step has state f32\[\] loss_scale.scale"):
        step.replace(files["00_traced.gir"])
    step.replace(files["01_loss_scale.gir"])
    text = files["01_loss_scale.gir"].read_text()
    wrong = tmp_path / "wrong.gir"
    wrong.write_text("\n".join(line for line in text.splitlines() if not line.startswith("  update %model_0_weight")))
    with pytest.raises(ChoiceError, match=r"the edited graph does not fit the step: update \d+ is of "):
        step.replace(wrong)
    wrong.write_text(text.replace("linear(", "lineer(", 1))
    with pytest.raises(ParseError, match=r"wrong.gir:\d+:\d+: there is no op 'lineer'; did you mean"):
        step.replace(wrong)
    with pytest.raises(KeyError, match=r"replace\(after='fusion'\): there is no such pass; there are: autocast, "):
        step.replace(files["02_autocast.gir"], after="fusion")
    with pytest.raises(ChoiceError, match=r"the file ends in \.gir \(a graph\), \.c or \.py"):
        step.replace(tmp_path / "step.txt")
    with pytest.raises(ChoiceError, match="the step runs as a graph in the interpreter, not as c code"):
        step.replace(tmp_path / "step.c")
    assert np.isfinite(step(X, Y).item())


def test_a_function_cut_in_halves_is_refused() -> None:
    model = nn.Linear(8, 2)
    forward = genesis.compile(lambda x: model(x), backend="interpret")
    forward(X)
    with pytest.raises(UnsupportedError, match="its graph is cut into a forward and a backward half"):
        forward.replace(forward.graph())
    with genesis.no_grad():
        forward(X)
        forward.replace(forward.graph())
        assert forward(X).shape == (4, 2)
