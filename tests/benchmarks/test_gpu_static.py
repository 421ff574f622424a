"""The table of launches and bytes, of models small enough for a test."""

import pytest

from benchmarks import gpu_static
from benchmarks.gpu_static import Count, count, kernels, program, report, windows_and_products
from benchmarks.models import ROWS
from benchmarks.models.gpt import GPT
from benchmarks.models.mlp import MLP
from benchmarks.models.model import Model

pytest.importorskip("triton")
from runtime.triton.aot import compile_numbered
from runtime.triton.machine_code import resources

SMALL = MLP(sizes=(64, 32, 16), batch=8)
WORDS = GPT(layers=1, width=768, heads=12, context=1024, batch=1, vocabulary=4104)
"""Few rows of its table of tokens have a gradient, which the optimizer looks up."""


def test_every_launch_is_counted_once() -> None:
    step = program(SMALL)
    found = count(step.launches)
    assert found.launches == len(step.launches)
    lines = [line.split() for line in kernels(step).splitlines()[1:]]
    assert sum(int(line[1]) for line in lines) == found.launches
    assert sum(float(line[2]) for line in lines) == pytest.approx(found.nbytes / 1e6, abs=0.1 * len(lines))


def test_products_are_a_part_of_the_whole() -> None:
    step = program(SMALL)
    products = windows_and_products(step)
    assert products.launches >= 5, "two layers forward, two gradients of weights, one of an input"
    weights = 64 * 32 + 32 * 16  # read in 16 bits, and their gradients written in 32
    assert (2 + 4) * weights <= products.nbytes < count(step.launches).nbytes


def test_large_gradients_of_few_rows_are_not_stored() -> None:
    """Parameters and moments of the MLP, read and written, take 16.1 MB of less than 20."""
    found = count(program(ROWS["mlp"]).launches)
    assert found.launches <= 13 and found.nbytes < 19_600_000


def test_a_line_of_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_static, "MODELS", {"small": (SMALL, Count(7, 1_500_000)), "alone": (SMALL, None)})
    head, first, second = report(["small", "alone"]).splitlines()
    own = count(program(SMALL).launches)
    assert head.split()[0] == "model"
    assert [str(own.launches), f"{own.nbytes / 1e6:.1f}", "7", "1.5"] == first.split()[4:8]
    assert len(second.split()) == len(first.split()) - 2


def spilling(model: Model, target: str, ops: frozenset[str] = frozenset()) -> list[str]:
    """The kernels of a step that keep registers in memory, among the launches that compute all of ``ops``."""
    step = program(model, target)
    wanted = {launch.kernel for launch in step.launches if ops <= set(launch.ops)}
    assert wanted
    numbers = [i for i, kernel in enumerate(step.kernels) if kernel.name in wanted]
    return [step.kernels[i].name for i in numbers if resources(compile_numbered(step, i)).spill_bytes]


@pytest.mark.parametrize("target", ["sm_80", "sm_90"])
@pytest.mark.parametrize("model", [ROWS["cnn"], WORDS], ids=str)
def test_the_optimizer_does_not_spill(model: Model, target: str) -> None:
    assert not spilling(model, target, frozenset({"sqrt", "div", "sub"}))


@pytest.mark.machine_code
@pytest.mark.parametrize("target", ["sm_80", "sm_90"])
@pytest.mark.parametrize("row", ["mlp", "cnn", "lstm"])
def test_a_step_does_not_spill(row: str, target: str) -> None:
    assert not spilling(gpu_static.MODELS[row][0], target)
