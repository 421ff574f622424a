"""Convolutions and their transposes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt
from typing import Any

import genesis.nn.functional as F
import genesis.nn.init as init
from compiler.errors import ChoiceError
from genesis.functions.convolution import Size, per_dimension
from genesis.functions.creation import empty
from genesis.members import Parameter
from genesis.nn.module import Module
from genesis.tensor import Tensor

PADDINGS = ("same", "valid")
MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    """The base of all convolutions; ``RANK`` is the number of dimensions of an image."""

    RANK: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size,
        padding: Size | str,
        output_padding: Size,
        dilation: Size,
        groups: int,
        bias: bool,
        padding_mode: str,
        weight_channels: tuple[int, int],
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        if groups <= 0:
            raise ChoiceError("groups must be a positive integer")
        if in_channels % groups:
            raise ChoiceError("in_channels must be divisible by groups")
        if out_channels % groups:
            raise ChoiceError("out_channels must be divisible by groups")
        if padding_mode not in MODES:
            raise ChoiceError(f"padding_mode must be one of {MODES}, but got padding_mode='{padding_mode}'")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = self._sizes("kernel_size", kernel_size)
        self.stride = self._sizes("stride", stride)
        self.padding = padding if isinstance(padding, str) else self._sizes("padding", padding)
        self.dilation = self._sizes("dilation", dilation)
        self.output_padding = self._sizes("output_padding", output_padding)
        self.groups = groups
        self.padding_mode = padding_mode
        if isinstance(self.padding, str):
            if self.padding not in PADDINGS:
                raise ChoiceError(f"Invalid padding string {padding!r}, should be one of {PADDINGS}")
            if self.padding == "same" and any(s != 1 for s in self.stride):
                raise ChoiceError("padding='same' is not supported for strided convolutions")
        first, second = weight_channels
        self.weight = Parameter(empty(first, second // groups, *self.kernel_size, dtype=dtype, device=device))
        self.register_parameter("bias", Parameter(empty(out_channels, dtype=dtype, device=device)) if bias else None)
        self.reset_parameters()

    def _sizes(self, name: str, value: Size) -> tuple[int, ...]:
        return per_dimension(name, value, self.RANK)

    def reset_parameters(self) -> None:
        """Weight and bias uniform within ``1 / sqrt(fan_in)``, the elements of a window."""
        init.kaiming_uniform_(self.weight, a=sqrt(5))
        if self.bias is not None:
            fan_in = prod(self.weight.shape[1:])
            bound = 1 / sqrt(fan_in) if fan_in else 0.0
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        for name, usual in (("padding", 0), ("dilation", 1), ("output_padding", 0)):
            value = getattr(self, name)
            if value != (usual,) * self.RANK:
                text += f", {name}={value}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class _Conv(_ConvNd):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            0,
            dilation,
            groups,
            bias,
            padding_mode,
            (out_channels, in_channels),
            device,
            dtype,
        )

    def forward(self, input: Tensor) -> Tensor:
        padding: Size | str = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._borders(), mode=self.padding_mode), 0
        convolve = (F.conv1d, F.conv2d, F.conv3d)[self.RANK - 1]
        return convolve(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def _borders(self) -> list[int]:
        """``(before, after)`` of the last dimension, then of the one before it, and so on."""
        borders: list[int] = []
        for d in reversed(range(self.RANK)):
            if self.padding == "same":
                total = self.dilation[d] * (self.kernel_size[d] - 1)
                borders += [total // 2, total - total // 2]
            else:
                borders += [0 if self.padding == "valid" else int(self.padding[d])] * 2
        return borders


class Conv1d(_Conv):
    """Cross-correlation of ``[N, in_channels, L]``, or ``[in_channels, L]``, with ``out_channels`` learned windows."""

    RANK = 1


class Conv2d(_Conv):
    """Cross-correlation of ``[N, in_channels, H, W]`` with ``out_channels`` learned windows."""

    RANK = 2


class Conv3d(_Conv):
    """Cross-correlation of ``[N, in_channels, D, H, W]`` with ``out_channels`` learned windows."""

    RANK = 3


class _ConvTranspose(_ConvNd):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ChoiceError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            output_padding,
            dilation,
            groups,
            bias,
            padding_mode,
            (in_channels, out_channels),
            device,
            dtype,
        )

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """``output_size`` chooses among the sizes that a convolution would make the input from."""
        extra = self.output_padding if output_size is None else self._extra(input, output_size)
        transpose = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[self.RANK - 1]
        return transpose(input, self.weight, self.bias, self.stride, self._amounts(), extra, self.groups, self.dilation)

    def _amounts(self) -> tuple[int, ...]:
        assert not isinstance(self.padding, str)
        return self.padding

    def _extra(self, input: Tensor, output_size: Sequence[int]) -> tuple[int, ...]:
        """The output padding that gives ``output_size``."""
        image = input.shape[-self.RANK :]
        wanted = tuple(output_size)[-self.RANK :]
        if len(output_size) not in (self.RANK, input.ndim):
            raise ChoiceError(
                f"ConvTranspose{self.RANK}D: for {input.ndim}D input, output_size must have {self.RANK} or "
                f"{input.ndim} elements (got {len(output_size)})"
            )
        geometry = zip(image, self.stride, self._amounts(), self.dilation, self.kernel_size)
        least = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in geometry]
        most = [n + s - 1 for n, s in zip(least, self.stride)]
        if any(not low <= size <= high for low, size, high in zip(least, wanted, most)):
            raise ChoiceError(
                f"requested an output size of {list(wanted)}, but valid sizes range from {least} to {most} "
                f"(for an input of {image})"
            )
        return tuple(size - low for size, low in zip(wanted, least))


class ConvTranspose1d(_ConvTranspose):
    """The transpose of :class:`Conv1d`: each element spreads a learned window over the result."""

    RANK = 1


class ConvTranspose2d(_ConvTranspose):
    """The transpose of :class:`Conv2d`: each element spreads a learned window over the result."""

    RANK = 2


class ConvTranspose3d(_ConvTranspose):
    """The transpose of :class:`Conv3d`: each element spreads a learned window over the result."""

    RANK = 3
