"""Functions of each element: arithmetic, comparisons, choices. Operands broadcast and promote as in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from compiler.errors import ArgumentError, OpError, UnsupportedError
from compiler.ir.graph import Value
from compiler.ir.location import here
from compiler.ir.op import Op, o
from compiler.ir.types import DType, boolean, f32, f64, i64, u8
from genesis.tensor import Tensor, tensor, wrap

Dim = int | Sequence[int] | None


_ADVICE: dict[type, str] = dict.fromkeys((list, tuple), "genesis.tensor(...) makes a tensor of it")


def value_of(x: Any) -> Any:
    """The IR operand for a tensor, a number, or anything NumPy understands as an array."""
    if isinstance(x, Tensor):
        return x.value
    if isinstance(x, bool | int | float):
        return x
    if isinstance(x, np.ndarray | np.generic):
        return tensor(x).value
    raise ArgumentError(here(f"expected a Tensor or a number, not {type(x).__name__}", _ADVICE.get(type(x), "")))


def _named(function: Callable[..., Tensor], name: str, operands: str) -> Callable[..., Tensor]:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"``{name}`` of each element; {operands}."
    return function


def _unary(op: Op) -> Callable[..., Tensor]:
    def function(input: Tensor) -> Tensor:
        return wrap(op(value_of(input)))

    return _named(function, op.name, "integers count as float32 where the result is a fraction")


def _binary(op: Op) -> Callable[..., Tensor]:
    def function(input: Any, other: Any) -> Tensor:
        return wrap(op(value_of(input), value_of(other)))

    return _named(function, op.name, "operands broadcast and promote")


abs = _unary(o.abs)
exp, expm1, log, log1p, log2 = map(_unary, (o.exp, o.expm1, o.log, o.log1p, o.log2))
sqrt, rsqrt, reciprocal, sin, cos = map(_unary, (o.sqrt, o.rsqrt, o.reciprocal, o.sin, o.cos))
tanh, erf, sigmoid, relu = map(_unary, (o.tanh, o.erf, o.sigmoid, o.relu))
neg, sign, floor, ceil, trunc, round = map(_unary, (o.neg, o.sign, o.floor, o.ceil, o.trunc, o.round))
mul, true_divide, floor_divide, remainder = map(_binary, (o.mul, o.div, o.floor_divide, o.remainder))
maximum, minimum = map(_binary, (o.maximum, o.minimum))
eq, ne, lt, le, gt, ge = map(_binary, (o.eq, o.ne, o.lt, o.le, o.gt, o.ge))
isnan, isinf, isfinite = map(_unary, (o.isnan, o.isinf, o.isfinite))


def pow(input: Any, exponent: Any) -> Tensor:
    """``input ** exponent`` of each element; operands broadcast and promote."""
    return wrap(o.pow(value_of(input), value_of(exponent)))


def _as_bool(x: Any) -> Any:
    value = value_of(x)
    return o.cast(value, to=boolean) if isinstance(value, Value) else bool(value)


def logical_and(input: Tensor, other: Any) -> Tensor:
    """Elementwise ``and``; anything not zero is true."""
    return wrap(o.logical_and(_as_bool(input), _as_bool(other)))


def logical_or(input: Tensor, other: Any) -> Tensor:
    """Elementwise ``or``; anything not zero is true."""
    return wrap(o.logical_or(_as_bool(input), _as_bool(other)))


def logical_xor(input: Tensor, other: Any) -> Tensor:
    """Elementwise exclusive ``or``; anything not zero is true."""
    return wrap(o.logical_xor(_as_bool(input), _as_bool(other)))


def logical_not(input: Tensor) -> Tensor:
    """Elementwise ``not``; anything not zero is true."""
    return wrap(o.logical_not(_as_bool(input)))


def _bitwise(name: str) -> Callable[..., Tensor]:
    op: Op = getattr(o, name)

    def function(input: Any, other: Any) -> Tensor:
        a, b = value_of(input), value_of(other)
        for x in (a, b):
            if isinstance(x, Value) and x.dtype.kind == "float":
                raise UnsupportedError(here(f"{name} is not defined for floating tensors, here {x.type}"))
        return wrap(op(a, b))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"``{name}`` of bool or integer tensors."
    return function


bitwise_and, bitwise_or, bitwise_xor = map(_bitwise, ("bitwise_and", "bitwise_or", "bitwise_xor"))


def bitwise_not(input: Tensor) -> Tensor:
    """Bit complement; ``not`` for bool."""
    if input.dtype is boolean:
        return logical_not(input)
    return bitwise_xor(input, 255 if input.dtype is u8 else -1)


def _scaled(x: Any, factor: Any) -> Any:
    """``factor * x``; ``factor`` is a number, or a tensor of one element."""
    value = value_of(x)
    if isinstance(factor, Tensor):
        return o.mul(value, factor.value)
    return value if factor == 1 else o.mul(value, factor)


def add(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """``input + alpha * other``."""
    return wrap(o.add(value_of(input), _scaled(other, alpha)))


def sub(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """``input - alpha * other``."""
    for x in (input, other):
        if isinstance(x, Tensor) and x.dtype is boolean:
            raise OpError("subtraction with a bool tensor is not supported; logical_not or ^ invert a mask")
    return wrap(o.sub(value_of(input), _scaled(other, alpha)))


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """True division, or rounded down (``"floor"``) or towards zero (``"trunc"``)."""
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode is None:
        return true_divide(input, other)
    if rounding_mode != "trunc":
        raise OpError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found {rounding_mode!r}")
    return wrap(o.trunc_divide(value_of(input), value_of(other)))


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Each element limited to ``[min, max]``; NaN stays. The gradient of elements inside, bounds included, passes."""
    if min is None and max is None:
        raise OpError("clamp: at least one of 'min' or 'max' must not be None")
    bounds = [value_of(bound) for bound in (min, max) if bound is not None]
    return wrap(o.clamp(input.value, *bounds, low=min is not None, high=max is not None))


def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """``input`` where ``condition`` holds, else ``other``."""
    if input is None:
        raise UnsupportedError(
            here(
                "where(condition) without values; its shape depends on the data",
                "where(condition, a, b) chooses between two values",
            )
        )
    if isinstance(condition, Tensor) and condition.dtype not in (boolean, u8):
        raise OpError(f"where expected condition to be a boolean tensor, but got {condition._type}")
    chosen = value_of(input), value_of(other)
    result = o.where(_as_bool(condition), *chosen)
    if result.type.rank and not any(isinstance(x, Value) and not x.number for x in chosen):
        result = o.cast(result, to=f32) if result.dtype is f64 else result  # between Python floats
    return wrap(result)


def square(input: Tensor) -> Tensor:
    """``input * input``."""
    x = input.value if input.dtype is not boolean else o.cast(input.value, to=i64)
    return wrap(o.mul(x, x))


def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """``input + weight * (end - input)``."""
    return wrap(o.lerp(input.value, end.value, value_of(weight)))


def addcmul(input: Tensor, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
    """``input + value * tensor1 * tensor2``."""
    return add(input, mul(tensor1 if value == 1 else mul(tensor1, value), tensor2))


def addcdiv(input: Tensor, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
    """``input + value * tensor1 / tensor2``."""
    return add(input, div(tensor1 if value == 1 else mul(tensor1, value), tensor2))


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """``value`` where ``mask`` is true."""
    if mask.dtype is not boolean:
        raise OpError(f"masked_fill only supports boolean masks, but got mask with dtype {mask.dtype!r}")
    return wrap(
        o.where(
            mask.value, o.cast(value_of(value), to=input.dtype) if isinstance(value, Tensor) else value, input.value
        )
    )


def cast(input: Tensor, to: DType) -> Tensor:
    """``input`` in another dtype; itself when it has it already."""
    return input if input.dtype is to else wrap(o.cast(input.value, to=to))
