"""Running results along an axis: each element joins what stands before it.

``cumsum`` and ``recurrence``, which add up, run in f64 and are rounded once for each element.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np

from compiler.errors import OpError
from compiler.ir.graph import Node, Value
from compiler.ir.op import REQUIRED, Op, OpSet, register
from compiler.ir.types import TensorType
from compiler.ops.composite import composite, floating
from compiler.ops.layout import before, reverse
from compiler.ops.reduce import sums


def _infer(x: TensorType, axis: int) -> TensorType:
    if not 0 <= axis < x.rank:
        raise OpError(f"axis {axis} of a rank-{x.rank} tensor is out of range")
    return x


def _scan(name: str, ufunc: np.ufunc, **options: Any) -> Op:
    def reference(x: np.ndarray, axis: int) -> np.ndarray:
        wide = np.float64 if x.dtype.kind == "f" and ufunc is np.add else x.dtype
        return ufunc.accumulate(x, axis, wide)

    return register(
        Op(name, _infer, "index", reference, attrs={"axis": REQUIRED}, anchor="scan", work=_work, **options)
    )


def _work(node: Node) -> int:
    return node.output.type.size * len(node.inputs)


def _cumsum_vjp(o: OpSet, node: Any, g: Value) -> tuple[Value]:
    axis = node.attrs["axis"]
    return (reverse(o, o.cumsum(reverse(o, g, axis), axis=axis), axis),)


def _from_behind(o: OpSet, factor: Value, g: Value, axis: int) -> Value:
    """``h[t] = g[t] + factor[t + 1] h[t + 1]``."""
    factors = before(o, reverse(o, factor, axis), axis, 0)
    return reverse(o, o.recurrence(factors, reverse(o, g, axis), axis=axis), axis)


def _cumprod_vjp(o: OpSet, node: Any, g: Value) -> tuple[Value]:
    """The product before an element times the sum of gradients, each times the factors up to there: right at zeros."""
    axis = node.attrs["axis"]
    return (o.mul(before(o, node.output, axis, 1), _from_behind(o, node.inputs[0], g, axis)),)


_scan("cumsum", np.add, join="add", vjp=_cumsum_vjp, prepare=sums, autocast={"cuda": "fp32"})
_scan("cumprod", np.multiply, start=1, join="mul", vjp=_cumprod_vjp, prepare=sums, autocast={"cuda": "fp32"})
_scan("cummax", np.maximum, start=-inf, join="maximum", differentiable=False)
_scan("cummin", np.minimum, start=inf, join="minimum", differentiable=False)


def _infer_recurrence(factor: TensorType, x: TensorType, axis: int) -> TensorType:
    if factor != x:
        raise OpError(f"recurrence needs factors and terms of one type, not {factor} and {x}")
    return _infer(floating(x), axis)


def _recurrence(factor: np.ndarray, x: np.ndarray, axis: int) -> np.ndarray:
    factors, terms = (np.moveaxis(a.astype(np.float64), axis, 0) for a in (factor, x))
    running, found = np.zeros(terms.shape[1:]), np.empty_like(terms)
    for t in range(len(terms)):
        found[t] = running = factors[t] * running + terms[t]
    return np.moveaxis(found, 0, axis)


def _recurrence_vjp(o: OpSet, node: Any, g: Value) -> tuple[Callable[[], Value], Value]:
    axis = node.attrs["axis"]
    total = _from_behind(o, node.inputs[0], g, axis)
    return (lambda: o.mul(total, before(o, node.output, axis, 0))), total


register(
    Op(
        "recurrence",
        _infer_recurrence,
        "index",
        _recurrence,
        _recurrence_vjp,
        attrs={"axis": REQUIRED},
        anchor="scan",
        join="add",
        work=_work,
    )
)


def _logcumsumexp(o: OpSet, x: Value, axis: int) -> Value:
    """The sum of ``exp(x - m)`` under the running maximum ``m``: where ``m`` grows, the sum so far shrinks."""
    running = o.cummax(o.detach(x), axis=axis)
    top = o.where(o.isfinite(running), running, 0)
    shrink = o.exp(o.sub(before(o, top, axis, 0), top))
    shrink = o.where(o.isfinite(before(o, running, axis, 0)), shrink, 1)
    return o.add(top, o.log(o.recurrence(shrink, o.exp(o.sub(x, top)), axis=axis)))


composite("logcumsumexp", _logcumsumexp, lambda x, axis: _infer(floating(x), axis), attrs={"axis": REQUIRED})
