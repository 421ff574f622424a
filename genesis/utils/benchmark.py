"""``genesis.utils.benchmark``: how long a statement takes, by Python's ``timeit``."""

from __future__ import annotations

import statistics
import timeit
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Measurement", "Timer"]


@dataclass(frozen=True)
class Measurement:
    """Seconds of each of several runs, of ``number_per_run`` calls each."""

    number_per_run: int
    raw_times: list[float]
    label: str | None = None
    sub_label: str | None = None
    description: str | None = None

    @property
    def times(self) -> list[float]:
        """Seconds of one call, by run."""
        return [time / self.number_per_run for time in self.raw_times]

    @property
    def median(self) -> float:
        """The median of :attr:`times`."""
        return statistics.median(self.times)

    @property
    def mean(self) -> float:
        """The mean of :attr:`times`."""
        return statistics.fmean(self.times)

    @property
    def iqr(self) -> float:
        """The distance between the quartiles of :attr:`times`; 0 of fewer than four."""
        quarters = statistics.quantiles(self.times, n=4) if len(self.times) > 3 else [0.0, 0.0, 0.0]
        return quarters[2] - quarters[0]

    def __repr__(self) -> str:
        return f"Measurement({self.label or ''} median {self.median * 1e6:.2f} us of {len(self.times)} runs)"


class Timer:
    """Times ``stmt``, text or a function, after ``setup``; names are looked up in ``globals``."""

    def __init__(
        self,
        stmt: str | Callable[[], Any] = "pass",
        setup: str | Callable[[], Any] = "pass",
        global_setup: str = "",
        timer: Callable[[], float] = timeit.default_timer,
        globals: dict[str, Any] | None = None,
        label: str | None = None,
        sub_label: str | None = None,
        description: str | None = None,
        env: str | None = None,
        num_threads: int = 1,
        language: Any = None,
    ) -> None:
        self._timer = timeit.Timer(stmt, setup, timer, globals)
        self._texts = label, sub_label, description

    def timeit(self, number: int = 1000000) -> Measurement:
        """One run of ``number`` calls, after a call that is not counted."""
        self._timer.timeit(1)
        return Measurement(number, [self._timer.timeit(number)], *self._texts)

    def blocked_autorange(self, callback: Any = None, min_run_time: float = 0.2) -> Measurement:
        """Runs of a size that timing does not disturb, until ``min_run_time`` seconds are over."""
        self._timer.timeit(1)
        number, times = 1, [self._timer.timeit(1)]
        while times[0] < min_run_time / 100 and number < 10**7:
            number, times = number * 10, [self._timer.timeit(number * 10)]
        while sum(times) < min_run_time:
            times.append(self._timer.timeit(number))
        return Measurement(number, times, *self._texts)

    def adaptive_autorange(
        self, threshold: float = 0.1, *, min_run_time: float = 0.01, max_run_time: float = 10.0, callback: Any = None
    ) -> Measurement:
        """The same as :meth:`blocked_autorange`."""
        return self.blocked_autorange(callback, min_run_time)
