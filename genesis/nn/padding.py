"""Padding as modules. ``padding`` is one number for all ends, or ``(left, right, top, bottom, front, back)``."""

from __future__ import annotations

from collections.abc import Sequence

import genesis.nn.functional as F
from compiler.errors import OpError
from genesis.nn.module import Module
from genesis.tensor import Tensor

Amounts = int | Sequence[int]


class _Pad(Module):
    rank = 0
    mode = ""

    def __init__(self, padding: Amounts) -> None:
        super().__init__()
        self.padding = (padding,) * (2 * self.rank) if isinstance(padding, int) else tuple(padding)

    def forward(self, input: Tensor) -> Tensor:
        if self.mode == "circular" and input.ndim not in (self.rank + 1, self.rank + 2):
            raise OpError(f"expected {self.rank + 1}D or {self.rank + 2}D input (got {input.ndim}D input)")
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding: Amounts, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """A number around the last dimension."""

    rank = 1


class ConstantPad2d(_ConstantPad):
    """A number around the last two dimensions."""

    rank = 2


class ConstantPad3d(_ConstantPad):
    """A number around the last three dimensions."""

    rank = 3


class ZeroPad1d(ConstantPad1d):
    """Zeros around the last dimension."""

    def __init__(self, padding: Amounts) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad2d(ConstantPad2d):
    """Zeros around the last two dimensions."""

    def __init__(self, padding: Amounts) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad3d(ConstantPad3d):
    """Zeros around the last three dimensions."""

    def __init__(self, padding: Amounts) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ReflectionPad1d(_Pad):
    """The mirror image around the last dimension, without its edge."""

    rank, mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """The mirror image around the last two dimensions, without its edges."""

    rank, mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """The mirror image around the last three dimensions, without its edges."""

    rank, mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """The edge around the last dimension."""

    rank, mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """The edges around the last two dimensions."""

    rank, mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """The edges around the last three dimensions."""

    rank, mode = 3, "replicate"


class CircularPad1d(_Pad):
    """The other end around the last dimension."""

    rank, mode = 1, "circular"


class CircularPad2d(_Pad):
    """The other ends around the last two dimensions."""

    rank, mode = 2, "circular"


class CircularPad3d(_Pad):
    """The other ends around the last three dimensions."""

    rank, mode = 3, "circular"
