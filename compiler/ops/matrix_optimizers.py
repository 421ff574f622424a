"""The updates of optimizers that look at a parameter as a matrix."""

from __future__ import annotations

from math import sqrt
from typing import Any

from compiler.errors import OpError
from compiler.ir.graph import Value
from compiler.ir.op import REQUIRED, OpSet
from compiler.ir.types import TensorType, bf16, f32, f64
from compiler.ops.contract import exact_dot, transposed
from compiler.ops.elementwise import as_type
from compiler.ops.optimizers import infer_update, rounded, rule
from compiler.ops.training import training_op


def _adafactor(o: OpSet, p: Value, g: Value, *rest: Value, factored: bool, maximize: bool) -> tuple[Value, ...]:
    """Shazeer & Stern, "Adafactor: adaptive learning rates with sublinear memory cost", 2018.

    ``rest``: mean squares of rows and of columns, or of elements; step, lr, beta2_decay, d, weight_decay, eps1, eps2.
    """
    moments = 2 if factored else 1
    step, lr, beta2_decay, d, weight_decay, eps1, eps2 = rest[moments:]
    g = o.neg(g) if maximize else g
    t = o.cast(step, to=f64)
    new = o.pow(t, beta2_decay)
    rate = o.mul(_greater(o, eps2, _root_mean_square(o, p)), o.minimum(lr, o.rsqrt(t)))
    p = o.mul(p, o.sub(1.0, o.mul(lr, weight_decay)))
    square = o.mul(g, g)
    if factored:
        rank = g.type.rank
        means = [o.mean(square, axes=(axis,), keepdim=True) for axis in (rank - 1, rank - 2)]
        rows, columns = kept = [o.add(old, o.mul(o.sub(mean, old), new)) for old, mean in zip(rest, means)]
        whole = o.maximum(o.mean(rows, axes=(rank - 2,), keepdim=True), eps1)
        variance = o.div(o.mul(rows, columns), whole)
    else:
        variance = o.add(rest[0], o.mul(o.sub(square, rest[0]), new))
        kept = [variance]
    update = o.mul(o.rsqrt(o.maximum(variance, o.mul(eps1, eps1))), g)
    limited = o.div(rate, _greater(o, o.constant(value=1.0, dtype=f64), o.div(_root_mean_square(o, update), d)))
    return o.sub(p, o.mul(update, limited)), *kept


def _greater(o: OpSet, x: Value, y: Value) -> Value:
    """The greater of two numbers, and ``x`` where ``y`` is NaN, as Python's ``max`` says in PyTorch."""
    return o.where(o.gt(y, x), y, x)


def _root_mean_square(o: OpSet, x: Value) -> Value:
    """The norm of all elements, f64[]."""
    total = o.sum(o.mul(x, x), axes=tuple(range(x.type.rank)))
    return o.div(o.sqrt(o.cast(total, to=f64)), sqrt(max(x.type.size, 1)))


rule("adafactor_update", _adafactor, lambda factored, **_: 1 + factored, lambda **_: 6, factored=False)


def _infer_muon(*types: TensorType, coefficients: tuple[float, ...], steps: int, **_: Any) -> Any:
    if types[0].rank != 2:
        raise OpError(f"muon_update takes matrices, not {types[0]}")
    if steps >= 100:
        raise OpError("Number of steps must be less than 100 for computational efficiency")
    if len(coefficients) != 3:
        raise OpError("Coefficients must be a tuple of exactly 3 values")
    return infer_update(3, 4)(*types)


def _muon(
    o: OpSet,
    p: Value,
    g: Value,
    buffer: Value,
    lr: Value,
    weight_decay: Value,
    momentum: Value,
    eps: Value,
    nesterov: bool,
    coefficients: tuple[float, float, float],
    steps: int,
    ratio: float,
) -> tuple[Value, Value]:
    """Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024.

    ``ratio``: of the rate to ``lr``, which depends on the shape of the matrix.
    """
    buffer = o.add(buffer, o.mul(o.sub(g, buffer), o.sub(1.0, momentum)))
    direction = o.add(g, o.mul(o.sub(buffer, g), momentum)) if nesterov else buffer
    straight = as_type(_orthogonal(o, direction, coefficients, steps, eps), p.dtype)
    p = o.mul(p, o.sub(1.0, o.mul(lr, weight_decay)))
    return o.sub(p, o.mul(straight, o.mul(lr, ratio))), buffer


def _orthogonal(o: OpSet, x: Value, coefficients: tuple[float, float, float], steps: int, eps: Value) -> Value:
    """The orthogonal matrix near ``x``, by Newton-Schulz iterations in bf16."""
    a, b, c = coefficients
    tall = x.shape[0] > x.shape[1]
    x = as_type(x, bf16)
    x = transposed(o, x) if tall else x
    wide = as_type(x, f32)
    norm = as_type(o.sqrt(o.sum(o.mul(wide, wide), axes=(0, 1))), bf16)
    x = o.div(x, as_type(o.maximum(norm, eps), bf16))
    for _ in range(steps):
        gram = as_type(exact_dot(o, x, transposed(o, x)), bf16)
        square = exact_dot(o, gram, gram)
        update = as_type(o.add(o.mul(as_type(gram, f32), b), o.mul(square, c)), bf16)
        x = as_type(o.add(o.mul(as_type(x, f32), a), exact_dot(o, update, x)), bf16)
    return transposed(o, x) if tall else x


training_op(
    "muon_update",
    _infer_muon,
    rounded(_muon),
    updates=True,
    nesterov=True,
    coefficients=REQUIRED,
    steps=REQUIRED,
    ratio=1.0,
)
