"""Eager functions against PyTorch at the points where formulas go wrong: values and gradients.

NaN, infinities and zeros are where PyTorch has them. Finite numbers are within 200 units in the last place, 32 for
16-bit floats: a slope of another branch is far off, another order of rounding is not.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

import genesis
from tests.oracle.special_points import DIFFERENT, FLOATS, ROWS, Row, inputs

torch = pytest.importorskip("torch")

UNITS = {"float32": 200.0, "float64": 1e5, "float16": 32.0, "bfloat16": 32.0}
"""PyTorch's functions of f64 are good to about 1e-11 where theirs of f32 are to 1e-5."""


def to_torch(x: np.ndarray) -> Any:
    if x.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(x.astype(np.float32)).bfloat16()
    return torch.from_numpy(x.copy())


def to_numpy(x: Any) -> np.ndarray:
    """Contents as f64 where they are 16-bit floats."""
    x = x.detach()
    return np.asarray((x.double() if "float16" in str(x.dtype) else x).numpy())


def name_of(x: Any) -> str:
    return str(x.dtype).rpartition(".")[2]


def check(got: Any, want: Any, row: Row, arrays: list[np.ndarray], what: str) -> None:
    """Equal types and shapes, and contents as the docstring of this file says."""
    assert name_of(got) == name_of(want)
    assert tuple(got.shape) == tuple(want.shape)
    a, b = to_numpy(got), to_numpy(want)
    if name_of(got) not in FLOATS:
        bad = a != b
    else:
        about = ml_dtypes.finfo(arrays[0].dtype if what != "value" and arrays[0].dtype.kind != "b" else name_of(got))
        with np.errstate(all="ignore"):
            allowed = UNITS[name_of(got)] * float(about.eps) * np.maximum(np.abs(a), np.abs(b))
            allowed += 4 * float(about.smallest_subnormal) + row.floor * float(about.eps)
            close = np.isfinite(a) & np.isfinite(b) & (np.abs(a - b) <= allowed)
        bad = ~(close | (a == b) | (np.isnan(a) & np.isnan(b)))
    if row.name in DIFFERENT and bad.shape:
        with np.errstate(all="ignore"):
            known = DIFFERENT[row.name][1](*arrays)
        bad = bad & ~known.reshape(known.shape + (1,) * (bad.ndim - 1))
    if bad.any():
        at = np.argwhere(bad)[:8]
        points = [[x[i] for x in arrays] if row.operands else arrays[0] for (i, *_) in at] if bad.shape else arrays
        shown = "\n".join(f"  {p}: {a[tuple(i)]}, not {b[tuple(i)]}" for i, p in zip(at, points, strict=False))
        pytest.fail(f"{what} of {row.name} in {arrays[0].dtype}: {bad.sum()} of {bad.size} differ\n{shown}")


def test_names_are_unique_and_differences_known() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert set(names) >= DIFFERENT.keys()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("dtype, row", [pytest.param(d, r, id=f"{r.name}-{d}") for r in ROWS for d in r.dtypes])
def test_values_and_gradients(dtype: str, row: Row) -> None:
    arrays = inputs(row, dtype)
    ours, theirs = [genesis.tensor(a) for a in arrays], [to_torch(a) for a in arrays]
    differentiable = row.grad and dtype in FLOATS
    for x in (*ours, *theirs) if differentiable else ():
        x.requires_grad_()
    got, want = row.call(genesis, *ours), row.call(torch, *theirs)
    check(got, want, row, arrays, "value")
    if not differentiable or not want.requires_grad:
        return
    want.backward(torch.ones_like(want))
    got.backward(genesis.ones_like(got))
    for k, (x, y) in enumerate(zip(ours, theirs, strict=True)):
        expected = torch.zeros_like(y) if y.grad is None else y.grad
        check(genesis.zeros_like(x) if x.grad is None else x.grad, expected, row, arrays, f"gradient {k}")
