"""The table of launches and bytes, of models small enough for a test."""

import pytest

from benchmarks import gpu_static
from benchmarks.gpu_static import Count, count, kernels, program, report, windows_and_products
from benchmarks.models.mlp import MLP

pytest.importorskip("triton")
SMALL = MLP(sizes=(64, 32, 16), batch=8)


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


def test_a_line_of_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_static, "MODELS", {"small": (SMALL, Count(7, 1_500_000)), "alone": (SMALL, None)})
    head, first, second = report(["small", "alone"]).splitlines()
    own = count(program(SMALL).launches)
    assert head.split()[0] == "model"
    assert [str(own.launches), f"{own.nbytes / 1e6:.1f}", "7", "1.5"] == first.split()[4:8]
    assert len(second.split()) == len(first.split()) - 2
