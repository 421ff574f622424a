"""The examples that train a model each: the short form learns, and is a PyTorch script but for its imports."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

Example = Callable[[str], ModuleType]

ROOT = Path(__file__).parents[2]

# The figure that the short form reaches at least (or at most), and the figure of a model that has learnt nothing.
ACCURACY = {
    "train_cnn": (0.85, 0.1),
    "train_gcn": (0.9, 0.5),
    "train_reinforce": (50, 22),
    "train_resnet": (0.08, 0.01),
    "train_unet": (13.0, 6.0),
    "train_vit": (0.5, 0.1),
}
DISTANCE = {
    "train_dcgan": (3.0, 9.0),
    "train_diffusion": (0.15, 0.32),
    "train_lstm": (3.8, 4.7),
    "train_vae": (25.5, 27.2),
}
EXAMPLES = sorted(ACCURACY | DISTANCE)


def learnt(name: str, figure: float) -> bool:
    return figure >= ACCURACY[name][0] if name in ACCURACY else figure <= DISTANCE[name][0]


def as_torch(name: str, folder: Path) -> Path:
    """The example, with ``torch`` for ``genesis``."""
    text = (ROOT / "examples" / f"{name}.py").read_text()
    path = folder / f"{name}.py"
    path.write_text(re.sub(r"\bgenesis\b", "torch", text))
    return path


def run(*command: str, **variables: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.usefixtures("optimized")
@pytest.mark.parametrize("name", EXAMPLES)
def test_it_learns_and_is_the_same_script_with_torch_written(
    example: Example, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figure = example(name).main(["--short"])
    printed = capsys.readouterr().out
    assert learnt(name, figure), printed
    assert "are equal, bit for bit\n" in printed
    assert run("-m", "genesis", "run", "--strict", str(as_torch(name, tmp_path)), "--short") == printed


UNDER_PYTORCH = """
import runpy, sys, torch
from torch.optim.optimizer import register_optimizer_step_post_hook
torch.verify_resume = lambda *args, **options: ""  # which PyTorch does not have
steps = 0
def count(*args):
    global steps
    steps += 1
    if steps == int(sys.argv[2]):
        print("enough")
        raise SystemExit
register_optimizer_step_post_hook(count)
print(runpy.run_path(sys.argv[1])["main"](["--short"]))
"""

TO_THE_END = set(EXAMPLES) - {"train_resnet", "train_vit"}
"""Examples that PyTorch trains in a few seconds."""


@pytest.mark.oracle
@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("name", EXAMPLES)
def test_pytorch_runs_it(name: str, tmp_path: Path) -> None:
    """To the end, where it learns as Genesis does; the two slow examples for ten steps."""
    limit = "0" if name in TO_THE_END else "10"
    printed = run("-c", UNDER_PYTORCH, str(as_torch(name, tmp_path)), limit, TORCHDYNAMO_DISABLE="1")
    assert learnt(name, float(printed.split()[-1])) if limit == "0" else printed.endswith("enough\n"), printed


def test_every_example_is_tried() -> None:
    names = {path.stem for path in (ROOT / "examples").glob("*.py")}
    assert names == {*EXAMPLES, "train_digits", "train_gpt"}
