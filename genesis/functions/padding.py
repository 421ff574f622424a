"""Padding."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.errors import OpError, UnsupportedError
from compiler.ir.op import o
from genesis.functions.conversion import clone
from genesis.functions.formats import formatted
from genesis.functions.shapes import cat, expand, flip, narrow
from genesis.functions.table import functional_only
from genesis.tensor import Tensor, wrap


@functional_only
def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """``input`` made larger (or, by negative amounts, smaller) at both ends of its last dimensions.

    ``pad`` is ``(before, after)`` of the last dimension, then of the one before it, and so on. ``mode`` is
    ``"constant"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
    """
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise OpError(
            "Padding length must be divisible by 2 and at most twice the number of dimensions of the input, "
            f"but got pad={list(pad)} for an input of shape {list(input.shape)}"
        )
    if mode == "constant":
        return _constant_pad(input, pad, 0.0 if value is None else value)
    if mode not in _PIECES:
        raise UnsupportedError(f"Unrecognised padding mode {mode}; there are constant, {', '.join(_PIECES)}")
    if value is not None:
        raise OpError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if not any(pad):
        return clone(input)
    image = input
    for axis, before, after in _per_axis(input, pad):
        if mode == "circular":  # a cropped part is no part of the circle
            input, before, after = _cropped(input, axis, before, after), max(before, 0), max(after, 0)
        low, high = max(before, 0), max(after, 0)
        pieces = _PIECES[mode](input, axis, low, high)
        input = _cropped(cat(pieces, axis) if low or high else input, axis, before, after)
    result = clone(input) if input._views else input
    result._cell.strides = None
    return result if mode == "circular" else formatted(result, image)


def _per_axis(input: Tensor, pad: Sequence[int]) -> list[tuple[int, int, int]]:
    return [(input.ndim - 1 - i, int(pad[2 * i]), int(pad[2 * i + 1])) for i in range(len(pad) // 2)]


def _cropped(x: Tensor, axis: int, before: int, after: int) -> Tensor:
    """``x`` without the elements that negative amounts take away."""
    low, high = max(-before, 0), max(-after, 0)
    length = x.shape[axis] - low - high
    if length < 0:
        raise OpError(f"the padding leaves a negative size {length} at dimension {axis} of shape {list(x.shape)}")
    return narrow(x, axis, low, length) if low or high else x


def _constant_pad(x: Tensor, pad: Sequence[int], value: float) -> Tensor:
    amounts = _per_axis(x, pad)
    image = x
    for axis, before, after in amounts:
        x = _cropped(x, axis, before, after)
    start, shape = [0] * x.ndim, list(x.shape)
    for axis, before, after in amounts:
        start[axis] = max(before, 0)
        shape[axis] += max(before, 0) + max(after, 0)
    if shape == list(x.shape):
        return clone(x)
    stop = tuple(a + n for a, n in zip(start, x.shape))
    frame = o.expand(o.constant(value=value, dtype=x.dtype), shape=tuple(shape))
    padded = o.slice_scatter(frame, x.value, start=tuple(start), stop=stop, step=(1,) * x.ndim)
    return formatted(wrap(padded), image)


def _reflected(x: Tensor, axis: int, before: int, after: int) -> list[Tensor]:
    n = x.shape[axis]
    if max(before, after) >= n:
        raise OpError(
            "Padding size should be less than the corresponding input dimension, but got: "
            f"padding ({before}, {after}) at dimension {axis} of input {list(x.shape)}"
        )
    first, last = narrow(x, axis, 1, before), narrow(x, axis, n - 1 - after, after)
    return [flip(first, axis), x, flip(last, axis)]


def _replicated(x: Tensor, axis: int, before: int, after: int) -> list[Tensor]:
    n = x.shape[axis]

    def edge(place: int, count: int) -> Tensor:
        return expand(narrow(x, axis, place, 1), *(count if a == axis else -1 for a in range(x.ndim)))

    return [edge(0, before), x, edge(n - 1, after)]


def _circular(x: Tensor, axis: int, before: int, after: int) -> list[Tensor]:
    n = x.shape[axis]
    if max(before, after) > n:
        raise OpError("Padding value causes wrapping around more than once.")
    return [narrow(x, axis, n - before, before), x, narrow(x, axis, 0, after)]


_PIECES = {"reflect": _reflected, "replicate": _replicated, "circular": _circular}
