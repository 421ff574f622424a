"""The properties of a tensor: type, shape, place in memory."""

from __future__ import annotations

from math import prod
from typing import Any, overload

from compiler.errors import IndexingError
from compiler.ir.types import DType
from compiler.ops.reduce import normalize_axis
from genesis.device import Device, device
from genesis.memory.strides import after, contiguous_strides, first, is_contiguous, reshaped
from genesis.memory_format import channels_last, channels_last_3d, layout, strided
from genesis.size import Size
from genesis.tensor.alias import Alias

CPU = device("cpu")


class Described(Alias):
    """A tensor, as far as it tells what it is."""

    __slots__ = ()

    @property
    def dtype(self) -> DType:
        """The type of the elements."""
        return self._type.dtype

    @property
    def shape(self) -> Size:
        """The size of each dimension."""
        return Size(self._type.shape)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self._type.shape)

    @property
    def device(self) -> Device:
        """The CPU, where all eager tensors are."""
        return CPU

    @property
    def is_cuda(self) -> bool:
        """False: eager tensors are on the CPU."""
        return False

    @property
    def is_sparse(self) -> bool:
        """False: there are no sparse tensors."""
        return False

    is_cpu = True
    is_mps = is_xpu = is_meta = is_quantized = is_mkldnn = is_nested = is_vulkan = False

    @property
    def layout(self) -> layout:
        """``strided``, the only one."""
        return strided

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.numel() * self.dtype.itemsize

    @overload
    def size(self, dim: None = None) -> Size: ...
    @overload
    def size(self, dim: int) -> int: ...
    def size(self, dim: int | None = None) -> Size | int:
        """The shape, or the size of one dimension."""
        return self.shape if dim is None else self.shape[self._axis(dim)]

    def _axis(self, dim: int) -> int:
        if not self.ndim:
            raise IndexingError("dimension specified as 0 but tensor has no dimensions")
        return normalize_axis(dim, self.ndim)

    @overload
    def stride(self, dim: None = None) -> tuple[int, ...]: ...
    @overload
    def stride(self, dim: int) -> int: ...
    def stride(self, dim: int | None = None) -> tuple[int, ...] | int:
        """Elements between neighbours along each dimension, or along ``dim``, of the storage that the tensor shows."""
        strides = self._layout()[1]
        return strides if dim is None else strides[self._axis(dim)]

    def storage_offset(self) -> int:
        """Elements of the storage before the first one that the tensor shows."""
        shape = self._cell.type.shape
        layout, found = (shape, self._cell.strides or contiguous_strides(shape)), 0
        for op, operands, attrs in self._views:
            found = first(op, operands, attrs, *layout, found)
            layout = after(op, attrs, *layout)
        return found

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """Whether the tensor shows its storage in row-major order without gaps.

        For ``channels_last`` and ``channels_last_3d``: whether it does with dimension 1 as the last.
        """
        if memory_format in (channels_last, channels_last_3d):
            shape, strides = self._layout()
            order = (0, *range(2, len(shape)), 1)
            fits = len(shape) == (4 if memory_format is channels_last else 5)
            return fits and is_contiguous(tuple(shape[d] for d in order), tuple(strides[d] for d in order))
        return self._is_whole() or is_contiguous(*self._layout())

    def shows_as(self, shape: tuple[int, ...]) -> bool:
        """Whether a view, without a copy, can show the elements in ``shape``; True where their numbers differ."""
        value = self.value
        if value.strides is None or prod(shape) != value.type.size:
            return True
        return reshaped(value.shape, value.strides, shape) is not None

    def _is_whole(self) -> bool:
        """Whether the tensor shows contiguous storage as it is."""
        return not self._views and self._cell.strides is None

    def dim(self) -> int:
        """The number of dimensions."""
        return self.ndim

    ndimension = dim

    def numel(self) -> int:
        """The number of elements."""
        return self._type.size

    nelement = numel

    def element_size(self) -> int:
        """Bytes of an element."""
        return self.dtype.itemsize

    def is_floating_point(self) -> bool:
        """Whether the elements are floats of any width."""
        return self.dtype.is_floating_point
