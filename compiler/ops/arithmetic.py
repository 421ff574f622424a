"""Arithmetic of several steps: limits, interpolation, division rounded towards zero."""

from __future__ import annotations

from typing import Any

from compiler.ir.graph import Value
from compiler.ir.op import Op, OpSet, register
from compiler.ir.types import TensorType
from compiler.ops.composite import rounded
from compiler.ops.contract import accumulator
from compiler.ops.elementwise import no_slope, promoted, promoted_float, same_dtype_rule, type_rule


def _infer_clamp(x: TensorType, *bounds: TensorType, low: bool, high: bool) -> TensorType:
    return same_dtype_rule(x, *bounds)


def _bounds(bounds: tuple[Value, ...], low: bool, high: bool) -> tuple[Value | None, Value | None]:
    return (bounds[0] if low else None), (bounds[-1] if high else None)


def _clamp(o: OpSet, x: Value, *bounds: Value, low: bool, high: bool) -> Value:
    """``min(max(x, low), high)``: ``high`` where the bounds cross, and NaN stays."""
    least, most = _bounds(bounds, low, high)
    x = x if least is None else o.maximum(x, least)
    return x if most is None else o.minimum(x, most)


def _clamp_vjp(o: OpSet, node: Any, g: Value) -> tuple[Any, ...]:
    """To ``x`` inside the bounds, which count as inside; to a bound where ``x`` is beyond it."""
    x, *bounds = node.inputs
    least, most = _bounds(tuple(bounds), node.attrs["low"], node.attrs["high"])

    def to_x() -> Value:
        tests = [o.ge(x, least)] if least is not None else []
        tests += [o.le(x, most)] if most is not None else []
        return o.where(tests[0] if len(tests) == 1 else o.logical_and(*tests), g, 0)

    def to_least() -> Value:
        assert least is not None
        below = o.lt(x, least)
        return o.where(below if most is None else o.logical_and(below, o.lt(least, most)), g, 0)

    def to_most() -> Value:
        assert most is not None
        above = o.gt(x, most)
        return o.where(above if least is None else o.logical_or(above, o.lt(most, least)), g, 0)

    given = ((to_least, least), (to_most, most))
    return (to_x, *(rule for rule, bound in given if bound is not None))


register(
    Op(
        "clamp",
        _infer_clamp,
        "composite",
        vjp=_clamp_vjp,
        expand=_clamp,
        attrs={"low": False, "high": False},
        prepare=promoted,
    )
)
"""Operands: ``x``, then the bounds that the attributes say are given."""


def _lerp(o: OpSet, start: Value, end: Value, weight: Value) -> Value:
    """From the nearer end, so that a weight of 1 gives ``end`` exactly."""
    way = o.sub(end, start)
    near, far = o.add(start, o.mul(weight, way)), o.sub(end, o.mul(way, o.sub(1, weight)))
    return o.where(o.lt(o.abs(weight), 0.5), near, far)


def _lerp_vjp(o: OpSet, node: Any, g: Value) -> tuple[Any, ...]:
    to = node.output.dtype
    start, end, weight, g = (o.cast(v, to=accumulator(to)) for v in (*node.inputs, g))
    return (
        lambda: o.cast(o.mul(g, o.sub(1, weight)), to=to),
        lambda: o.cast(o.mul(g, weight), to=to),
        lambda: o.cast(o.mul(g, o.sub(end, start)), to=to),
    )


register(
    Op(
        "lerp",
        lambda start, end, weight: same_dtype_rule(start, end, weight),
        "composite",
        vjp=_lerp_vjp,
        expand=rounded(_lerp),
        prepare=promoted_float,
    )
)


def _trunc_divide(o: OpSet, x: Value, y: Value) -> Value:
    """The quotient of 16-bit floats is rounded before, as in PyTorch."""
    if x.dtype.kind == "float":
        return o.trunc(o.div(x, y))
    down = o.floor_divide(x, y)
    inexact = o.ne(o.mul(down, y), x)
    return o.add(down, o.logical_and(inexact, o.ne(o.lt(x, 0), o.lt(y, 0))))


register(
    Op(
        "trunc_divide",
        type_rule(2, None, refuses=("bool",)),
        "composite",
        vjp=no_slope,
        expand=_trunc_divide,
        prepare=promoted,
    )
)
"""``x / y`` rounded towards zero."""
