"""The GPT example: the loss falls, it resumes exactly, and eager and compiled are one program."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import genesis

Example = Callable[[str], ModuleType]


@pytest.mark.parametrize("precision", ["bf16", "fp16", "fp32"])
def test_the_loss_falls_and_it_writes(
    example: Example, tmp_path: Path, capsys: pytest.CaptureFixture[str], precision: str
) -> None:
    run = ["--short", "--dropout", "0.1", "--precision", precision, "--out", str(tmp_path)]
    losses = example("train_gpt").main(run)
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.5
    lines = capsys.readouterr().out
    assert lines.startswith("resumed after 2 of 4 calls: ") and "are equal, bit for bit\nstep     3  loss " in lines
    assert "step    30  loss " in lines
    assert "graph @train_step" in (tmp_path / "ir" / "00_traced.gir").read_text()


def test_eager_and_compiled_learn_alike(example: Example, tmp_path: Path) -> None:
    run = ["--short", "--precision", "fp32", "--dropout", "0.1", "--out", str(tmp_path)]
    main = example("train_gpt").main
    np.testing.assert_allclose(main(run), main([*run, "--eager"]), rtol=1e-3)


def test_a_resumed_run_is_the_same_run(example: Example, tmp_path: Path) -> None:
    main = example("train_gpt").main
    run = ["--short", "--dropout", "0.1", "--out"]
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    losses = main([*run, str(whole)])
    resumed.mkdir()
    shutil.copy(whole / "checkpoint_step_15.pth", resumed)
    assert main([*run, str(resumed), "--resume"]) == losses[15:]
    last = [genesis.load_checkpoint(folder / "checkpoint_step_30.pth") for folder in (whole, resumed)]
    for name, array in last[0]["model_state_dict"].items():
        np.testing.assert_array_equal(array, last[1]["model_state_dict"][name])


def test_decay_is_for_matrices(example: Example) -> None:
    gpt = example("train_gpt")
    model = gpt.GPT(vocabulary=11, time=8, width=16, layers=2, heads=2, dropout=0.0)
    assert model.head.weight is model.token.weight
    assert model(genesis.zeros(3, 8, dtype=genesis.long)).shape == (3, 8, 11)
    names = [name for name, p in model.named_parameters() if p.ndim <= 1]
    assert all(name.endswith(("bias", "norm1.weight", "norm2.weight", "norm.weight")) for name in names)
