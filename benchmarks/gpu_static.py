"""``python -m benchmarks.gpu_static``: launches of a step on a GPU and the bytes they move, without a GPU.

Steps are bf16 with clipping and AdamW, compiled for sm_90. A launch moves every element that it reads once, and every
element that it writes once: caches are endless within a launch, and empty at its start. Beside Genesis stands what
PyTorch's Inductor makes of the same step, counted in the same way.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.compile_time import Recorded
from benchmarks.models import ROWS
from benchmarks.models.gpt import GPT
from benchmarks.models.lstm import LSTM
from benchmarks.models.model import Model
from benchmarks.table import aligned
from compiler.collector import without_collector
from compiler.pipeline import compile_for, triton_target
from compiler.plan import Launch, Plan

TARGET = "sm_90"
PRODUCTS = {"dot", "convolve", "convolve_weight"}


@dataclass(frozen=True)
class Count:
    """Launches of a step, and the bytes that they move."""

    launches: int
    nbytes: int


MODELS: dict[str, tuple[Model, Count | None]] = {
    "mlp": (ROWS["mlp"], Count(30, 37_000_000)),
    "gpt": (GPT(layers=6, width=384, heads=6, context=256, batch=32), Count(385, 5_712_000_000)),
    "gpt2": (GPT(layers=12, width=768, heads=12, context=1024, batch=8, vocabulary=50304), Count(745, 32_069_000_000)),
    "cnn": (ROWS["cnn"], None),
    "lstm": (LSTM(features=128, hidden=128, layers=2, length=64, classes=10, batch=32), None),
    "lstm-wide": (ROWS["lstm"], None),
}
"""Models, and Inductor's counts: PyTorch 2.14, sm_90, default settings, three graphs a step, and the calls of cuBLAS
and attention counted as one launch each that reads its operands and writes its results."""


def program(model: Model, target: str = TARGET) -> Plan:
    """The step that trains ``model``, whose weights are as they are made, for ``target``."""
    with without_collector():
        return compile_for(Recorded(model, {}, model.batches(1), "bf16").trace().stages, triton_target(target))


def count(launches: Sequence[Launch]) -> Count:
    """The launches and their bytes."""
    return Count(len(launches), sum(launch.nbytes for launch in launches))


def windows_and_products(step: Plan) -> Count:
    """The products of a step, and the mere copies and casts that lay out what they read."""
    return count([x for x in step.launches if PRODUCTS.intersection(x.ops) or set(x.ops) <= {"cast"}])


def report(names: Sequence[str]) -> str:
    """A line for every model."""
    lines = [("model", "launches", "MB", "Inductor's", "MB", "windows, products", "MB")]
    for name in names:
        model, other = MODELS[name]
        step = program(model)
        here, within = count(step.launches), windows_and_products(step)
        theirs = (str(other.launches), _megabytes(other)) if other is not None else ("", "")
        own = (str(here.launches), _megabytes(here))
        lines.append((str(model), *own, *theirs, str(within.launches), _megabytes(within)))
    return "\n".join(aligned(lines))


def kernels(step: Plan) -> str:
    """A line for every kernel of a step, those that move most bytes first."""
    found: dict[str, list[Launch]] = {}
    for launch in step.launches:
        found.setdefault(launch.kernel, []).append(launch)
    order = sorted(found.items(), key=lambda item: -count(item[1]).nbytes)
    lines = [("kernel", "launches", "MB", "place of the first")]
    lines += [(name, str(len(x)), _megabytes(count(x)), ", ".join(x[0].places[:1])) for name, x in order]
    return "\n".join(aligned(lines))


def _megabytes(found: Count) -> str:
    return f"{found.nbytes / 1e6:.1f}"


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_static", description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS, help="all by default")
    parser.add_argument("--kernels", choices=MODELS, help="list the kernels of one model instead")
    arguments = parser.parse_args()
    print(kernels(program(MODELS[arguments.kernels][0])) if arguments.kernels else report(arguments.models))


if __name__ == "__main__":
    main()
