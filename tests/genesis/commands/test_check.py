"""``genesis check``: names are found without running anything."""

import ast
import re
from pathlib import Path

import pytest

from genesis.commands import main
from genesis.commands.check import Use, methods, uses

SCRIPT = """
import torch, os
import torch.nn as nn
import torch.utils.data
from torch.nn import functional as F
from torch.optim import Adam as Best
from torch.fx import wrap
import numpy as np

relu = nn.functional
def f(x):
    y = torch.utils.data.DataLoader(F.relu(x))
    relu.gelu(y)
    torch.zeros(2).apply_(len).add_(1)
    np.ones(3).spam.torch.nn
    torch.wolfram.alpha
    return torch.unique(torch.optim.Adma, torch.float32.itemsize)
exit(1)
"""


def test_names_are_followed_through_imports_and_aliases() -> None:
    found = {(use.name, use.line) for use in uses(ast.parse(SCRIPT))}
    assert found == {
        ("nn", 3),
        ("utils.data", 4),
        ("nn.functional", 5),
        ("optim.Adam", 6),
        ("fx.wrap", 7),
        ("nn.functional", 10),
        ("utils.data.DataLoader", 12),
        ("nn.functional.relu", 12),
        ("nn.functional.gelu", 13),
        ("zeros", 14),
        ("wolfram.alpha", 16),
        ("unique", 17),
        ("optim.Adma", 17),
        ("float32.itemsize", 17),
    }
    assert methods(ast.parse("x.sparse_mask(y).add_(1)\nself.anything()")) == [Use("sparse_mask", 1)]


def test_the_list_says_where_and_what_to_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    assert main(["check", str(script)]) == 1
    lines = capsys.readouterr().out
    for expected in (
        r" 3  torch\.nn +compiled",
        r"12  torch\.utils\.data\.DataLoader +eager only",
        r"12  torch\.nn\.functional\.relu +compiled",
        r" 7  torch\.fx\.wrap +out of scope: graphs of torch\.fx",
        r"17  torch\.optim\.Adma +missing: did you mean Adam",
        r"16  torch\.wolfram\.alpha +missing\n",
        r"13 names of torch: \d+ compiled, \d+ eager only, \d missing, 1 out of scope",
    ):
        assert re.search(expected, lines), (expected, lines)
    assert main(["check", "--problems", str(script)]) == 1
    assert "torch.zeros" not in capsys.readouterr().out


def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text("import torch\nprint(torch.ones(2))\n")
    bad.write_text("def f(:\n")
    assert main(["check", str(good)]) == 0
    assert main(["check", str(good), str(bad)]) == 2
    assert main(["check", str(tmp_path / "none.py")]) == 2
    assert "cannot read" in capsys.readouterr().err


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, code, shown in ((["--version"], 0, "genesis 0."), (["--help"], 0, "run"), ([], 2, "COMMAND")):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        output = capsys.readouterr()
        assert ended.value.code == code and shown in output.out + output.err
