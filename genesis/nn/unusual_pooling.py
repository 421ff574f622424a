"""Pooling of other kinds as modules: by powers, over drawn windows, and undone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import genesis.nn.functional as F
from compiler.errors import ChoiceError
from genesis.functions.convolution import Size, per_dimension
from genesis.nn.module import Module
from genesis.tensor import Tensor

Ratio = float | Sequence[float]


class _LPPool(Module):
    def __init__(
        self, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )

    def _geometry(self) -> tuple[float, Size, Size | None, bool]:
        return float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode


class LPPool1d(_LPPool):
    """The norm of each window of ``[N, C, L]``."""

    def forward(self, input: Tensor) -> Tensor:
        return F.lp_pool1d(input, *self._geometry())


class LPPool2d(_LPPool):
    """The norm of each window of ``[N, C, H, W]``."""

    def forward(self, input: Tensor) -> Tensor:
        return F.lp_pool2d(input, *self._geometry())


class LPPool3d(_LPPool):
    """The norm of each window of ``[N, C, D, H, W]``."""

    def forward(self, input: Tensor) -> Tensor:
        return F.lp_pool3d(input, *self._geometry())


class _MaxUnpool(Module):
    rank = 0

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        super().__init__()
        self.kernel_size = per_dimension("kernel_size", kernel_size, self.rank)
        self.stride = self.kernel_size if stride is None else per_dimension("stride", stride, self.rank)
        self.padding = per_dimension("padding", padding, self.rank)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """The maxima that ``MaxPool1d`` found, put back in their places; zeros elsewhere."""

    rank = 1

    def forward(self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        return F.max_unpool1d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool2d(_MaxUnpool):
    """The maxima that ``MaxPool2d`` found, put back in their places; zeros elsewhere."""

    rank = 2

    def forward(self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        return F.max_unpool2d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool3d(_MaxUnpool):
    """The maxima that ``MaxPool3d`` found, put back in their places; zeros elsewhere."""

    rank = 3

    def forward(self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        return F.max_unpool3d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class _Fractional(Module):
    rank = 0

    def __init__(
        self,
        kernel_size: Size,
        output_size: Size | None = None,
        output_ratio: Ratio | None = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        super().__init__()
        name, rank = type(self).__name__, self.rank
        self.kernel_size = per_dimension("kernel_size", kernel_size, rank)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        if output_size is None and output_ratio is None:
            raise ChoiceError(f"{name} requires specifying either an output size, or a pooling ratio")
        if output_size is not None and output_ratio is not None:
            raise ChoiceError("only one of output_size and output_ratio may be specified")
        self.output_size = None if output_size is None else per_dimension("output_size", output_size, rank)
        ratio = (output_ratio,) * rank if isinstance(output_ratio, int | float) else output_ratio
        self.output_ratio = ratio if ratio is None else tuple(ratio)
        if self.output_ratio is not None and not all(0 < r < 1 for r in self.output_ratio):
            raise ChoiceError(f"output_ratio must be between 0 and 1 (got {output_ratio})")

    def _geometry(self) -> tuple[Size, Size | None, Ratio | None, bool, Tensor | None]:
        return self.kernel_size, self.output_size, self.output_ratio, self.return_indices, self._random_samples


class FractionalMaxPool2d(_Fractional):
    """The largest elements of windows of ``[N, C, H, W]`` whose distances are drawn."""

    rank = 2

    def forward(self, input: Tensor) -> Any:
        return F.fractional_max_pool2d(input, *self._geometry())


class FractionalMaxPool3d(_Fractional):
    """The largest elements of windows of ``[N, C, D, H, W]`` whose distances are drawn."""

    rank = 3

    def forward(self, input: Tensor) -> Any:
        return F.fractional_max_pool3d(input, *self._geometry())
