"""Normalisation of channels by statistics of the batch or of each example, with running statistics."""

from __future__ import annotations

import warnings
from typing import Any

import genesis.nn.functional as F
from compiler.errors import ChoiceError, GenesisWarning
from compiler.ir.types import i64
from genesis.functions.creation import ones, zeros
from genesis.functions.pointwise import reciprocal
from genesis.functions.shapes import squeeze, unsqueeze
from genesis.nn.normalization import Affine
from genesis.tensor import Tensor


class _ChannelNorm(Affine):
    """Parameters and buffers ``[num_features]``; ``RANKS`` are the numbers of dimensions an input may have."""

    RANKS: tuple[int, ...]
    _version = 2  # since PyTorch has num_batches_tracked

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: Any,
        dtype: Any,
        bias: bool,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self._register_affine((num_features,), affine, affine and bias, device, dtype)
        for name, make in (("running_mean", zeros), ("running_var", ones)):
            buffer = make(num_features, dtype=dtype, device=device) if track_running_stats else None
            self.register_buffer(name, buffer)
        self.register_buffer("num_batches_tracked", zeros(dtype=i64, device=device) if track_running_stats else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Mean zero, variance one, no batches."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Weight one, bias zero, and the running statistics."""
        self.reset_running_stats()
        super().reset_parameters()

    def _check_rank(self, input: Tensor) -> None:
        if input.ndim not in self.RANKS:
            wanted = " or ".join(f"{rank}D" for rank in self.RANKS)
            raise ChoiceError(f"expected {wanted} input (got {input.ndim}D input)")

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_ChannelNorm):
    """Each channel by the mean and variance of the batch, in evaluation by the running ones.

    The running statistics are moved by ``momentum``; with None they are the means over all batches.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        self._check_rank(input)
        running = self.running_mean, self.running_var
        momentum: float | Tensor = 0.0 if self.momentum is None else self.momentum
        if self.training and not self.track_running_stats:
            running = None, None
        elif self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:
                momentum = reciprocal(self.num_batches_tracked)
        training = self.training or (self.running_mean is None and self.running_var is None)
        return F.batch_norm(input, *running, self.weight, self.bias, training, momentum, self.eps)


class BatchNorm1d(_BatchNorm):
    """Batch norm of ``[N, C]`` or ``[N, C, L]``."""

    RANKS = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch norm of ``[N, C, H, W]``."""

    RANKS = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch norm of ``[N, C, D, H, W]``."""

    RANKS = (5,)


class SyncBatchNorm(_BatchNorm):
    """Batch norm of ``[N, C, *]``; in one process there is nothing to synchronise."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: Any = None,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def _check_rank(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ChoiceError(f"expected at least 2D input (got {input.ndim}D input)")


class _InstanceNorm(_ChannelNorm):
    """Each channel of each example by its own mean and variance; with running statistics, by those in evaluation.

    An input of one dimension less is one example.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        self._check_rank(input)
        single = input.ndim == min(self.RANKS)
        dim = 0 if single else 1
        if input.shape[dim] != self.num_features:
            if self.affine:
                raise ChoiceError(
                    f"expected input's size at dim={dim} to match num_features ({self.num_features}), "
                    f"but got: {input.shape[dim]}."
                )
            warnings.warn(
                f"input's size at dim={dim} does not match num_features. You can silence this warning by not passing "
                "in num_features, which is not used because affine=False",
                GenesisWarning,
                stacklevel=2,
            )
        result = F.instance_norm(
            unsqueeze(input, 0) if single else input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self.momentum or 0.0,
            self.eps,
        )
        return squeeze(result, 0) if single else result


class InstanceNorm1d(_InstanceNorm):
    """Instance norm of ``[N, C, L]`` or ``[C, L]``."""

    RANKS = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Instance norm of ``[N, C, H, W]`` or ``[C, H, W]``."""

    RANKS = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Instance norm of ``[N, C, D, H, W]`` or ``[C, D, H, W]``."""

    RANKS = (4, 5)
