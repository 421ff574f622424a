"""Results in the memory format of an image: PyTorch's functions of images keep channels-last as it is.

Strides decide whether ``reshape`` of a result is a view, so that a later in-place op changes the result, or a copy.
"""

from __future__ import annotations

from typing import TypeVar

from genesis.memory.strides import Layout, Strides, channels_last, is_channels_last
from genesis.tensor import Tensor

R = TypeVar("R", Tensor, tuple[Tensor, ...])


def formatted(result: R, *images: Tensor, rank: int = 2) -> R:
    """``result`` (a tensor, or several) in channels-last memory where all ``images`` are, else as it is.

    ``rank`` 1: ``[N, channels, length]`` is an image of height 1.
    """
    if images and all(is_image(x, rank) for x in images):
        for x in result if isinstance(result, tuple) else (result,):
            shape, _ = _with_height(tuple(x.shape), (), rank)
            strides: Strides = channels_last(shape)
            x._cell.strides = strides if len(shape) == x.ndim else (*strides[:2], *strides[3:])
    return result


def is_image(x: Tensor, rank: int = 2) -> bool:
    """Whether PyTorch takes ``x`` for an image in channels-last memory."""
    found = x.value.strides
    if found is None:
        return False
    image, image_strides = _with_height(tuple(x.shape), found, rank)
    return len(image) in (4, 5) and is_channels_last(image, image_strides)


def _with_height(shape: tuple[int, ...], strides: tuple[int, ...], rank: int) -> Layout:
    if rank > 1 or len(shape) != 3:
        return shape, strides
    return (*shape[:2], 1, shape[2]), (*strides[:2], *(s * shape[2] for s in strides[2:]), *strides[2:])
