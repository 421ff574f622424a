"""``slide``, the one primitive behind convolution and pooling: a view that reads windows of an image, zero outside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np

from compiler.errors import OpError
from compiler.ir.graph import Value
from compiler.ir.op import REQUIRED, Op, OpSet, register
from compiler.ir.types import Shape, TensorType

UNROLLED = 32
"""Places in a window up to which a reduction over it is written out, one term for each."""


def _infer_slide(
    x: TensorType,
    size: Shape,
    stride: Shape,
    dilation: Shape,
    padding: Shape,
    base: Shape,
    fill: float,
) -> TensorType:
    rank = len(size)
    if any(len(given) != rank for given in (stride, dilation, padding, base)) or x.rank < 2 * rank:
        raise OpError(
            f"slide over {rank} dimensions needs as many of each attribute and [..., *window, *image], not {x}"
        )
    if any(s < 1 for s in (*stride, *base)) or any(n < 0 for n in size):
        raise OpError(f"slide needs positive steps: stride {list(stride)}, base {list(base)}, size {list(size)}")
    return TensorType(x.dtype, (*x.shape[: x.rank - rank], *size))


def _slide(
    x: np.ndarray, size: Shape, stride: Shape, dilation: Shape, padding: Shape, base: Shape, fill: float
) -> np.ndarray:
    rank = len(size)
    lead = x.ndim - 2 * rank
    window, image = x.shape[lead : lead + rank], x.shape[lead + rank :]
    result_shape = (*x.shape[: lead + rank], *size)
    if not x.size:
        return np.full(result_shape, fill, x.dtype)
    index: list[Any] = [Ellipsis]
    places = []
    inside = np.ones((1,) * (2 * rank), bool)
    for d in range(rank):
        w, o = (np.arange(n).reshape([-1 if a == at else 1 for a in range(2 * rank)]) for n, at in
                ((window[d], d), (size[d], rank + d)))  # fmt: skip
        place = o * stride[d] + w * dilation[d] - padding[d]
        inside = inside & (place >= 0) & (place % base[d] == 0) & (place // base[d] < image[d])
        index.append(w)
        places.append(np.clip(place // base[d], 0, image[d] - 1))
    return np.where(inside, x[(*index, *places)], x.dtype.type(fill))


def _slide_vjp(o: OpSet, node: Any, g: Value) -> tuple[Value]:
    return (slide_back(o, g, size=node.inputs[0].shape[-len(node.attrs["size"]) :], **_geometry(node.attrs)),)


def _geometry(attrs: dict[str, Any]) -> dict[str, Any]:
    return {k: attrs[k] for k in ("stride", "dilation", "padding", "base")}


register(
    Op(
        "slide",
        _infer_slide,
        "view",
        _slide,
        _slide_vjp,
        attrs={"size": REQUIRED, "stride": REQUIRED, "dilation": REQUIRED, "padding": REQUIRED, "base": REQUIRED,
               "fill": 0},
        raw=True,
        reads="window",
    )
)  # fmt: skip
"""``y[..., *w, *o] = x[..., *w, *p]`` with ``p = (o * stride + w * dilation - padding) / base`` in each dimension.

For a ``p`` that is no whole number in the image, it is ``fill``. ``base`` > 1 so puts zeros between the elements
of the image. Solved for ``o`` instead of ``p`` the equation has the same form: the transpose of a slide is a slide.
"""


def slide_back(
    o: OpSet, g: Value, size: Shape, stride: Shape, dilation: Shape, padding: Shape, base: Shape, fill: float = 0
) -> Value:
    """The transpose of a slide whose image had ``size``; the arguments are that slide's."""
    return o.slide(
        g,
        size=size,
        stride=base,
        dilation=tuple(-d for d in dilation),
        padding=tuple(-p for p in padding),
        base=stride,
        fill=fill,
    )


def windows(o: OpSet, x: Value, window: Shape, **geometry: Any) -> Value:
    """``[*lead, *image]`` as ``[*lead, *window, *size]``: the image as each place of the window sees it."""
    rank = len(window)
    lead, image = x.shape[: x.type.rank - rank], x.shape[x.type.rank - rank :]
    spread = o.expand(o.reshape(x, shape=(*lead, *(1,) * rank, *image)), shape=(*lead, *window, *image))
    return o.slide(spread, **geometry)


def taps(
    o: OpSet,
    x: Value,
    window: Shape,
    size: Shape,
    stride: Shape,
    dilation: Shape,
    padding: Shape,
    base: Shape | None = None,
    fill: float = 0,
) -> Iterator[Value]:
    """``[*lead, *image]`` as each place of the window sees it, one ``[*lead, *size]`` after the other."""
    rank = len(window)
    lead, image = x.shape[: x.type.rank - rank], x.shape[x.type.rank - rank :]
    flat = o.reshape(x, shape=(*lead, *(1,) * rank, *image))
    for place in product(*map(range, window)):
        seen = o.slide(
            flat,
            size=size,
            stride=stride,
            dilation=dilation,
            padding=tuple(p - w * d for p, w, d in zip(padding, place, dilation, strict=True)),
            base=base or (1,) * rank,
            fill=fill,
        )
        yield o.reshape(seen, shape=(*lead, *size))


def fold(o: OpSet, g: Value, size: Shape, **geometry: Any) -> Value:
    """The transpose of :func:`windows`: ``[*lead, *window, *out]`` summed into images ``[*lead, *size]``.

    Each element of the image gathers what saw it, so that the sums have one order. ``geometry`` describes the windows.
    """
    rank = len(size)
    lead = g.shape[: g.type.rank - 2 * rank]
    window, out = g.shape[len(lead) : len(lead) + rank], g.shape[len(lead) + rank :]
    if prod(window) > UNROLLED:
        axes = tuple(range(len(lead), len(lead) + rank))
        return o.sum(slide_back(o, g, size=size, **geometry), axes=axes)
    parts = []
    for place in product(*map(range, window)):
        start = (*(0 for _ in lead), *place, *(0 for _ in out))
        stop = (*lead, *(w + 1 for w in place), *out)
        part = o.slice(g, start=start, stop=stop, step=(1,) * g.type.rank)
        moved = shifted(place, **geometry)
        parts.append(o.reshape(slide_back(o, part, size=size, **moved), shape=(*lead, *size)))
    return total(o, parts)


def shifted(place: Sequence[int], dilation: Shape, padding: Shape, **rest: Any) -> dict[str, Any]:
    """The geometry of a window of one, standing where ``place`` stands in a larger window."""
    moved = tuple(p - w * d for p, w, d in zip(padding, place, dilation, strict=True))
    return {"dilation": dilation, "padding": moved, **rest}


def total(o: OpSet, parts: Sequence[Value]) -> Value:
    """The sum of ``parts``, one after the other."""
    result = parts[0]
    for part in parts[1:]:
        result = o.add(result, part)
    return result
