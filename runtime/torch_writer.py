"""Files that PyTorch reads with ``torch.load(path, weights_only=True)``, written without PyTorch.

The archive is described in :mod:`runtime.torch_file`. Storages begin at multiples of 64 bytes, so that they can be
mapped into memory.
"""

from __future__ import annotations

import struct
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import IO, Any, NamedTuple

import numpy as np

from compiler.errors import UnsavableError
from runtime.pickle_writer import Call, Elsewhere, write
from runtime.pickled import Global
from runtime.torch_file import DTYPES

ALIGNMENT = 64
_FOLDER = "archive/"
_STORAGES = {dtype: Global("torch", name) for name, dtype in DTYPES.items()}
_HEADER = 30
"""Bytes of a member's header before its name."""
_ZIP64 = 2**30
"""Members from this size on have sizes of 64 bits."""


class Shown(NamedTuple):
    """A tensor: a view of the storage ``key``, whose elements are ``data`` in one dimension."""

    key: Hashable
    data: np.ndarray
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    requires_grad: bool


def parameter(tensor: Shown) -> Call:
    """A parameter on the memory of ``tensor``."""
    bare = tensor._replace(requires_grad=False)
    return Call(Global("torch._utils", "_rebuild_parameter"), (bare, tensor.requires_grad, OrderedDict()))


def device(kind: str) -> Call:
    return Call(Global("torch", "device"), (kind,))


def size(shape: tuple[int, ...]) -> Call:
    return Call(Global("torch", "Size"), (shape,))


def dtype(name: str) -> Global:
    """``torch.float32``."""
    return Global("torch", name)


def array(numbers: np.ndarray) -> Call | None:
    """A NumPy array, as NumPy pickles it; None for one of objects, text or other types."""
    if numbers.dtype.kind not in "biuf" or numbers.dtype.str[1:] == "f16":
        return None
    little = np.ascontiguousarray(numbers, numbers.dtype.newbyteorder("<")).reshape(numbers.shape)
    order = little.dtype.str[0] if little.dtype.itemsize == 1 else "<"
    kind = Call(Global("numpy", "dtype"), (little.dtype.str[1:], False, True), (3, order, None, None, None, -1, -1, 0))
    empty = Global("numpy", "ndarray"), (0,), b"b"
    state = 1, little.shape, kind, False, little.tobytes()
    return Call(Global("numpy._core.multiarray", "_reconstruct"), empty, state)


def save(file: IO[bytes], tree: object, encode: Callable[[object], Any], advice: Callable[[object], str]) -> None:
    """Write ``tree``; ``encode`` makes :class:`Shown`, and what the functions above make, of the caller's kinds.

    Raises:
        UnsavableError: (a TypeError) before anything is written, for an object that ``encode`` does not know.
    """
    storages = _Storages()

    def encoded(value: object) -> Any:
        found = value if isinstance(value, Shown) else encode(value)
        return storages.rebuilt(found) if isinstance(found, Shown) else found

    data = write(tree, encoded, advice)
    with zipfile.ZipFile(file, "w") as archive:
        _member(archive, "data.pkl", data)
        _member(archive, ".format_version", b"1")
        _member(archive, ".storage_alignment", str(ALIGNMENT).encode())
        _member(archive, "byteorder", sys.byteorder.encode())
        for number, array in enumerate(storages.arrays.values()):
            _member(archive, f"data/{number}", np.ascontiguousarray(array).view(np.uint8).data)
        _member(archive, "version", b"3\n")


class _Storages:
    """The storages of one file, numbered as they are met."""

    def __init__(self) -> None:
        self.arrays: dict[Hashable, np.ndarray] = {}
        self.numbers: dict[Hashable, int] = {}

    def rebuilt(self, tensor: Shown) -> Call:
        number = self.numbers.setdefault(tensor.key, len(self.numbers))
        array = self.arrays.setdefault(tensor.key, tensor.data)
        if array.dtype != tensor.data.dtype:
            raise UnsavableError(
                f"cannot save tensors that show the same memory as {array.dtype} and as {tensor.data.dtype}: "
                "save a clone() of one of them"
            )
        place = ("storage", _STORAGES[array.dtype], str(number), "cpu", array.size)
        hooks: OrderedDict[str, Any] = OrderedDict()
        shown = (Elsewhere(place), tensor.offset, tensor.shape, tensor.strides, tensor.requires_grad, hooks)
        return Call(Global("torch._utils", "_rebuild_tensor_v2"), shown)


def _member(archive: zipfile.ZipFile, name: str, data: Any) -> None:
    """Add a member whose data begins at a multiple of :data:`ALIGNMENT`; the extra field fills the gap."""
    info = zipfile.ZipInfo(_FOLDER + name)
    info.file_size = len(data)
    large = len(data) >= _ZIP64
    start = archive.fp.tell() + _HEADER + len(info.filename) + 4 + (20 if large else 0)  # type: ignore[union-attr]
    gap = -start % ALIGNMENT
    info.extra = struct.pack("<2sH", b"FB", gap) + b"Z" * gap
    with archive.open(info, "w", force_zip64=large) as member:
        member.write(data)
