"""The orders of dimensions in memory that PyTorch names. Functions accept them; what they make is contiguous."""

from __future__ import annotations


class memory_format:
    """A name for an order of dimensions in memory."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"genesis.{self._name}"

    def __reduce__(self) -> str:
        return self._name


class layout(memory_format):
    """A name for how elements are stored."""


contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")
strided = layout("strided")
