"""How tensors are printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

import numpy as np

from compiler.errors import ChoiceError

_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": 2**62, "edgeitems": 3, "linewidth": 80},
}
_state: dict[str, Any] = {**_PROFILES["default"], "sci_mode": None}


def set_printoptions(
    precision: int | None = None,
    threshold: int | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Say how tensors are printed: digits behind the point, elements before ``...`` stands for some, and so on.

    ``profile``: ``"default"``, ``"short"`` or ``"full"`` for all of them. ``sci_mode`` switches ``1e3`` on or off, None
    leaves it to the numbers.
    """
    if profile is not None:
        if profile not in _PROFILES:
            raise ChoiceError(f"profile={profile!r}; choose one of {', '.join(map(repr, _PROFILES))}")
        _state.update(_PROFILES[profile])
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    _state.update({key: value for key, value in given.items() if value is not None})
    _state["sci_mode"] = sci_mode


_START = "tensor("


def text_of(array: np.ndarray, notes: Sequence[str]) -> str:
    """``array`` as PyTorch prints a tensor: the elements, and behind commas the ``notes``."""
    text = _START + (_body(array, len(_START)) if array.size else "[]")
    length = len(text.rpartition("\n")[2]) + 2
    for note in notes:
        length += len(note) + 2
        if length > _state["linewidth"]:
            text, length = f"{text},\n{' ' * len(_START)}{note}", len(_START) + len(note)
        else:
            text += f", {note}"
    return f"{text})"


def _body(array: np.ndarray, indent: int) -> str:
    """The elements in brackets; of one with many elements the first and last along each dimension."""
    edge, cuts = _state["edgeitems"], array.size > _state["threshold"]
    seen = array
    if cuts:
        for axis, n in enumerate(array.shape):
            if n > 2 * edge:
                seen = seen.take([*range(edge), *range(n - edge, n)], axis)
    form, width = _form(seen)
    per_line = max(1, (_state["linewidth"] - indent - array.ndim + 1) // (width + 2))

    def part(items: np.ndarray, inside: int) -> str:
        if not items.ndim:
            return form(items.item())
        few = not cuts or len(items) <= 2 * edge
        ends = items if few else [*items[:edge], None, *items[-edge:]]
        if items.ndim > 1:
            between = "," + "\n" * (items.ndim - 1) + " " * (inside + 1)
            return "[" + between.join("..." if x is None else part(x, inside + 1) for x in ends) + "]"
        words = [" ..." if x is None else form(x.item()).rjust(width) for x in ends]
        lines = [", ".join(words[i : i + per_line]) for i in range(0, len(words), per_line)]
        return "[" + (",\n" + " " * (inside + 1)).join(lines) + "]"

    return part(array, indent)


def _form(array: np.ndarray) -> tuple[Callable[[Any], str], int]:
    """How an element of ``array`` is written, and the characters of the longest, among floats of the finite ones."""
    values = array.ravel().tolist()
    if array.dtype.kind != "f":
        return str, max(len(str(v)) for v in values)
    numbers = [v for v in values if v and isfinite(v)]
    spec, point = _spec([abs(v) for v in numbers])

    def form(v: float) -> str:
        return f"{v:{spec}}{point}" if isfinite(v) else str(v)

    return form, max((len(form(v)) for v in numbers), default=1)


def _spec(sizes: Sequence[float]) -> tuple[str, str]:
    """The format of numbers of these sizes, and what stands behind each."""
    whole = all(v == int(v) for v in sizes)
    if sizes:
        least, largest = min(sizes), max(sizes)
        wide = largest / least > 1000 or largest > 1e8 or (not whole and least < 1e-4)
        if wide if _state["sci_mode"] is None else _state["sci_mode"]:
            return f".{_state['precision']}e", ""
    return (".0f", ".") if whole else (f".{_state['precision']}f", "")
