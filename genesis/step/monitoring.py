"""Watching a training run: each call's numbers to the terminal, files and TensorBoard, and alarms."""

from __future__ import annotations

import csv
import json
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from math import isfinite
from os import PathLike
from pathlib import Path
from statistics import median
from time import perf_counter
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from compiler.errors import ChoiceError, GenesisWarning
from genesis.step.program import CompiledFunction
from genesis.step.rate_test import first_number
from genesis.step.states import TrainingState

WINDOW = 50
"""Calls whose median is the usual value."""

SKIPS = 3
"""Skipped steps in a row at which an alarm goes."""


@dataclass(frozen=True)
class Record:
    """The numbers of one call.

    call: its number, from 1. seconds: what it took. loss: the first number that the step returned. lr, loss_scale,
    grad_norm, applied: as in ``step.last``, None where the step has no such thing. update_ratio: the norm of the change
    of all parameters over the norm of the parameters, in calls in which it is taken. alarm: the unusual thing, "" where
    nothing is.
    """

    call: int
    seconds: float
    loss: float
    lr: float | None
    loss_scale: float | None
    grad_norm: float | None
    applied: bool
    update_ratio: float | None
    alarm: str


class Writer(Protocol):
    """What TensorBoard's writers have."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> object: ...


class Monitor:
    """A compiled step that writes down what each call did; see :func:`monitor`."""

    def __init__(
        self,
        step: CompiledFunction[..., Any],
        every: int = 10,
        total: int | None = None,
        bar: bool = True,
        csv: str | PathLike[str] | None = None,
        jsonl: str | PathLike[str] | None = None,
        tensorboard: Writer | None = None,
        spike: float = 4.0,
        loss: Callable[[Any], Any] | None = None,
        on_alarm: Callable[[Record], object] | None = None,
    ) -> None:
        if not isinstance(step, CompiledFunction):
            raise ChoiceError("monitor() takes a step decorated with @genesis.compile, whose last call it can ask")
        if every < 1 or spike <= 1:
            raise ChoiceError(f"monitor(every={every}, spike={spike}): every is at least 1, spike more than 1")
        self.step, self.every, self.spike, self.records = step, every, spike, deque[Record](maxlen=1000)
        self._loss, self._on_alarm, self._state = loss, on_alarm, TrainingState(step, ())
        self._losses: deque[float] = deque(maxlen=WINDOW)
        self._norms: deque[float] = deque(maxlen=WINDOW)
        self._skipped = self._calls = 0
        self._open = ExitStack()
        self._sinks: list[Callable[[Record], object]] = []
        if csv is not None:
            self._sinks.append(_csv(Path(csv)))
        if jsonl is not None:
            self._sinks.append(_jsonl(Path(jsonl)))
        if tensorboard is not None:
            self._sinks.append(_scalars(tensorboard))
        if bar:
            self._sinks.append(_terminal(self._open, total, every))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the step; returns what it returns."""
        self._calls += 1
        parameters = self._parameters() if self._calls % self.every == 1 or self.every == 1 else None
        start = perf_counter()
        result = self.step(*args, **kwargs)
        loss = first_number(result if self._loss is None else self._loss(result))  # waits for the step
        seconds = perf_counter() - start
        last = self.step.last
        ratio = _ratio(parameters, self._parameters()) if parameters is not None else None
        alarm = self._alarm(loss, last.grad_norm, last.applied, last.skip_reason)
        record = Record(
            self._calls, seconds, loss, last.lr, last.loss_scale, last.grad_norm, last.applied, ratio, alarm
        )
        self.records.append(record)
        for sink in self._sinks:
            sink(record)
        if alarm:
            warnings.warn(f"call {record.call}: {alarm}", GenesisWarning, stacklevel=2)
            if self._on_alarm is not None:
                self._on_alarm(record)
        return result

    def _parameters(self) -> list[np.ndarray]:
        return [p.detach().numpy().copy() for p in self._state.parameters]

    def _alarm(self, loss: float, norm: float | None, applied: bool, reason: str | None) -> str:
        """The unusual things about a call, in words."""
        self._skipped = 0 if applied else self._skipped + 1
        if self._skipped >= SKIPS:
            return f"{self._skipped} steps in a row were skipped: {reason}"
        if not applied:
            return ""
        if not isfinite(loss):
            return f"the loss is {loss}; check_numerics=True names the op that made it so"
        for what, value, usual in (("loss", loss, self._losses), ("gradient norm", norm, self._norms)):
            if value is None:
                continue
            middle = median(usual) if len(usual) >= WINDOW // 5 else None
            usual.append(value)
            if middle is not None and abs(value) > self.spike * max(abs(middle), 1e-12):
                return f"the {what} is {value:.4g}, and {middle:.4g} in the middle of the last {len(usual) - 1} calls"
        return ""

    def close(self) -> None:
        """Take the bar away."""
        self._open.close()

    def __enter__(self) -> Monitor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def monitor(step: CompiledFunction[..., Any], **options: Any) -> Monitor:
    """Wrap a compiled step so that every call is written down: ``step = genesis.monitor(step, csv="run.csv")``.

    every: how many calls lie between two lines of the terminal, and between two update ratios, which copy the
        parameters. total: how many calls there will be, for the bar. bar: show a bar where ``rich`` is installed and
        the output is a terminal, lines of text elsewhere.
    csv, jsonl: files to write. tensorboard: a writer with ``add_scalar``, such as
        ``genesis.utils.tensorboard.SummaryWriter()``.
    spike: a loss or a gradient norm of so many times the median of the last calls is an alarm; so are a loss that is
        not finite, and three skipped steps in a row. An alarm is a warning, a field of the record, and a call of
        ``on_alarm(record)``.
    loss: picks the loss from what the step returns, by default its first number.

    The numbers are those that the step computes anyway; nothing in it waits. Reading the loss waits for its end.
    ``records`` holds the last 1,000. ``close()``, or the end of a ``with`` statement, takes the bar away. Raises
    ChoiceError for a step that is not compiled, and for wrong options.
    """
    return Monitor(step, **options)


def _csv(path: Path) -> Callable[[Record], object]:
    def write(values: Iterable[Any], mode: str = "a") -> None:
        with path.open(mode, encoding="utf-8", newline="") as file:
            csv.writer(file).writerow(values)

    write(Record.__dataclass_fields__, "w")
    return lambda record: write(asdict(record).values())


def _jsonl(path: Path) -> Callable[[Record], object]:
    path.write_text("", encoding="utf-8")

    def write(record: Record) -> None:
        values = {k: str(v) if isinstance(v, float) and not isfinite(v) else v for k, v in asdict(record).items()}
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")

    return write


def _scalars(writer: Writer) -> Callable[[Record], object]:
    def write(record: Record) -> None:
        for name in ("loss", "lr", "loss_scale", "grad_norm", "update_ratio", "seconds"):
            value = getattr(record, name)
            if value is not None:
                writer.add_scalar(name, value, record.call)

    return write


def _terminal(opened: ExitStack, total: int | None, every: int) -> Callable[[Record], object]:
    """A bar of rich where that is installed and shown, lines elsewhere."""
    if find_spec("rich") is None or not sys.stdout.isatty():

        def line(record: Record) -> None:
            if record.call % every == 0 or record.call == 1 or record.alarm:
                print(_line(record))

        return line
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    bar = opened.enter_context(Progress(TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()))
    task = bar.add_task("", total=total)

    def move(record: Record) -> None:
        bar.update(task, advance=1, description=_line(record))

    return move


def _line(record: Record) -> str:
    parts = [f"call {record.call}", f"loss {record.loss:.4g}"]
    for name, value in (
        ("lr", record.lr), ("scale", record.loss_scale), ("norm", record.grad_norm), ("update", record.update_ratio)
    ):  # fmt: skip
        if value is not None:
            parts.append(f"{name} {value:.3g}")
    parts.append(f"{record.seconds * 1e3:.3g} ms")
    return "  ".join(parts) + ("" if record.applied else "  skipped")


def _ratio(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> float | None:
    """The norm of the change of all parameters over their norm."""
    pairs = [(a.astype(np.float64), b.astype(np.float64)) for a, b in zip(before, after, strict=True)]
    size = sum(float((a * a).sum()) for a, _ in pairs)
    return (sum(float(((b - a) ** 2).sum()) for a, b in pairs) / size) ** 0.5 if size else None
