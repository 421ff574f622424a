"""PyTorch's files (``torch.save``: ``.pth``, ``.pt``), read without PyTorch and without executing anything in them.

Such a file is a zip archive, uncompressed, with one folder:

    NAME/data.pkl     a pickle of the tree; a tensor in it is a call of torch._utils._rebuild_tensor_v2
    NAME/byteorder    "little" or "big"
    NAME/data/KEY     the bytes of a storage, which several tensors may show
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from math import prod
from mmap import mmap
from typing import IO, Any, NamedTuple

import ml_dtypes
import numpy as np

from compiler.errors import CheckpointError
from runtime import pickled
from runtime.pickled import Global

DTYPES: dict[str, np.dtype] = {
    "BoolStorage": np.dtype(np.bool_),
    "ByteStorage": np.dtype(np.uint8),
    "CharStorage": np.dtype(np.int8),
    "ShortStorage": np.dtype(np.int16),
    "IntStorage": np.dtype(np.int32),
    "LongStorage": np.dtype(np.int64),
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "FloatStorage": np.dtype(np.float32),
    "DoubleStorage": np.dtype(np.float64),
}

_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError, LookupError),
    *(OverflowError, MemoryError),  # places and lengths beyond what there is
)
_CALLED = {
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
    "torch.Size",
    "torch.device",
    "collections.OrderedDict",
    "collections.Counter",
    "builtins.bytes",
    "builtins.set",
    "_codecs.encode",
    "numpy.dtype",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",
    "numpy.core.multiarray._reconstruct",
    "numpy.ndarray",
}
_ELEMENTS = {dtype.name for dtype in DTYPES.values()}
_NUMBERS = "?bhilqBHILQefd"


class _Storage(NamedTuple):
    """The elements of a storage; a pickle refers to one and cannot make one."""

    data: np.ndarray
    key: str


class Stored(NamedTuple):
    """A tensor in a file: a view ``array`` of its storage, whose other tensors have the same ``key``."""

    array: np.ndarray
    key: str
    requires_grad: bool


class Leaves(NamedTuple):
    """The caller's own kinds: how a tensor, a parameter, a shape and a name such as ``torch.float32`` are made."""

    tensor: Callable[[Stored], Any]
    parameter: Callable[[Any, bool], Any]
    size: Callable[[tuple[int, ...]], Any]
    device: Callable[[str], Any]
    dtype: Callable[[str], Any]
    locate: Callable[[str, int], None] = lambda place, nbytes: None
    """Is told, once for each storage, where it was and how many bytes it has."""
    allowed: Mapping[str, Any] = {}
    """Classes and functions of the user that may be called, by module and name."""


def load(file: IO[bytes], size: int, leaves: Leaves, memory: mmap | None = None) -> Any:
    """The tree in ``file``, of ``size`` bytes; the contents of tensors are in ``memory``, a map of the file, if given.

    Raises:
        CheckpointError: the file is damaged, or holds what only the execution of code could make.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            reader = _Reader(archive, size, leaves, memory)
            return pickled.read(reader.member("data.pkl"), reader)
    except _DAMAGED as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"its zip archive is damaged ({error})") from None


class _Reader:
    """One archive: its members, its storages, and the few names that a pickle of tensors uses."""

    def __init__(self, archive: zipfile.ZipFile, size: int, leaves: Leaves, memory: mmap | None = None) -> None:
        self.archive, self.leaves, self.memory = archive, leaves, memory
        members = archive.infolist()
        names = {member.filename for member in members}
        folders = [name.removesuffix("data.pkl") for name in names if name.endswith("/data.pkl")]
        if len(folders) != 1 or len(names) < len(members):
            raise CheckpointError("it is a zip archive, but torch.save did not write it: it has no single data.pkl")
        if sum(member.file_size for member in members) > size or any(m.compress_type for m in members):
            raise CheckpointError("its members are compressed, or longer than the file; torch.save writes no such file")
        (self.folder,) = folders
        order = self.member("byteorder").strip() if self.folder + "byteorder" in names else b"little"
        if order not in (b"little", b"big"):
            raise CheckpointError(f"its byte order is {order!r}")
        self.order = "<" if order == b"little" else ">"
        self.storages: dict[str, np.ndarray] = {}

    def member(self, name: str) -> bytes:
        return self.archive.read(self.folder + name)

    def fetch(self, place: Any) -> _Storage:
        """The storage with the id ``("storage", type, key, location, numel)``, and its key."""
        kind, storage, key, location, numel = place
        if kind != "storage" or not isinstance(storage, Global) or not isinstance(key, str):
            raise CheckpointError("it refers to something that is no storage")
        if storage.module != "torch" or storage.name not in DTYPES:
            raise CheckpointError(f"it holds a {storage}; the element types here are {', '.join(DTYPES)}")
        dtype = DTYPES[storage.name]
        if key not in self.storages:
            data = self._mapped(f"data/{key}") if self.memory is not None else bytearray(self.member(f"data/{key}"))
            self.leaves.locate(str(location), len(data))
            self.storages[key] = self._native(np.frombuffer(data, np.uint8), dtype)
        array = self.storages[key]
        if array.dtype != dtype or array.size != numel:
            raise CheckpointError(f"storage {key!r} is {array.dtype}[{array.size}], not {dtype}[{numel}]")
        return _Storage(array, key)

    def _mapped(self, name: str) -> memoryview:
        """The data of a member, which follow its header, its name and its extra field."""
        assert self.memory is not None
        info = self.archive.getinfo(self.folder + name)
        header = self.memory[info.header_offset : info.header_offset + 30]
        start = info.header_offset + len(header) + sum(struct.unpack("<26xHH", header))
        data = memoryview(self.memory)[start : start + info.file_size]
        if len(data) < info.file_size:
            raise CheckpointError(f"its member {name} is longer than the file")
        return data

    def _native(self, data: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """The bytes ``data`` as elements in the byte order of this machine."""
        if dtype == np.bool_:
            return data != 0
        words = data.view(f"u{dtype.itemsize}")
        if np.dtype(f"{self.order}u2") != np.dtype("u2"):
            words = words.byteswap()
        return words.view(dtype)

    def build(self, function: Global, arguments: tuple[Any, ...], bare: bool) -> Any:
        """The object that a call of ``function`` would make; knows the names in files of tensors, and the user's."""
        if str(function) in self.leaves.allowed:
            made = self.leaves.allowed[str(function)]
            return made.__new__(made, *arguments) if bare else made(*arguments)
        match str(function), arguments:
            case "torch._utils._rebuild_tensor_v2", (_Storage(data, key), offset, size, stride, grad, *_):
                return self.leaves.tensor(Stored(_view(data, offset, size, stride), key, bool(grad)))
            case "torch._utils._rebuild_parameter", (tensor, bool(grad), *_):
                return self.leaves.parameter(tensor, grad)
            case "torch.Size", (tuple(shape),):
                return self.leaves.size(shape)
            case "torch.device", (str(kind), *index):
                return self.leaves.device(":".join([kind, *map(str, index)]))
            case "collections.OrderedDict", ():
                return OrderedDict()
            case "collections.Counter", (dict(counts),):
                return Counter(counts)
            case "builtins.set", (list(items),) if all(isinstance(item, str | int | float) for item in items):
                return set(items)
            case "builtins.bytes", ():
                return b""
            case "_codecs.encode", (str(text), "latin1"):
                return text.encode("latin1")
            case "numpy.dtype", (str(kind), *_):
                return _number_type(kind)
            case "numpy._core.multiarray.scalar" | "numpy.core.multiarray.scalar", (np.dtype() as kind, bytes(data)):
                return np.frombuffer(data, kind, 1)[0]
            case (
                "numpy._core.multiarray._reconstruct" | "numpy.core.multiarray._reconstruct",
                (Global("numpy", "ndarray"), (0,), bytes()),
            ):
                return np.empty(0, np.int8)  # its contents follow as its state
        raise CheckpointError(f"it calls {function} with other arguments than torch.save writes")

    def name(self, name: Global) -> Any:
        """An element type for ``torch.float32``; else the name itself, if it is one that :meth:`build` knows.

        Raises:
            CheckpointError: any other name, before anything is made of it.
        """
        text = str(name).replace("__builtin__", "builtins")
        if text in _CALLED or text in self.leaves.allowed or (name.module == "torch" and name.name.endswith("Storage")):
            return Global(*text.rsplit(".", 1))
        if name.module == "torch" and name.name in _ELEMENTS:
            return self.leaves.dtype(name.name)
        raise CheckpointError(
            f"it holds a {name}, which only code of that class could make, and nothing in a file is executed here. "
            "Load it where that class is installed, and save tensors and containers: model.state_dict(). "
            "Classes that you trust can be named: genesis.serialization.add_safe_globals([...])"
        )

    def state(self, value: Any, attributes: Any) -> None:
        """Give an ordered dict its ``_metadata`` (versions of modules) and an array its contents.

        A NumPy dtype has its byte order.
        """
        match value, attributes:
            case OrderedDict(), {"_metadata": dict(metadata), **rest} if not rest:
                value._metadata = metadata  # type: ignore[attr-defined]
            case np.dtype(), (_, "<" | "|", *_):
                pass
            case np.ndarray(), (1, tuple(shape), np.dtype() as kind, bool(columns), bytes(data)):
                if not all(type(n) is int and n >= 0 for n in shape) or prod(shape) * kind.itemsize != len(data):
                    raise CheckpointError(f"an array of {kind} has the shape {shape} and {len(data)} bytes")
                value.__setstate__((1, shape, kind, columns, data))  # type: ignore[arg-type]
            case _ if type(value) in self.leaves.allowed.values():
                _restore(value, attributes)
            case _:
                raise CheckpointError(f"it sets attributes of a {type(value).__name__}, which is not done here")


def _restore(value: Any, state: Any) -> None:
    """Give an object of a class that the user trusts its state, as ``pickle`` does."""
    if hasattr(value, "__setstate__"):
        value.__setstate__(state)
        return
    plain, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
    vars(value).update(plain or {})
    for name, part in (slots or {}).items():
        setattr(value, name, part)


def _view(data: np.ndarray, offset: Any, size: Any, stride: Any) -> np.ndarray:
    """The part of a storage that a tensor shows. Raises CheckpointError where it leaves the storage."""
    counts = [offset, *size, *stride]
    if len(size) != len(stride) or not all(type(n) is int and 0 <= n < 2**62 for n in counts):
        raise CheckpointError(f"a tensor has the shape {size}, strides {stride} and offset {offset}")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride))
    if 0 in size:
        return np.empty(size, data.dtype)
    if last >= data.size:
        raise CheckpointError(f"a tensor ends at element {last} of a storage with {data.size}")
    steps = tuple(step * data.itemsize for step in stride)
    return np.lib.stride_tricks.as_strided(data[offset:], size, steps)


def _number_type(kind: str) -> np.dtype:
    dtype = np.dtype(kind)
    if dtype.char not in _NUMBERS:
        raise CheckpointError(f"it holds a NumPy value of type {kind!r}, which is no number")
    return dtype
