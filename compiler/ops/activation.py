"""Activations, as composites.

A gradient rule stands beside an expansion whose own gradient goes wrong at a point: at a kink or a threshold, where
PyTorch takes the slope of one side, or where ``exp`` overflows.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sqrt
from typing import Any

from compiler.errors import OpError
from compiler.ir.graph import Value
from compiler.ir.op import OpSet
from compiler.ir.types import TensorType
from compiler.ops.composite import composite, floating
from compiler.ops.contract import LOWER, accumulator
from compiler.ops.elementwise import FP32_ON_CUDA, broadcast_shapes, promoted_float, type_rule


def wide_gradient(rule: Callable[..., Value], of_result: bool = False) -> Callable[..., tuple[Value]]:
    """The VJP of a function of one operand that computes 16-bit floats in f32 and rounds once.

    ``rule(o, x, g, **attrs)`` gives the gradient from the operand ``x`` (``of_result``: from the result) and the
    gradient ``g`` of the result.
    """

    def vjp(o: OpSet, node: Any, g: Value) -> tuple[Value]:
        x = node.output if of_result else node.inputs[0]
        wide = accumulator(x.dtype)
        attrs = {name: node.attrs[name] for name in node.op.attrs}
        return (o.cast(rule(o, o.cast(x, to=wide), o.cast(g, to=wide), **attrs), to=node.inputs[0].dtype),)

    return vjp


def with_slope(
    name: str,
    expansion: Callable[..., Value],
    slope: Callable[..., Value],
    autocast: dict[str, str] | None = None,
    attrs: dict[str, Any] | None = None,
) -> None:
    """Register a function of one operand; ``slope(o, x, **attrs)`` is its derivative. Integers count as floats."""
    vjp = wide_gradient(lambda o, x, g, **given: o.mul(g, slope(o, x, **given)))
    composite(name, expansion, vjp=vjp, prepare=promoted_float, autocast=autocast or {}, attrs=attrs or {})


def _negative_part(o: OpSet, x: Value) -> Value:
    """``x`` up to 0 and 0 beyond: keeps ``exp`` from overflowing where another branch is taken."""
    return o.where(o.gt(x, 0), 0, x)


# Sigmoid and its kin


def _sigmoid(o: OpSet, x: Value) -> Value:
    return o.reciprocal(o.add(o.exp(o.neg(x)), 1))


def _sigmoid_gradient(o: OpSet, y: Value, g: Value) -> Value:
    return o.mul(g, o.mul(y, o.sub(1, y)))


def _silu_gradient(o: OpSet, x: Value, g: Value) -> Value:
    """The expansion's own gradient is ``0 * inf`` where ``exp(-x)`` overflows."""
    s = _sigmoid(o, x)
    return o.mul(g, o.mul(s, o.add(o.mul(x, o.sub(1, s)), 1)))


def _softplus(o: OpSet, x: Value, beta: float, threshold: float) -> Value:
    scaled = o.mul(x, beta)
    return o.where(o.gt(scaled, threshold), x, o.div(o.log1p(o.exp(o.minimum(scaled, threshold))), beta))


def _softplus_gradient(o: OpSet, x: Value, g: Value, beta: float, threshold: float) -> Value:
    scaled = o.mul(x, beta)
    return o.where(o.gt(scaled, threshold), g, o.mul(g, _sigmoid(o, scaled)))


def _same_type(x: TensorType, gate: TensorType) -> TensorType:
    if floating(x) != gate:
        raise OpError(f"the two halves of glu must have one type, not {x} and {gate}")
    return x


def _glu_vjp(o: OpSet, node: Any, g: Value) -> tuple[Any, Any]:
    """Dauphin et al., "Language modeling with gated convolutional networks", 2017."""
    to = node.output.dtype
    x, gate, g = (o.cast(v, to=accumulator(to)) for v in (*node.inputs, g))
    s = _sigmoid(o, gate)
    return (
        lambda: o.cast(o.mul(g, s), to=to),
        lambda: o.cast(o.mul(o.mul(g, x), o.mul(s, o.sub(1, s))), to=to),
    )


composite("glu", lambda o, x, gate: o.mul(x, _sigmoid(o, gate)), _same_type, vjp=_glu_vjp)
composite("sigmoid", _sigmoid, vjp=wide_gradient(_sigmoid_gradient, of_result=True), prepare=promoted_float)
composite("silu", lambda o, x: o.mul(x, _sigmoid(o, x)), vjp=wide_gradient(_silu_gradient))
composite("log_sigmoid", lambda o, x: o.sub(o.minimum(x, 0), o.log1p(o.exp(o.neg(o.abs(x))))))
composite(
    "softplus",
    _softplus,
    vjp=wide_gradient(_softplus_gradient),
    attrs={"beta": 1.0, "threshold": 20.0},
    autocast=FP32_ON_CUDA,
)

# GELU (Hendrycks & Gimpel, "Gaussian error linear units", 2016): exact, or the tanh approximation


def _gelu(o: OpSet, x: Value, approximate: str) -> Value:
    if approximate == "tanh":
        inner = o.mul(sqrt(2 / pi), o.add(x, o.mul(0.044715, o.mul(o.mul(x, x), x))))
        return o.mul(o.mul(0.5, x), o.add(1, o.tanh(inner)))
    return o.mul(o.mul(0.5, x), o.add(1, o.erf(o.mul(x, sqrt(0.5)))))


def _gelu_slope(o: OpSet, x: Value, approximate: str) -> Value:
    if approximate == "tanh":
        c = sqrt(2 / pi)
        t = o.tanh(o.mul(c, o.add(x, o.mul(0.044715, o.mul(o.mul(x, x), x)))))
        inner = o.mul(c, o.add(1, o.mul(3 * 0.044715, o.mul(x, x))))
        return o.add(o.mul(0.5, o.add(1, t)), o.mul(o.mul(0.5, x), o.mul(o.sub(1, o.mul(t, t)), inner)))
    density = o.mul(sqrt(0.5 / pi), o.exp(o.mul(-0.5, o.mul(x, x))))
    return o.add(o.mul(0.5, o.add(1, o.erf(o.mul(x, sqrt(0.5))))), o.mul(x, density))


def _check_gelu(x: TensorType, approximate: str) -> TensorType:
    if approximate not in ("none", "tanh"):
        raise OpError(f"approximate must be 'none' or 'tanh', not {approximate!r}")
    return floating(x)


composite(
    "gelu",
    _gelu,
    _check_gelu,
    vjp=wide_gradient(lambda o, x, g, approximate: o.mul(g, _gelu_slope(o, x, approximate))),
    attrs={"approximate": "none"},
)

# Rectifiers


def _relu_vjp(o: OpSet, node: Any, g: Value) -> tuple[Value]:
    return (o.where(o.le(node.output, 0), 0, g),)


def _infer_prelu(x: TensorType, weight: TensorType) -> TensorType:
    if weight.dtype is not floating(x).dtype:
        raise OpError(f"input and weight must have the same dtype, not {x.dtype.name} and {weight.dtype.name}")
    if broadcast_shapes(x.shape, weight.shape) != x.shape:
        raise OpError(f"the weight {list(weight.shape)} does not broadcast to the input {list(x.shape)}")
    return x


composite("relu", lambda o, x: o.maximum(x, 0), type_rule(1, None, refuses=("bool",)), vjp=_relu_vjp)
composite(
    "leaky_relu",
    lambda o, x, negative_slope: o.where(o.gt(x, 0), x, o.mul(x, negative_slope)),
    attrs={"negative_slope": 0.01},
)
composite(
    "prelu", lambda o, x, weight: o.where(o.gt(x, 0), x, o.mul(x, weight)), _infer_prelu, autocast=LOWER
)  # He et al., "Delving deep into rectifiers", 2015


def _elu(o: OpSet, x: Value, alpha: float, scale: float, input_scale: float) -> Value:
    """Clevert, Unterthiner & Hochreiter, "Fast and accurate deep network learning by exponential linear units", 2015.

    ``scale * (x if x > 0 else alpha * (exp(input_scale * x) - 1))``: CELU and SELU are cases of it.
    """
    bent = o.mul(o.expm1(o.mul(_negative_part(o, x), input_scale)), alpha * scale)
    return o.where(o.gt(x, 0), o.mul(x, scale), bent)


def _elu_gradient(o: OpSet, x: Value, g: Value, alpha: float, scale: float, input_scale: float) -> Value:
    bent = o.mul(o.exp(o.mul(_negative_part(o, x), input_scale)), alpha * scale * input_scale)
    return o.mul(g, o.where(o.le(x, 0), bent, scale))


composite("elu", _elu, vjp=wide_gradient(_elu_gradient), attrs={"alpha": 1.0, "scale": 1.0, "input_scale": 1.0})

# Piecewise linear and quadratic


def _limited(o: OpSet, x: Value, low: float, high: float) -> Value:
    return o.minimum(o.maximum(x, low), high)


def _hardtanh_gradient(o: OpSet, x: Value, g: Value, low: float, high: float) -> Value:
    """None at the limits; NaN passes it on."""
    return o.where(o.logical_or(o.le(x, low), o.ge(x, high)), 0, g)


def _inside(o: OpSet, x: Value) -> Value:
    return o.logical_and(o.gt(x, -3), o.lt(x, 3))


def _hardswish_gradient(o: OpSet, x: Value, g: Value) -> Value:
    bent = o.mul(g, o.add(o.div(x, 3), 0.5))
    return o.where(o.le(x, -3), 0, o.where(o.lt(x, 3), bent, g))


composite("hardtanh", _limited, vjp=wide_gradient(_hardtanh_gradient), attrs={"low": -1.0, "high": 1.0})
composite(
    "hardsigmoid",
    lambda o, x: o.div(_limited(o, o.add(x, 3), 0, 6), 6),
    vjp=wide_gradient(lambda o, x, g: o.where(_inside(o, x), o.div(g, 6), 0)),
)
composite(
    "hardswish",
    lambda o, x: o.div(o.mul(x, _limited(o, o.add(x, 3), 0, 6)), 6),
    vjp=wide_gradient(_hardswish_gradient),
)
