"""Normalisations: over the last dimensions, over groups of channels, over the batch.

Statistics are kept for the backward pass as results of their own, in f32 for 16-bit inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from compiler.errors import OpError
from compiler.ir.graph import Value
from compiler.ir.op import REQUIRED, Op, OpSet, register
from compiler.ir.types import TensorType
from compiler.ops.composite import floating, rounded
from compiler.ops.contract import accumulator
from compiler.ops.elementwise import FP32_ON_CUDA
from compiler.ops.softmax import count, mean
from compiler.ops.statistics import var

# Over the last dimensions


def _infer_layer_norm(x: TensorType, *affine: TensorType, ndim: int, eps: float) -> tuple[TensorType, ...]:
    if not 0 < ndim <= x.rank:
        raise OpError(f"cannot normalise the last {ndim} dimensions of shape {list(x.shape)}")
    for parameter in affine:
        if parameter.shape != x.shape[x.rank - ndim :]:
            raise OpError(
                f"weight and bias of shape {list(parameter.shape)} do not match the normalised dimensions "
                f"{list(x.shape[x.rank - ndim :])} of the input {list(x.shape)}"
            )
    statistic = TensorType(accumulator(floating(x).dtype), x.shape[: x.rank - ndim] + (1,) * ndim)
    return x, statistic, statistic


def _tail(x: Value, ndim: int) -> tuple[int, ...]:
    return tuple(range(x.type.rank - ndim, x.type.rank))


def _affine(o: OpSet, y: Value, affine: Sequence[Value]) -> Value:
    if affine:
        y = o.mul(y, o.cast(affine[0], to=y.dtype))
    if len(affine) > 1:
        y = o.add(y, o.cast(affine[1], to=y.dtype))
    return y


def _expand_layer_norm(o: OpSet, x: Value, *affine: Value, ndim: int, eps: float) -> tuple[Value, ...]:
    """Ba, Kiros & Hinton, "Layer normalization", 2016."""
    axes = _tail(x, ndim)
    wide = o.cast(x, to=accumulator(x.dtype))
    centre = mean(o, wide, axes, True)
    rstd = o.rsqrt(o.add(var(o, wide, axes, True, 0.0), eps))
    y = _affine(o, o.mul(o.sub(wide, centre), rstd), affine)
    return o.cast(y, to=x.dtype), centre, rstd


def _normalise_backward(o: OpSet, g: Value, normal: Value, rstd: Value, axes: tuple[int, ...], centre: bool) -> Value:
    """Gradient through ``normal = (x - mean) * rstd`` (or ``x * rstd``)."""
    along = mean(o, o.mul(g, normal), axes, True)
    d = o.sub(g, o.mul(normal, along))
    if centre:
        d = o.sub(d, mean(o, g, axes, True))
    return o.mul(d, rstd)


def _norm_vjp(centre: bool) -> Callable[..., Any]:
    def vjp(o: OpSet, node: Any, g: Value | None, *statistics: Value | None) -> tuple[Any, ...]:
        x, *affine = node.inputs
        axes = _tail(x, node.attrs["ndim"])
        lead = tuple(range(x.type.rank - len(axes)))
        wide = accumulator(x.dtype)
        g = o.zeros(shape=x.shape, dtype=wide) if g is None else o.cast(g, to=wide)
        rstd = node.outputs[-1]
        shifted = o.cast(x, to=wide)
        normal = o.mul(o.sub(shifted, node.outputs[1]) if centre else shifted, rstd)

        def to_x() -> Value:
            scaled = o.mul(g, o.cast(affine[0], to=wide)) if affine else g
            d = _normalise_backward(o, scaled, normal, rstd, axes, centre)
            return o.cast(_add_statistics(o, d, normal, rstd, statistics, count(x.shape, axes)), to=x.dtype)

        to_affine = (
            lambda: o.cast(o.sum(o.mul(g, normal), axes=lead), to=affine[0].dtype),
            lambda: o.cast(o.sum(g, axes=lead), to=affine[1].dtype),
        )
        return (to_x, *to_affine[: len(affine)])

    return vjp


def _add_statistics(
    o: OpSet, d: Value, normal: Value, rstd: Value, statistics: Sequence[Value | None], elements: int
) -> Value:
    """``d`` and the gradients through ``[mean,] rstd``: d mean/dx = 1/n, d rstd/dx = -rstd**2 * normal / n."""
    *to_mean, to_rstd = statistics
    if to_rstd is not None:
        d = o.sub(d, o.mul(normal, o.div(o.mul(to_rstd, o.mul(rstd, rstd)), float(elements))))
    for g in to_mean:
        d = d if g is None else o.add(d, o.div(g, float(elements)))
    return d


register(
    Op(
        "layer_norm",
        _infer_layer_norm,
        "composite",
        vjp=_norm_vjp(centre=True),
        expand=_expand_layer_norm,
        attrs={"ndim": REQUIRED, "eps": 1e-5},
        autocast=FP32_ON_CUDA,
        spreads=True,
    )
)


def _expand_rms_norm(o: OpSet, x: Value, *affine: Value, ndim: int, eps: float) -> tuple[Value, ...]:
    """Zhang & Sennrich, "Root mean square layer normalization", 2019."""
    wide = o.cast(x, to=accumulator(x.dtype))
    rstd = o.rsqrt(o.add(mean(o, o.mul(wide, wide), _tail(x, ndim), True), eps))
    return o.cast(_affine(o, o.mul(wide, rstd), affine), to=x.dtype), rstd


register(
    Op(
        "rms_norm",
        lambda *types, **attrs: _infer_layer_norm(*types, **attrs)[:2],
        "composite",
        vjp=_norm_vjp(centre=False),
        expand=_expand_rms_norm,
        attrs={"ndim": REQUIRED, "eps": 1e-5},
        autocast=FP32_ON_CUDA,
        spreads=True,
    )
)

# Over groups of channels, and over the batch
#
# Inputs [N, C, *] are seen as [batch, groups, channels of a group, space]; batch norm has groups of one channel.
# Whatever is summed is summed over space first: along rows in memory, which leaves a number per channel of an example.

SPACE = 3


def _infer_grouped(x: TensorType, affine: Sequence[TensorType], groups: int) -> None:
    if floating(x).rank < 2:
        raise OpError(f"the input must have channels in dimension 1, as [N, C, ...]; its shape is {list(x.shape)}")
    channels = x.shape[1]
    if groups < 1 or channels % groups:
        raise OpError(
            "Expected number of channels in input to be divisible by num_groups, "
            f"but got input of shape {list(x.shape)} and num_groups={groups}"
        )
    for parameter in affine:
        if parameter.shape != (channels,):
            raise OpError(
                f"weight and bias must have one element for each of the {channels} channels of the input "
                f"{list(x.shape)}, not shape {list(parameter.shape)}"
            )


def _infer_batch_norm(x: TensorType, *affine: TensorType, eps: float) -> tuple[TensorType, ...]:
    _infer_grouped(x, affine, 1)
    statistic = TensorType(accumulator(x.dtype), x.shape[1:2])
    return x, statistic, statistic


def _infer_group_norm(x: TensorType, *affine: TensorType, groups: int, eps: float) -> tuple[TensorType, ...]:
    _infer_grouped(x, affine, groups)
    statistic = TensorType(accumulator(x.dtype), (x.shape[0], groups))
    return x, statistic, statistic


def _grouped(o: OpSet, x: Value, groups: int) -> Value:
    """``x [N, C, *]``, in the type it is computed in, as [batch, groups, channels of a group, space]."""
    batch, channels, *space = x.shape
    wide = o.cast(x, to=accumulator(x.dtype))
    return o.reshape(wide, shape=(batch, groups, channels // groups, prod(space)))


def _per_channel(o: OpSet, parameter: Value, x: Value) -> Value:
    """A parameter ``[C]`` beside the grouped ``x``."""
    return o.reshape(o.cast(parameter, to=x.dtype), shape=(1, x.shape[1], x.shape[2], 1))


def _moments(o: OpSet, x: Value, axes: tuple[int, ...]) -> tuple[Value, Value]:
    """Mean and biased variance of the grouped ``x`` over space and ``axes``.

    The variance is the mean of the variances in each channel plus the variance of the means.
    """
    means, variances = mean(o, x, (SPACE,), True), var(o, x, (SPACE,), True, 0.0)
    centre = mean(o, means, axes, True)
    apart = o.sub(means, centre)
    return centre, mean(o, o.add(variances, o.mul(apart, apart)), axes, True)


def _scaled(o: OpSet, x: Value, centre: Value, variance: Value, affine: Sequence[Value], eps: float) -> Value:
    """The grouped ``x`` by its statistics and the parameters ``[C]``."""
    y = o.mul(o.sub(x, centre), o.rsqrt(o.add(variance, eps)))
    return _affine(o, y, [_per_channel(o, p, x) for p in affine])


def _expand_grouped(
    o: OpSet, x: Value, affine: Sequence[Value], groups: int, axes: tuple[int, ...], eps: float
) -> tuple[Value, Value, Value]:
    grouped = _grouped(o, x, groups)
    centre, variance = _moments(o, grouped, axes)
    y = o.reshape(_scaled(o, grouped, centre, variance, affine, eps), shape=x.shape)
    return o.cast(y, to=x.dtype), centre, variance


def _expand_batch_norm(o: OpSet, x: Value, *affine: Value, eps: float) -> tuple[Value, ...]:
    """Ioffe & Szegedy, "Batch normalization", 2015; the results are y, mean and biased variance."""
    y, *statistics = _expand_grouped(o, x, affine, x.shape[1], (0,), eps)
    return y, *(o.reshape(s, shape=x.shape[1:2]) for s in statistics)


def _expand_group_norm(o: OpSet, x: Value, *affine: Value, groups: int, eps: float) -> tuple[Value, ...]:
    """Wu & He, "Group normalization", 2018; the results are y, mean and biased variance."""
    y, *statistics = _expand_grouped(o, x, affine, groups, (2,), eps)
    return y, *(o.reshape(s, shape=(x.shape[0], groups)) for s in statistics)


def _grouped_vjp(axes: tuple[int, ...]) -> Callable[..., Any]:
    """The gradient rule of a normalisation over space and ``axes``."""

    def vjp(o: OpSet, node: Any, g: Value | None, to_mean: Value | None, to_var: Value | None) -> tuple[Any, ...]:
        x, *affine = node.inputs
        groups = node.attrs.get("groups", x.shape[1])
        wide = _grouped(o, x, groups)
        g = o.zeros(shape=wide.shape, dtype=wide.dtype) if g is None else _grouped(o, g, groups)
        kept = tuple(1 if a in (*axes, SPACE) else n for a, n in enumerate(wide.shape))
        elements = float(count(wide.shape, (*axes, SPACE)))
        centre, variance = (o.reshape(s, shape=kept) for s in node.outputs[1:])
        rstd = o.rsqrt(o.add(variance, node.attrs["eps"]))
        normal = o.mul(o.sub(wide, centre), rstd)
        sums = [o.sum(v, axes=(SPACE,), keepdim=True) for v in (g, o.mul(g, normal))]

        def to_x() -> Value:
            weighed = [g, *sums]
            if affine:
                weight = _per_channel(o, affine[0], wide)
                weighed = [o.mul(v, weight) for v in weighed]
            d, *parts = weighed
            shift, slope = (o.div(o.sum(p, axes=axes, keepdim=True), elements) for p in parts)
            d = o.mul(o.sub(d, o.add(shift, o.mul(normal, slope))), rstd)
            if to_mean is not None:
                d = o.add(d, o.div(o.reshape(to_mean, shape=kept), elements))
            if to_var is not None:
                d = o.add(d, o.mul(o.sub(wide, centre), o.mul(o.reshape(to_var, shape=kept), 2 / elements)))
            return o.cast(o.reshape(d, shape=x.shape), to=x.dtype)

        def to_affine(part: Value, parameter: Value) -> Value:
            return o.cast(o.reshape(o.sum(part, axes=(0,)), shape=parameter.shape), to=parameter.dtype)

        parameters = zip(reversed(sums), affine, strict=False)
        return (to_x, *((lambda part=part, p=p: to_affine(part, p)) for part, p in parameters))

    return vjp


register(
    Op(
        "batch_norm",
        _infer_batch_norm,
        "composite",
        vjp=_grouped_vjp(axes=(0,)),
        expand=_expand_batch_norm,
        statistics=True,
        attrs={"eps": 1e-5},
    )
)
register(
    Op(
        "group_norm",
        _infer_group_norm,
        "composite",
        vjp=_grouped_vjp(axes=(2,)),
        expand=_expand_group_norm,
        attrs={"groups": REQUIRED, "eps": 1e-5},
        autocast=FP32_ON_CUDA,
    )
)


def _infer_unbiased(var: TensorType, x: TensorType) -> TensorType:
    _infer_grouped(x, (var,), 1)
    return var


def _expand_unbiased(o: OpSet, var: Value, x: Value) -> Value:
    """``var * n / (n - 1)`` for the ``n`` elements per channel of ``x [N, C, *]``, however many those of a part are."""
    elements = x.type.size // x.shape[1]
    return o.mul(var, elements / max(elements - 1, 1))


register(Op("unbiased", _infer_unbiased, "composite", expand=rounded(_expand_unbiased)))


def _infer_inference(
    x: TensorType, running_mean: TensorType, running_var: TensorType, *affine: TensorType, eps: float
) -> TensorType:
    _infer_grouped(x, (running_mean, running_var, *affine), 1)
    return x


def _expand_inference(o: OpSet, x: Value, running_mean: Value, running_var: Value, *affine: Value, eps: float) -> Value:
    """Batch norm by statistics that are given, one each for every channel."""
    grouped = _grouped(o, x, x.shape[1])
    centre, variance = (_per_channel(o, s, grouped) for s in (running_mean, running_var))
    y = _scaled(o, grouped, centre, variance, affine, eps)
    return o.cast(o.reshape(y, shape=x.shape), to=x.dtype)


register(Op("batch_norm_inference", _infer_inference, "composite", expand=_expand_inference, attrs={"eps": 1e-5}))
