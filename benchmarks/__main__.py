"""``python -m benchmarks``: time the training steps of Genesis, PyTorch and JAX, and print how they compare."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Collection
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from benchmarks import machine, peak
from benchmarks.driver import TOLERANCE, Effort, measure
from benchmarks.models import ROWS
from benchmarks.peers import PEERS
from benchmarks.table import Row, as_json, header, row_table, summary

QUICK = Effort(rounds=5, seconds=0.05, most_steps=50)


def main() -> None:
    """Measure what the command line asks for, and print it row by row."""
    arguments = _parser().parse_args()
    processors = machine.processors()[: arguments.threads]
    peers = [PEERS[name] for name in arguments.peers if find_spec(PEERS[name].needs)]
    missing = [name for name in arguments.peers if PEERS[name] not in peers]
    usual = QUICK if arguments.quick else Effort()
    effort = Effort(arguments.rounds or usual.rounds, usual.seconds, usual.most_steps, arguments.steps)

    highest = peak.measure(len(processors))
    print(f"{header(processors)}\npeak       {highest}")
    if missing:
        print(f"absent     {', '.join(missing)} (not installed)")
    rows: list[Row] = []
    for name in arguments.rows:
        for precision in arguments.precision:
            model, load = ROWS[name], machine.load()
            progress = partial(_progress, f"{name} {precision}")
            results = measure(model, precision, peers, processors, effort, progress)
            _progress()
            rows.append(Row(name, str(model), precision, (load, machine.load()), results))
            highest = highest.or_higher(peak.measure(len(processors)))
            print(f"\n{row_table(rows[-1], highest)}", flush=True)
    versions = {name: text for row in rows for result in row.results for name, text in result.versions.items()}
    print(f"\n{summary(rows, highest)}\n\npeak       {highest}")
    print(f"versions   {', '.join(f'{name} {text}' for name, text in versions.items())}")
    if arguments.json:
        arguments.json.write_text(json.dumps(as_json(processors, rows, highest), indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)

    def several(option: str, known: Collection[str], help: str) -> None:
        def parse(text: str) -> list[str]:
            names = text.split(",")
            if unknown := [name for name in names if name not in known]:
                raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; known are {', '.join(known)}")
            return names

        parser.add_argument(option, type=parse, default=list(known), metavar="A,B", help=f"{help}: {', '.join(known)}")

    several("--rows", ROWS, "models")
    several("--precision", TOLERANCE, "precisions")
    several("--peers", PEERS, "who is measured")
    parser.add_argument("--threads", type=_positive, metavar="N", help="processors for everyone (default: all)")
    parser.add_argument("--rounds", type=_positive, metavar="N", help="turns of every peer")
    parser.add_argument("--steps", type=_positive, metavar="N", help="steps in a turn (default: by time)")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter turns: a first impression")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure to FILE")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def _progress(*words: str) -> None:
    """Show who is at work, in a line that the next one replaces."""
    if sys.stderr.isatty():
        print(f"\r{' '.join(words):<60}\r", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
