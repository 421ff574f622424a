"""Functions of each element: arithmetic, comparisons, choices. Operands broadcast and promote as in PyTorch."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from compiler.errors import ArgumentError, OpError, UnsupportedError
from compiler.ir.graph import Value
from compiler.ir.location import here
from compiler.ir.op import Op, o
from compiler.ir.types import DType, boolean, defaults, f64, i64, u8
from genesis.functions.nonzeros import nonzero
from genesis.functions.table import api, function_only
from genesis.tensor import Tensor, row_major, tensor, wrap

Dim = int | Sequence[int] | None


_ADVICE: dict[type, str] = dict.fromkeys((list, tuple), "genesis.tensor(...) makes a tensor of it")


_NUMBERS = bool | int | float
_ARRAYS = np.ndarray | np.generic


def value_of(x: Any) -> Any:
    """The IR operand for a tensor, a number, or anything NumPy understands as an array."""
    if type(x) is int or type(x) is float:
        return x
    if isinstance(x, Tensor):
        return x.value
    if isinstance(x, _NUMBERS):
        return x
    if isinstance(x, _ARRAYS):
        return tensor(x).value
    raise ArgumentError(here(f"expected a Tensor or a number, not {type(x).__name__}", _ADVICE.get(type(x), "")))


class Unary(Protocol):
    """A function of each element."""

    def __call__(self, input: Any) -> Tensor: ...


class Binary(Protocol):
    """A function of each pair of elements."""

    def __call__(self, input: Any, other: Any) -> Tensor: ...


def _unary(
    op: Op, inplace: bool = True, overwrites: bool = True, functional: bool = False, alias: Sequence[str] = ()
) -> Unary:
    def function(input: Any) -> Tensor:
        value = value_of(input)
        return wrap(op(value if isinstance(value, Value) else tensor(value).value))

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = f"``{op.name}`` of each element; integers count as float32 where the result is a fraction."
    return api(inplace=inplace, overwrites=inplace and overwrites, functional=functional, alias=alias)(function)


def _binary(
    op: Op, name: str = "", inplace: bool = True, overwrites: bool = False, alias: Sequence[str] = ()
) -> Binary:
    def function(input: Any, other: Any) -> Tensor:
        return wrap(op(value_of(input), value_of(other)))

    function.__name__ = function.__qualname__ = name or op.name
    function.__doc__ = f"``{name or op.name}`` of each element; operands broadcast and promote."
    return api(inplace=inplace, overwrites=overwrites, alias=alias)(function)


abs = _unary(o.abs)
api(inplace=True, name="absolute")(abs)
neg = _unary(o.neg, alias=("negative",))
sign = _unary(o.sign, overwrites=False)
exp = _unary(o.exp)
exp2 = _unary(o.exp2)
expm1 = _unary(o.expm1)
log = _unary(o.log)
log1p = _unary(o.log1p)
log2 = _unary(o.log2)
log10 = _unary(o.log10)
sqrt = _unary(o.sqrt)
rsqrt = _unary(o.rsqrt)
reciprocal = _unary(o.reciprocal)
sin = _unary(o.sin)
cos = _unary(o.cos)
tan = _unary(o.tan)
sinh = _unary(o.sinh)
cosh = _unary(o.cosh)
atan = _unary(o.atan, alias=("arctan",))
asin = _unary(o.asin, alias=("arcsin",))
acos = _unary(o.acos, alias=("arccos",))
asinh = _unary(o.asinh, alias=("arcsinh",))
acosh = _unary(o.acosh, alias=("arccosh",))
atanh = _unary(o.atanh, alias=("arctanh",))
tanh = _unary(o.tanh, functional=True)
erf = _unary(o.erf)
erfc = _unary(o.erfc)
erfinv = _unary(o.erfinv, overwrites=False)
lgamma = _unary(o.lgamma, overwrites=False)
i0 = _unary(o.i0)
sinc = _unary(o.sinc)
sigmoid = _unary(o.sigmoid, functional=True)
relu = _unary(o.relu, overwrites=False)
floor = _unary(o.floor)
ceil = _unary(o.ceil)
trunc = _unary(o.trunc, alias=("fix",))
isnan = _unary(o.isnan, inplace=False)
isinf = _unary(o.isinf, inplace=False)
isfinite = _unary(o.isfinite, inplace=False)

mul = _binary(o.mul, alias=("multiply",))
true_divide = _binary(o.div, name="true_divide")
floor_divide = _binary(o.floor_divide)
remainder = _binary(o.remainder)
atan2 = _binary(o.atan2, alias=("arctan2",))
hypot = _binary(o.hypot)
fmod = _binary(o.fmod)
copysign = _binary(o.copysign)
logaddexp = _binary(o.logaddexp, inplace=False)
logaddexp2 = _binary(o.logaddexp2, inplace=False)
xlogy = _binary(o.xlogy, overwrites=True)
maximum = _binary(o.maximum, inplace=False)
minimum = _binary(o.minimum, inplace=False)
eq = _binary(o.eq)
ne = _binary(o.ne, alias=("not_equal",))
lt = _binary(o.lt, alias=("less",))
le = _binary(o.le, alias=("less_equal",))
gt = _binary(o.gt, alias=("greater",))
ge = _binary(o.ge, alias=("greater_equal",))


@api(inplace=True)
def pow(input: Any, exponent: Any) -> Tensor:
    """``input ** exponent`` of each element; operands broadcast and promote.

    Raises OpError for integers to the power of a negative integer number; with a tensor of such they are 0, but for 1
    and -1.
    """
    whole = isinstance(input, Tensor) and input.dtype.kind != "float"
    if whole and isinstance(exponent, int | np.integer) and exponent < 0:
        raise OpError(here("Integers to negative integer powers are not allowed.", "x.float() ** exponent"))
    return wrap(o.pow(value_of(input), value_of(exponent)))


def _as_bool(x: Any) -> Any:
    value = value_of(x)
    return o.cast(value, to=boolean) if isinstance(value, Value) else bool(value)


@api(inplace=True)
def logical_and(input: Tensor, other: Any) -> Tensor:
    """Elementwise ``and``; anything not zero is true."""
    return wrap(o.logical_and(_as_bool(input), _as_bool(other)))


@api(inplace=True)
def logical_or(input: Tensor, other: Any) -> Tensor:
    """Elementwise ``or``; anything not zero is true."""
    return wrap(o.logical_or(_as_bool(input), _as_bool(other)))


@api(inplace=True)
def logical_xor(input: Tensor, other: Any) -> Tensor:
    """Elementwise exclusive ``or``; anything not zero is true."""
    return wrap(o.logical_xor(_as_bool(input), _as_bool(other)))


@api(inplace=True)
def logical_not(input: Tensor) -> Tensor:
    """Elementwise ``not``; anything not zero is true."""
    return wrap(o.logical_not(_as_bool(input)))


def _bitwise(op: Op) -> Binary:
    def function(input: Any, other: Any) -> Tensor:
        a, b = value_of(input), value_of(other)
        for x in (a, b):
            if isinstance(x, Value) and x.dtype.kind == "float":
                raise UnsupportedError(here(f"{op.name} is not defined for floating tensors, here {x.type}"))
        return wrap(op(a, b))

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = f"``{op.name}`` of bool or integer tensors."
    return api(inplace=True)(function)


bitwise_and = _bitwise(o.bitwise_and)
bitwise_or = _bitwise(o.bitwise_or)
bitwise_xor = _bitwise(o.bitwise_xor)


@api(inplace=True)
def bitwise_not(input: Tensor) -> Tensor:
    """Bit complement; ``not`` for bool."""
    if input.dtype is boolean:
        return logical_not(input)
    return bitwise_xor(input, 255 if input.dtype is u8 else -1)


def _scaled(x: Any, factor: Any) -> Any:
    """``factor * x``; ``factor`` is a number, or a tensor of one element."""
    value = value_of(x)
    if type(factor) is not int and isinstance(factor, Tensor):
        return o.mul(value, factor.value)
    return value if factor == 1 else o.mul(value, factor)


@api(inplace=True)
def add(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """``input + alpha * other``."""
    return wrap(o.add(value_of(input), _scaled(other, alpha)))


@api(inplace=True, alias=("subtract",))
def sub(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """``input - alpha * other``."""
    for x in (input, other):
        if isinstance(x, Tensor) and x.dtype is boolean:
            raise OpError("subtraction with a bool tensor is not supported; logical_not or ^ invert a mask")
    return wrap(o.sub(value_of(input), _scaled(other, alpha)))


@api(inplace=True, alias=("divide",))
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """True division, or rounded down (``"floor"``) or towards zero (``"trunc"``)."""
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode is None:
        return true_divide(input, other)
    if rounding_mode != "trunc":
        raise OpError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found {rounding_mode!r}")
    return wrap(o.trunc_divide(value_of(input), value_of(other)))


@api(overwrites=True, alias=("clip",))
def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Each element limited to ``[min, max]``; NaN stays. The gradient of elements inside, bounds included, passes."""
    if min is None and max is None:
        raise OpError("clamp: at least one of 'min' or 'max' must not be None")
    bounds = [value_of(bound) for bound in (min, max) if bound is not None]
    return wrap(o.clamp(input.value, *bounds, low=min is not None, high=max is not None))


@function_only
def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """``input`` where ``condition`` holds, else ``other``; of a condition alone, ``nonzero(as_tuple=True)``."""
    if input is None and other is None:
        if not isinstance(condition, Tensor):
            raise ArgumentError(here(f"where: argument 'condition' must be Tensor, not {type(condition).__name__}"))
        return nonzero(condition, as_tuple=True)
    if isinstance(condition, Tensor) and condition.dtype not in (boolean, u8):
        raise OpError(f"where expected condition to be a boolean tensor, but got {condition._type}")
    chosen = value_of(input), value_of(other)
    result = o.where(_as_bool(condition), *chosen)
    if result.type.rank and not any(isinstance(x, Value) and not x.number for x in chosen):
        result = o.cast(result, to=defaults.float) if result.dtype is f64 else result  # between Python floats
    return wrap(result)


@api(function=False, name="where")
def _where_method(input: Tensor, condition: Tensor, other: Any) -> Tensor:
    """The tensor where ``condition`` holds, else ``other``."""
    result: Tensor = where(condition, input, other)
    return result


@api(overwrites=True)
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """Rounded to ``decimals`` places behind the point (before it, where negative), halves to the even digit."""
    if not decimals:
        return wrap(o.round(value_of(input)))
    if input.dtype.kind == "int":
        raise UnsupportedError("round of integers with decimals")
    scale = 10.0 ** builtins.abs(decimals)
    if decimals > 0:
        return div(round(mul(input, scale)), scale)
    return mul(round(div(input, scale)), scale)


@api(overwrites=True)
def square(input: Tensor) -> Tensor:
    """``input * input``."""
    x = input.value if input.dtype is not boolean else o.cast(input.value, to=i64)
    return wrap(o.mul(x, x))


@api(inplace=True)
def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """``input + weight * (end - input)``."""
    return wrap(o.lerp(input.value, end.value, value_of(weight)))


@api(inplace=True)
def addcmul(input: Tensor, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
    """``input + value * tensor1 * tensor2``."""
    return add(input, mul(tensor1 if value == 1 else mul(tensor1, value), tensor2))


@api(inplace=True)
def addcdiv(input: Tensor, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
    """``input + value * tensor1 / tensor2``."""
    return add(input, div(tensor1 if value == 1 else mul(tensor1, value), tensor2))


@api(inplace=True)
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """``value`` where ``mask`` is true."""
    if mask.dtype is not boolean:
        raise OpError(f"masked_fill only supports boolean masks, but got mask with dtype {mask.dtype!r}")
    return row_major(
        o.where(
            mask.value, o.cast(value_of(value), to=input.dtype) if isinstance(value, Tensor) else value, input.value
        )
    )


def cast(input: Tensor, to: DType) -> Tensor:
    """``input`` in another dtype; itself when it has it already."""
    return input if input.dtype is to else wrap(o.cast(input.value, to=to))
