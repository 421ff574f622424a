"""``genesis run step.gir``: one graph alone."""

from pathlib import Path

import numpy as np
import pytest

import genesis
from compiler.errors import GenesisError
from genesis import nn, optim
from genesis.commands import main
from genesis.step.alone import run
from runtime.toolchain import find_compiler

TEXT = """\
graph @g {
  input  %x: f32[3]
  state  %w: f32[3]                "net.weight"
  scalar %k: f64[]                 "lr"
  %0: f32[3] = mul(%x, %w)
  %1: f32[] = cast(%k) {to=f32}
  %2: f32[3] = mul(%0, %1)
  update %w = %2
  return %0
}
"""
BACKENDS = ["interpret", pytest.param("c", marks=pytest.mark.skipif(find_compiler() is None, reason="no C compiler"))]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "g.gir"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_graph_runs_on_the_arrays_of_a_file(
    backend: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "x.npz", **{"x": np.arange(3.0), "net.weight": np.full(3, 2.0), "k": np.array(0.5)})
    command = ["run", str(file), "--inputs", str(tmp_path / "x.npz"), "--outputs", str(tmp_path / "y.npz")]
    assert main([*command, "--backend", backend, "--calls", "2"]) == 0
    text = capsys.readouterr().out
    assert "result 0    float32[3]    min 0  mean 1.667  max 4" in text and "net.weight" in text
    with np.load(tmp_path / "y.npz") as results:
        assert results["result 0"].tolist() == [0.0, 1.0, 4.0] and results["net.weight"].tolist() == [0.0, 0.5, 2.0]


def test_what_is_missing_or_does_not_fit_is_named(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def error(**arrays: np.ndarray) -> str:
        np.savez(tmp_path / "x.npz", **arrays)
        assert main(["run", str(file), "--inputs", str(tmp_path / "x.npz")]) == 1
        return capsys.readouterr().err

    assert "  state  f32[3] net.weight\n  scalar f64[] lr\n" in error(x=np.ones(3))
    assert "has no z; it has x, net.weight, w, lr, k" in error(z=np.ones(3))
    assert "x is float64[4], and the graph takes f32[3]" in error(x=np.ones(4))
    assert "x is int64[3], and the graph takes f32[3]" in error(x=np.ones(3, np.int64))
    (tmp_path / "text.npz").write_text("no")
    assert main(["run", str(file), "--inputs", str(tmp_path / "text.npz")]) == 1
    assert "no .npz file" in capsys.readouterr().err
    assert main(["run", str(tmp_path / "none.gir")]) == 1


def test_missing_values_can_be_drawn(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = []
    for seed in ("1", "1", "2"):
        assert main(["run", str(file), "--random", seed]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize("stage", ["traced", "cse", "fused"])
def test_every_stage_of_a_step_computes_the_same(stage: str) -> None:
    genesis.manual_seed(0)
    model = nn.Linear(4, 2)
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    @genesis.compile(backend="interpret" if find_compiler() is None else "c")
    def step(x):  # type: ignore[no-untyped-def]
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    x = np.ones((3, 4), np.float32)
    before = {f"model.{name}": p.detach().numpy().copy() for name, p in model.named_parameters()}
    loss = step(x).item()
    graph = step.graph(stage)
    assert step._program is not None
    labels = [p.label for p in graph.params if p.kind == "scalar"]
    numbers = {label: np.array(number) for label, number in zip(labels, step._program.scalars, strict=True)}
    found = run(graph, {"x": x, **before, **numbers})
    assert found["result 0"] == pytest.approx(loss, rel=1e-6)
    assert np.allclose(found["model.weight"], model.weight.detach().numpy(), atol=1e-6)
    with pytest.raises(GenesisError, match="needs more"):
        run(graph, {"x": x})
