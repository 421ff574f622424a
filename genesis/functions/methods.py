"""Attaches the functions to Tensor, as methods, in-place methods and operators."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from weakref import ref

import numpy as np

from compiler.errors import ArgumentError, AutogradError, DivisionError, OpError, TraceError
from compiler.ir.location import here, user_location
from compiler.ir.op import o
from genesis.context import current_recording
from genesis.functions.calls import check_holds, checked, with_call
from genesis.functions.differentiation import gradient, set_gradient
from genesis.functions.elementary import bitwise_left_shift, bitwise_right_shift, positive
from genesis.functions.indexing import getitem, setitem
from genesis.functions.pointwise import (
    abs,
    add,
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    eq,
    floor_divide,
    ge,
    gt,
    le,
    lt,
    mul,
    ne,
    neg,
    pow,
    remainder,
    sub,
    true_divide,
)
from genesis.functions.products import matmul
from genesis.functions.shapes import t, transpose
from genesis.functions.table import FUNCTIONS, IN_PLACE, METHODS, OVERWRITING
from genesis.memory.cells import Cell
from genesis.memory.values import concrete, held
from genesis.memory.views import contents
from genesis.methods import Methods
from genesis.tensor import Tensor, memory_of
from genesis.tensor.alias import continued


def _in_place(name: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A method that writes what ``function`` returns into the tensor."""

    @wraps(function)
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        result, own = function(self, *args, **kwargs).value, self._type
        dtype, shape = own.dtype, own.shape
        if result.shape != shape:
            raise AutogradError(
                here(f"output with shape {list(shape)} doesn't match the broadcast shape {list(result.shape)}")
            )
        if result.dtype is dtype:
            return self.write(result)
        check_holds(dtype, result.dtype)
        return self.write(o.cast(result, to=dtype))

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"In place: {function.__doc__}"
    return method


def _function(name: str, method: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A method as a function, which may be given its tensor by name."""

    @wraps(method)
    def call(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if not isinstance(input, Tensor):
            raise ArgumentError(here(f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}"))
        return method(input, *args, **kwargs)

    return checked(call, name)


def _swapped(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda self, other: function(other, self)


_OPERANDS = Tensor | int | float | np.ndarray | np.generic
_NO_OPERANDS = list | tuple | dict | set | str | bytes | None


def _operator(name: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A binary operator that leaves operands it does not know to the other side, unless they are Python's own."""
    equality = name in ("eq", "ne")

    def method(self: Tensor, other: Any) -> Tensor:
        if isinstance(other, _OPERANDS):
            try:
                return function(self, other)
            except DivisionError as error:
                raise with_call(error, function.__name__, (self, other)) from None
        if isinstance(other, _NO_OPERANDS) and not equality:
            raise ArgumentError(
                here(
                    f"unsupported operand types for __{name}__: {self._type} Tensor and {type(other).__name__}",
                    "genesis.tensor(...) makes a tensor of numbers, lists and arrays",
                )
            )
        return NotImplemented

    return method


def attach() -> None:
    """Give Tensor all methods of the tables, and what has a syntax of its own: operators, indices, properties."""
    for name, function in METHODS.items():
        setattr(Methods, name, function)
    for name, function in IN_PLACE.items():
        method = _in_place(name, function)
        setattr(Methods, name, method)
        if name in OVERWRITING:
            FUNCTIONS.setdefault(name, _function(name, method))
    for name, function in _OPERATORS.items():
        setattr(Methods, f"__{name}__", _operator(name, function))
        setattr(Methods, f"__r{name}__", _operator(f"r{name}", _swapped(function)))
        if name != "matmul":
            setattr(Methods, f"__i{name}__", _in_place(f"__i{name}__", function))
    for name, function in _COMPARISONS.items():
        setattr(Methods, f"__{name}__", _operator(name, function))
    for name, attribute in _SPECIAL.items():
        setattr(Methods, name, attribute)


def _transposed(self: Tensor) -> Tensor:
    """A matrix transposed; vectors as they are."""
    return t(self)


def _matrix_transposed(self: Tensor) -> Tensor:
    """A matrix transposed; there are no complex numbers to conjugate."""
    if self.ndim != 2:
        raise OpError(here(f"tensor.H is only supported on matrices (2-D tensors). Got {self.ndim}-D tensor."))
    return t(self)


def _matrices_transposed(self: Tensor) -> Tensor:
    """The last two dimensions exchanged."""
    return transpose(self, -2, -1)


def _data(self: Tensor) -> Tensor:
    """The contents outside autograd. Assigned: the memory of another tensor, of any shape."""
    return self.view_as_op(contents)


def _set_data(self: Tensor, source: Tensor) -> None:
    """``t.data = source``: the memory of ``source`` (of any shape) for the same identity, outside autograd.

    Views and arrays that show ``t`` keep the memory that it had. A view leaves the storage that it showed. In a step
    that is being compiled the type must stay, and ``source`` must not be used elsewhere; TraceError otherwise.
    """
    recording = current_recording()
    if recording is not None:
        if self._views or source._type != self._type:
            raise TraceError(
                f"assignment of a {source._type} tensor to .data of {'a view of ' * bool(self._views)}{self._type} "
                f"inside a compiled step\n  at {user_location()}\n  use copy_ under no_grad, or assign outside the step"
            )
        if source._cell is not self._cell:
            recording.lent.append((ref(source._cell), user_location()))
            recording.part(self._cell)
        self._cell.write(continued(self._cell.read(), held(o.detach(source.value))), unseen=True)
        return
    shared, strides = memory_of(source, "assignment to .data"), source.value.strides
    value = continued(self.value, concrete(shared.array, source._type))
    if self._views:
        self._start(Cell(value, requires_grad=self.requires_grad and not value.requires_grad), ())
    else:
        if source._cell is not self._cell:
            self._cell.part()
        self._cell.shared = None
        self._cell.write(value, unseen=True)
    self._cell.hold(shared)
    self._cell.strides = strides


_OPERATORS: dict[str, Callable[..., Tensor]] = {
    "add": add, "sub": sub, "mul": mul, "truediv": true_divide, "floordiv": floor_divide, "mod": remainder, "pow": pow,
    "matmul": matmul, "and": bitwise_and, "or": bitwise_or, "xor": bitwise_xor,
    "lshift": bitwise_left_shift, "rshift": bitwise_right_shift,
}  # fmt: skip
_COMPARISONS: dict[str, Callable[..., Tensor]] = {"eq": eq, "ne": ne, "lt": lt, "le": le, "gt": gt, "ge": ge}
_SPECIAL = {
    "T": property(_transposed),
    "mT": property(_matrices_transposed),
    "mH": property(_matrices_transposed),
    "H": property(_matrix_transposed),
    "data": property(_data, _set_data),
    "grad": property(gradient, set_gradient),
    "__getitem__": getitem,
    "__setitem__": setitem,
    "__neg__": neg,
    "__pos__": positive,
    "__abs__": abs,
    "__invert__": bitwise_not,
}
