"""Pointwise primitives. Shapes broadcast by NumPy's rules; operands of one op share a dtype, ``prepare`` sees to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from compiler.errors import DivisionError, OpError
from compiler.ir.builder import constant
from compiler.ir.graph import Node, Value
from compiler.ir.op import CHEAP, OPS, REQUIRED, Algebra, Op, OpSet, register
from compiler.ir.types import DType, Shape, TensorType, boolean, defaults, f32, i64, promote, u8

FP32_ON_CUDA = {"cuda": "fp32"}
NOT_FLOAT = ("bool", "int")

Gradient = Callable[[OpSet, Node, Value], Sequence[Any]]
"""A rule for an op with one result: ``(o, node, output_grad) -> one gradient, function or None per input``."""

DIVISION, EXPONENTIAL, SINE, POWER = 4, 6, 8, 12
"""The cost of an element, in additions: a quotient or root, an exponential or logarithm, a sine, a power or ``erf``."""


def broadcast_shapes(*shapes: Shape) -> Shape:
    """NumPy's broadcasting; raises :class:`OpError` with the shapes when they do not fit."""
    rank = max(map(len, shapes), default=0)
    result = [1] * rank
    for shape in shapes:
        for axis, size in enumerate(shape, rank - len(shape)):
            if size != 1:
                if result[axis] not in (1, size):
                    shown = " and ".join(str(list(s)) for s in shapes)
                    raise OpError(f"shapes {shown} do not broadcast: {result[axis]} against {size} at dimension {axis}")
                result[axis] = size
    return tuple(result)


def number_type(number: Any) -> DType:
    """The dtype a Python number brings to promotion."""
    if isinstance(number, bool):
        return boolean
    return i64 if isinstance(number, int) else defaults.float


def as_type(operand: Any, dtype: DType) -> Value:
    """A value of ``dtype`` for a value or a Python number."""
    if isinstance(operand, Value):
        return operand if operand.dtype is dtype else OPS["cast"](operand, to=dtype)
    if not isinstance(operand, bool | int | float):
        raise OpError(f"operand {operand!r} is neither a tensor nor a number")
    return constant(_in_range(operand, dtype) if dtype.kind == "int" else operand, dtype)


def _in_range(number: float, dtype: DType) -> int:
    """``number`` as the integers of ``dtype`` hold it: a negative one wraps around in u8, as in PyTorch."""
    whole, unsigned = int(number), dtype is u8
    values = 2**dtype.bits
    if not -values // 2 <= whole < (values if unsigned else values // 2):
        raise OpError(f"{whole} does not fit {dtype.name}; convert the tensor to a larger type, with .long() say")
    return whole % values if unsigned else whole


def _common(operands: Sequence[Any]) -> DType:
    """The result type; run-time numbers among tensors count as Python floats, among themselves they stay f64."""
    tensors = any(isinstance(v, Value) and not v.number for v in operands)

    def kind(v: Any) -> tuple[DType, int | None]:
        if not isinstance(v, Value):
            return number_type(v), None
        if v.number and tensors and v.dtype.kind == "float":
            return defaults.float, None
        return v.dtype, v.type.rank

    return promote([kind(v) for v in operands])


def promoted(operands: Sequence[Any]) -> list[Value]:
    """All operands in their common type."""
    target = _common(operands)
    return [as_type(v, target) for v in operands]


def promoted_float(operands: Sequence[Any]) -> list[Value]:
    """All operands in their common floating type (integers compute in the default one)."""
    target = _common(operands)
    return [as_type(v, target if target.kind == "float" else defaults.float) for v in operands]


def _same_dtype(types: Sequence[TensorType]) -> DType:
    first = types[0].dtype
    for t in types[1:]:
        if t.dtype is not first:
            raise OpError(f"operands have different dtypes: {', '.join(t.dtype.name for t in types)}")
    return first


def same_dtype_rule(*types: TensorType) -> TensorType:
    """Operands of one dtype that broadcast give that dtype."""
    return TensorType(_same_dtype(types), broadcast_shapes(*[t.shape for t in types]))


def type_rule(arity: int, result: DType | None, refuses: tuple[str, ...]) -> Callable[..., TensorType]:
    """Operands of one dtype, of none of the kinds in ``refuses``, that broadcast; ``result`` None gives their dtype."""

    def infer(*types: TensorType) -> TensorType:
        given = same_dtype_rule(*types)
        if given.dtype.kind in refuses:
            raise OpError(f"the op is not defined for {given.dtype.name} tensors")
        return given.with_dtype(result or given.dtype)

    return (lambda x: infer(x)) if arity == 1 else (lambda x, y: infer(x, y))


def pointwise(
    name: str,
    reference: Callable[..., Any],
    vjp: Gradient | None = None,
    *,
    arity: int = 2,
    result: DType | None = None,
    refuses: tuple[str, ...] = (),
    prepare: Callable[[Sequence[Any]], Sequence[Any]] = promoted,
    infer: Callable[..., TensorType] | None = None,
    autocast: dict[str, str] | None = None,
    cost: int = CHEAP,
    rounds: bool = True,
    spreads: bool = False,
    algebra: Algebra = "",
) -> Op:
    """Register a pointwise primitive; one without a VJP is not differentiable."""
    return register(
        Op(
            name,
            infer or type_rule(arity, result, refuses),
            "pointwise",
            reference,
            vjp,
            autocast=autocast or {},
            prepare=prepare,
            differentiable=vjp is not None,
            cost=cost,
            rounds=rounds,
            spreads=spreads,
            algebra=algebra,
        )
    )


def unary(
    name: str,
    reference: Callable[..., Any],
    slope: Callable[[OpSet, Value, Value], Value],
    cost: int = CHEAP,
    autocast: bool = False,
) -> Op:
    """A float function of one operand with derivative ``slope(o, x, y)``, where ``y`` is its result.

    The gradient of a 16-bit operand is computed in f32 and rounded once.
    """

    def vjp(o: OpSet, node: Any, g: Value) -> tuple[Value]:
        wide = f32 if g.dtype.is_half else g.dtype
        x, y, g = (as_type(v, wide) for v in (node.inputs[0], node.output, g))
        return (as_type(o.mul(g, slope(o, x, y)), node.output.dtype),)

    return pointwise(
        name,
        reference,
        vjp,
        arity=1,
        refuses=NOT_FLOAT,
        prepare=promoted_float,
        autocast=FP32_ON_CUDA if autocast else None,
        cost=cost,
    )


_ERF_P = 2.3103270173e-4, 3.6441592113e-3, 5.1698134291e-2, 1.9133942327e-1, 1.1283791323e0
_ERF_Q = -1.1037397408e-7, 2.3044679081e-5, 1.0672033423e-3, 1.4556687570e-2, 1.1345564519e-1, 5.0290248977e-1, 1.0


def _polynomial(x: np.ndarray, coefficients: Sequence[float]) -> np.ndarray:
    """Horner's scheme, from the coefficient of the highest power."""
    y = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        y *= x
        y += c
    return y


_BLOCK = 8192
"""Elements of a block whose temporaries all stay in the cache."""


def _erf_f32(z: np.ndarray) -> np.ndarray:
    square = z * z
    y = _polynomial(square, _ERF_P)
    y *= z
    y /= _polynomial(square, _ERF_Q)
    one = np.abs(z, out=square) >= 3.92
    if one.any():
        y[one] = np.copysign(1.0, z[one])
    return y


def erf_reference(x: np.ndarray) -> np.ndarray:
    """The error function, correct to 1e-7 in f32, to 1e-15 in f64.

    In f32 ``x P(x²) / Q(x²)``, a minimax fit, up to where the function rounds to one. In f64 W. J. Cody's rational
    approximations ("Rational Chebyshev approximations for the error function", 1969) need three ranges; the series and
    the continued fraction below are simpler.
    """
    if np.asarray(x).dtype == np.float32:
        given = np.ravel(x)
        result = np.empty_like(given)
        for i in range(0, given.size, _BLOCK):
            result[i : i + _BLOCK] = _erf_f32(given[i : i + _BLOCK].astype(np.float64))
        return result.reshape(np.shape(x))
    z = np.asarray(x, np.float64)
    a = np.abs(z)
    small = np.minimum(a, 2.5)
    term = small.copy()
    total = small.copy()
    for n in range(1, 60):
        term = term * (-small * small) / n
        total = total + term / (2 * n + 1)
    large = np.clip(a, 2.5, 6.0)
    fraction = np.zeros_like(large)
    for n in range(60, 0, -1):
        fraction = (n / 2) / (large + fraction)
    tail = 1 - np.exp(-large * large) / (np.sqrt(np.pi) * (large + fraction))
    result = np.where(a < 2.5, total * (2 / np.sqrt(np.pi)), tail)
    return np.where(np.isnan(z), z, np.copysign(result, z)).astype(np.asarray(x).dtype)


def _round_half_even(x: np.ndarray) -> np.ndarray:
    return np.rint(x) if x.dtype.kind == "f" else x


def _sign(x: np.ndarray) -> np.ndarray:
    """0 for NaN, as in PyTorch."""
    return x if x.dtype == bool else np.sign(np.where(np.isnan(x), 0, x)).astype(x.dtype)


def _power(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The power of IEEE 754. ``np.power`` takes another function for some exponents of rank 0: sqrt for 0.5.

    A negative power of an integer is whole for 1 and -1 only, and 0 for the others, as in PyTorch.
    """
    shape = np.broadcast_shapes(x.shape, y.shape)
    if x.dtype.kind == "i":
        whole = np.where(x == 1, 1, np.where(x == -1, 1 - 2 * (y & 1), 0)).astype(x.dtype)
        return np.where(y < 0, whole, np.power(x, np.maximum(y, 0)))
    return np.power(x, np.broadcast_to(y, shape or (1,))).reshape(shape)


def no_slope(o: OpSet, node: Any, g: Value) -> tuple[Callable[[], Value], ...]:
    """Steps are flat wherever they have a slope."""
    return tuple([lambda: o.zeros(shape=g.shape, dtype=g.dtype)] * len(node.inputs))


unary("exp", np.exp, lambda o, x, y: y, EXPONENTIAL, autocast=True)
unary("expm1", np.expm1, lambda o, x, y: o.add(y, 1), EXPONENTIAL, autocast=True)
unary("log", np.log, lambda o, x, y: o.reciprocal(x), EXPONENTIAL, autocast=True)
unary("log1p", np.log1p, lambda o, x, y: o.reciprocal(o.add(x, 1)), EXPONENTIAL, autocast=True)
unary("log2", np.log2, lambda o, x, y: o.div(1.4426950408889634, x), EXPONENTIAL, autocast=True)
unary("sqrt", np.sqrt, lambda o, x, y: o.div(0.5, y), DIVISION)
unary("rsqrt", lambda x: 1 / np.sqrt(x), lambda o, x, y: o.mul(-0.5, o.mul(y, o.mul(y, y))), DIVISION, autocast=True)
unary("reciprocal", lambda x: 1 / x, lambda o, x, y: o.neg(o.mul(y, y)), DIVISION, autocast=True)
unary("sin", np.sin, lambda o, x, y: o.cos(x), SINE)
unary("cos", np.cos, lambda o, x, y: o.neg(o.sin(x)), SINE)
unary("tanh", np.tanh, lambda o, x, y: o.mul(o.sub(1, y), o.add(1, y)), POWER)
unary("erf", erf_reference, lambda o, x, y: o.mul(1.1283791670955126, o.exp(o.neg(o.mul(x, x)))), POWER)

pointwise(
    "neg",
    np.negative,
    lambda o, node, g: (o.neg(g),),
    arity=1,
    refuses=("bool",),
    rounds=False,
    spreads=True,
    algebra="negative",
)
pointwise("abs", np.abs, lambda o, node, g: (o.mul(g, o.sign(node.inputs[0])),), arity=1, rounds=False, spreads=True)
for _name, _reference, _refuses in (
    ("sign", _sign, ()),
    ("floor", np.floor, ("bool",)),
    ("ceil", np.ceil, ("bool",)),
    ("trunc", np.trunc, ("bool",)),
    ("round", _round_half_even, ("bool",)),
):
    pointwise(_name, _reference, no_slope, arity=1, refuses=_refuses)

pointwise("add", np.add, lambda o, node, g: (g, g), spreads=True, algebra="sum")
pointwise("sub", np.subtract, lambda o, node, g: (g, lambda: o.neg(g)), refuses=("bool",), spreads=True, algebra="sum")
pointwise(
    "mul",
    np.multiply,
    lambda o, node, g: (lambda: o.mul(g, node.inputs[1]), lambda: o.mul(g, node.inputs[0])),
    spreads=True,
    algebra="product",
)


def _div_vjp(o: OpSet, node: Any, g: Value) -> tuple[Any, ...]:
    b = node.inputs[1]
    return (lambda: o.div(g, b)), (lambda: o.neg(o.div(o.mul(g, node.output), b)))


def _pow_vjp(o: OpSet, node: Any, g: Value) -> tuple[Any, ...]:
    x, y = node.inputs

    def base() -> Value:
        slope = o.mul(y, o.pow(x, o.sub(y, 1)))
        return o.mul(g, o.where(o.eq(y, 0), 0, slope))

    def exponent() -> Value:
        flat = o.logical_and(o.eq(x, 0), o.ge(y, 0))
        return o.mul(g, o.where(flat, 0, o.mul(node.output, o.log(x))))

    return base, exponent


def _choose_vjp(name: str) -> Gradient:
    """Gradient of ``maximum``/``minimum``: none to the loser, halved where both are equal, as in PyTorch.

    ``name`` is the comparison by which an operand loses; NaN loses nothing, so it passes the gradient on.
    """

    def vjp(o: OpSet, node: Any, g: Value) -> tuple[Any, ...]:
        a, b = node.inputs
        loses = getattr(o, name)
        half = o.mul(g, 0.5)

        def to(x: Value, y: Value) -> Value:
            return o.where(o.eq(x, y), half, o.where(loses(x, y), 0, g))

        return (lambda: to(a, b)), (lambda: to(b, a))

    return vjp


pointwise("div", np.true_divide, _div_vjp, refuses=NOT_FLOAT, prepare=promoted_float, cost=DIVISION, algebra="quotient")


def _not_zero(x: np.ndarray, what: str) -> np.ndarray:
    zero = x == 0
    if zero.any():
        raise DivisionError(f"{what} by zero (element {int(np.flatnonzero(zero)[0])})")
    return x


register(
    Op(
        "divisor",
        lambda x, what: x,
        "pointwise",
        _not_zero,
        attrs={"what": "integer division"},
        differentiable=False,
        raw=True,
        checks=True,
    )
)


def _prepare_division(name: str) -> Callable[[Sequence[Any]], list[Value]]:
    """Operands in their common type; an integer divisor that may be zero is looked at, as PyTorch does."""

    def prepare(operands: Sequence[Any]) -> list[Value]:
        number = not isinstance(operands[1], Value) and operands[1] != 0
        x, y = promoted(operands)
        seen = y.producer is not None and y.producer.op is OPS["divisor"]
        safe = number or seen or y.dtype.kind != "int"
        return [x, y if safe else OPS["divisor"](y, what=f"{name}: integer division")]

    return prepare


def _floor_divide(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The whole quotient, rounded down; integers wrap around, and are 0 where ``y`` is."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        return np.asarray(np.floor_divide(x, y))


def _remainder(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The remainder of ``x``, with the sign of ``y``; a zero has the sign of ``x``, as in PyTorch."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        rest = np.fmod(x, y)
    return np.where((rest != 0) & ((rest < 0) != (y < 0)), rest + y, rest)


pointwise("pow", _power, _pow_vjp, refuses=("bool",), autocast=FP32_ON_CUDA, cost=POWER)
pointwise("maximum", np.maximum, _choose_vjp("lt"), rounds=False, algebra="max")
pointwise("minimum", np.minimum, _choose_vjp("gt"), rounds=False, algebra="min")
pointwise(
    "floor_divide", _floor_divide, no_slope, refuses=("bool",), prepare=_prepare_division("floor_divide"), cost=DIVISION
)
pointwise(
    "remainder",
    _remainder,
    lambda o, node, g: (g, lambda: o.neg(o.mul(g, o.floor_divide(*node.inputs)))),
    refuses=("bool",),
    prepare=_prepare_division("remainder"),
    cost=DIVISION,
)
pointwise("bitwise_and", np.bitwise_and, refuses=("float",))
pointwise("bitwise_or", np.bitwise_or, refuses=("float",))
pointwise("bitwise_xor", np.bitwise_xor, refuses=("float",))

for _name, _reference in {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "logical_xor": np.logical_xor,
    "logical_not": np.logical_not,
    "isnan": np.isnan,
    "isinf": np.isinf,
    "isfinite": np.isfinite,
}.items():
    pointwise(_name, _reference, arity=_reference.nin, result=boolean)

pointwise("logical_and", np.logical_and, result=boolean, algebra="min")
pointwise("logical_or", np.logical_or, result=boolean, algebra="max")


def _prepare_where(operands: Sequence[Any]) -> list[Value]:
    condition, *branches = operands
    return [as_type(condition, boolean), *promoted(branches)]


def _infer_where(c: TensorType, a: TensorType, b: TensorType) -> TensorType:
    if c.dtype is not boolean:
        raise OpError(f"the condition must be bool, not {c.dtype.name}")
    return TensorType(_same_dtype((a, b)), broadcast_shapes(c.shape, a.shape, b.shape))


pointwise(
    "where",
    np.where,
    lambda o, node, g: (
        None,
        lambda: o.where(node.inputs[0], g, 0),
        lambda: o.where(node.inputs[0], 0, g),
    ),
    prepare=_prepare_where,
    infer=_infer_where,
    rounds=False,
)


def _cast_vjp(o: OpSet, node: Any, g: Value) -> tuple[Value | None]:
    source = node.inputs[0].dtype
    return (o.cast(g, to=source) if source.kind == "float" else None,)


def cast_array(x: np.ndarray, to: DType) -> np.ndarray:
    """``x`` in ``to``: floats round to nearest even, overflow becomes infinity without a warning.

    Floats lose their fraction on the way to integers; what fits no i64 (for narrower types: no i32) becomes the least
    number of that type, as on x86, and narrower types take its last bits.
    """
    if to.kind == "int" and x.dtype.kind not in "biu":
        limit = 2.0**63 if to is i64 else 2.0**31
        wide = x.astype(np.float64)
        with np.errstate(invalid="ignore"):
            inside = (wide >= -limit) & (wide < limit)
        return np.where(inside, wide, -limit).astype(np.int64).astype(to.numpy)
    with np.errstate(over="ignore", invalid="ignore"):
        return x.astype(to.numpy)


register(
    Op(
        "cast",
        lambda x, to: x.with_dtype(to),
        "pointwise",
        lambda x, to: cast_array(x, to),
        _cast_vjp,
        attrs={"to": REQUIRED},
        raw=True,
        converts=True,
        spreads=True,
    )
)
