"""``python -m tests.fuzz``: random training steps, compiled = eager = interpreted = PyTorch."""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count as count_from
from itertools import islice

from tests.fuzz.generate import generate
from tests.fuzz.program import Program, text
from tests.fuzz.reduce import reduced
from tests.fuzz.run import Finding, differences, refuses, together, trace


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 1 where a program differs; the reduced script of each is printed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--programs", type=int, default=100, help="how many (default 100)")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the first; the others follow")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no further batch after so long")
    parser.add_argument("--together", type=int, default=12, help="programs that share a compilation (default 12)")
    parser.add_argument("--findings", type=int, default=10, help="stop after so many (default 10)")
    parser.add_argument(
        "--optimize", type=int, default=3, help="the C compiler's -O (default 3; 1 compiles three times as fast)"
    )
    parser.add_argument("--having", default="", help="only programs whose script matches this regular expression")
    parser.add_argument("--print", action="store_true", help="print the program of the seed and stop")
    options = parser.parse_args(argv)
    if options.print:
        print(text(next(drawing(options.seed, options.having))))
        return 0
    with own_cache(), variable("GENESIS_CFLAGS", f"-O{options.optimize}"):
        return campaign(options)


def campaign(options: argparse.Namespace) -> int:
    """Programs in batches until one of the limits is reached."""
    start, done, found, unsteady, refused = time.monotonic(), 0, 0, 0, 0
    ways, drawn = available(), drawing(options.seed, options.having)
    while done < options.programs and found < options.findings and time.monotonic() - start < options.seconds:
        count = min(options.together, options.programs - done)
        programs = list(islice(drawn, count))
        taken = [p for p in programs if not refuses(p)]
        refused += count - len(taken)
        for finding in check(taken, ways):
            if not finding.ways:
                unsteady += 1
                print(f"seed {finding.program.seed} hangs on last places: {finding.what}", file=sys.stderr)
                continue
            found += 1
            report(finding)
        done += count
        took = time.monotonic() - start
        print(f"{done} programs in {took:.0f} s, {found} differ", file=sys.stderr, flush=True)
    print(
        f"{done} programs from seed {options.seed} {options.having}({', '.join(ways)}, -O{options.optimize}) "
        f"in {time.monotonic() - start:.0f} s: {found} differ, {unsteady} hang on the last places of their inputs, "
        f"{refused} do not run in micro-batches"
    )
    return 1 if found else 0


def drawing(seed: int, having: str = "") -> Iterator[Program]:
    """The programs of the seeds from ``seed`` on whose scripts match ``having``."""
    return (program for program in map(generate, count_from(seed)) if re.search(having, text(program)))


@contextmanager
def own_cache() -> Iterator[None]:
    """A cache folder for this campaign only: no program comes twice, and the user's folder would fill up."""
    # A program for eager ops may still be in the making, in the background, when the folder is removed.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, variable("GENESIS_CACHE", folder):
        yield


@contextmanager
def variable(name: str, text: str) -> Iterator[None]:
    """A variable of the environment."""
    before = os.environ.get(name)
    os.environ[name] = text
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


def available() -> tuple[str, ...]:
    """The ways that this machine has."""
    try:
        import torch
    except ImportError:
        return ("eager", "compiled", "interpreted")
    torch.set_num_threads(1)  # programs are small
    return ("eager", "compiled", "interpreted", "torch")


def check(programs: list[Program], ways: Sequence[str]) -> list[Finding]:
    """The programs that differ, each reduced. Those of as many micro-batches run together.

    One that fails or differs there runs alone again. A difference that shows together only is reported of the first
    program, not reduced.
    """
    groups: dict[int, list[Program]] = {}
    for program in programs:
        groups.setdefault(program.accumulate, []).append(program)
    return [finding for group in groups.values() for finding in _check(group, ways)]


def _check(programs: list[Program], ways: Sequence[str]) -> list[Finding]:
    shared = {way: together(programs, way) for way in ways if way != "torch"}
    findings, lost = [], False
    for program in programs:
        traces = {way: found[program.seed] for way, found in shared.items() if not isinstance(found, Exception)}
        found = differences(program, ways, traces)
        if found is not None and traces:
            lost = lost or bool(found.ways)
            found = differences(program, ways)
        if found is not None:
            findings.append(smallest(found) if found.ways else found)
    raised = [error for error in shared.values() if isinstance(error, Exception)]
    if raised and not lost and any(trace(program, "eager").error for program in programs):
        return findings  # a program that raises, in all ways, stops those beside it
    if (lost or raised) and not findings:
        seeds = ", ".join(str(p.seed) for p in programs)
        findings.append(Finding(programs[0], ("together", "alone"), f"{raised} (seeds {seeds}, together only)"))
    return findings


def smallest(finding: Finding) -> Finding:
    """The finding on the smallest program that differs in the same way."""
    last = finding

    def fails(program: Program) -> bool:
        nonlocal last
        found = differences(program, (finding.ways[0],))
        if found is None or not found.ways or _kind(found) != _kind(finding):
            return False
        last = found
        return True

    reduced(finding.program, fails)
    return last


def _kind(finding: Finding) -> str:
    """Errors are of one kind if they begin alike, results if they differ at all."""
    return "result" if finding.what.startswith("result") else finding.what[:40]


def report(finding: Finding) -> None:
    """Print a finding as a script."""
    bar = "=" * 100
    print(f"{bar}\n# seed {finding.program.seed}, {' against '.join(finding.ways)}: {finding.what}\n")
    print(text(finding.program, "torch" if "torch" in finding.ways else "genesis"), flush=True)


if __name__ == "__main__":
    sys.exit(main())
