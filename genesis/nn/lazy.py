"""Layers that learn the size of their input from their first call, and are ordinary layers from then on."""

from __future__ import annotations

from typing import Any

from compiler.errors import UnsupportedError
from compiler.ir.location import here
from genesis.context import current_recording
from genesis.functions.convolution import Size
from genesis.functions.creation import empty, ones, zeros
from genesis.members import Buffer, Parameter
from genesis.nn.batchnorm import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
)
from genesis.nn.conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from genesis.nn.linear import Linear
from genesis.nn.module import Module
from genesis.tensor import Tensor


class UninitializedParameter(Parameter):
    """A parameter whose shape is not known yet. An optimizer may have it: it stays the same object."""

    def __new__(cls, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> UninitializedParameter:
        return super().__new__(cls)  # type: ignore[return-value]

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(empty(0, dtype=dtype, device=device), requires_grad)

    def materialize(self, shape: tuple[int, ...]) -> None:
        """Become an ordinary parameter of ``shape``."""
        self.data = empty(*shape, dtype=self.dtype)
        self.__class__ = Parameter  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "<UninitializedParameter>"


class UninitializedBuffer(Buffer):
    """A buffer whose shape is not known yet."""

    def __new__(
        cls, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> UninitializedBuffer:
        return super().__new__(cls)  # type: ignore[return-value]

    def __init__(
        self, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> None:
        super().__init__(empty(0, dtype=dtype, device=device), persistent=persistent)
        self.requires_grad_(requires_grad)

    def materialize(self, shape: tuple[int, ...]) -> None:
        """Become an ordinary buffer of ``shape``."""
        self.data = empty(*shape, dtype=self.dtype)
        self.__class__ = Buffer  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "<UninitializedBuffer>"


class _Lazy(Module):
    """The base of lazy modules: a hook before the first call, and one before a state dict is loaded."""

    becomes: Any

    def _start(self, bias: bool, device: Any, dtype: Any, weight: bool = True) -> None:
        for name, wanted in (("weight", weight), ("bias", bias)):
            self._parameters[name] = UninitializedParameter(device=device, dtype=dtype) if wanted else None
        self._waiting = (
            self.register_forward_pre_hook(_Lazy._prepare),
            self.register_load_state_dict_pre_hook(_Lazy._prepare_for_loading),
        )

    def has_uninitialized_params(self) -> bool:
        """Whether the size of the input is still to be learnt."""
        return any(isinstance(p, UninitializedParameter) for p in self._parameters.values())

    def reset_parameters(self) -> None:
        """Nothing, as long as there is nothing to fill."""
        if not self.has_uninitialized_params():
            super().reset_parameters()  # type: ignore[misc]

    def _prepare(self, args: tuple[Any, ...]) -> None:
        if current_recording() is not None:
            raise UnsupportedError(
                here(
                    f"the first call of {type(self).__name__} in a compiled step",
                    "call the module once on an example before",
                )
            )
        if self.has_uninitialized_params():
            self._materialize(self._size_of(args[0]))
            self.reset_parameters()
        self._finish()

    def _prepare_for_loading(self, state: dict[str, Any], prefix: str, *_: Any) -> None:
        weight = state.get(f"{prefix}weight")
        if weight is None or isinstance(weight, UninitializedParameter) or not self.has_uninitialized_params():
            return
        self._materialize(self._size_from(tuple(weight.shape)))
        self._finish()

    def _finish(self) -> None:
        for hook in self._waiting:
            hook.remove()
        del self._waiting
        self.__class__ = self.becomes

    def _fill(self, **shapes: tuple[int, ...]) -> None:
        for name, shape in shapes.items():
            parameter = self._parameters[name]
            if isinstance(parameter, UninitializedParameter):
                parameter.materialize(shape)

    def _size_of(self, input: Tensor) -> int:
        """The number of channels or features of an example."""
        return int(input.shape[1])

    def _size_from(self, weight: tuple[int, ...]) -> int:
        """The same from the shape of a weight."""
        raise NotImplementedError

    def _materialize(self, size: int) -> None:
        raise NotImplementedError


class LazyLinear(_Lazy, Linear):
    """:class:`Linear` that learns ``in_features``."""

    becomes = Linear

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        Linear.__init__(self, 0, 0, False, device, dtype)
        self.out_features = out_features
        self._start(bias, device, dtype)

    def _size_of(self, input: Tensor) -> int:
        return int(input.shape[-1])

    def _size_from(self, weight: tuple[int, ...]) -> int:
        return weight[1]

    def _materialize(self, size: int) -> None:
        self.in_features = size
        self._fill(weight=(self.out_features, size), bias=(self.out_features,))


class _LazyConv(_Lazy):
    def __init__(
        self,
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
        options: dict[str, Any] = {"padding_mode": padding_mode, "device": device, "dtype": dtype}
        self.becomes.__init__(self, 0, 0, kernel_size, stride, padding, dilation, groups, False, **options)
        self.out_channels = out_channels
        self._start(bias, device, dtype)

    def _size_of(self, input: Tensor) -> int:
        return int(input.shape[-len(self.kernel_size) - 1])

    def _size_from(self, weight: tuple[int, ...]) -> int:
        return weight[1] * self.groups

    def _materialize(self, size: int) -> None:
        self.in_channels = size
        self._fill(weight=(self.out_channels, size // self.groups, *self.kernel_size), bias=(self.out_channels,))


class _LazyConvTranspose(_Lazy):
    def __init__(
        self,
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
        geometry = kernel_size, stride, padding, output_padding, groups, False, dilation, padding_mode
        self.becomes.__init__(self, 0, 0, *geometry, device=device, dtype=dtype)
        self.out_channels = out_channels
        self._start(bias, device, dtype)

    def _size_of(self, input: Tensor) -> int:
        return int(input.shape[-len(self.kernel_size) - 1])

    def _size_from(self, weight: tuple[int, ...]) -> int:
        return weight[0]

    def _materialize(self, size: int) -> None:
        self.in_channels = size
        self._fill(weight=(size, self.out_channels // self.groups, *self.kernel_size), bias=(self.out_channels,))


class _LazyNorm(_Lazy):
    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        self.becomes.__init__(self, 0, eps, momentum, False, track_running_stats, device, dtype)
        self.affine = affine
        self._start(affine and bias, device, dtype, weight=affine)

    def has_uninitialized_params(self) -> bool:
        """Whether the size of the input is still to be learnt."""
        return not self.num_features

    def _size_from(self, weight: tuple[int, ...]) -> int:
        return weight[0]

    def _materialize(self, size: int) -> None:
        self.num_features = size
        self._fill(weight=(size,), bias=(size,))
        if self.track_running_stats:
            for name, make in (("running_mean", zeros), ("running_var", ones)):
                old = self._buffers[name]
                self.register_buffer(name, make(size, dtype=old.dtype if old is not None else None))


class LazyConv1d(_LazyConv, Conv1d):
    """:class:`Conv1d` that learns ``in_channels``."""

    becomes = Conv1d


class LazyConv2d(_LazyConv, Conv2d):
    """:class:`Conv2d` that learns ``in_channels``."""

    becomes = Conv2d


class LazyConv3d(_LazyConv, Conv3d):
    """:class:`Conv3d` that learns ``in_channels``."""

    becomes = Conv3d


class LazyConvTranspose1d(_LazyConvTranspose, ConvTranspose1d):
    """:class:`ConvTranspose1d` that learns ``in_channels``."""

    becomes = ConvTranspose1d


class LazyConvTranspose2d(_LazyConvTranspose, ConvTranspose2d):
    """:class:`ConvTranspose2d` that learns ``in_channels``."""

    becomes = ConvTranspose2d


class LazyConvTranspose3d(_LazyConvTranspose, ConvTranspose3d):
    """:class:`ConvTranspose3d` that learns ``in_channels``."""

    becomes = ConvTranspose3d


class LazyBatchNorm1d(_LazyNorm, BatchNorm1d):
    """:class:`BatchNorm1d` that learns ``num_features``."""

    becomes = BatchNorm1d


class LazyBatchNorm2d(_LazyNorm, BatchNorm2d):
    """:class:`BatchNorm2d` that learns ``num_features``."""

    becomes = BatchNorm2d


class LazyBatchNorm3d(_LazyNorm, BatchNorm3d):
    """:class:`BatchNorm3d` that learns ``num_features``."""

    becomes = BatchNorm3d


class LazyInstanceNorm1d(_LazyNorm, InstanceNorm1d):
    """:class:`InstanceNorm1d` that learns ``num_features``."""

    becomes = InstanceNorm1d


class LazyInstanceNorm2d(_LazyNorm, InstanceNorm2d):
    """:class:`InstanceNorm2d` that learns ``num_features``."""

    becomes = InstanceNorm2d


class LazyInstanceNorm3d(_LazyNorm, InstanceNorm3d):
    """:class:`InstanceNorm3d` that learns ``num_features``."""

    becomes = InstanceNorm3d
