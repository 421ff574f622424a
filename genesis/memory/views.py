"""Chains of view ops from a storage to what a tensor shows of it, and how to write through them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from compiler.errors import AutogradError
from compiler.ir.graph import Value
from compiler.ir.op import o
from genesis.memory.bits import BITS, bits_attrs
from genesis.memory.cells import Cell
from genesis.memory.diagonals import diagonal_of, put_diagonal
from genesis.memory.strided import put_strided, strided_of
from genesis.memory.values import TensorValue, held
from genesis.memory.windows import put_windows, windows_of


class Operand(Protocol):
    """A tensor, as far as a view asks."""

    @property
    def value(self) -> TensorValue: ...


View = tuple[Callable[..., Value], tuple[Operand, ...], dict[str, Any]]
"""A view op, its operands besides the tensor that is viewed, its attributes."""


def contents(value: Value) -> Value:
    """The tensor behind ``.data``: no history, and writes that a backward pass does not know of."""
    result: Value = o.detach(value)
    return result


def as_leaf(value: Value, leaf: Cell) -> TensorValue:
    """The contents of ``value`` as a leaf, whose gradient ``leaf`` collects."""
    result = held(o.detach(value))
    result.leaf, result.requires_grad, result.cut = leaf, leaf.requires_grad, False
    return result


def put(base: Value, views: tuple[View, ...], value: Value) -> Value:
    """``base`` with the part that ``views`` show replaced by ``value``."""
    if not views:
        if value.type != base.type:
            raise AutogradError(f"cannot write a {value.type} into a tensor of type {base.type}")
        return value
    op, operands, attrs = views[0]
    rest = [x.value for x in operands]
    inner = put(op(base, *rest, **attrs), views[1:], value)
    if op is o.reshape:
        return o.reshape(inner, shape=base.shape)
    if op is o.permute:
        dims = attrs["dims"]
        return o.permute(inner, dims=tuple(sorted(range(len(dims)), key=dims.__getitem__)))
    if op is o.slice:
        return o.slice_scatter(base, inner, **attrs)
    if op is BITS:
        return op(inner, **bits_attrs(inner.type, base.dtype))
    if op is o.take:
        (index,) = rest
        return o.put_rows(base, index, inner)
    if op is diagonal_of:
        return put_diagonal(base, inner, **attrs)
    if op is strided_of:
        return put_strided(base, inner, **attrs)
    if op is windows_of:
        return put_windows(base, inner, **attrs)
    if op in (o.detach, contents, as_leaf):
        return inner
    if op is o.expand and inner.type.size == base.type.size:
        return o.reshape(inner, shape=base.shape)
    raise AutogradError(
        "unsupported operation: more than one element of the written-to tensor refers to a single memory location "
        f"(an expanded view of shape {list(inner.shape)}). Please clone() the tensor before performing the operation."
    )
