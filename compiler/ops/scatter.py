"""Scatters: elements that join others where an index says, in the order of the index, so that results never vary."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np

from compiler.errors import OpError
from compiler.ir.graph import Node, Value
from compiler.ir.op import REQUIRED, Op, OpSet, register
from compiler.ir.types import TensorType


def _infer_scatter_rows(index: TensorType, source: TensorType, rows: int) -> TensorType:
    if index.dtype.kind != "int" or source.shape[: index.rank] != index.shape:
        raise OpError(f"scatter_rows needs one row of the source per index, not {index} and {source}")
    return TensorType(source.dtype, (rows, *source.shape[index.rank :]))


def _scatter_work(node: Node) -> int:
    return node.inputs[-1].type.size


def _scatter_rows(index: np.ndarray, source: np.ndarray, rows: int) -> np.ndarray:
    result = np.zeros((rows, *source.shape[index.ndim :]), source.dtype)
    np.add.at(result, index.reshape(-1), source.reshape(index.size, *source.shape[index.ndim :]))
    return result


register(
    Op(
        "scatter_rows",
        _infer_scatter_rows,
        "index",
        _scatter_rows,
        lambda o, node, g: (None, o.take(g, node.inputs[0])),
        attrs={"rows": REQUIRED},
        work=_scatter_work,
        anchor="scatter",
        join="add",
    )
)


def _infer_scatter(x: TensorType, index: TensorType, source: TensorType, axis: int) -> TensorType:
    if index.dtype.kind != "int" or index.shape != source.shape or index.rank != x.rank or source.dtype is not x.dtype:
        raise OpError(
            f"a scatter needs index and source of one shape and the input's rank, and one type, "
            f"not {index}, {source}, {x}"
        )
    for a, (n, m) in enumerate(zip(x.shape, index.shape, strict=True)):
        if a != axis and m > n:
            raise OpError(f"the index {list(index.shape)} exceeds the input {list(x.shape)} at dimension {a}")
    return x


def _places(index: np.ndarray, axis: int) -> tuple[Any, ...]:
    places: list[Any] = list(np.indices(index.shape, sparse=True))
    places[axis] = index
    return tuple(places)


def _scatter(name: str, ufunc: np.ufunc | None, vjp: Callable[..., Any], join: str = "", start: float = 0) -> Op:
    """A record; without ``ufunc`` and ``join``, the last of several elements for one place stays."""

    def reference(x: np.ndarray, index: np.ndarray, source: np.ndarray, axis: int) -> np.ndarray:
        result = x.copy()
        if ufunc is None:
            result[_places(index, axis)] = source
        else:
            ufunc.at(result, _places(index, axis), source)
        return result

    return register(
        Op(
            name,
            _infer_scatter,
            "index",
            reference,
            vjp,
            attrs={"axis": REQUIRED},
            work=_scatter_work,
            anchor="scatter",
            raw=ufunc is None,
            join=join,
            start=start,
        )
    )


Rule = tuple[Any, None, Callable[[], Value]]


def _scatter_vjp(o: OpSet, node: Any, g: Value) -> Rule:
    """As in PyTorch, every element that was written gets the gradient of its place, the last one or not."""
    _, index, source = node.inputs
    axis = node.attrs["axis"]
    nothing = o.zeros(shape=source.shape, dtype=g.dtype)
    return (lambda: o.scatter(g, index, nothing, axis=axis)), None, lambda: o.gather(g, index, axis=axis)


def _add_vjp(o: OpSet, node: Any, g: Value) -> Rule:
    return g, None, lambda: o.gather(g, node.inputs[1], axis=node.attrs["axis"])


def _prod_vjp(o: OpSet, node: Any, g: Value) -> Rule:
    """The result over each factor; a factor that is the only zero gets the product of the others."""
    x, index, source = node.inputs
    axis = node.attrs["axis"]

    def to_x() -> Value:
        filled = o.where(o.eq(x, 0), 1, x)
        return o.mul(g, o.div(o.scatter_prod(filled, index, source, axis=axis), filled))

    def to_source() -> Value:
        zero = o.eq(source, 0)
        zeros = o.scatter_add(o.zeros(shape=x.shape, dtype=g.dtype), index, o.cast(zero, to=g.dtype), axis=axis)
        single = o.logical_and(zero, o.eq(o.gather(zeros, index, axis=axis), 1))
        others = o.scatter_prod(x, index, o.where(single, 1, source), axis=axis)
        quotient = o.div(o.gather(o.mul(g, node.output), index, axis=axis), o.where(zero, 1, source))
        return o.where(single, o.gather(o.mul(g, others), index, axis=axis), quotient)

    return to_x, None, to_source


def _extremum_vjp(o: OpSet, node: Any, g: Value) -> Rule:
    """Split evenly among all that attain the extremum, as PyTorch's ``scatter_reduce`` does."""
    x, index, source = node.inputs
    axis = node.attrs["axis"]
    kept = o.cast(o.eq(x, node.output), to=g.dtype)
    hit = o.cast(o.eq(source, o.gather(node.output, index, axis=axis)), to=g.dtype)
    share = o.div(g, o.scatter_add(kept, index, hit, axis=axis))
    return o.mul(kept, share), None, lambda: o.mul(hit, o.gather(share, index, axis=axis))


_scatter("scatter", None, _scatter_vjp)
_scatter("scatter_add", np.add, _add_vjp, "add")
_scatter("scatter_prod", np.multiply, _prod_vjp, "mul", 1)
_scatter("scatter_amax", np.maximum, _extremum_vjp, "maximum", -inf)
_scatter("scatter_amin", np.minimum, _extremum_vjp, "minimum", inf)
