"""The updates of optimizers.

Operands: parameter, gradient, what the optimizer remembers of the parameter, then rank-0 scalars. Hyper-parameters are
f64 and read at every call; the arithmetic on them runs once per step in f64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compiler.errors import OpError
from compiler.ir.graph import Value
from compiler.ir.op import OpSet
from compiler.ir.types import TensorType, f32, f64
from compiler.ops.contract import accumulator
from compiler.ops.elementwise import as_type
from compiler.ops.training import check_scalars, training_op


def infer_update(tensors: int, scalars: int) -> Any:
    """The type rule of an optimizer's step on so many tensors (parameter, gradient, moments), then so many scalars.

    The results are the new parameter and moments: all tensors but the gradient.
    """

    def infer(*types: TensorType, **_: Any) -> TensorType | tuple[TensorType, ...]:
        if len(types) != tensors + scalars:
            raise OpError(f"takes {tensors} tensors and {scalars} scalars, not {len(types)} operands")
        check_scalars(*types[tensors:])
        p, g = types[:2]
        if p.shape != g.shape:
            raise OpError(f"parameter {p} and gradient {g} differ in shape")
        results = (p, *types[2:tensors])
        return results[0] if len(results) == 1 else results

    return infer


def rounded(update: Callable[..., Any]) -> Callable[..., tuple[Value, ...]]:
    """``update`` on 16-bit tensors in f32; the new parameter and moments are rounded once, to the types of the old."""

    def expand(o: OpSet, *operands: Value, **attrs: Any) -> tuple[Value, ...]:
        results = update(o, *(as_type(v, accumulator(v.dtype)) for v in operands), **attrs)
        return tuple(as_type(new, old.dtype) for new, old in zip(results, (operands[0], *operands[2:]), strict=False))

    return expand


def descent(o: OpSet, g: Value, p: Value, weight_decay: Value, maximize: bool) -> Value:
    """The gradient with the decay of the parameter added to it."""
    g = o.neg(g) if maximize else g
    decayed = o.add(g, o.mul(p, weight_decay))
    return o.where(o.eq(weight_decay, 0.0), g, decayed)  # 0 times an infinite parameter would be NaN


def _decayed(
    o: OpSet, p: Value, g: Value, lr: Value, weight_decay: Value, decoupled: bool, maximize: bool
) -> tuple[Value, Value]:
    """Parameter and direction of descent, with the decay taken from the one or added to the other."""
    if not decoupled:
        return p, descent(o, g, p, weight_decay, maximize)
    return o.mul(p, o.sub(1.0, o.mul(lr, weight_decay))), o.neg(g) if maximize else g


def _sgd(o: OpSet, p: Value, g: Value, lr: Value, weight_decay: Value, maximize: bool) -> tuple[Value]:
    return (o.sub(p, o.mul(descent(o, g, p, weight_decay, maximize), lr)),)


training_op("sgd_update", infer_update(2, 2), rounded(_sgd), updates=True, maximize=False)


def _sgd_momentum(
    o: OpSet,
    p: Value,
    g: Value,
    buffer: Value,
    lr: Value,
    weight_decay: Value,
    momentum: Value,
    dampening: Value,
    nesterov: bool,
    first: bool,
    maximize: bool,
) -> tuple[Value, Value]:
    """Sutskever et al., 2013. ``first``: the buffer starts as the gradient itself."""
    d = descent(o, g, p, weight_decay, maximize)
    buffer = d if first else o.add(o.mul(buffer, momentum), o.mul(d, o.sub(1.0, dampening)))
    step = o.add(d, o.mul(buffer, momentum)) if nesterov else buffer
    return o.sub(p, o.mul(step, lr)), buffer


training_op(
    "sgd_momentum_update",
    infer_update(3, 4),
    rounded(_sgd_momentum),
    updates=True,
    nesterov=False,
    first=False,
    maximize=False,
)


def _adam(
    o: OpSet,
    p: Value,
    g: Value,
    *rest: Value,
    decoupled: bool,
    amsgrad: bool,
    maximize: bool,
) -> tuple[Value, ...]:
    """Kingma & Ba, 2015; decoupled weight decay by Loshchilov & Hutter, 2019; AMSGrad by Reddi et al., 2018.

    ``rest``: m, v, [largest v], step (already counted), lr, beta1, beta2, eps, weight_decay.
    """
    moments = 3 if amsgrad else 2
    m, v = rest[:2]
    step, lr, beta1, beta2, eps, weight_decay = rest[moments:]
    p, g = _decayed(o, p, g, lr, weight_decay, decoupled, maximize)
    t = o.cast(step, to=f64)
    step_size = o.div(lr, o.sub(1.0, o.pow(beta1, t)))
    inverse_root = o.rsqrt(o.sub(1.0, o.pow(beta2, t)))
    m = o.add(m, o.mul(o.sub(g, m), o.sub(1.0, beta1)))
    v = o.add(o.mul(v, beta2), o.mul(o.mul(g, g), o.sub(1.0, beta2)))
    largest = o.maximum(rest[2], v) if amsgrad else v
    denominator = o.add(o.mul(o.sqrt(largest), inverse_root), eps)
    p = o.sub(p, o.mul(o.div(m, denominator), step_size))
    return (p, m, v, largest) if amsgrad else (p, m, v)


_NUMBERS = (TensorType(f32, ()), TensorType(f64, ()))


def rule(name: str, update: Any, moments: Callable[..., int], scalars: Callable[..., int], **flags: bool) -> None:
    """Register the update of an optimizer that counts its steps.

    Operands: parameter, gradient, so many ``moments``, the step count f32[] or f64[] (this step included), so many
    f64 ``scalars``; both numbers may depend on the ``flags``, its attributes. Results: the new parameter and moments.
    """

    def infer(*types: TensorType, **attrs: bool) -> tuple[TensorType, ...]:
        tensors = 2 + moments(**attrs)
        if len(types) > tensors and types[tensors] not in _NUMBERS:
            raise OpError(f"the step count is f32[] or f64[], not {types[tensors]}")
        results: tuple[TensorType, ...] = infer_update(tensors, scalars(**attrs))(
            *types[:tensors], *types[tensors + 1 :]
        )
        return results

    training_op(name, infer, rounded(update), updates=True, maximize=False, **flags)


rule("adam_update", _adam, lambda amsgrad, **_: 2 + amsgrad, lambda **_: 5, decoupled=False, amsgrad=False)


def _rmsprop(o: OpSet, p: Value, g: Value, *rest: Value, momentum: bool, centered: bool, maximize: bool) -> Any:
    """Tieleman & Hinton, "Lecture 6.5: rmsprop", 2012; centered by Graves, 2013.

    ``rest``: mean square, [buffer], [mean], step, lr, alpha, eps, weight_decay, [momentum].
    """
    moments = 1 + momentum + centered
    square, *others = rest[:moments]
    _, lr, alpha, eps, weight_decay, *factor = rest[moments:]
    g = descent(o, g, p, weight_decay, maximize)
    new = o.sub(1.0, alpha)
    square = variance = o.add(o.mul(square, alpha), o.mul(o.mul(g, g), new))
    means = []
    if centered:
        mean = o.add(others[-1], o.mul(o.sub(g, others[-1]), new))
        variance = o.sub(square, o.mul(mean, mean))
        means = [mean]
    step = o.div(g, o.add(o.sqrt(variance), eps))
    if not momentum:
        return o.sub(p, o.mul(step, lr)), square, *means
    buffer = o.add(o.mul(others[0], factor[0]), step)
    return o.sub(p, o.mul(buffer, lr)), square, buffer, *means


rule(
    "rmsprop_update",
    _rmsprop,
    lambda momentum, centered, **_: 1 + momentum + centered,
    lambda momentum, **_: 4 + momentum,
    momentum=False,
    centered=False,
)


def _adagrad(
    o: OpSet,
    p: Value,
    g: Value,
    total: Value,
    step: Value,
    lr: Value,
    lr_decay: Value,
    eps: Value,
    weight_decay: Value,
    maximize: bool,
) -> tuple[Value, Value]:
    """Duchi et al., "Adaptive subgradient methods", 2011. ``total``: the sum of the squares."""
    g = descent(o, g, p, weight_decay, maximize)
    rate = o.div(lr, o.add(o.mul(o.sub(o.cast(step, to=f64), 1.0), lr_decay), 1.0))
    total = o.add(total, o.mul(g, g))
    return o.sub(p, o.mul(o.div(g, o.add(o.sqrt(total), eps)), rate)), total


rule("adagrad_update", _adagrad, lambda **_: 1, lambda **_: 4)


def _adadelta(
    o: OpSet,
    p: Value,
    g: Value,
    square: Value,
    moved: Value,
    step: Value,
    lr: Value,
    rho: Value,
    eps: Value,
    weight_decay: Value,
    maximize: bool,
) -> tuple[Value, Value, Value]:
    """Zeiler, "ADADELTA", 2012. ``square``, ``moved``: mean squares of the gradients and of the moves."""
    g = descent(o, g, p, weight_decay, maximize)
    new = o.sub(1.0, rho)
    square = o.add(o.mul(square, rho), o.mul(o.mul(g, g), new))
    move = o.mul(o.div(o.sqrt(o.add(moved, eps)), o.sqrt(o.add(square, eps))), g)
    moved = o.add(o.mul(moved, rho), o.mul(o.mul(move, move), new))
    return o.sub(p, o.mul(move, lr)), square, moved


rule("adadelta_update", _adadelta, lambda **_: 2, lambda **_: 4)


def _adamax(
    o: OpSet,
    p: Value,
    g: Value,
    m: Value,
    largest: Value,
    step: Value,
    lr: Value,
    beta1: Value,
    beta2: Value,
    eps: Value,
    weight_decay: Value,
    maximize: bool,
) -> tuple[Value, Value, Value]:
    """Kingma & Ba, 2015, section 7.1. ``largest``: the largest gradient, which fades by ``beta2``."""
    g = descent(o, g, p, weight_decay, maximize)
    rate = o.div(lr, o.sub(1.0, o.pow(beta1, o.cast(step, to=f64))))
    m = o.add(m, o.mul(o.sub(g, m), o.sub(1.0, beta1)))
    largest = o.maximum(o.mul(largest, beta2), o.add(o.abs(g), eps))
    return o.sub(p, o.mul(o.div(m, largest), rate)), m, largest


rule("adamax_update", _adamax, lambda **_: 2, lambda **_: 5)


def _radam(
    o: OpSet,
    p: Value,
    g: Value,
    m: Value,
    v: Value,
    step: Value,
    lr: Value,
    beta1: Value,
    beta2: Value,
    eps: Value,
    weight_decay: Value,
    decoupled: bool,
    maximize: bool,
) -> tuple[Value, Value, Value]:
    """Liu et al., "On the variance of the adaptive learning rate and beyond", 2020.

    Steps whose mean square is still too uncertain (a length of at most 5) use momentum alone.
    """
    p, g = _decayed(o, p, g, lr, weight_decay, decoupled, maximize)
    t = o.cast(step, to=f64)
    faded = o.pow(beta2, t)
    correction = o.sub(1.0, faded)
    limit = o.sub(o.div(2.0, o.sub(1.0, beta2)), 1.0)
    length = o.sub(limit, o.div(o.mul(o.mul(t, faded), 2.0), correction))
    above = o.mul(o.mul(o.sub(length, 4.0), o.sub(length, 2.0)), limit)
    below = o.mul(o.mul(o.sub(limit, 4.0), o.sub(limit, 2.0)), length)
    certain = o.gt(length, 5.0)
    rate = o.div(lr, o.sub(1.0, o.pow(beta1, t)))
    adaptive = o.mul(rate, o.sqrt(o.mul(o.div(above, below), correction)))
    m = o.add(m, o.mul(o.sub(g, m), o.sub(1.0, beta1)))
    v = o.add(o.mul(v, beta2), o.mul(o.mul(g, g), o.sub(1.0, beta2)))
    step_size = o.where(certain, o.div(adaptive, o.add(o.sqrt(v), eps)), rate)
    return o.sub(p, o.mul(m, step_size)), m, v


rule("radam_update", _radam, lambda **_: 2, lambda **_: 5, decoupled=False)


def _nadam(
    o: OpSet,
    p: Value,
    g: Value,
    m: Value,
    v: Value,
    step: Value,
    lr: Value,
    beta1: Value,
    beta2: Value,
    eps: Value,
    weight_decay: Value,
    momentum_decay: Value,
    product: Value,
    decoupled: bool,
    maximize: bool,
) -> tuple[Value, Value, Value]:
    """Dozat, "Incorporating Nesterov momentum into Adam", 2016. ``product``: of the momenta of all steps so far."""
    p, g = _decayed(o, p, g, lr, weight_decay, decoupled, maximize)
    t = o.cast(step, to=f64)
    now, later = (_momentum(o, beta1, momentum_decay, when) for when in (t, o.add(t, 1.0)))
    m = o.add(m, o.mul(o.sub(g, m), o.sub(1.0, beta1)))
    v = o.add(o.mul(v, beta2), o.mul(o.mul(g, g), o.sub(1.0, beta2)))
    denominator = o.add(o.sqrt(o.mul(v, o.reciprocal(o.sub(1.0, o.pow(beta2, t))))), eps)
    by_gradient = o.div(o.mul(lr, o.sub(1.0, now)), o.sub(1.0, product))
    by_mean = o.div(o.mul(lr, later), o.sub(1.0, o.mul(product, later)))
    move = o.div(o.add(o.mul(g, by_gradient), o.mul(m, by_mean)), denominator)
    return o.sub(p, move), m, v


def _momentum(o: OpSet, beta1: Value, momentum_decay: Value, t: Value) -> Value:
    """The momentum of step ``t``, which grows towards ``beta1``."""
    return o.mul(beta1, o.sub(1.0, o.mul(0.5, o.pow(0.96, o.mul(t, momentum_decay)))))


rule("nadam_update", _nadam, lambda **_: 2, lambda **_: 7, decoupled=False)


def _infer_number(number: TensorType, *scalars: TensorType) -> TensorType:
    check_scalars(*scalars)
    if number not in _NUMBERS:
        raise OpError(f"what parameters remember together is f32[] or f64[], not {number}")
    return number


training_op(
    "nadam_product",
    lambda product, step, beta1, momentum_decay: _infer_number(product, beta1, momentum_decay),
    lambda o, product, step, beta1, momentum_decay: o.mul(
        product, o.cast(_momentum(o, beta1, momentum_decay, o.cast(step, to=f64)), to=product.dtype)
    ),
    updates=True,
)


def _asgd(
    o: OpSet,
    p: Value,
    g: Value,
    average: Value,
    step: Value,
    lambd: Value,
    weight_decay: Value,
    eta: Value,
    mu: Value,
    maximize: bool,
) -> tuple[Value, Value]:
    """Polyak & Juditsky, "Acceleration of stochastic approximation by averaging", 1992.

    ``eta``: the rate of this step; ``mu``: the share of the new parameter in the average.
    """
    g = descent(o, g, p, weight_decay, maximize)
    p = o.sub(o.mul(p, o.sub(1.0, o.mul(lambd, eta))), o.mul(g, eta))
    return p, o.where(o.eq(mu, 1.0), p, o.add(average, o.mul(o.sub(p, average), mu)))


rule("asgd_update", _asgd, lambda **_: 1, lambda **_: 4)

training_op(
    "asgd_rate",
    lambda step, *scalars: _infer_number(step, *scalars),
    lambda o, step, lr, lambd, alpha: o.cast(
        o.div(lr, o.pow(o.add(1.0, o.mul(o.mul(lambd, lr), o.cast(step, to=f64))), alpha)), to=step.dtype
    ),
    updates=True,
)
training_op(
    "asgd_share",
    lambda step, t0: _infer_number(step, t0),
    lambda o, step, t0: o.cast(o.reciprocal(o.maximum(o.sub(o.cast(step, to=f64), t0), 1.0)), to=step.dtype),
    updates=True,
)


def _rprop(
    o: OpSet,
    p: Value,
    g: Value,
    last: Value,
    size: Value,
    step: Value,
    lr: Value,
    low: Value,
    high: Value,
    smallest: Value,
    largest: Value,
    maximize: bool,
) -> tuple[Value, Value, Value]:
    """Riedmiller & Braun, "The RPROP algorithm", 1993. ``last``: the last gradient; ``size``: of each element's step.

    The first step has sizes ``lr``. An element whose gradient has turned waits for one step.
    """
    size = o.where(o.eq(step, 1.0), lr, size)
    g = o.neg(g) if maximize else g
    agreement = o.mul(g, last)
    turned = o.lt(agreement, 0.0)
    factor = o.where(turned, low, o.where(o.gt(agreement, 0.0), high, 1.0))
    size = o.minimum(o.maximum(o.mul(size, factor), smallest), largest)
    g = o.where(turned, 0.0, g)
    return o.sub(p, o.mul(o.sign(g), size)), g, size


rule("rprop_update", _rprop, lambda **_: 2, lambda **_: 5)


training_op("count_step", lambda step: step, lambda o, step: o.add(step, 1), updates=True)
