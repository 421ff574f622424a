"""Pooling: one number for each window of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import genesis.nn.functional as F
from genesis.functions.convolution import Size, per_dimension
from genesis.nn.module import Module
from genesis.tensor import Tensor

Target = int | Sequence[int | None] | None


class _MaxPool(Module):
    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )

    def _geometry(self) -> tuple[Size, Size, Size, Size, bool, bool]:
        return self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices


class MaxPool1d(_MaxPool):
    """The largest element of each window of ``[N, C, L]``; with ``return_indices`` also where it stands."""

    def forward(self, input: Tensor) -> Any:
        return F.max_pool1d(input, *self._geometry())


class MaxPool2d(_MaxPool):
    """The largest element of each window of ``[N, C, H, W]``; with ``return_indices`` also where it stands."""

    def forward(self, input: Tensor) -> Any:
        return F.max_pool2d(input, *self._geometry())


class MaxPool3d(_MaxPool):
    """The largest element of each window of ``[N, C, D, H, W]``; with ``return_indices`` also where it stands."""

    def forward(self, input: Tensor) -> Any:
        return F.max_pool3d(input, *self._geometry())


class AvgPool1d(Module):
    """The mean of each window of ``[N, C, L]``."""

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = per_dimension("kernel_size", kernel_size, 1)
        self.stride = per_dimension("stride", kernel_size if stride is None else stride, 1)
        self.padding = per_dimension("padding", padding, 1)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPool(Module):
    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"

    def _geometry(self) -> tuple[Size, Size, Size, bool, bool, int | None]:
        shape = self.kernel_size, self.stride, self.padding
        return *shape, self.ceil_mode, self.count_include_pad, self.divisor_override


class AvgPool2d(_AvgPool):
    """The mean of each window of ``[N, C, H, W]``."""

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(input, *self._geometry())


class AvgPool3d(_AvgPool):
    """The mean of each window of ``[N, C, D, H, W]``."""

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool3d(input, *self._geometry())


class _Adaptive(Module):
    def __init__(self, output_size: Target) -> None:
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class _AdaptiveMax(_Adaptive):
    def __init__(self, output_size: Target, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices


class AdaptiveAvgPool1d(_Adaptive):
    """Means of ``output_size`` windows that cover ``[N, C, L]``."""

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_Adaptive):
    """Means of ``output_size`` windows that cover ``[N, C, H, W]``; None keeps a dimension."""

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(_Adaptive):
    """Means of ``output_size`` windows that cover ``[N, C, D, H, W]``; None keeps a dimension."""

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool3d(input, self.output_size)


class AdaptiveMaxPool1d(_AdaptiveMax):
    """Largest elements of ``output_size`` windows that cover ``[N, C, L]``."""

    def forward(self, input: Tensor) -> Any:
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(_AdaptiveMax):
    """Largest elements of ``output_size`` windows that cover ``[N, C, H, W]``; None keeps a dimension."""

    def forward(self, input: Tensor) -> Any:
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool3d(_AdaptiveMax):
    """Largest elements of ``output_size`` windows that cover ``[N, C, D, H, W]``; None keeps a dimension."""

    def forward(self, input: Tensor) -> Any:
        return F.adaptive_max_pool3d(input, self.output_size, self.return_indices)
