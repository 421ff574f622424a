"""Order along the last axis: the places of its elements, in order.

A NaN is larger than every number; equal elements keep their order.
"""

from __future__ import annotations

from math import log2

import numpy as np

from compiler.errors import OpError
from compiler.ir.graph import Node
from compiler.ir.op import REQUIRED, Op, register
from compiler.ir.types import TensorType, i64


def _infer(x: TensorType, count: int, descending: bool) -> TensorType:
    if not x.rank or not 0 <= count <= x.shape[-1]:
        raise OpError(f"argsort finds up to as many elements as the last axis has, not {count} of {x}")
    return TensorType(i64, (*x.shape[:-1], count))


def _argsort(x: np.ndarray, count: int, descending: bool) -> np.ndarray:
    if not descending:
        return np.argsort(x, -1, kind="stable")[..., :count].astype(np.int64)
    backwards = np.argsort(x[..., ::-1], -1, kind="stable")[..., ::-1]
    return (x.shape[-1] - 1 - backwards)[..., :count].astype(np.int64)


def _work(node: Node) -> int:
    x, count = node.inputs[0], node.attrs["count"]
    return int(x.type.size * max(log2(max(count, 2)), 1))


register(
    Op(
        "argsort",
        _infer,
        "index",
        _argsort,
        attrs={"count": REQUIRED, "descending": False},
        differentiable=False,
        anchor="sort",
        work=_work,
    )
)
