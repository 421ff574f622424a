"""``genesis run``: a script with ``import torch``, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def run(script: Path | str, *args: str, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "genesis", "run", *before, str(script), *args]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def written(folder: Path, text: str) -> Path:
    script = folder / "train.py"
    script.write_text(text)
    return script


_TRAINS = """
import sys
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.utils.data.dataloader
import torch.backends.cudnn as cudnn
from torch import Tensor, optim
from torch.utils.data import DataLoader, TensorDataset
from torch.nn.modules.batchnorm import _BatchNorm
import genesis, helper

cudnn.benchmark = True
assert torch.nn is genesis.nn and torch.utils.data.dataloader.DataLoader is DataLoader and helper.torch is torch
assert torch.__version__ >= "2.0" and int(torch.__version__.split(".")[0]) == 2 and genesis.__version__ < "1.0"
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1))
assert isinstance(model[1], _BatchNorm)
optimizer = optim.SGD(model.parameters(), lr=0.1)
fast = torch.compile(model, mode="max-autotune", fullgraph=True, dynamic=False)

@torch.compile
def step(x: Tensor) -> Tensor:
    optimizer.zero_grad()
    loss = F.mse_loss(model(x), torch.ones(len(x), 1))
    loss.backward()
    optimizer.step()
    return loss

losses = [step(x).item() for _ in range(5) for x, in DataLoader(TensorDataset(torch.randn(8, 3)), batch_size=8)]
assert losses[-1] < losses[0] and fast(torch.ones(2, 3)).shape == (2, 1)
print(__name__, __file__, sys.argv[1:], sys.modules["__main__"].step is step)
"""


def test_a_script_trains_as_python_would_run_it(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("import torch\n")
    script = written(tmp_path, _TRAINS)
    done = run(script, "--lr", "3", "x")
    assert done.stdout == f"__main__ {script} ['--lr', '3', 'x'] True\n", done.stderr
    assert done.returncode == 0 and "train.py:20: GenesisWarning: compile(mode='max-autotune'" in done.stderr


@pytest.mark.parametrize(
    ("text", "code", "last"),
    [
        ("import sys\nsys.exit(5)", 5, ""),
        ("import sys\nsys.exit('bye')", 1, "bye"),
        ("def f():\n    return 1 / 0\nf()", 1, "ZeroDivisionError: division by zero"),
        ("a = = 1", 1, "SyntaxError: invalid syntax"),
        ("raise KeyboardInterrupt", 130, "KeyboardInterrupt"),
        ("import torch\ntorch.spmm", 1, "  at train.py:2"),
        ("from torch import spmm", 1, "  at train.py:1"),
        ("import torch.fx\ntorch.fx.wrap('f')", 1, "  at train.py:2"),
        ("from torch.sparse import mm", 1, "  at train.py:1"),
        ("import torch.nonsense", 1, "ModuleNotFoundError: No module named 'torch.nonsense'"),
        ("from torch import nonsense", 1, "  at train.py:1"),
    ],
)
def test_errors_and_exit_codes_are_those_of_python(text: str, code: int, last: str, tmp_path: Path) -> None:
    done = run(written(tmp_path, text))
    assert done.returncode == code, done.stderr
    assert (done.stderr.rstrip("\n").split("\n") or [""])[-1] == last
    assert "commands/run.py" not in done.stderr


def test_strict_stops_at_the_first_missing_name_even_if_it_is_caught(tmp_path: Path) -> None:
    script = written(tmp_path, "import torch\nprint(hasattr(torch, 'ones'))\nprint(hasattr(torch, 'spmm'))\n")
    assert run(script).stdout == "True\nFalse\n"
    done = run(script, before=("--strict",))
    assert (done.stdout, done.returncode) == ("True\n", 1)
    assert "genesis run --strict: module 'torch' has no attribute 'spmm'; sparse tensors are out" in done.stderr


def test_a_script_that_is_not_there(tmp_path: Path) -> None:
    done = run(tmp_path / "none.py")
    assert done.returncode == 2 and "cannot open" in done.stderr


def test_a_module_runs_as_python_m_would_run_it(tmp_path: Path) -> None:
    package = tmp_path / "project"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "part.py").write_text("import torch\nX = torch.ones(2)\n")
    (package / "train.py").write_text(
        "import sys\nfrom .part import X\nprint(__name__, sys.argv[1:], X.sum().item())\n"
    )
    command = [sys.executable, "-m", "genesis", "run", "-m", "project.train", "--lr", "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert done.stdout == "__main__ ['--lr', '1'] 2.0\n", done.stderr
    command[5] = "project.absent"
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert done.returncode == 1 and "No module named project.absent" in done.stderr
