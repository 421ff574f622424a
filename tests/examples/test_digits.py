"""The digits example: it learns, it resumes exactly, and eager and compiled are one program."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import genesis

Example = Callable[[str], ModuleType]
SMALL = ["--epochs", "2", "--save-every", "1", "--batch-size", "128"]


def checkpoint(folder: Path, epoch: int) -> dict[str, Any]:
    return genesis.load_checkpoint(folder / f"checkpoint_epoch_{epoch}.pth")


def arrays(tree: Any) -> list[Any]:
    """The contents of a checkpoint, tensors as arrays, in order."""
    if isinstance(tree, dict):
        return [x for key in tree for x in arrays(tree[key])]
    if isinstance(tree, list | tuple):
        return [x for item in tree for x in arrays(item)]
    return [np.asarray(tree) if isinstance(tree, genesis.Tensor) else tree]


def test_the_default_run_reaches_96_percent(example: Example, tmp_path: Path, capsys: Any) -> None:
    accuracy = example("train_digits").main(["--out", str(tmp_path)])
    assert accuracy >= 0.96
    assert f"test {accuracy:.2%}" in capsys.readouterr().out
    assert {f"checkpoint_epoch_{epoch}.pth" for epoch in (10, 20, 30, 40)} < {p.name for p in tmp_path.iterdir()}


@pytest.mark.parametrize("precision", ["fp16", "bf16", "fp32"])
def test_a_short_run_writes_everything(example: Example, tmp_path: Path, precision: str) -> None:
    example("train_digits").main(["--short", "--precision", precision, "--out", str(tmp_path)])
    assert {"best.pth", "checkpoint_epoch_1.pth", "checkpoint_epoch_2.pth", "ir"} <= {
        p.name for p in tmp_path.iterdir()
    }
    assert "graph @step" in (tmp_path / "ir" / "00_traced.gir").read_text()
    assert {"step.c", "step_triton.py"} <= {p.name for p in (tmp_path / "ir").iterdir()}
    saved = checkpoint(tmp_path, 2)
    assert saved["epoch"] == 2
    assert saved["scheduler_state_dict"]["last_epoch"] == 2
    assert (saved["scaler_state_dict"] == {}) is (precision != "fp16")


@pytest.mark.parametrize("mode", [[], ["--eager"]])
def test_a_resumed_run_is_the_same_run(example: Example, tmp_path: Path, mode: list[str]) -> None:
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    main = example("train_digits").main
    main([*SMALL, *mode, "--out", str(whole)])
    resumed.mkdir()
    shutil.copy(whole / "checkpoint_epoch_1.pth", resumed)
    main([*SMALL, *mode, "--resume", "--out", str(resumed)])
    for a, b in zip(arrays(checkpoint(whole, 2)), arrays(checkpoint(resumed, 2)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_eager_and_compiled_learn_alike(example: Example, tmp_path: Path) -> None:
    main = example("train_digits").main
    for name, mode in (("eager", ["--eager"]), ("compiled", [])):
        main([*SMALL, *mode, "--precision", "fp32", "--out", str(tmp_path / name)])
    eager, compiled = checkpoint(tmp_path / "eager", 2), checkpoint(tmp_path / "compiled", 2)
    np.testing.assert_array_equal(compiled["rng_state"], eager["rng_state"])
    assert compiled["loss"] == pytest.approx(eager["loss"], rel=1e-3)


def test_the_parts_of_the_data_are_disjoint_and_balanced(example: Example) -> None:
    parts = example("train_digits").load_data(seed=3)
    assert [len(part) for part in parts] == [1293, 144, 360]
    for part in parts:
        counts = np.bincount(part.tensors[1].numpy(), minlength=10) / len(part)
        assert np.all(np.abs(counts - 0.1) < 0.015)
    again = example("train_digits").load_data(seed=3)
    assert parts[2].tensors[0].tolist() == again[2].tensors[0].tolist()


def test_resuming_without_a_checkpoint_says_so(example: Example, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="there is no checkpoint in"):
        example("train_digits").main(["--short", "--resume", "--eager", "--out", str(tmp_path)])
