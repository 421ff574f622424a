"""``genesis.testing``: comparing results with expected ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from compiler.errors import InvariantError, MisuseError
from compiler.ir.types import DType, bf16, f16, f32, f64, u8
from compiler.ir.types import dtype as to_dtype
from genesis.functions.creation import rand
from genesis.functions.queries import finfo
from genesis.scope import AROUND
from genesis.tensor import Tensor, tensor

__eager_only__ = AROUND

__all__ = [
    "assert_allclose",
    "assert_close",
    "make_tensor",
]

_TOLERANCES = {f16: (1e-3, 1e-5), bf16: (1.6e-2, 1e-5), f32: (1.3e-6, 1e-5), f64: (1e-7, 1e-7)}
"""Relative and absolute, as in PyTorch: https://docs.pytorch.org/docs/stable/testing.html"""


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Check ``|actual - expected| <= atol + rtol * |expected|``, shapes, dtypes, and containers item by item.

    Arguments are tensors, arrays, numbers, or sequences and mappings of them. The tolerances are PyTorch's for
    the dtype, of two dtypes the larger ones, and exact for ints; ``rtol`` and ``atol`` are given together.

    Raises:
        AssertionError: they differ; the message says where and by how much, or is ``msg``.
        RuntimeError: only one of ``rtol`` and ``atol`` is given.
    """
    if (rtol is None) != (atol is None):
        raise MisuseError("rtol and atol must both be specified or both be unspecified")
    tolerances = None if rtol is None or atol is None else (rtol, atol)
    found = _difference(actual, expected, tolerances, equal_nan, check_dtype, check_stride, "")
    if found is not None:
        raise InvariantError(msg(found) if callable(msg) else msg if msg is not None else found)


def assert_allclose(
    actual: Any,
    expected: Any,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = True,
    msg: str = "",
) -> None:
    """:func:`assert_close` by its old name; dtypes may differ, and NaN equals NaN."""
    assert_close(
        actual,
        expected,
        rtol=rtol,
        atol=atol,
        equal_nan=equal_nan,
        check_dtype=False,
        msg=msg or None,
    )


def make_tensor(
    *shape: Any,
    dtype: DType,
    device: Any = "cpu",
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """Uniform numbers of ``[low, high)``: -9 to 9 unless told otherwise, 0 to 9 of uint8, False and True of bool.

    ``noncontiguous``: every second element of a larger tensor. ``exclude_zero``: the least positive number for 0.
    """
    sizes = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
    kind = to_dtype(dtype)
    least, most = {"bool": (0, 2), "int": (0 if kind is u8 else -9, 10)}.get(kind.kind, (-9, 9))
    start, end = least if low is None else low, most if high is None else high
    spread = (*sizes[:-1], 2 * sizes[-1]) if noncontiguous and sizes else sizes
    numbers = rand(*spread, dtype=f64, device=device) * (end - start) + start
    made = numbers.to(kind) if kind.is_floating_point else numbers.floor().to(kind)
    if exclude_zero:
        made = made.masked_fill(made == 0, finfo(kind).tiny if kind.is_floating_point else 1)
    made = made[..., ::2] if spread != sizes else made
    return made.requires_grad_() if requires_grad else made


def _difference(
    actual: Any,
    expected: Any,
    tolerances: tuple[float, float] | None,
    equal_nan: bool,
    check_dtype: bool,
    check_stride: bool,
    place: str,
) -> str | None:
    """How the two differ; None if they are close."""
    rest = tolerances, equal_nan, check_dtype, check_stride
    at = f"\n\nThe failure occurred for item {place}" if place else ""
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        if actual.keys() != expected.keys():
            return f"The keys of the mappings do not match: {sorted(map(repr, actual.keys() ^ expected.keys()))}{at}"
        pairs = [(f"[{key!r}]", actual[key], expected[key]) for key in expected]
    elif _is_sequence(actual) and _is_sequence(expected):
        if len(actual) != len(expected):
            return f"The length of the sequences mismatch: {len(actual)} != {len(expected)}{at}"
        pairs = [(f"[{i}]", a, e) for i, (a, e) in enumerate(zip(actual, expected, strict=True))]
    elif actual is None or expected is None or isinstance(actual, str) or isinstance(expected, str):
        return None if actual == expected else f"{actual!r} is not {expected!r}{at}"
    else:
        found = _unlike(_tensor(actual), _tensor(expected), *rest)
        return found and found + at
    return next((d for key, a, e in pairs if (d := _difference(a, e, *rest, place + key)) is not None), None)


def _is_sequence(x: Any) -> bool:
    return isinstance(x, Sequence) and not isinstance(x, str)


def _tensor(x: Any) -> Tensor:
    if isinstance(x, Tensor):
        return x.detach()
    return tensor(x, dtype=f64) if isinstance(x, float) else tensor(x)  # a number of Python has 64 bits


def _unlike(
    a: Tensor,
    e: Tensor,
    tolerances: tuple[float, float] | None,
    equal_nan: bool,
    check_dtype: bool,
    check_stride: bool,
) -> str | None:
    if a.shape != e.shape:
        return f"The values for attribute 'shape' do not match: {a.shape} != {e.shape}."
    if check_dtype and a.dtype is not e.dtype:
        return f"The values for attribute 'dtype' do not match: {a.dtype!r} != {e.dtype!r}."
    if check_stride and a.stride() != e.stride():
        return f"The values for attribute 'stride()' do not match: {a.stride()} != {e.stride()}."
    rtol, atol = tolerances or tuple(map(max, zip(_tolerances(a.dtype), _tolerances(e.dtype), strict=True)))
    x, y = (np.asarray(t.numpy(), np.float64) for t in (a, e))
    exact = not a.dtype.is_floating_point and not e.dtype.is_floating_point and not rtol and not atol
    close = a.numpy() == e.numpy() if exact else np.isclose(x, y, rtol, atol, equal_nan)
    if np.all(close):
        return None
    with np.errstate(all="ignore"):
        gaps = np.where(close, 0.0, np.abs(x - y))
        ratios = np.where(close, 0.0, gaps / np.abs(y))
    count = int(np.size(close) - np.count_nonzero(close))
    kind = "Scalars" if not x.ndim else "Tensor-likes"
    lines = [f"{kind} are not {'equal' if exact else 'close'}!", ""]
    if x.ndim:
        lines.append(f"Mismatched elements: {count} / {x.size} ({100 * count / x.size:.1f}%)")
    else:
        lines.append(f"Expected {y.item()} but got {x.item()}.")
    for name, values, limit in (("absolute", gaps, atol), ("relative", ratios, rtol)):
        index = tuple(int(i) for i in np.unravel_index(int(np.argmax(values)), values.shape))
        where = f" at index {index}" if x.ndim else ""
        lines.append(f"Greatest {name} difference: {values[index]}{where} (up to {limit} allowed)")
    return "\n".join(lines)


def _tolerances(kind: DType) -> tuple[float, float]:
    return _TOLERANCES.get(kind, (0.0, 0.0))
