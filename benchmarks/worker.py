"""One peer's process: ``python -m benchmarks.worker DESCRIPTOR``, which the driver starts and asks over a pipe."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from multiprocessing.connection import Connection
from time import perf_counter

from benchmarks import memory
from benchmarks.messages import Failed, Finished, Started, Task

BATCHES = 16
FIRST_STEPS = 8


def main() -> None:
    """Read a :class:`Task`, answer :class:`Started`; then for every number n, answer the seconds of a step among n.

    For None, answer :class:`Finished` and end. Answers :class:`Failed` where anything goes wrong.
    """
    connection: Connection = Connection(int(sys.argv[1]))
    try:
        serve(connection)
    except Exception as error:
        text = str(error).strip() or "no message"
        connection.send(Failed(f"{type(error).__name__}: {text.splitlines()[0]}"))
        raise


def serve(connection: Connection) -> None:
    """All of :func:`main` but its reporting of errors."""
    task: Task = connection.recv()
    if hasattr(os, "sched_setaffinity"):  # before the import: some peers size their pools then
        os.sched_setaffinity(0, task.processors)
    peer = importlib.import_module(task.module)
    weights, batches = task.model.weights(), task.model.batches(BATCHES)
    gc.collect()
    before = memory.mark()

    program = peer.Program(task.model, weights, batches, task.precision)
    seconds, losses = [], []
    for _ in range(FIRST_STEPS):
        start = perf_counter()
        losses.append(program.steps(1))
        seconds.append(perf_counter() - start)
    connection.send(Started(seconds[0], seconds[-1], losses, peer.VERSIONS))

    while count := connection.recv():
        program.steps(1)  # warms the caches and threads, which were another peer's meanwhile
        start = perf_counter()
        program.steps(count)
        connection.send((perf_counter() - start) / count)
    grown = memory.peak() - before
    connection.send(Finished(grown, program.products()))


if __name__ == "__main__":
    main()
