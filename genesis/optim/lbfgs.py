"""L-BFGS, which evaluates the loss as often as it needs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import genesis.functions as fn
from compiler.errors import ArgumentError, ChoiceError, OpError, TraceError
from compiler.ir.location import user_location
from genesis.context import current_recording, grad_mode
from genesis.functions.conversion import copy_
from genesis.optim.optimizer import Closure, Optimizer, check
from genesis.optim.rule import Params
from genesis.scope import eager_only
from genesis.tensor import Tensor

_ENOUGH, _FLAT = 1e-4, 0.9
"""The constants of the Wolfe conditions: for the loss, and for the slope."""


@dataclass(frozen=True)
class _Point:
    """A place on the line of a search: step, loss and gradient there, and the slope along the line."""

    step: float
    loss: float
    grad: Tensor
    slope: float


@eager_only("the number of its steps depends on data")
class LBFGS(Optimizer):
    """Newton steps by an inverse Hessian that the last ``history_size`` changes of the gradient tell of.

    ``step(closure)`` makes up to ``max_iter`` iterations and ``max_eval`` evaluations (1.25 ``max_iter`` if None).
    ``line_search_fn="strong_wolfe"`` looks for a step on every line, without it the step is ``lr``. One group only.
    Outside compiled steps: how often the closure runs depends on its results. Source: Liu & Nocedal, "On the limited
    memory BFGS method for large scale optimization", 1989; Nocedal & Wright, "Numerical optimization", 2006, chapter 3.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check(lr >= 0, "learning rate", lr)
        super().__init__(
            params,
            {
                "lr": lr,
                "max_iter": max_iter,
                "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
                "tolerance_grad": tolerance_grad,
                "tolerance_change": tolerance_change,
                "history_size": history_size,
                "line_search_fn": line_search_fn,
            },
        )
        if len(self.param_groups) != 1:
            raise ChoiceError("LBFGS doesn't support per-parameter options (parameter groups)")

    def step(self, closure: Closure | None = None) -> Any:
        """Minimise; returns the loss before. ``closure`` computes loss and gradients."""
        if current_recording() is not None:
            raise TraceError(
                "LBFGS.step() evaluates its closure as often as the numbers ask for, which one graph cannot\n"
                f"  at {user_location()}\n  call it outside of compiled steps"
            )
        if closure is None:
            raise ArgumentError("LBFGS.step() takes a closure, which computes loss and gradients")
        with grad_mode(False):
            return self._minimise(closure)

    def _minimise(self, closure: Closure) -> Any:
        group = self.param_groups[0]
        params: list[Tensor] = group["params"]
        search, lr = group["line_search_fn"], float(group["lr"])
        if search not in (None, "strong_wolfe"):
            raise OpError("only 'strong_wolfe' is supported")
        state = self.state[params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)

        def evaluate() -> tuple[Any, Tensor]:
            with grad_mode(True):
                loss = closure()
            state["func_evals"] += 1
            return loss, _flat_grad(params)

        first, grad = evaluate()
        loss, evaluations = float(first), 1
        if _largest(grad) <= group["tolerance_grad"]:
            return first
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            direction = _direction(state, grad, group["history_size"])
            state.update(d=direction, prev_flat_grad=grad, prev_loss=loss)
            step = lr
            if state["n_iter"] == 1:
                step *= min(1.0, 1.0 / float(fn.sum(fn.abs(grad))))
            state["t"] = step
            slope = _dot(grad, direction)
            if slope > -group["tolerance_change"]:
                break
            before = loss
            if search is None:
                _move(params, direction, step)
                if iteration == group["max_iter"]:
                    break  # with batches drawn at random, the loss here would be of no use to the next call
                found, grad = evaluate()
                loss, made = float(found), 1
            else:
                line = _Line(params, direction, evaluate)
                start = _Point(0.0, loss, grad, slope)
                point, made = _strong_wolfe(line, start, step, _largest(direction), group["max_eval"] - evaluations)
                loss, grad, step = point.loss, point.grad, point.step
                state["t"] = step
                _move(params, direction, step)
            evaluations += made
            if (
                evaluations >= group["max_eval"]
                or _largest(grad) <= group["tolerance_grad"]
                or _largest(direction) * abs(step) <= group["tolerance_change"]
                or abs(loss - before) < group["tolerance_change"]
            ):
                break
        return first


def _direction(state: Any, grad: Tensor, history_size: int) -> Tensor:
    """Minus the inverse Hessian times ``grad``, by the two loops over the changes that ``state`` remembers."""
    if state["n_iter"] == 1:
        state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
        return fn.neg(grad)
    changes, moves, factors = (list(state[key]) for key in ("old_dirs", "old_stps", "ro"))
    change, move = fn.sub(grad, state["prev_flat_grad"]), fn.mul(state["d"], float(state["t"]))
    curvature = _dot(change, move)
    if curvature > 1e-10:
        for kept, new in ((changes, change), (moves, move), (factors, 1.0 / curvature)):
            kept.append(new)
            del kept[:-history_size]
        state.update(old_dirs=changes, old_stps=moves, ro=factors, H_diag=curvature / _dot(change, change))
    result = fn.neg(grad)
    weights = []
    for change, move, factor in zip(reversed(changes), reversed(moves), reversed(factors)):
        weights.append(_dot(move, result) * float(factor))
        result = fn.sub(result, fn.mul(change, weights[-1]))
    result = fn.mul(result, float(state["H_diag"]))
    for change, move, factor, weight in zip(changes, moves, factors, reversed(weights)):
        result = fn.add(result, fn.mul(move, weight - _dot(change, result) * float(factor)))
    return result


class _Line:
    """The points of the line from where the parameters are, in one direction."""

    def __init__(self, params: list[Tensor], direction: Tensor, evaluate: Callable[[], tuple[Any, Tensor]]) -> None:
        self._params, self._direction, self._evaluate = params, direction, evaluate
        self._start = [p.clone() for p in params]

    def __call__(self, step: float) -> _Point:
        """The point there; the parameters stay where they were."""
        _move(self._params, self._direction, step)
        loss, grad = self._evaluate()
        for p, start in zip(self._params, self._start, strict=True):
            copy_(p, start)
        return _Point(step, float(loss), grad, _dot(grad, self._direction))


def _strong_wolfe(line: _Line, start: _Point, step: float, size: float, limit: int) -> tuple[_Point, int]:
    """A point that satisfies the strong Wolfe conditions, or the best within ``limit`` trials; and the evaluations.

    ``size``: the largest element of the direction; brackets below 1e-9 / ``size`` are left alone.
    """

    def high(point: _Point) -> bool:
        return point.loss > start.loss + _ENOUGH * point.step * start.slope

    def flat(point: _Point) -> bool:
        return abs(point.slope) <= -_FLAT * start.slope

    before, here, trials = start, line(step), 0
    while trials < limit:
        if high(here) or (trials > 1 and here.loss >= before.loss) or (here.slope >= 0 and not flat(here)):
            bracket = [before, here]
            break
        if flat(here):
            return here, trials + 1
        nearest, farthest = here.step + 0.01 * (here.step - before.step), here.step * 10
        before, here = here, line(_lowest(before, here, nearest, farthest))
        trials += 1
    else:
        bracket = [start, here]
    stalled = False
    low = 0 if bracket[0].loss <= bracket[1].loss else 1
    while trials < limit and abs(bracket[1].step - bracket[0].step) * size >= 1e-9:
        left, right = sorted(point.step for point in bracket)
        step = _lowest(bracket[0], bracket[1], left, right)
        edge = 0.1 * (right - left)
        close = min(right - step, step - left) < edge
        if close and (stalled or not left < step < right):
            step = right - edge if abs(step - right) < abs(step - left) else left + edge
            close = False
        stalled = close
        here = line(step)
        trials += 1
        if high(here) or here.loss >= bracket[low].loss:
            bracket[1 - low] = here
            low = 0 if bracket[0].loss <= bracket[1].loss else 1
            continue
        if not flat(here) and here.slope * (bracket[1 - low].step - bracket[low].step) >= 0:
            bracket[1 - low] = bracket[low]
        bracket[low] = here
        if flat(here):
            break
    return bracket[low], trials + 1


def _lowest(a: _Point, b: _Point, least: float, most: float) -> float:
    """The lowest point of the cubic through both points with their slopes, within bounds; else the middle."""
    a, b = (a, b) if a.step <= b.step else (b, a)
    with np.errstate(all="ignore"):
        width, fall = np.float64(b.step - a.step), np.float64(b.loss - a.loss)
        middle = a.slope + b.slope - 3 * fall / width
        square = middle**2 - a.slope * b.slope
        if not square >= 0:
            return (least + most) / 2
        root = np.sqrt(square)
        place = b.step - width * ((b.slope + root - middle) / (b.slope - a.slope + 2 * root))
    return float(min(max(place, least), most))


def _flat_grad(params: list[Tensor]) -> Tensor:
    """The gradients of all parameters as one vector."""
    return fn.cat([fn.reshape(fn.zeros_like(p) if p.grad is None else p.grad, -1) for p in params])


def _move(params: list[Tensor], direction: Tensor, step: float) -> None:
    start = 0
    for p in params:
        piece = fn.reshape(fn.narrow(direction, 0, start, p.numel()), *p.shape)
        copy_(p, fn.add(p, fn.mul(piece, step)))
        start += p.numel()


def _dot(x: Tensor, y: Tensor) -> float:
    return float(fn.sum(fn.mul(x, y)))


def _largest(x: Tensor) -> float:
    return float(fn.max(fn.abs(x)))
