"""``python -m benchmarks.eager``: eager Genesis beside eager PyTorch, in processor time.

Each has a process of its own, on one processor and with one thread; they take turns, so that a slow moment hits both.
Programs are training steps (clipping, AdamW) and the generation of 60 tokens; operations are single calls on small
tensors, of which nearly all is overhead.
"""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import median
from time import process_time
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.driver import THREADS, TUNING
from benchmarks.models import ROWS
from benchmarks.models.gpt import GPT
from benchmarks.models.mlp import MLP
from benchmarks.models.model import Model
from benchmarks.peers.program import TorchStyleProgram
from benchmarks.table import aligned, digits, header

Side = Any
"""``torch`` or ``genesis``."""
Run = Callable[[], Any]

SIDES = ("genesis", "torch")
BATCHES, FIRST_RUNS, TOKENS = 4, 6, 60
DIGITS = MLP(sizes=(64, 128, 10), batch=32)
WRITER = GPT(layers=4, width=128, heads=4, context=64, batch=1)


def training(model: Model) -> Callable[[Side], Run]:
    """One step of training in float32."""

    def prepare(side: Side) -> Run:
        class Program(TorchStyleProgram):
            framework = side

        program = Program(model, model.weights(), model.batches(BATCHES), "fp32")
        return lambda: program.steps(1)

    return prepare


def generation(side: Side) -> Run:
    """The tokens of a text, one after the other, each drawn from what the model says of all before it."""
    module = WRITER.module(side)
    module.load_state_dict({name: side.from_numpy(weight) for name, weight in WRITER.weights().items()})
    module.eval()

    def run() -> Any:
        text = side.zeros(1, 1, dtype=side.int64)
        with side.no_grad():
            for _ in range(TOKENS):
                probabilities = side.softmax(module(text[:, -WRITER.context :])[:, -1], dim=-1)
                text = side.cat([text, side.multinomial(probabilities, num_samples=1)], dim=1)
        return text

    return run


PROGRAMS: dict[str, Callable[[Side], Run]] = {
    "digits": training(DIGITS),
    "gpt-small": training(ROWS["gpt-small"]),
    "cnn": training(ROWS["cnn"]),
    "lstm": training(ROWS["lstm"]),
    "generation": generation,
}

OPERATIONS: dict[str, Callable[[Side, Any, Any, Any], Any]] = {
    "x[3]": lambda side, x, w, g: x[3],
    "x[:, 1:3]": lambda side, x, w, g: x[:, 1:3],
    "x.t()": lambda side, x, w, g: x.t(),
    "x.view(-1)": lambda side, x, w, g: x.view(-1),
    "x + x": lambda side, x, w, g: x + x,
    "x * 2": lambda side, x, w, g: x * 2,
    "x + x, gradient": lambda side, x, w, g: g + g,
    "x @ x": lambda side, x, w, g: x @ x,
    "x.exp()": lambda side, x, w, g: x.exp(),
    "x.sum()": lambda side, x, w, g: x.sum(),
    "x.mean(1)": lambda side, x, w, g: x.mean(1),
    "x > 0": lambda side, x, w, g: x > 0,
    "x.add_(1)": lambda side, x, w, g: x.add_(1),
    "cat": lambda side, x, w, g: side.cat([x, x]),
    "relu": lambda side, x, w, g: side.relu(x),
    "gelu": lambda side, x, w, g: side.nn.functional.gelu(x),
    "softmax": lambda side, x, w, g: side.softmax(x, 1),
    "layer_norm": lambda side, x, w, g: side.nn.functional.layer_norm(x, (8,)),
    "linear, gradient": lambda side, x, w, g: side.nn.functional.linear(x, g),
    "cross_entropy": lambda side, x, w, g: side.nn.functional.cross_entropy(x, w),
    "x.item()": lambda side, x, w, g: x[0, 0].item(),
}
"""Calls on an 8 x 8 matrix, 8 class indices, and a matrix that requires a gradient."""


def operation(call: Callable[[Side, Any, Any, Any], Any]) -> Callable[[Side], Run]:
    """100 calls in succession."""

    def prepare(side: Side) -> Run:
        x = side.from_numpy(np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32))
        classes, g = side.arange(8), side.ones(8, 8, requires_grad=True)

        def run() -> None:
            for _ in range(100):
                call(side, x, classes, g)

        return run

    return prepare


def serve(name: str, processor: int, pipe: Connection) -> None:
    """One side's process: for every ``(case, runs)``, answer the processor seconds of one run."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [processor])
    side = importlib.import_module(name)
    side.set_num_threads(1)
    ready: dict[str, Run] = {}
    while (asked := pipe.recv()) is not None:
        case, runs = asked
        run = ready.get(case)
        if run is None:
            run = ready[case] = PROGRAMS[case](side) if case in PROGRAMS else operation(OPERATIONS[case])(side)
            for _ in range(FIRST_RUNS):
                run()
        start = process_time()
        for _ in range(runs):
            run()
        pipe.send((process_time() - start) / runs)


def compare(cases: Sequence[str], rounds: int, seconds: float, processor: int) -> dict[str, dict[str, list[float]]]:
    """The seconds of a run of each case, by side, one for every round."""
    context = get_context("spawn")
    found: dict[str, dict[str, list[float]]] = {case: {side: [] for side in SIDES} for case in cases}
    for variable in TUNING:
        os.environ.pop(variable, None)
    os.environ.update(dict.fromkeys(THREADS, "1"))  # which NumPy reads when the processes import it
    pipes: dict[str, Connection] = {}
    for side in SIDES:
        pipes[side], far_end = context.Pipe()
        context.Process(target=serve, args=(side, processor, far_end), daemon=True).start()
    for case in cases:
        runs = {}
        for side, pipe in pipes.items():
            pipe.send((case, 1))
            runs[side] = max(1, min(100, round(seconds / pipe.recv())))
        for _ in range(rounds):
            for side, pipe in pipes.items():
                pipe.send((case, runs[side]))
                found[case][side].append(pipe.recv())
    for pipe in pipes.values():
        pipe.send(None)
    return found


def main() -> None:
    """Measure what the command line asks for and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.eager", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="turns of each side")
    parser.add_argument("--seconds", type=float, default=0.5, metavar="S", help="processor time of a turn, about")
    parser.add_argument("--cases", nargs="+", metavar="CASE", help=f"of {', '.join([*PROGRAMS, *OPERATIONS])}")
    arguments = parser.parse_args()
    processors = machine.processors()
    print(header(processors[:1]))
    for title, known, unit, each in (("programs", PROGRAMS, 1e3, 1), ("operations", OPERATIONS, 1e6, 100)):
        cases = [case for case in known if case in (arguments.cases or known)]
        found = compare(cases, arguments.rounds, arguments.seconds / (1 if each == 1 else 10), processors[0])
        lines = [(title, *(f"{side} {'ms' if each == 1 else 'us'}" for side in SIDES), "ratio")]
        for case, times in found.items():
            ratio = median(own / other for own, other in zip(times["genesis"], times["torch"], strict=True))
            lines.append((case, *(digits(unit * median(times[side]) / each) for side in SIDES), f"{ratio:.2f}x"))
        print("\n".join(["", *aligned(lines)]), flush=True)


if __name__ == "__main__":
    main()
