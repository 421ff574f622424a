"""Values of the user's program: what tensors hold, in an eager call or while a step is recorded."""

from __future__ import annotations

from typing import Any

import numpy as np

from compiler.interpret import Computed
from compiler.ir.graph import Node, Value
from compiler.ir.types import TensorType


class TensorValue(Computed):
    """A value that a tensor may hold.

    Attributes:
        data: the NumPy array of an eager value, None in a recording.
        requires_grad: whether gradients are wanted with respect to it, or to what it was computed from.
        leaf: the cell whose gradient the adjoint of this value goes to.
        cut: it was recorded under ``no_grad``, from one that requires a gradient.
        place: where the contents of a tensor stood when this value was read there.
        strides: how the elements stood in memory, as PyTorch has it; None for row-major order.
    """

    __slots__ = ("cut", "leaf", "place", "requires_grad", "strides")

    def __init__(self, type: TensorType, name: str = "", producer: Node | None = None, data: Any = None) -> None:
        self.type, self.name, self.producer, self.data = type, name, producer, data  # one call, since all results are
        self.number = False
        self.requires_grad = False
        self.leaf: Any = None
        self.cut = False
        self.place: Any = None
        self.strides: tuple[int, ...] | None = None


def concrete(array: np.ndarray, type: TensorType) -> TensorValue:
    """An eager value with the contents ``array``."""
    return TensorValue(type, data=array)


def held(value: Value) -> TensorValue:
    """``value``, which an op gave while the ambient builder was one of Genesis."""
    assert isinstance(value, TensorValue), f"{value!r} was not made for a tensor"
    return value
