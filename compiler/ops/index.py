"""Index ops: counting, look-ups, and rows written to a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from compiler.errors import OpError, OutOfRangeError
from compiler.ir.graph import Value
from compiler.ir.op import REQUIRED, Op, OpSet, register
from compiler.ir.types import Shape, TensorType, i64


def _iota(shape: Shape, axis: int) -> np.ndarray:
    line = np.arange(shape[axis], dtype=np.int64)
    return np.broadcast_to(line.reshape([-1 if a == axis else 1 for a in range(len(shape))]), shape)


register(
    Op(
        "iota",
        lambda shape, axis: TensorType(i64, tuple(shape)),
        "pointwise",
        _iota,
        attrs={"shape": REQUIRED, "axis": REQUIRED},
        differentiable=False,
        raw=True,
        numbered=True,
    )
)


def _bounded(index: np.ndarray, size: int, what: str) -> np.ndarray:
    wrong = (index < 0) | (index >= size)
    if wrong.any():
        where = int(np.flatnonzero(wrong)[0])
        raise OutOfRangeError(out_of_range(what, int(index.reshape(-1)[where]), size, where))
    return index


def out_of_range(what: str, value: int, size: int, where: int) -> str:
    """The message for an index outside ``[0, size)``, the same from every executor."""
    return f"{what} {value} is out of range [0, {size}) (element {where})"


def _infer_bounded(index: TensorType, size: int, what: str) -> TensorType:
    if index.dtype.kind != "int":
        raise OpError(f"{what} must be an integer tensor, not {index.dtype.name}")
    return index


register(
    Op(
        "bounded",
        _infer_bounded,
        "pointwise",
        _bounded,
        attrs={"size": REQUIRED, "what": "index"},
        differentiable=False,
        raw=True,
        checks=True,
    )
)


def _infer_take(table: TensorType, index: TensorType) -> TensorType:
    if table.rank < 1 or index.dtype.kind != "int":
        raise OpError(f"take needs a table of rank >= 1 and integer indices, not {table} and {index}")
    return TensorType(table.dtype, (*index.shape, *table.shape[1:]))


def _take_vjp(o: OpSet, node: Any, g: Value) -> tuple[Any, None]:
    table, index = node.inputs
    return (lambda: o.scatter_rows(index, g, rows=table.shape[0])), None


register(
    Op(
        "take",
        _infer_take,
        "index",
        lambda table, index: table[index],
        _take_vjp,
        raw=True,
        reads="rows",
    )
)


def _infer_gather(x: TensorType, index: TensorType, axis: int) -> TensorType:
    if index.dtype.kind != "int" or index.rank != x.rank:
        raise OpError(f"gather needs an integer index of the same rank, not {index} for {x}")
    for a, (n, m) in enumerate(zip(x.shape, index.shape, strict=True)):
        if a != axis and m > n:
            raise OpError(f"the index {list(index.shape)} exceeds the input {list(x.shape)} at dimension {a}")
    return TensorType(x.dtype, index.shape)


def _trim(x: np.ndarray, index: np.ndarray, axis: int) -> np.ndarray:
    return x[tuple(slice(None) if a == axis else slice(m) for a, m in enumerate(index.shape))]


def _gather_vjp(o: OpSet, node: Any, g: Value) -> tuple[Any, None]:
    x, index = node.inputs
    zeros = o.zeros(shape=x.shape, dtype=g.dtype)
    return (lambda: o.scatter_add(zeros, index, g, axis=node.attrs["axis"])), None


register(
    Op(
        "gather",
        _infer_gather,
        "index",
        lambda x, index, axis: np.take_along_axis(_trim(x, index, axis), index, axis),
        _gather_vjp,
        attrs={"axis": REQUIRED},
        raw=True,
        reads="lookup",
    )
)


def _expand_embedding(o: OpSet, weight: Value, index: Value, padding_idx: int | None) -> Value:
    return o.take(weight, o.bounded(index, size=weight.shape[0], what="embedding index"))


def _embedding_vjp(o: OpSet, node: Any, g: Value) -> tuple[Any, None]:
    weight, index = node.inputs
    padding = node.attrs["padding_idx"]
    if padding is not None:
        used = o.reshape(o.ne(index, padding), shape=(*index.shape, *(1 for _ in weight.shape[1:])))
        g = o.where(used, g, 0)
    return (lambda: o.scatter_rows(index, g, rows=weight.shape[0])), None


register(
    Op(
        "embedding",
        lambda weight, index, padding_idx: _infer_take(weight, index),
        "composite",
        vjp=_embedding_vjp,
        expand=_expand_embedding,
        attrs={"padding_idx": None},
    )
)


def _infer_put_rows(table: TensorType, index: TensorType, source: TensorType) -> TensorType:
    if table.rank < 1 or index.dtype.kind != "int" or source.shape != (*index.shape, *table.shape[1:]):
        raise OpError(f"put_rows needs one row of the source per index, not {index} and {source} for {table}")
    if source.dtype is not table.dtype:
        raise OpError(f"put_rows needs a source of the table's dtype, not {source.dtype.name} for {table.dtype.name}")
    return table


def _put_rows(table: np.ndarray, index: np.ndarray, source: np.ndarray) -> np.ndarray:
    result = table.copy()
    result[index.reshape(-1)] = source.reshape(index.size, *table.shape[1:])
    return result


def _last_writer(o: OpSet, index: Value, rows: int) -> Value:
    """For each row the place of the last index that names it, -1 where none does: i64[rows]."""
    count = index.type.size
    if not count:
        return o.expand(o.constant(value=-1, dtype=i64), shape=(rows,))
    row, place = o.iota(shape=(rows, 1), axis=0), o.iota(shape=(1, count), axis=1)
    return o.amax(o.where(o.eq(o.reshape(index, shape=(1, count)), row), place, -1), axes=(1,))


def _expand_put_rows(o: OpSet, table: Value, index: Value, source: Value) -> Value:
    rows, *row = table.shape
    if not source.type.size:
        return table
    last = _last_writer(o, index, rows)
    written = o.take(o.reshape(source, shape=(index.type.size, *row)), o.maximum(last, 0))
    return o.where(o.reshape(o.ge(last, 0), shape=(rows, *(1 for _ in row))), written, table)


def _put_rows_vjp(o: OpSet, node: Any, g: Value) -> tuple[Any, ...]:
    table, index, _ = node.inputs
    rows, *row = table.shape
    last = _last_writer(o, index, rows)

    def to_table() -> Value:
        return o.where(o.reshape(o.lt(last, 0), shape=(rows, *(1 for _ in row))), g, 0)

    def to_source() -> Value:
        if not index.type.size:
            return o.zeros(shape=node.inputs[2].shape, dtype=g.dtype)
        place = o.reshape(o.iota(shape=(index.type.size,), axis=0), shape=index.shape)
        stays = o.eq(o.take(last, index), place)
        return o.where(o.reshape(stays, shape=(*index.shape, *(1 for _ in row))), o.take(g, index), 0)

    return to_table, None, to_source


register(
    Op(
        "put_rows",
        _infer_put_rows,
        "composite",
        _put_rows,
        _put_rows_vjp,
        expand=_expand_put_rows,
        raw=True,
    )
)
