"""Shows how a step spends its time: per kernel, per module and per source line."""

from __future__ import annotations

import linecache
import os
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from compiler.plan import Launch, Plan
from runtime.executor import Executor

WARM_UP = 2  # runs before those that count
ROWS = 12  # rows that a table shows unless told otherwise


@dataclass(frozen=True)
class Timing:
    """One or more launches under one name, with times in seconds per step.

    ``seconds``: from their start until the next launch starts, the mean over threads; ``waiting``: what of it threads
    wait for others to finish; ``backward``: what of it belongs to the backward pass.
    """

    name: str
    launches: tuple[Launch, ...]
    seconds: float
    waiting: float
    backward: float

    @property
    def flops(self) -> int:
        """Floating-point operations per step."""
        return sum(x.flops for x in self.launches)

    @property
    def nbytes(self) -> int:
        """Bytes read and written per step, each once."""
        return sum(x.nbytes for x in self.launches)

    @property
    def gflops(self) -> float:
        """Achieved GFLOP/s."""
        return self.flops / self.seconds / 1e9 if self.seconds else 0.0

    @property
    def gbytes(self) -> float:
        """Achieved GB/s."""
        return self.nbytes / self.seconds / 1e9 if self.seconds else 0.0

    @property
    def ops(self) -> tuple[str, ...]:
        """The IR ops computed, in order of appearance."""
        return tuple(dict.fromkeys(op for x in self.launches for op in x.ops))

    @property
    def scope(self) -> str:
        """The module, with ``*`` for where the launches differ: ``model.blocks.*.fc``."""
        return _common([x.loc.scope for x in self.launches])

    @property
    def lines(self) -> tuple[str, ...]:
        """The user's lines, such as ``model.py:12``."""
        return tuple(dict.fromkeys(_line(x) for x in self.launches))


@dataclass(frozen=True)
class Profile:
    """The measured times of a step.

    ``launches``: the kernel runs in order; ``seconds``: a whole call, of which ``total`` is in kernels and ``outside``
    is not. ``str()`` of it, or :meth:`table`, is for people.
    """

    name: str
    target: str
    threads: int
    runs: int
    seconds: float
    launches: tuple[Timing, ...]

    @property
    def total(self) -> float:
        """Seconds per step in kernels and in waiting between them."""
        return sum(x.seconds for x in self.launches)

    @property
    def outside(self) -> float:
        """Seconds per step outside kernels: waking threads, handing over arguments, making result arrays."""
        return self.seconds - self.total

    @property
    def kernels(self) -> tuple[Timing, ...]:
        """The kernels, the longest first; launches of one function are one."""
        return self._grouped(lambda launch: launch.kernel)

    @property
    def by_module(self) -> tuple[Timing, ...]:
        """The modules that own the launches, the longest first; "" is code outside modules."""
        return self._grouped(lambda launch: launch.loc.scope)

    @property
    def by_line(self) -> tuple[Timing, ...]:
        """The user's lines that own the launches, the longest first."""
        return self._grouped(_line, lambda launch: (launch.loc.file, launch.loc.line))

    def _grouped(
        self, name: Callable[[Launch], str], key: Callable[[Launch], Hashable] | None = None
    ) -> tuple[Timing, ...]:
        """The launches of one ``key``, by default of one ``name``, as one row each."""
        groups: dict[Hashable, list[Timing]] = {}
        for timing in self.launches:
            groups.setdefault((key or name)(timing.launches[0]), []).append(timing)
        rows = [_sum(name(parts[0].launches[0]), parts) for parts in groups.values()]
        return tuple(sorted(rows, key=lambda row: -row.seconds))

    def table(self, rows: int | None = ROWS) -> str:
        """The three tables as text, each with at most ``rows`` rows; None shows all.

        That of modules joins the blocks of a stack: ``model.blocks.*.fc``.
        """
        waiting, count = sum(x.waiting for x in self.launches), len(self.launches)
        lines = [
            f"{self.name}: {self.seconds * 1e3:.3f} ms a call on {self.threads} thread{'s' * (self.threads != 1)}, "
            f"{self.target}; mean of the faster half of {self.runs} run{'s' * (self.runs != 1)}",
            f"{self._share(self.total)}  in {count} kernel run{'s' * (count != 1)}, of it",
            f"{self._share(waiting)}  threads waiting for one another",
            f"{self._share(self.outside)}  outside kernels: waking threads, Python",
        ]
        for title, timings, describe in (
            ("kernel", self.kernels, _of_kernel),
            ("module", self._grouped(_stack), _of_module),
            ("line", self.by_line, _of_line),
        ):
            lines += ["", *self._section(title, timings, rows, describe)]
        return "\n".join(lines)

    __str__ = table

    def _share(self, seconds: float) -> str:
        return f"{seconds * 1e6:10.1f} us {seconds / self.seconds:6.1%}"

    def _section(
        self, title: str, timings: Sequence[Timing], rows: int | None, describe: Callable[[Timing], Sequence[str]]
    ) -> Iterator[str]:
        """A table under its heading; ``describe`` gives the cells behind the numbers of a row."""
        yield f"{'us':>10}  share  calls  GFLOP/s    GB/s  wait  backward  {title}"
        shown = timings[:rows]
        rest = timings[len(shown) :]
        cells = [describe(timing) for timing in shown]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for timing, row in zip(shown, cells, strict=True):
            text = "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
            yield f"{self._numbers(timing)}  {text}".rstrip()
        if rest:
            yield f"{self._numbers(_sum('', rest))}  {len(rest)} more"

    def _numbers(self, timing: Timing) -> str:
        whole = timing.seconds or 1.0
        rate = f"{timing.gflops:.1f}" if timing.flops else "-"
        return (
            f"{timing.seconds * 1e6:10.1f} {timing.seconds / self.seconds:6.1%} {len(timing.launches):6} {rate:>8} "
            f"{timing.gbytes:7.1f} {timing.waiting / whole:5.0%} {timing.backward / whole:9.0%}"
        )


def profile(executor: Executor, source: str, runs: int) -> Profile:
    """Time the launches of an executor's plan; ``source`` is its timed form.

    Runs on the arguments of the executor's last run, and changes the states as so many more runs do.
    """
    program = executor.device.load(source)
    try:
        executor.timed(program, WARM_UP)
        calls, spent = executor.timed(program, runs)
    finally:
        program.close()
    return summary(executor.plan, calls, spent)


def summary(plan: Plan, calls: np.ndarray, spent: np.ndarray) -> Profile:
    """The profile of ``calls``: f64[runs], and ``spent``: f64[runs, threads, launches, 2], both in seconds.

    Only the faster half of the runs counts: others were disturbed by something else on the machine.
    """
    faster = np.argsort(calls, kind="stable")[: (len(calls) + 1) // 2]
    seconds = spent[faster].sum(3).mean((0, 1)).tolist()
    waiting = (spent[faster, :, :, 1].mean((0, 1)) * (spent.shape[1] > 1)).tolist()
    launches = tuple(
        Timing(x.kernel, (x,), s, w, 0.0 if x.phase == "forward" else s)
        for x, s, w in zip(plan.launches, seconds, waiting, strict=True)
    )
    return Profile(plan.name, plan.target, spent.shape[1], len(calls), float(calls[faster].mean()), launches)


def _sum(name: str, parts: Sequence[Timing]) -> Timing:
    launches = tuple(x for t in parts for x in t.launches)
    seconds, waiting, backward = (sum(getattr(t, k) for t in parts) for k in ("seconds", "waiting", "backward"))
    return Timing(name, launches, seconds, waiting, backward)


def _stack(launch: Launch) -> str:
    """The module without the numbers of what it is in."""
    return re.sub(r"\.\d+(?=\.)", ".*", launch.loc.scope)


def _line(launch: Launch) -> str:
    return f"{os.path.basename(launch.loc.file)}:{launch.loc.line}" if launch.loc.file else "(unknown)"


def _common(scopes: Sequence[str]) -> str:
    """One name for several modules: what they share, part by part."""
    paths = [scope.split(".") for scope in dict.fromkeys(scopes)]
    if len({len(path) for path in paths}) > 1:
        paths = [path[: min(map(len, paths))] for path in paths]
        return ".".join([*_parts(paths), "*"])
    return ".".join(_parts(paths))


def _parts(paths: Sequence[Sequence[str]]) -> list[str]:
    return [part[0] if len(set(part)) == 1 else "*" for part in zip(*paths, strict=True)]


def _of_kernel(timing: Timing) -> tuple[str, ...]:
    names = [op for op in timing.ops if op != "constant"]
    ops = " ".join(names[:4]) + " …" * (len(names) > 4)
    lines = ", ".join(timing.lines[:2]) + ", …" * (len(timing.lines) > 2)
    return timing.name, ops or "copy", timing.scope, lines


def _of_module(timing: Timing) -> tuple[str, ...]:
    return (timing.name or "(outside modules)",)


def _of_line(timing: Timing) -> tuple[str, ...]:
    loc = timing.launches[0].loc
    return timing.name, linecache.getline(loc.file, loc.line).strip()
