"""Tensors as views of storages, as PyTorch's files keep them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NoReturn

import numpy as np
from numpy.lib.stride_tricks import as_strided

from compiler.errors import ArgumentError, UnsupportedError
from compiler.ir.location import here
from genesis.device import device
from genesis.memory.bits import BITS
from genesis.memory.cells import Cell
from genesis.memory.shared import strides_of
from genesis.memory.strides import Strides, contiguous_strides
from genesis.tensor import Tensor
from runtime.torch_writer import Shown


class Storage:
    """A storage in a file, shown to a ``map_location`` that is a function; it comes to the CPU."""

    def __init__(self, nbytes: int) -> None:
        self._nbytes = nbytes
        self.device = device("cpu")

    def nbytes(self) -> int:
        """Bytes of the contents."""
        return self._nbytes

    size = nbytes

    def cpu(self) -> Storage:
        """The storage itself."""
        return self

    def cuda(self, device: Any = None, non_blocking: bool = False) -> NoReturn:
        """Refused, as all tensors on a GPU are."""
        raise UnsupportedError(here("a storage on a GPU: tensors are loaded to the CPU", "return storage.cpu()"))


def located(map_location: Any, place: str, nbytes: int) -> None:
    """Ask a ``map_location`` that is a function for a storage of ``nbytes``, which was on the device ``place``.

    Raises TypeError unless it returns the storage, or None.
    """
    if not callable(map_location):
        return
    storage = Storage(nbytes)
    found = map_location(storage, place)
    if found is not None and found is not storage:
        raise ArgumentError(f"map_location returned a {type(found).__name__} for a storage; return storage, or None")


def storage_of(x: Tensor) -> Shown:
    """``x`` as a view of its storage; tensors that show the same storage get the same ``key``.

    Raises TraceError in a step that is being compiled, where there are no contents yet.
    """
    array, shape = x._array("saving a tensor"), tuple(x.shape)
    if any(op is BITS for op, _, _ in x._views):
        flat = np.ascontiguousarray(array).reshape(-1)
        return Shown((x._cell, x.dtype), flat, 0, shape, contiguous_strides(shape), x.requires_grad)
    key, data, start = _memory(x._cell)
    return Shown(key, data, start + x.storage_offset(), shape, tuple(x.stride()), x.requires_grad)


def _memory(cell: Cell) -> tuple[Hashable, np.ndarray, int]:
    """The mark of the storage, its elements in one dimension, and the place at which the elements of ``cell`` begin."""
    array = cell.fetched().data
    if cell.shared is None or not array.size or strides_of(cell.shared.array) != cell.strides:
        return cell, _laid_out(array, cell.strides), 0
    holders = cell.shared.holders
    arrays = [other.shared.array for other in holders.cells if other.shared is not None and other.shared.array.size]
    first = min(arrays, key=_address)
    start, end = _address(first), max(_address(each) + _extent(each) for each in arrays)
    elements = as_strided(first, ((end - start) // first.itemsize,), (first.itemsize,), writeable=False)
    return holders, elements, (_address(array) - start) // array.itemsize


def _laid_out(array: np.ndarray, strides: Strides | None) -> np.ndarray:
    """The elements of ``array`` in the order in memory that dense ``strides`` give them."""
    if strides is not None and array.size:
        array = array.transpose(sorted(range(array.ndim), key=lambda d: (-strides[d], -array.shape[d])))
    return np.ascontiguousarray(array).reshape(-1)


def _address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def _extent(array: np.ndarray) -> int:
    """The bytes from the first element to the end of the last one."""
    return array.itemsize + sum((n - 1) * step for n, step in zip(array.shape, array.strides))
