"""Connectionist temporal classification: the loss of a sequence of labels that stand somewhere in a longer sequence."""

from __future__ import annotations

import math
from collections.abc import Sequence

from compiler.errors import OpError
from compiler.ir.op import o
from compiler.ir.types import i64
from genesis.context import current_recording
from genesis.functions.control import scan
from genesis.functions.conversion import detach
from genesis.functions.gathering import gather
from genesis.functions.losses import check_reduction
from genesis.functions.pointwise import add, cast, div, eq, exp, log, maximum, neg, sub, where
from genesis.functions.precision import full_precision
from genesis.functions.reductions import mean, sum
from genesis.functions.shapes import cat, expand, narrow, reshape, unsqueeze
from genesis.functions.table import functional_only
from genesis.tensor import Tensor, tensor, wrap

_NEVER = -1e30
"""The logarithm of a probability of 0, finite so that no gradient is ``inf - inf``."""

Lengths = Tensor | Sequence[int]


def _lengths(name: str, given: Lengths, batch: int, most: int) -> Tensor:
    """One i64 per sequence; raises where a number is known that does not fit."""
    lengths = given if isinstance(given, Tensor) else tensor(list(given), dtype=i64)
    if lengths.dtype.kind != "int":
        raise OpError(f"{name} must be integral")
    lengths = cast(reshape(lengths, -1), i64)
    if lengths.shape[0] != batch:
        raise OpError(f"{name} must be of size batch_size, {batch}, not {lengths.shape[0]}")
    known = list(given) if not isinstance(given, Tensor) else None
    if known is None and current_recording() is None:
        known = lengths._array(name).tolist()
    for n in known or ():
        if not 0 <= n <= most:
            raise OpError(f"Expected {name} to have value at most {most} and no negative one, but got value {n}")
    return lengths


def _padded(targets: Tensor, lengths: Tensor) -> Tensor:
    """Targets that stand one sequence behind the other, as rows ``[N, S]``."""
    total, batch = targets.shape[0], lengths.shape[0]
    longest = total if current_recording() is not None else max([0, *lengths._array("ctc_loss").tolist()])
    before = o.gt(o.iota(shape=(batch, 1), axis=0), o.iota(shape=(1, batch), axis=1))
    start = o.sum(o.where(before, o.reshape(lengths.value, shape=(1, batch)), 0), axes=(1,), keepdim=True)
    place = o.add(start, o.iota(shape=(1, longest), axis=1))
    found = o.take(targets.value, o.minimum(place, total - 1)) if total else o.zeros(shape=(batch, longest), dtype=i64)
    return wrap(found)


def _shifted(x: Tensor, by: int) -> Tensor:
    """``x [N, L]`` moved to the right; what comes in has probability 0."""
    low = wrap(o.expand(o.constant(value=_NEVER, dtype=x.dtype), shape=(x.shape[0], by)))
    return cat([low, narrow(x, 1, 0, x.shape[1] - by)], 1) if x.shape[1] > by else expand(low[:, :1], *x.shape)


def _together(*logs: Tensor) -> Tensor:
    """The logarithm of a sum of probabilities."""
    most = logs[0]
    for x in logs[1:]:
        most = maximum(most, x)
    most = detach(most)
    total = exp(sub(logs[0], most))
    for x in logs[1:]:
        total = add(total, exp(sub(x, most)))
    return add(log(total), most)


@functional_only
def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Lengths,
    target_lengths: Lengths,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """The negative logarithm of the probability of each target sequence, over all its alignments with the input.

    ``log_probs`` is ``[T, N, C]``, from ``log_softmax``, or ``[T, C]``; ``targets`` are ``[N, S]``, padded, or all
    sequences one behind the other. ``"mean"`` divides each loss by its target's length first. A target longer than its
    input has an infinite loss, or 0 with ``zero_infinity``.

    The gradient is the derivative; PyTorch's has ``exp(log_probs)`` added, which ``log_softmax`` takes out again.

    Graves et al., "Connectionist temporal classification: labelling unsegmented sequence data with recurrent neural
    networks", 2006.
    """
    check_reduction(reduction)
    (log_probs,) = full_precision(log_probs)
    single = log_probs.ndim == 2
    if log_probs.ndim not in (2, 3):
        raise OpError(f"ctc_loss: expected log_probs [T, N, C] or [T, C], not {list(log_probs.shape)}")
    if single:
        log_probs = unsqueeze(log_probs, 1)
    steps, batch, classes = log_probs.shape
    if not steps or not batch:
        raise OpError(f"log_probs tensor must not be empty, but it is {list(log_probs.shape)}")
    if not 0 <= blank < classes:
        raise OpError(f"blank must be in label range, here [0, {classes})")
    if targets.dtype.kind != "int":
        raise OpError(f"targets must be integers, not {targets.dtype!r}")
    targets = cast(targets, i64)
    known = _lengths("input_lengths", input_lengths, batch, steps)
    width = targets.shape[-1] if targets.ndim else 1
    spans = _lengths("target_lengths", target_lengths, batch, width)
    if targets.ndim == 2 and targets.shape[0] != batch:
        raise OpError(f"ctc_loss: expected targets of {batch} sequences, not {list(targets.shape)}")
    rows = targets if targets.ndim == 2 else _padded(reshape(targets, -1), spans)
    loss = neg(_likelihood(log_probs, _between_blanks(rows, spans, blank), known, spans, blank))
    endless = wrap(o.gt(loss.value, -_NEVER / 2))
    loss = where(endless, 0.0 if zero_infinity else math.inf, loss)
    if reduction == "mean":
        return mean(div(loss, cast(wrap(o.maximum(spans.value, 1)), loss.dtype)))
    if reduction == "sum":
        return sum(loss)
    return reshape(loss) if single else loss


def _between_blanks(targets: Tensor, spans: Tensor, blank: int) -> Tensor:
    """The labels with a blank before, between and behind them: ``[N, 2 S + 1]``."""
    batch, longest = targets.shape
    inside = o.lt(o.iota(shape=(1, longest), axis=1), o.reshape(spans.value, shape=(batch, 1)))
    labels = o.reshape(o.where(inside, targets.value, blank), shape=(batch, longest, 1))
    pairs = o.reshape(o.concat(o.mul(labels, 0), labels, axis=2), shape=(batch, 2 * longest))
    even = o.eq(o.remainder(o.iota(shape=(1, 2 * longest), axis=1), 2), 0)
    first = o.expand(o.constant(value=blank, dtype=i64), shape=(batch, 1))
    return wrap(o.concat(o.where(even, blank, pairs), first, axis=1)) if longest else wrap(first)


def _likelihood(log_probs: Tensor, labels: Tensor, known: Tensor, spans: Tensor, blank: int) -> Tensor:
    """The logarithm of the probability of ``labels [N, L]``, by the forward recurrence over time."""
    steps, batch, _ = log_probs.shape
    length = labels.shape[1]
    emitted = gather(log_probs, 2, expand(unsqueeze(labels, 0), steps, batch, length))
    place = o.iota(shape=(1, length), axis=1)
    start = where(wrap(o.lt(place, 2)), emitted[0], _NEVER)
    nothing = wrap(o.eq(o.reshape(known.value, shape=(batch, 1)), 0))
    start = where(nothing, where(wrap(o.eq(place, 0)), 0.0, _NEVER), start)
    if length > 2:
        ends = o.expand(o.constant(value=blank, dtype=i64), shape=(batch, 2))
        before = o.concat(ends, narrow(labels, 1, 0, length - 2).value, axis=1)
        jumps = wrap(o.logical_and(o.ne(labels.value, blank), o.ne(labels.value, before)))
    else:
        jumps = wrap(o.expand(o.constant(value=False, dtype="bool"), shape=(batch, length)))

    def step(alpha: Tensor, x: tuple[Tensor, Tensor]) -> tuple[Tensor, None]:
        emission, number = x
        ways = [alpha, _shifted(alpha, 1), where(jumps, _shifted(alpha, 2), _NEVER)]
        after = add(_together(*ways), emission)
        return where(wrap(o.lt(number.value, o.reshape(known.value, shape=(batch, 1)))), after, alpha), None

    if steps > 1:
        numbers = wrap(o.add(o.iota(shape=(steps - 1,), axis=0), 1))
        start, _ = scan(step, start, (emitted[1:], numbers))
    end = o.mul(o.reshape(spans.value, shape=(batch, 1)), 2)
    last = gather(start, 1, wrap(end))
    before_last = gather(start, 1, wrap(o.maximum(o.sub(end, 1), 0)))
    never = eq(wrap(end), 0)
    return reshape(_together(last, where(never, _NEVER, before_last)), batch)
