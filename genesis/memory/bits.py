"""The bits of a tensor read as another dtype: the op behind ``x.view(dtype)``, for eager tensors only."""

from __future__ import annotations

from typing import Any

import numpy as np

from compiler.errors import OpError
from compiler.ir.op import REQUIRED, Op
from compiler.ir.types import DType, TensorType, dtype


def _infer(x: TensorType, to: DType, last: int | None) -> TensorType:
    return TensorType(to, x.shape if last is None else (*x.shape[:-1], last))


def _reference(x: np.ndarray, to: DType, last: int | None) -> np.ndarray:
    shape = _infer(TensorType(dtype(x.dtype), x.shape), to, last).shape
    return np.ascontiguousarray(x).view(to.numpy).reshape(shape)


BITS = Op(
    "bits", _infer, "view", _reference, attrs={"to": REQUIRED, "last": None}, raw=True, differentiable=False
)  # fmt: skip
"""``last``: the new size of the last dimension where elements of ``to`` are larger or smaller, else None."""


def bits_attrs(x: TensorType, to: DType) -> dict[str, Any]:
    """The attributes by which :data:`BITS` shows ``x`` as ``to``; raises where elements would be cut."""
    if to.itemsize == x.dtype.itemsize:
        return {"to": to}
    if not x.rank:
        raise OpError(f"self.dim() cannot be 0 to view {x} as {to.name} (different element sizes)")
    nbytes = x.shape[-1] * x.dtype.itemsize
    if nbytes % to.itemsize:
        factor = to.itemsize // x.dtype.itemsize
        raise OpError(f"self.size(-1) must be divisible by {factor} to view {x} as {to.name} (different element sizes)")
    return {"to": to, "last": nbytes // to.itemsize}
