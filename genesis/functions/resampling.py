"""Images in another size, or read at given places; pixels and channels rearranged."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from itertools import product
from math import prod

import numpy as np

from compiler.errors import ChoiceError, GenesisWarning, OpError, UnsupportedError
from compiler.ir.graph import Value
from compiler.ir.location import here
from compiler.ir.op import o
from compiler.ir.types import f32, i64
from compiler.ops.resample import cubic_weights
from genesis.functions.convolution import Size
from genesis.functions.pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from genesis.functions.precision import full_precision
from genesis.functions.table import api, everywhere, functional_only
from genesis.tensor import Tensor, wrap

Scale = float | Sequence[float]

_SMOOTH = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
_MODES = ("nearest", "nearest-exact", "area", *_SMOOTH)


@functional_only
def interpolate(
    input: Tensor,
    size: Size | None = None,
    scale_factor: Scale | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """``[N, C, *image]`` in another ``size``, or one that is ``scale_factor`` times as large, rounded down.

    ``mode`` is ``"nearest"``, ``"nearest-exact"``, ``"area"``, or by rank ``"linear"``, ``"bilinear"``, ``"bicubic"``,
    ``"trilinear"``. ``align_corners``: the centres of the corner pixels coincide, and not their corners.
    ``recompute_scale_factor`` takes the ratio of the sizes in place of ``scale_factor``. ``antialias`` is for bilinear
    and bicubic images that get smaller.

    Raises ValueError for contradicting arguments, NotImplementedError for a mode of another rank.
    """
    if mode in _MODES[:3]:
        if align_corners is not None:
            raise ChoiceError(
                "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | "
                "trilinear"
            )
    rank = input.ndim - 2
    if recompute_scale_factor and size is not None:
        raise ChoiceError("recompute_scale_factor is not meaningful with an explicit size.")
    target, factors = _sizes(input, rank, size, scale_factor, bool(recompute_scale_factor) or mode == "area")
    if antialias and not (mode in ("bilinear", "bicubic") and rank == 2):
        raise ChoiceError(
            "Anti-alias option is restricted to bilinear and bicubic modes and requires a 4-D tensor as input"
        )
    if rank not in (1, 2, 3) or mode not in _MODES or _SMOOTH.get(mode, rank) != rank:
        raise UnsupportedError(
            here(
                f"interpolate: mode {mode!r} for an input of {input.ndim} dimensions", f"modes are {', '.join(_MODES)}"
            )
        )
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[rank - 1](input, target)
    image: tuple[int, ...] = tuple(input.shape[2:])
    ratios = [n / out if f is None else 1 / f for n, out, f in zip(image, target, factors) if out]
    if len(ratios) == rank and mode == "nearest" and 0 not in image:
        copies = _copies(image, target, ratios)
        if copies is not None:
            return wrap(_repeated(input.value, copies))
    if align_corners:
        ratios = [(n - 1) / (out - 1) if out > 1 else 0.0 for n, out in zip(image, target)]
    kind = {"bicubic": "cubic"}.get(mode, mode if mode in _MODES[:2] else "linear")
    return wrap(
        o.resample(
            input.value,
            size=target,
            scale=tuple(ratios) if len(ratios) == rank else (1.0,) * rank,
            mode=kind,
            aligned=bool(align_corners),
            antialias=antialias,
        )
    )


def _sizes(
    input: Tensor, rank: int, size: Size | None, scale_factor: Scale | None, recompute: bool
) -> tuple[tuple[int, ...], list[float | None]]:
    """The size of the result, and the factors that count in its places."""
    if size is not None and scale_factor is not None:
        raise ChoiceError("only one of size or scale_factor should be defined")
    for name, given in (("size", size), ("scale_factor", scale_factor)):
        if isinstance(given, list | tuple) and len(given) != rank:
            raise ChoiceError(
                f"Input and output must have the same number of spatial dimensions, but got input with spatial "
                f"dimensions of {list(input.shape[2:])} and {name} of {given}. Please provide input tensor in "
                f"(N, C, d1, d2, ...,dK) format and {name} in (o1, o2, ...,oK) format."
            )
    if size is not None:
        given = (size,) * rank if isinstance(size, int) else tuple(size)
        return tuple(int(n) for n in given), [None] * rank
    if scale_factor is None:
        raise ChoiceError("either size or scale_factor should be defined")
    factors = (
        [float(scale_factor)] * rank if isinstance(scale_factor, int | float) else [float(f) for f in scale_factor]
    )
    if min(factors, default=1) <= 0:
        raise OpError(f"Input and output sizes should be greater than 0, but got scale_factor={scale_factor}")
    target = tuple(math.floor(n * f) for n, f in zip(input.shape[2:], factors))
    return target, [None] * rank if recompute else list(factors)


def _copies(image: tuple[int, ...], target: tuple[int, ...], ratios: list[float]) -> list[int] | None:
    """How often each pixel stands in the result, where that is one number for each axis."""
    copies = []
    for n, out, ratio in zip(image, target, ratios, strict=True):
        if not out or out % n:
            return None
        place = np.floor(np.arange(out, dtype=np.float32) * np.float32(ratio))
        if out != n and out != 2 * n and (np.minimum(place, n - 1) != np.arange(out) // (out // n)).any():
            return None
        copies.append(out // n)
    return copies


def _repeated(x: Value, copies: list[int]) -> Value:
    lead, image = x.shape[:2], x.shape[2:]
    spaced = o.reshape(x, shape=(*lead, *(m for n in image for m in (n, 1))))
    spread = o.expand(spaced, shape=(*lead, *(m for pair in zip(image, copies, strict=True) for m in pair)))
    return o.reshape(spread, shape=(*lead, *(n * k for n, k in zip(image, copies, strict=True))))


@functional_only
def upsample(
    input: Tensor,
    size: Size | None = None,
    scale_factor: Scale | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """An old name of :func:`interpolate`."""
    return interpolate(input, size, scale_factor, mode, align_corners)


@functional_only
def upsample_nearest(input: Tensor, size: Size | None = None, scale_factor: Scale | None = None) -> Tensor:
    """:func:`interpolate` with ``mode="nearest"``."""
    return interpolate(input, size, scale_factor, "nearest")


@functional_only
def upsample_bilinear(input: Tensor, size: Size | None = None, scale_factor: Scale | None = None) -> Tensor:
    """:func:`interpolate` with ``mode="bilinear"`` and ``align_corners=True``."""
    return interpolate(input, size, scale_factor, "bilinear", align_corners=True)


# Images read at given places


def _reflected(place: Value, n: int, aligned: bool) -> Value:
    """``place`` mirrored at the borders until it is between them."""
    low, span = (0.0, n - 1.0) if aligned else (-0.5, float(n))
    if not span:
        return o.mul(place, 0.0)
    way = o.abs(o.sub(place, low))
    turns = o.floor(o.div(way, span))
    rest = o.fmod(way, span)
    odd = o.ne(o.remainder(turns, 2.0), 0)
    return o.add(o.where(odd, o.sub(span, rest), rest), low)


def _padded(place: Value, n: int, padding: str, aligned: bool) -> Value:
    """``place`` as ``padding`` reads it; on and beyond the border it has no slope."""
    if padding == "zeros":
        return place
    return o.hardtanh(_reflected(place, n, aligned) if padding == "reflection" else place, low=0.0, high=n - 1.0)


Seen = tuple[Value, Value, Value]
"""Index of a neighbour, its weight, whether it is inside the image."""


def _neighbours(place: Value, n: int, mode: str, padding: str, aligned: bool) -> list[Seen]:
    if mode == "bicubic":
        floor = o.floor(place)
        weights = cubic_weights(o, o.sub(place, o.detach(floor)))
        spots = [_padded(o.add(floor, k - 1.0), n, padding, aligned) for k in range(4)]
        return [_seen(o.detach(spot), w, n) for spot, w in zip(spots, weights, strict=True)]
    place = _padded(place, n, padding, aligned)
    if mode == "nearest":
        return [_seen(o.detach(o.round(place)), o.ones(shape=place.shape, dtype=place.dtype), n)]
    floor = o.detach(o.floor(place))
    rest = o.sub(place, floor)
    return [_seen(floor, o.sub(1, rest), n), _seen(o.add(floor, 1.0), rest, n)]


def _seen(spot: Value, weight: Value, n: int) -> Seen:
    inside = o.logical_and(o.ge(spot, 0.0), o.le(spot, n - 1.0))
    return o.cast(o.where(inside, spot, 0.0), to=i64), weight, inside


@functional_only
def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """``input [N, C, *image]`` read at ``grid [N, *out, rank]``: ``[N, C, *out]``.

    A place is ``(x, y)`` or ``(x, y, z)``, from -1 to 1 between the borders (``align_corners``: between the centres of
    the outer pixels). ``mode`` is ``"bilinear"``, ``"nearest"`` or, for 4 dimensions, ``"bicubic"``; ``padding_mode``
    ``"zeros"``, ``"border"`` or ``"reflection"``. Jaderberg et al., "Spatial transformer networks", 2015.
    """
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ChoiceError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ChoiceError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
            f"'{padding_mode}'"
        )
    align_corners = _aligned("grid_sample", align_corners)
    input, grid = full_precision(input, grid)
    rank = input.ndim - 2
    if rank not in (2, 3) or grid.ndim != input.ndim or grid.shape[0] != input.shape[0] or grid.shape[-1] != rank:
        raise OpError(
            f"grid_sampler(): expected a 4D or 5D input and a grid [N, *out, {rank}] of its batch size, but got input "
            f"with sizes {list(input.shape)} and grid with sizes {list(grid.shape)}"
        )
    if input.dtype is not grid.dtype:
        raise OpError(
            f"grid_sampler(): expected input and grid to have same dtype, but input has {input.dtype!r} and grid has "
            f"{grid.dtype!r}"
        )
    if mode == "bicubic" and rank != 2:
        raise OpError("grid_sampler(): bicubic interpolation only supports 4D input")
    image: tuple[int, ...] = tuple(input.shape[2:])
    if not prod(image):
        raise OpError(f"grid_sampler(): expected input to have non-empty spatial dimensions, not {list(image)}")
    n, channels, out = input.shape[0], input.shape[1], tuple(grid.shape[1:-1])
    narrow = input.dtype
    wide = f32 if narrow.is_half else narrow
    x = o.reshape(o.cast(input.value, to=wide), shape=(n, channels, prod(image)))
    g = o.cast(grid.value, to=wide)
    axes = []
    for d, size in enumerate(image):
        at = rank - 1 - d
        start, stop = (0,) * (rank + 1) + (at,), (*g.shape[:-1], at + 1)
        place = o.reshape(o.slice(g, start=start, stop=stop, step=(1,) * (rank + 2)), shape=(n, 1, prod(out)))
        place = o.mul(o.add(place, 1.0), (size - 1) / 2) if align_corners else o.div(
            o.sub(o.mul(o.add(place, 1.0), float(size)), 1.0), 2.0
        )  # fmt: skip
        axes.append(_neighbours(place, size, mode, padding_mode, align_corners))
    total: Value | None = None
    for seen in product(*axes):
        index, weight, inside = seen[0]
        for size, (i, w, fits) in zip(image[1:], seen[1:], strict=True):
            index = o.add(o.mul(index, size), i)
            weight, inside = o.mul(weight, w), o.logical_and(inside, fits)
        found = o.gather(x, o.expand(index, shape=(n, channels, prod(out))), axis=2)
        term = o.where(inside, found if mode == "nearest" else o.mul(found, weight), 0)
        total = term if total is None else o.add(total, term)
    assert total is not None
    return wrap(o.cast(o.reshape(total, shape=(n, channels, *out)), to=narrow))


def _aligned(name: str, align_corners: bool | None) -> bool:
    if align_corners is None:
        warnings.warn(
            f"{name} without align_corners takes align_corners=False; say which is meant.",
            GenesisWarning,
            stacklevel=4,
        )
    return bool(align_corners)


@functional_only
def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The places that :func:`grid_sample` reads to show images of ``size`` under affine maps.

    ``theta [N, 2, 3]`` for ``size (N, C, H, W)`` gives ``[N, H, W, 2]``; ``[N, 3, 4]`` for ``(N, C, D, H, W)`` gives
    ``[N, D, H, W, 3]``.
    """
    if not theta.dtype.is_floating_point:
        raise ChoiceError(f"Expected theta to have floating point type, but got {theta.dtype!r}")
    rank = len(size) - 2
    if rank not in (2, 3):
        raise UnsupportedError(f"affine_grid only supports 4D and 5D sizes, not {list(size)}")
    if theta.ndim != 3 or tuple(theta.shape[1:]) != (rank, rank + 1):
        raise ChoiceError(
            f"Expected a batch of affine matrices of shape Nx{rank}x{rank + 1} for size {list(size)}. "
            f"Got {list(theta.shape)}."
        )
    if min(size) < 1:
        raise ChoiceError(f"Expected non-zero, positive output size. Got {list(size)}")
    if theta.shape[0] != size[0]:
        raise OpError(f"Expected a batch of {size[0]} affine matrices, not {theta.shape[0]}")
    aligned = _aligned("affine_grid", align_corners)
    t, image = theta.value, tuple(size[2:])

    def column(k: int) -> Value:
        part = o.slice(t, start=(0, 0, k), stop=(t.shape[0], rank, k + 1), step=(1, 1, 1))
        return o.reshape(part, shape=(t.shape[0], *(1,) * rank, rank))

    result = column(rank)
    for d, n in enumerate(image):
        line = tuple(n if a == d + 1 else 1 for a in range(rank + 2))
        number = o.cast(o.iota(shape=line, axis=d + 1), to=theta.dtype)
        if aligned:
            place = o.sub(o.mul(number, 2 / (n - 1)), 1.0) if n > 1 else o.mul(number, 0.0)
        else:
            place = o.sub(o.mul(o.add(number, 0.5), 2 / n), 1.0)
        result = o.add(result, o.mul(place, column(rank - 1 - d)))
    return wrap(o.expand(result, shape=(size[0], *image, rank)))


# Pixels and channels


@everywhere
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """``[*, C r², H, W]`` as ``[*, C, H r, W r]``. Shi et al., "Real-time single image super-resolution", 2016."""
    r = upscale_factor
    if input.ndim < 3:
        raise OpError(f"pixel_shuffle expects input to have at least 3 dimensions, but got {input.ndim}")
    if r <= 0:
        raise OpError(f"pixel_shuffle expects a positive upscale_factor, but got {r}")
    *lead, c, h, w = input.shape
    if c % (r * r):
        raise OpError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, "
            f"but input.size(-3)={c} is not divisible by {r * r}"
        )
    k = len(lead)
    x = o.reshape(input.value, shape=(*lead, c // (r * r), r, r, h, w))
    x = o.permute(x, dims=(*range(k + 1), k + 3, k + 1, k + 4, k + 2))
    return wrap(o.reshape(x, shape=(*lead, c // (r * r), h * r, w * r)))


@everywhere
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """``[*, C, H r, W r]`` as ``[*, C r², H, W]``: what :func:`pixel_shuffle` undoes."""
    r = downscale_factor
    if input.ndim < 3:
        raise OpError(f"pixel_unshuffle expects input to have at least 3 dimensions, but got {input.ndim}")
    if r <= 0:
        raise OpError(f"pixel_unshuffle expects a positive downscale_factor, but got {r}")
    *lead, c, h, w = input.shape
    if h % r or w % r:
        raise OpError(
            f"pixel_unshuffle expects height and width to be divisible by downscale_factor, but {h} and {w} are not "
            f"divisible by {r}"
        )
    k = len(lead)
    x = o.reshape(input.value, shape=(*lead, c, h // r, r, w // r, r))
    x = o.permute(x, dims=(*range(k + 1), k + 2, k + 4, k + 1, k + 3))
    return wrap(o.reshape(x, shape=(*lead, c * r * r, h // r, w // r)))


@api(method=False, functional=True, alias=("native_channel_shuffle",))
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Channels ``[N, groups * k, *]`` in the order ``[N, k * groups, *]``.

    Zhang et al., "ShuffleNet: an extremely efficient convolutional neural network for mobile devices", 2018.
    """
    if input.ndim < 3:
        raise OpError(f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(input.shape)}")
    n, c, *rest = input.shape
    if groups <= 0 or c % groups:
        raise OpError(f"Number of channels must be divisible by groups. Got {c} channels and {groups} groups.")
    x = o.reshape(input.value, shape=(n, groups, c // groups, *rest))
    x = o.permute(x, dims=(0, 2, 1, *range(3, x.type.rank)))
    return wrap(o.reshape(x, shape=tuple(input.shape)))
