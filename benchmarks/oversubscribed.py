"""``python -m benchmarks.oversubscribed``: how much slower a step gets while every processor has other work.

The other work is a loop on each processor that never rests. Who shares a processor with one other gets half of it.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
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


class OtherWork:
    """A loop that never rests on each of the processors, stopped at first. To be used in a ``with`` statement."""

    def __init__(self, processors: Sequence[int]) -> None:
        self.loops = [subprocess.Popen([sys.executable, "-c", LOOP, str(processor)]) for processor in processors]
        self.stop()

    def stop(self) -> None:
        self._send(signal.SIGSTOP)

    def go_on(self) -> None:
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        for loop in self.loops:
            loop.send_signal(number)

    def __enter__(self) -> OtherWork:
        return self

    def __exit__(self, *exc: object) -> None:
        for loop in self.loops:
            loop.kill()
            loop.wait()


@dataclass(frozen=True)
class Turns:
    """Seconds of a step in every turn; free and busy ones followed each other."""

    free: list[float]
    busy: list[float]

    def line(self) -> tuple[str, str, str]:
        """Medians: milliseconds of a free and of a busy step, and the ratio of two turns in succession."""
        ratio = median(busy / free for free, busy in zip(self.free, self.busy, strict=True))
        return digits(1e3 * median(self.free)), digits(1e3 * median(self.busy)), f"{ratio:.2f}x"


def measure(peer: Peer, model: Model, processors: list[int], rounds: int) -> Turns:
    """Train in fp32, by turns on free and on busy processors."""
    turns = Turns([], [])
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-", ignore_cleanup_errors=True) as cache,
        Worker(Task(peer.module, model, "fp32", processors), Path(cache)) as worker,
        OtherWork(processors) as work,
    ):
        count = EFFORT.steps_in_a_round(worker.started().step)
        for _ in range(rounds):
            turns.free.append(worker.step(count))
            work.go_on()
            turns.busy.append(worker.step(count))
            work.stop()
        worker.finish()
    return turns


def main() -> None:
    """Measure what the command line asks for, by default Genesis and eager PyTorch, and print a table for each row."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.oversubscribed", description=__doc__)
    parser.add_argument("--rounds", type=int, default=EFFORT.rounds, metavar="N", help="turns of each kind")
    parser.add_argument("--rows", nargs="+", default=MEASURED, choices=ROWS, metavar="ROW", help="models")
    parser.add_argument("--peers", nargs="+", default=COMPARED, choices=PEERS, metavar="PEER", help="who is measured")
    arguments = parser.parse_args()
    processors = machine.processors()
    print(header(processors))
    for row in arguments.rows:
        lines = [("", "free ms", "busy ms", "ratio")]
        for peer in (PEERS[name] for name in arguments.peers if find_spec(PEERS[name].needs)):
            try:
                lines.append((peer.name, *measure(peer, ROWS[row], processors, arguments.rounds).line()))
            except PeerFailed as error:
                print(f"  {peer.name}: {error}")
        print("\n".join([f"\n{row} fp32  ({ROWS[row]})", *aligned(lines)]), flush=True)


if __name__ == "__main__":
    main()
