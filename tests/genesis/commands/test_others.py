"""``genesis doctor``, ``opt``, ``diff``, ``checkpoint`` and ``cache``."""

import re
from pathlib import Path

import numpy as np
import pytest

import genesis
from genesis.commands import COMMANDS, main
from runtime.toolchain import find_compiler

FIRST = "graph @g {\n  input  %x: f32[4]\n  %0: f32[4] = sin(%x)\n  %1: f32[4] = cos(%0)\n  return %1\n}\n"


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        with pytest.raises(SystemExit) as e:
            main([command.__name__.rpartition(".")[2], "--help"])
        assert e.value.code == 0 and (command.__doc__ or "").splitlines()[0] in capsys.readouterr().out


def test_doctor_says_what_is_missing_and_what_it_costs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["doctor"]) == (0 if find_compiler() is not None else 1)
    text = capsys.readouterr().out
    for name in ("genesis", "C compiler", "threads", "memory", "triton", "GPU", "cache", "numpy"):
        assert re.search(rf"^{name} +\S", text, re.M), name
    monkeypatch.setenv("GENESIS_CC", "none")
    assert main(["doctor"]) == 1
    assert "-> steps run in the NumPy interpreter" in capsys.readouterr().out
    monkeypatch.setenv("GENESIS_CC", "no-such-compiler")
    assert main(["doctor"]) == 1
    assert "there is no program 'no-such-compiler'" in capsys.readouterr().out


def test_opt_runs_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "g.gir"
    path.write_text(FIRST)
    assert main(["opt", str(path), "--passes", "fuse"]) == 0
    assert "fused(%x)" in capsys.readouterr().out
    assert main(["opt", str(path), "--passes", "fuze"]) == 1
    assert "there is no pass 'fuze'; did you mean fuse" in capsys.readouterr().err


def test_diff_shows_what_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = tmp_path / "a.gir", tmp_path / "b.gir"
    a.write_text(FIRST)
    b.write_text(FIRST.replace("%0: f32[4] = sin(%x)", "%7: f32[4] = neg(%x)\n  %0: f32[4] = sin(%7)"))
    assert main(["diff", str(a), str(a)]) == 0 and capsys.readouterr().out == ""
    assert main(["diff", str(a), str(b)]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line[0] in "+-"]
    assert lines[:2] == [f"--- {a}", f"+++ {b}"]
    assert lines[2:] == ["-  %0: f32[4] = sin(%x)", "+  %2: f32[4] = neg(%x)", "+  %0: f32[4] = sin(%2)"]
    assert main(["diff", str(a), str(tmp_path / "c.gir")]) == 2 and "No such file" in capsys.readouterr().err


def test_checkpoints_and_other_files_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = genesis.nn.Linear(3, 2)
    genesis.save_checkpoint({"epoch": 3, "model": model.state_dict(), "rates": [0.1, 0.2]}, tmp_path / "own.pth")
    genesis.save(model.state_dict(), tmp_path / "torch.pth")
    (tmp_path / "none.pth").write_text("nothing")
    assert main(["checkpoint", "show", str(tmp_path / "own.pth")]) == 0
    text = capsys.readouterr().out
    assert "a checkpoint of Genesis, 2 tensors, 32 B" in text
    assert "epoch: 3\nmodel:\n  weight: " in text and "rates: [0.1, 0.2]" in text and "float32[2, 3]" in text
    assert main(["checkpoint", "show", str(tmp_path / "torch.pth")]) == 0
    assert "a file of PyTorch or safetensors, 2 tensors, 32 B" in capsys.readouterr().out
    assert main(["checkpoint", "show", str(tmp_path / "none.pth")]) == 1
    assert capsys.readouterr().err.startswith("genesis: ")


def test_the_cache_is_listed_and_cleared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENESIS_CACHE", str(tmp_path / "cache"))
    assert main(["cache", "ls"]) == 0 and "0 files, 0 B" in capsys.readouterr().out
    if find_compiler() is not None:
        genesis.compile(lambda x: x + 1)(np.ones(3, np.float32))
        assert main(["cache", "ls"]) == 0
        text = capsys.readouterr().out
        assert "built programs" in text and "plans and machine code" in text
    assert main(["cache", "clear"]) == 0 and "removed" in capsys.readouterr().out
    assert main(["cache", "ls"]) == 0 and "0 files, 0 B" in capsys.readouterr().out
