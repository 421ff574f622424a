"""``python -m tests.fuzz``: random training steps, compiled = eager = interpreted = PyTorch."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from tests.fuzz.generate import generate
from tests.fuzz.program import Program, text
from tests.fuzz.reduce import reduced
from tests.fuzz.run import Finding, compiled_together, differences


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 1 where a program differs; the reduced script of each is printed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--programs", type=int, default=100, help="how many (default 100)")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the first; the others follow")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no further batch after so long")
    parser.add_argument("--together", type=int, default=6, help="programs that share a compilation (default 6)")
    parser.add_argument("--findings", type=int, default=10, help="stop after so many (default 10)")
    parser.add_argument("--print", action="store_true", help="print the program of the seed and stop")
    options = parser.parse_args(argv)
    if options.print:
        print(text(generate(options.seed)))
        return 0
    start, done, found, unsteady = time.monotonic(), 0, 0, 0
    ways = available()
    while done < options.programs and found < options.findings and time.monotonic() - start < options.seconds:
        count = min(options.together, options.programs - done)
        for finding in check([generate(options.seed + done + k) for k in range(count)], ways):
            if not finding.ways:
                unsteady += 1
                continue
            found += 1
            report(finding)
        done += count
    took = time.monotonic() - start
    print(
        f"{done} programs from seed {options.seed} ({', '.join(ways)}) in {took:.0f} s: {found} differ, "
        f"{unsteady} hang on the last places of their inputs"
    )
    return 1 if found else 0


def available() -> tuple[str, ...]:
    """The ways that this machine has."""
    try:
        import torch  # noqa: F401
    except ImportError:
        return ("eager", "compiled", "interpreted")
    return ("eager", "compiled", "interpreted", "torch")


def check(programs: list[Program], ways: Sequence[str]) -> list[Finding]:
    """What differs among ``programs``, each reduced. They are compiled together, one by one where that fails."""
    joined = [p for p in programs if not p.random]  # a program that draws would draw after the others
    traces = compiled_together(joined) or ()
    together = {p.seed: t for p, t in zip(joined, traces, strict=False)}
    findings = []
    for program in programs:
        trace = together.get(program.seed)
        found = differences(program, ways, {"compiled": trace} if trace is not None else {})
        if found is not None:
            findings.append(smallest(found) if found.ways else found)
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
