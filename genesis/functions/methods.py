"""Attaches the functions to Tensor, as methods, in-place methods and operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from compiler.errors import ArgumentError, AutogradError, TraceError
from compiler.ir.location import here, user_location
from compiler.ir.op import o
from compiler.ir.types import DType, boolean, dtype, f32, f64, i64
from compiler.ir.types import dtype as to_dtype
from genesis.context import current_recording
from genesis.functions.calls import checked
from genesis.functions.conversion import reinterpreted
from genesis.functions.indexing import getitem, setitem
from genesis.functions.pointwise import (
    abs,
    add,
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    cast,
    floor_divide,
    mul,
    neg,
    pow,
    remainder,
    sub,
    true_divide,
    where,
)
from genesis.functions.products import matmul
from genesis.functions.shapes import expand, reshape, split, t, transpose, view
from genesis.storage import Cell
from genesis.tensor import Tensor, contents, from_array

_METHODS = (
    "abs exp expm1 log log1p log2 sqrt rsqrt reciprocal sin cos tanh erf sigmoid relu neg sign floor ceil trunc "
    "round add sub mul div true_divide pow maximum minimum floor_divide remainder eq ne lt le gt ge isnan isinf "
    "isfinite logical_and logical_or logical_xor logical_not clamp where square lerp addcmul addcdiv masked_fill "
    "sum mean amax amin any all logsumexp var std argmax argmin max min softmax log_softmax norm reshape flatten "
    "unflatten permute transpose t expand unsqueeze squeeze broadcast_to repeat narrow select flip split chunk "
    "unbind tril triu matmul mm bmm mv dot baddbmm addmm outer gather scatter_add index_select clone detach "
    "contiguous to copy_ fill_ zero_ uniform_ normal_ equal allclose new_full new_zeros new_ones new_empty new_tensor"
).split()
_IN_PLACE = (
    "add sub mul div clamp masked_fill exp sqrt neg abs relu sigmoid tanh lerp addcmul addcdiv pow round scatter_add"
).split()


def _in_place(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        result = function(self, *args, **kwargs).value
        if tuple(result.shape) != self.shape:
            raise AutogradError(
                here(f"output with shape {list(self.shape)} doesn't match the broadcast shape {list(result.shape)}")
            )
        if result.dtype.is_floating_point and not self.dtype.is_floating_point:
            raise AutogradError(
                here(f"result type {result.dtype!r} can't be cast to the desired output type {self.dtype!r}")
            )
        return self.write(o.cast(result, to=self.dtype) if result.dtype is not self.dtype else result)

    method.__doc__ = f"In-place :func:`{function.__name__}`."
    return method


def _swapped(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda self, other: function(other, self)


def _operator(name: str, function: Callable[..., Tensor]) -> Callable[..., Any]:
    """A binary operator that leaves operands it does not know to the other side, unless they are Python's own."""
    equality = name in ("eq", "ne")

    def method(self: Tensor, other: Any) -> Any:
        if isinstance(other, Tensor | int | float | np.ndarray | np.generic):
            return function(self, other)
        if isinstance(other, list | tuple | dict | set | str | bytes | None) and not equality:
            raise ArgumentError(
                here(
                    f"unsupported operand types for __{name}__: {self._type} Tensor and {type(other).__name__}",
                    "genesis.tensor(...) makes a tensor of numbers, lists and arrays",
                )
            )
        return NotImplemented

    return method


def _view(self: Tensor, *size: Any, dtype: Any = None) -> Tensor:
    """In another shape, without a copy; of a dtype: the same memory read as that dtype."""
    kind = size[0] if size and isinstance(size[0], DType) else dtype
    return view(self, *size) if kind is None else reinterpreted(self, to_dtype(kind))


def _where(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """The tensor where ``condition`` holds, else ``other``."""
    return where(condition, self, other)


def _split(self: Tensor, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of a size, or of the sizes given, along ``dim``."""
    return split(self, split_size, dim)


def attach(functions: dict[str, Any]) -> None:
    """Give Tensor the methods that ``functions``, by name, provide."""
    for name in _METHODS:
        setattr(Tensor, name, functions[name])
    for name in _IN_PLACE:
        setattr(Tensor, name + "_", _in_place(functions[name]))
    operators: dict[str, Callable[..., Any]] = {
        "add": add, "sub": sub, "mul": mul, "truediv": true_divide, "floordiv": floor_divide, "mod": remainder,
        "pow": pow, "matmul": matmul, "and": bitwise_and, "or": bitwise_or, "xor": bitwise_xor,
    }  # fmt: skip
    for name, function in operators.items():
        setattr(Tensor, f"__{name}__", _operator(name, function))
        setattr(Tensor, f"__r{name}__", _operator(f"r{name}", _swapped(function)))
        if name not in ("matmul", "and", "or", "xor"):
            setattr(Tensor, f"__i{name}__", _in_place(function))
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        setattr(Tensor, f"__{name}__", _operator(name, functions[name]))
    for name, to_type in {"float": f32, "double": f64, "long": i64, "bool": boolean}.items():
        setattr(Tensor, name, lambda self, to_type=to_type: cast(self, to_type))
    for name in ("half", "bfloat16", "int"):
        target = dtype({"half": "f16", "bfloat16": "bf16", "int": "i32"}[name])
        setattr(Tensor, name, lambda self, to_type=target: cast(self, to_type))
    for name, attribute in {
        "view": checked(_view),
        "where": checked(_where),
        "split": checked(_split),
        "view_as": lambda self, other: view(self, *other.shape),
        "reshape_as": lambda self, other: reshape(self, *other.shape),
        "expand_as": lambda self, other: expand(self, *other.shape),
        "type_as": lambda self, other: cast(self, other.dtype),
        "cpu": lambda self: self,
        "T": property(t),
        "mT": property(lambda self: transpose(self, -2, -1)),
        "data": property(lambda self: self.view_as_op(contents), _set_data),
        "__getitem__": getitem,
        "__setitem__": setitem,
        "__neg__": neg,
        "__abs__": abs,
        "__invert__": bitwise_not,
    }.items():
        setattr(Tensor, name, attribute)


def _set_data(self: Tensor, source: Tensor) -> None:
    """``t.data = source``: a copy of ``source`` (of any shape) for the same identity, outside autograd.

    A view leaves the storage that it showed. In a step that is being compiled the type stays; TraceError for another.
    """
    if current_recording() is not None:
        if self._views or source._type != self._type:
            raise TraceError(
                f"assignment of a {source._type} tensor to .data of {'a view of ' * bool(self._views)}{self._type} "
                f"inside a compiled step\n  at {user_location()}\n  use copy_ under no_grad, or assign outside the step"
            )
        self._cell.write(o.detach(source.value), unseen=True)
        return
    value = from_array(np.array(source._array("assignment to .data"))).value
    if self._views:
        self._start(Cell(value, requires_grad=self.requires_grad), ())
    else:
        self._cell.write(value, unseen=True)
