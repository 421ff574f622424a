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
from benchmarks.peak import Peak

OWN = "genesis"
COMPILER = "compile"


@dataclass(frozen=True)
class Row:
    """The measurements of one model in one precision. ``load`` is the machine's, before and after."""

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

    def least(self, peak: Peak) -> float | None:
        """Seconds that the products of a step take at ``peak``: no step is done earlier."""
        work = next((result.products for result in self.measured().values() if result.products), None)
        return peak.seconds(work) if work else None

    def limit(self, peak: Peak) -> float | None:
        """How many times faster than the fastest peer, Genesis aside, a step can be at most."""
        best, least = self.best_other(), self.least(peak)
        return best / least if best and least else None


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


def row_table(row: Row, peak: Peak) -> str:
    """One row: a line for every peer, and what the processor allows."""
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
    bound = []
    if least := row.least(peak):
        faster = f", {digits(best / least)}x" if best else ""
        bound = [f"  products alone at the peak: {digits(1e3 * least)} ms{faster}"]
    return "\n".join([title, *(aligned(lines) if len(lines) > 1 else ()), *bound, *failures])


def summary(rows: Iterable[Row], peak: Peak) -> str:
    """Genesis beside the best of the others, a line for every row, and the geometric means."""
    first, warm, memory = f"at least {FIRST_CALL:g}x", f"at most {WARM_START:g}", f"at most {MEMORY:g}x"
    lines: list[tuple[str, ...]] = [
        ("", "step", "target", "limit", "of limit", "first call", "warm start s", "memory"),
        ("target", "", "", "", "", first, warm, memory),
    ]
    speeds: dict[str, list[float]] = {}
    for row in rows:
        measured = row.measured()
        own, best = measured.pop(OWN, None), row.best_other()
        if own is None or best is None:
            continue
        speeds.setdefault(row.precision, []).append(best / own.step)
        compiler, least, limit = measured.get(COMPILER), row.least(peak), row.limit(peak)
        leanest = min(result.memory for result in measured.values())
        lines.append(
            (
                f"{row.name} {row.precision}",
                f"{best / own.step:.2f}x",
                f"{TARGETS[row.name][row.precision]:.1f}x",
                f"{digits(limit)}x" if limit else "-",
                f"{least / own.step:.0%}" if least else "-",
                f"{compiler.first_call / own.first_call:.1f}x" if compiler else "-",
                f"{own.warm_start:.2f}",
                f"{own.memory / leanest:.2f}x" if leanest > 0 else "-",
            )
        )
    lines += [
        (f"geometric mean {name}", f"{geometric_mean(ratios):.2f}x", *[""] * 6) for name, ratios in speeds.items()
    ]
    return "\n".join([f"{OWN} against the best of the others", *aligned(lines)]) if speeds else ""


def as_json(processors: Sequence[int], rows: Iterable[Row], peak: Peak) -> dict[str, Any]:
    """Everything that was measured, in seconds, bytes and floating-point operations a second."""
    return {
        "processor": machine.cpu(),
        "flags": machine.flags(),
        "threads": len(processors),
        "python": platform.python_version(),
        "peak": dict(peak.rates),
        "rows": [asdict(row) | {"least": row.least(peak), "limit": row.limit(peak)} for row in rows],
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
