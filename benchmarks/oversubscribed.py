"""``python -m benchmarks.oversubscribed``: how much slower a step gets while every processor has other work.

The other work is a loop on each processor that never rests. Who shares a processor with one other gets half of it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from benchmarks import machine
from benchmarks.driver import Effort, PeerFailed, Worker
from benchmarks.messages import Task
from benchmarks.models import ROWS
from benchmarks.models.model import Model
from benchmarks.peers import PEERS, Peer
from benchmarks.table import aligned, digits, header

COMPARED = ("genesis", "eager")
MEASURED = ("mlp", "gpt-small")
EFFORT = Effort(rounds=10, seconds=0.3)
LOOP = """\
import os, sys
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {int(sys.argv[1])})
while True:
    pass
"""


@contextmanager
def busy(processors: Sequence[int]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """A loop that never rests on each of the processors."""
    loops = [subprocess.Popen([sys.executable, "-c", LOOP, str(processor)]) for processor in processors]
    try:
        yield loops
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def measure(peer: Peer, model: Model, processors: list[int], rounds: int) -> tuple[float, float]:
    """Seconds of a step, fp32, on free and on busy processors: medians over the rounds."""
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-", ignore_cleanup_errors=True) as cache,
        Worker(Task(peer.module, model, "fp32", processors), Path(cache)) as worker,
    ):
        count = EFFORT.steps_in_a_round(worker.started().step)
        free = median(worker.step(count) for _ in range(rounds))
        with busy(processors):
            worker.step(count)  # meanwhile the loops start
            taken = median(worker.step(count) for _ in range(rounds))
        worker.finish()
    return free, taken


def main() -> None:
    """Measure what the command line asks for, by default Genesis and eager PyTorch, and print a table for each row."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.oversubscribed", description=__doc__)
    parser.add_argument("--rounds", type=int, default=EFFORT.rounds, metavar="N", help="turns on free and on busy ones")
    parser.add_argument("--rows", nargs="+", default=MEASURED, choices=ROWS, metavar="ROW", help="models")
    parser.add_argument("--peers", nargs="+", default=COMPARED, choices=PEERS, metavar="PEER", help="who is measured")
    arguments = parser.parse_args()
    processors = machine.processors()
    print(header(processors))
    for row in arguments.rows:
        lines = [("", "free ms", "busy ms", "ratio")]
        for peer in (PEERS[name] for name in arguments.peers if find_spec(PEERS[name].needs)):
            try:
                free, taken = measure(peer, ROWS[row], processors, arguments.rounds)
            except PeerFailed as error:
                print(f"  {peer.name}: {error}")
                continue
            lines.append((peer.name, digits(1e3 * free), digits(1e3 * taken), f"{taken / free:.2f}x"))
        print("\n".join([f"\n{row} fp32  ({ROWS[row]})", *aligned(lines)]), flush=True)


if __name__ == "__main__":
    main()
