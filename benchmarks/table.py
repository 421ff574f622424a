"""The figures as text."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from math import floor, log10
from statistics import geometric_mean
from typing import Any

from benchmarks import machine
from benchmarks.driver import Result
from benchmarks.models import FIRST_CALL, MEMORY, TARGETS, WARM_START

OWN = "genesis"
COMPILER = "compile"


@dataclass(frozen=True)
class Row:
    """What was measured of one model in one precision. ``load`` is the machine's, before and after."""

    name: str
    description: str
    precision: str
    load: tuple[float, float]
    results: list[Result]

    def measured(self) -> dict[str, Result]:
        """Those peers that have figures, by name."""
        return {result.peer: result for result in self.results if result.failure is None}

    def best_other(self) -> float | None:
        """Seconds of a step of the fastest peer, Genesis aside."""
        return min((result.step for name, result in self.measured().items() if name != OWN), default=None)


def header(processors: Sequence[int]) -> str:
    """The machine, as far as the figures depend on it."""
    return "\n".join(
        (
            f"processor  {machine.cpu()}",
            f"flags      {' '.join(machine.flags()) or 'unknown'}",
            f"threads    {len(processors)} of {len(machine.processors())}",
            f"python     {platform.python_version()}, numpy {version('numpy')}, {platform.system()}",
            f"load       {machine.load():.1f}",
        )
    )


def row_table(row: Row) -> str:
    """One row: a line for every peer."""
    title = f"{row.name} {row.precision}  ({row.description}; load {row.load[0]:.1f} to {row.load[1]:.1f})"
    best = row.best_other()
    lines = [("", "step ms", "quartiles", "speed", "first s", "warm s", "memory MB")]
    failures = []
    for result in row.results:
        if result.failure is not None:
            failures.append(f"  {result.peer}: {result.failure}")
            continue
        speed = f"{best / result.step:.2f}x" if best else "-"
        spread = "-".join(digits(1e3 * seconds) for seconds in result.quartiles)
        start = f"{result.first_call:.2f}", f"{result.warm_start:.2f}"
        lines.append((result.peer, digits(1e3 * result.step), spread, speed, *start, f"{result.memory / 1e6:.1f}"))
    return "\n".join([title, *(aligned(lines) if len(lines) > 1 else ()), *failures])


def summary(rows: Iterable[Row]) -> str:
    """Genesis beside the best of the others, a line for every row, and the geometric means."""
    first, warm, memory = f"at least {FIRST_CALL:g}x", f"at most {WARM_START:g}", f"at most {MEMORY:g}x"
    lines = [("", "step", "target", "first call", "warm start s", "memory"), ("target", "", "", first, warm, memory)]
    speeds: dict[str, list[float]] = {}
    for row in rows:
        measured = row.measured()
        own, best = measured.pop(OWN, None), row.best_other()
        if own is None or best is None:
            continue
        speeds.setdefault(row.precision, []).append(best / own.step)
        compiler = measured.get(COMPILER)
        leanest = min(result.memory for result in measured.values())
        lines.append(
            (
                f"{row.name} {row.precision}",
                f"{best / own.step:.2f}x",
                f"{TARGETS[row.name][row.precision]:.1f}x",
                f"{compiler.first_call / own.first_call:.1f}x" if compiler else "-",
                f"{own.warm_start:.2f}",
                f"{own.memory / leanest:.2f}x" if leanest > 0 else "-",
            )
        )
    lines += [
        (f"geometric mean {name}", f"{geometric_mean(ratios):.2f}x", *[""] * 4) for name, ratios in speeds.items()
    ]
    return "\n".join([f"{OWN} against the best of the others", *aligned(lines)]) if speeds else ""


def as_json(processors: Sequence[int], rows: Iterable[Row]) -> dict[str, Any]:
    """Everything that was measured, in seconds and bytes."""
    return {
        "processor": machine.cpu(),
        "flags": machine.flags(),
        "threads": len(processors),
        "python": platform.python_version(),
        "rows": [asdict(row) for row in rows],
    }


def digits(number: float) -> str:
    """Three significant digits, or all that are left of the point."""
    return f"{number:.{max(0, 2 - floor(log10(number)))}f}"


def aligned(lines: Sequence[tuple[str, ...]]) -> list[str]:
    """Names to the left, figures to the right, in columns as wide as needed."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    return [
        "  " + "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:]))]).rstrip()
        for line in lines
    ]
