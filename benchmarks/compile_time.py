"""``python -m benchmarks.compile_time``: how the time of compiling a step grows with the depth of the model.

A GPT of small width is compiled at several depths, each stage by itself. Times are of processors, not of clocks, so
that other programs disturb them little. ``growth`` is the time at the greatest depth over what it were if it had grown
from the first in proportion: 1 is linear, less is better.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from typing import Any, TypeVar

from benchmarks.models.gpt import GPT
from benchmarks.peers.genesis import Program
from benchmarks.peers.program import Step
from benchmarks.table import aligned
from compiler.codegen.c import unit
from compiler.codegen.c.isa import isa_for
from compiler.collector import without_collector
from compiler.ir.verify import Typed, verify
from compiler.naming import Names
from compiler.pipeline import lowering
from genesis.capture.arguments import Sharing
from genesis.capture.guards.reachable import Reachable
from genesis.capture.keeping import Held
from genesis.capture.tracing import Traced, record
from genesis.options import Options
from runtime.toolchain import find_compiler, march

T = TypeVar("T")
LIMITS = {"passes": 1.2, "gcc": 1.0}
"""The most that the time of all passes, and of the C compiler, may grow over proportion."""


class Recorded(Program):
    """The step of the benchmark as it is written."""

    def compile_step(self, step: Step) -> Step:
        return step

    def trace(self) -> Traced:
        """Record one call."""
        reachable = Reachable(self._step)
        settings = Options(), reachable, self._no_scale, Sharing()
        return record(self._step, *settings, lambda: None, next(self._batches), {}, Held())

    @staticmethod
    def _no_scale() -> Any:
        raise AssertionError("the step has no loss_scale option")


class Clock:
    """Seconds of processors, children's included, by name and in order."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, name: str, run: Callable[[], T]) -> T:
        """``run()``, its time added to ``name``."""
        start = self._now()
        result = run()
        self.seconds[name] = self.seconds.get(name, 0.0) + self._now() - start
        return result

    @staticmethod
    def _now() -> float:
        return sum(x.ru_utime + x.ru_stime for x in map(getrusage, (RUSAGE_SELF, RUSAGE_CHILDREN)))


def measure(layers: int, width: int) -> dict[str, float]:
    """Seconds of every stage for a GPT of ``layers`` blocks, and of all passes and everything."""
    model = GPT(layers=layers, width=width, heads=2, context=16, batch=2)
    program = Recorded(model, model.weights(), model.batches(1), "fp32")
    compiler = find_compiler()
    if compiler is None:
        raise SystemExit("no C compiler was found")
    gc.collect()
    clock = Clock()
    with without_collector():
        graph = clock.time("tracing", program.trace).stages.latest
        passes = lowering(unit.FEATURES)
        typed: Typed = {}
        names = Names()
        names.settle(graph)
        for name, run in passes:
            before, graph = graph, clock.time(name, partial(run, graph))
            if graph is not before:
                clock.time("verify", partial(verify, graph, typed))
                clock.time("names", partial(names.settle, graph))
        plan = clock.time("C emission", partial(unit.emit, graph, isa_for(compiler.features)))
        with tempfile.TemporaryDirectory() as folder:
            clock.time("gcc", partial(compiler.build, plan.source, Path(folder) / "step.so", march()))
    total = sum(clock.seconds.values())
    clock.seconds["passes"] = sum(clock.seconds[name] for name in [*dict(passes), "verify", "names"])
    clock.seconds["everything"] = total
    return clock.seconds


def report(depths: Sequence[int], found: Sequence[dict[str, float]]) -> str:
    """A line for every stage: seconds at each depth, growth over proportion, and the limit where there is one."""
    lines = [("", *(f"{depth} layers" for depth in depths), "growth", "limit")]
    for name in found[0]:
        seconds = [times[name] for times in found]
        growth = seconds[-1] / seconds[0] * depths[0] / depths[-1] if seconds[0] else 0.0
        limit = f"{LIMITS[name]:.1f}x" if name in LIMITS else ""
        lines.append((name, *(f"{s:.3f}" for s in seconds), f"{growth:.2f}x", limit))
    return "\n".join(aligned(lines))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compile_time", description=__doc__)
    parser.add_argument("--depths", type=int, nargs="+", default=[12, 24, 48], metavar="N", help="numbers of blocks")
    parser.add_argument("--width", type=int, default=32, metavar="N", help="width of the blocks")
    arguments = parser.parse_args()
    measure(1, arguments.width)  # what is done once in a process
    found = [measure(depth, arguments.width) for depth in arguments.depths]
    print(f"seconds of processors to compile a GPT of width {arguments.width}")
    print(report(arguments.depths, found))


if __name__ == "__main__":
    main()
