"""The learning rate range test: raise the rate at every call until the loss gets much worse.

Smith, "Cyclical learning rates for training neural networks", 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from typing import Any

import numpy as np

from compiler.errors import ChoiceError
from genesis.optim.optimizer import Optimizer
from genesis.pytree import leaves
from genesis.step.states import TrainingState
from genesis.tensor import Tensor

DIVERGED = 4.0
"""A smoothed loss of so many times the best one ends the test."""

SMOOTH = 0.9
"""The part of the running mean of losses that stays from call to call."""


@dataclass(frozen=True)
class RateTest:
    """The learning rates that were tried, in order, and the loss of each call; ``print`` it for a plot.

    smooth: running means of the losses. suggestion: the rate at which the smoothed loss falls fastest along the
    logarithm of the rate; None where it never falls.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smooth: tuple[float, ...]
    suggestion: float | None

    def plot(self, axes: Any) -> Any:
        """Draw the curve and the suggestion into the ``axes`` of matplotlib; returns them."""
        axes.plot(self.rates, self.losses, alpha=0.3)
        axes.plot(self.rates, self.smooth)
        if self.suggestion is not None:
            axes.axvline(self.suggestion, linestyle="--", label=f"{self.suggestion:.1e}")
            axes.legend()
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
        return axes

    def __str__(self) -> str:
        return "\n".join([*_drawn(self.rates, self.smooth, self.suggestion), self._words()])

    def _words(self) -> str:
        if self.suggestion is None:
            return f"the loss never falls between {self.rates[0]:.1e} and {self.rates[-1]:.1e}"
        return f"the loss falls fastest at {self.suggestion:.1e}; a rate from a third of it up to it is a good start"


def lr_finder(
    step: Callable[..., Any],
    batches: Iterable[Sequence[Any]],
    optimizer: Optimizer | None = None,
    *,
    start: float = 1e-6,
    stop: float = 1.0,
    calls: int = 100,
    loss: Callable[[Any], Any] | None = None,
) -> RateTest:
    """Call ``step`` on ``batches``, with rates from ``start`` to ``stop`` in equal steps of their logarithm.

    step: the training step; a compiled one is not compiled again. batches: the arguments of each call; they end the
    test early. optimizer: whose rate is raised, by default the only one that the step reaches; groups keep the
    ratios of their rates. loss: picks the loss from what the step returns, by default the first number in it.

    Ends early where the loss is not finite or four times the best. Modules, optimizers, scalers and the generator of
    random numbers are afterwards as before. Raises ChoiceError for wrong bounds, for no or several optimizers, and for
    a step that returns no loss.
    """
    if not 0 < start < stop or calls < 3:
        raise ChoiceError(
            f"lr_finder(start={start}, stop={stop}, calls={calls}): 0 < start < stop, and 3 calls or more"
        )
    training = TrainingState(step, [] if optimizer is None else [optimizer])
    if optimizer is None:
        if len(training.optimizers) != 1:
            raise ChoiceError(
                f"lr_finder(): the step reaches {len(training.optimizers)} optimizers; pass the one whose rate rises"
            )
        (optimizer,) = training.optimizers
    largest = max(float(group["lr"]) for group in optimizer.param_groups) or 1.0
    shares = [float(group["lr"]) / largest for group in optimizer.param_groups]
    rates, losses, smooth, mean = [], [], [], 0.0
    with training.kept():
        for rate, batch in zip(np.geomspace(start, stop, calls), islice(batches, calls), strict=False):
            for group, share in zip(optimizer.param_groups, shares, strict=True):
                group["lr"] = float(rate) * share
            value = first_number(step(*batch) if loss is None else loss(step(*batch)))
            if not isfinite(value):
                break
            rates.append(float(rate))
            losses.append(value)
            mean = SMOOTH * mean + (1 - SMOOTH) * value
            smooth.append(mean / (1 - SMOOTH ** len(losses)))
            if smooth[-1] > DIVERGED * min(smooth):
                break
    if len(rates) < 3:
        raise ChoiceError(
            f"lr_finder(): {len(rates)} calls with a finite loss say nothing; start lower, or give more batches"
        )
    return RateTest(tuple(rates), tuple(losses), tuple(smooth), _steepest(rates, smooth))


def first_number(result: Any) -> float:
    """The first number in what a step returns: a float tensor of one element, or a float."""
    for _, leaf in leaves(result):
        if isinstance(leaf, Tensor) and leaf.numel() == 1 and leaf.is_floating_point():
            return float(leaf.detach().item())
        if isinstance(leaf, float):
            return leaf
    raise ChoiceError("the step returns no number that could be its loss; return the loss first, or say loss=")


def _steepest(rates: Sequence[float], smooth: Sequence[float]) -> float | None:
    slopes = np.gradient(np.array(smooth), np.log(rates))
    best = int(slopes.argmin())
    return rates[best] if slopes[best] < 0 else None


WIDTH, HEIGHT = 64, 12
"""Characters of a plot in the terminal."""


def _drawn(rates: Sequence[float], values: Sequence[float], mark: float | None) -> list[str]:
    """A curve in characters, rates along a logarithmic axis; ``mark`` is a vertical line."""
    low, high = min(values), min(max(values), DIVERGED * min(values))
    grid = [[" "] * WIDTH for _ in range(HEIGHT)]
    span = np.log(rates[-1] / rates[0])

    def column(rate: float) -> int:
        return min(int(np.log(rate / rates[0]) / span * (WIDTH - 1)), WIDTH - 1)

    if mark is not None:
        for row in grid:
            row[column(mark)] = "|"
    for rate, value in zip(rates, values, strict=True):
        place = (high - min(value, high)) / ((high - low) or 1.0) * (HEIGHT - 1)
        grid[int(place + 0.5)][column(rate)] = "*"
    labels = [f"{high:9.4g} ", *[" " * 10] * (HEIGHT - 2), f"{low:9.4g} "]
    lines = [label + "".join(row).rstrip() for label, row in zip(labels, grid, strict=True)]
    return [*lines, " " * 10 + f"{rates[0]:.1e}".ljust(WIDTH - 7) + f"{rates[-1]:.1e}"]
