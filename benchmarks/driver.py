"""Measures the peers of a row: each in a process of its own, in turn, so that only one is ever busy."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import isclose
from multiprocessing import Pipe
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.messages import Failed, Finished, Started, Task
from benchmarks.models.model import Model
from benchmarks.peers import Peer

ROOT = Path(__file__).parents[1]

PATIENCE = 900.0
"""Seconds after which a peer that does not answer is given up."""

TOLERANCE = {"fp32": 1e-3, "bf16": 2e-2}
"""How far the losses of the first steps may differ between peers, relatively."""

TUNING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GENESIS_NUM_THREADS")
CACHES = ("XDG_CACHE_HOME", "GENESIS_CACHE", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "JAX_COMPILATION_CACHE_DIR")


class PeerFailed(Exception):
    """A peer gave no figure; the message says why, in one line."""


@dataclass(frozen=True)
class Effort:
    """How much is measured: ``rounds`` turns of each peer, each of ``steps`` or of what fits in ``seconds``."""

    rounds: int = 20
    seconds: float = 0.2
    most_steps: int = 200
    steps: int | None = None

    def steps_in_a_round(self, step: float) -> int:
        """Steps of one turn for a peer whose step takes ``step`` seconds."""
        return self.steps or max(2, min(self.most_steps, round(self.seconds / step)))


@dataclass
class Result:
    """One peer in one row; times in seconds, memory in bytes. With ``failure`` the figures are not to be used.

    ``first_call`` starts from an empty cache. ``warm_start`` is the first call of another process, which finds that
    cache filled, less one step. ``memory`` is by how much the peak of that process grew after the imports;
    ``memory_cold`` the same of the process of the first call. ``products`` are the floating-point operations of its
    step's products, by the dtype of their operands, if it tells them.
    """

    peer: str
    first_call: float = 0.0
    warm_start: float = 0.0
    memory: int = 0
    memory_cold: int = 0
    products: dict[str, int] | None = None
    losses: list[float] = field(default_factory=list)
    rounds: list[float] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    failure: str | None = None

    @property
    def step(self) -> float:
        """The median over the rounds."""
        return median(self.rounds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The first and the third over the rounds."""
        first, _, third = quantiles(self.rounds, method="inclusive") if len(self.rounds) > 1 else self.rounds * 3
        return first, third


class Worker:
    """A peer's process, from outside. Its output goes to a file, and explains how it died."""

    def __init__(self, task: Task, cache: Path) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115
        self._pipe, far_end = Pipe()
        with far_end:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.worker", str(far_end.fileno())],
                cwd=ROOT,
                env=_environment(len(task.processors), cache),
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                pass_fds=[far_end.fileno()],
            )
        self._pipe.send(task)

    def started(self) -> Started:
        """Wait for the first steps."""
        return self._answer()

    def step(self, count: int) -> float:
        """Seconds of one step among ``count``."""
        self._pipe.send(count)
        return self._answer()

    def finish(self) -> Finished:
        """Let the process end; what it says last."""
        self._pipe.send(None)
        return self._answer()

    def _answer(self) -> Any:
        if not self._pipe.poll(PATIENCE):
            raise PeerFailed(f"no answer in {PATIENCE:.0f} s")
        try:
            answer = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            code = self._process.wait()
            self._output.seek(0)
            lines = self._output.read().decode(errors="replace").strip().splitlines()
            raise PeerFailed(f"its process ended with {code}: {lines[-1] if lines else 'no message'}") from None
        if isinstance(answer, Failed):
            raise PeerFailed(answer.reason)
        return answer

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exc: object) -> None:
        self._pipe.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()


def measure(
    model: Model,
    precision: str,
    peers: Sequence[Peer],
    processors: list[int],
    effort: Effort,
    progress: Callable[[str], None],
) -> list[Result]:
    """The figures of every peer for one row, in the order of ``peers``. ``progress`` is told who is measured."""
    results = [Result(peer.name) for peer in peers]
    with tempfile.TemporaryDirectory(prefix="benchmark-", ignore_cleanup_errors=True) as folder:
        courses = {}
        for peer, result in zip(peers, results):
            task = Task(peer.module, model, precision, processors)
            courses[peer.name] = _course(task, Path(folder) / peer.name, effort, result)
        while courses:
            for name in list(courses):
                progress(name)
                if next(courses[name], "done") == "done":
                    del courses[name]
    _check_losses([result for result in results if result.failure is None], TOLERANCE[precision])
    return results


def _course(task: Task, cache: Path, effort: Effort, result: Result) -> Iterator[None]:
    """Everything that is done with one peer; it yields where the others have their turn."""
    try:
        with Worker(task, cache) as worker:
            result.first_call = worker.started().first_call
            result.memory_cold = worker.finish().memory
        with Worker(task, cache) as worker:
            started = worker.started()
            result.warm_start = max(0.0, started.first_call - started.step)
            result.losses, result.versions = started.losses, started.versions
            count = effort.steps_in_a_round(started.step)
            for _ in range(effort.rounds):
                yield
                result.rounds.append(worker.step(count))
            finished = worker.finish()
            result.memory, result.products = finished.memory, finished.products
    except (PeerFailed, BrokenPipeError) as error:
        result.failure = str(error)


def _check_losses(results: Sequence[Result], tolerance: float) -> None:
    """Mark as failed who computes something else: whose losses differ from those of most."""
    for step, losses in enumerate(list(zip(*(result.losses for result in results)))):
        usual = sorted(losses)[(len(losses) - 1) // 2]
        for result, loss in zip(results, losses):
            if result.failure is None and not isclose(loss, usual, rel_tol=tolerance):
                result.failure = f"computes something else: loss {loss:.6g} at step {step + 1}, others {usual:.6g}"


def _environment(threads: int, cache: Path) -> dict[str, str]:
    """This environment, without what tunes a library by hand, with the same threads and an own cache for everyone."""
    environment = {name: value for name, value in os.environ.items() if name not in TUNING}
    environment |= {name: str(threads) for name in THREADS}
    environment |= {name: str(cache / name.lower()) for name in CACHES}
    return environment | {
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "JAX_PLATFORMS": "cpu",
    }
