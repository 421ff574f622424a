"""Files: checkpoints of programs, without pickle; PyTorch's files, written, and read as data; safetensors, read."""

from __future__ import annotations

import io
import os
from collections import defaultdict
from collections.abc import Mapping
from mmap import ACCESS_COPY
from mmap import mmap as Map
from typing import IO, Any

import numpy as np

from compiler.errors import CheckpointError, ChoiceError, UnsupportedError
from compiler.ir.types import DType, dtype
from genesis.device import Device, device, on_cpu
from genesis.members import Parameter
from genesis.memory.shared import Holders
from genesis.scope import AROUND
from genesis.size import Size
from genesis.storages import located, storage_of
from genesis.tensor import Tensor, from_array, on_memory
from genesis.trust import trusted
from runtime import checkpoint, tensor_file, torch_file, torch_writer
from runtime.replace import replacing, special

__eager_only__ = AROUND


def save_checkpoint(obj: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a dict of Tensors, arrays, numbers, strings, lists, tuples and dicts to the file ``path``, atomically.

    Beside the tensors in ``obj``, one of them at a time is held as a copy.

    Raises:
        UnsavableError: (a TypeError) before anything is written, for a value of another kind; the message says where in
            ``obj`` it is.
        CheckpointError: a pipe, a device or a folder has this name.
        OSError: the file cannot be written; a file that was there before is untouched.
    """
    checkpoint.save_checkpoint(obj, path, _encode)


def load_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what :func:`save_checkpoint` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: the file is truncated, altered since it was written, malformed, or no checkpoint.
    """
    return checkpoint.load_checkpoint(path, _decode)


def save(
    obj: object,
    f: str | os.PathLike[str] | IO[bytes],
    pickle_module: Any = None,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
) -> None:
    """Write ``obj`` to a path, atomically, or a file object, so that ``torch.load(f, weights_only=True)`` reads it.

    ``obj`` is a tree of tensors, parameters, numbers, strings, bytes, dtypes, devices, shapes, and plain containers of
    them: lists, tuples, sets, dicts, ``OrderedDict``, ``Counter``. Tensors that show one storage do so when they are
    read; the whole storage is written, of ``x[:2]`` as well (``x[:2].clone()`` has one of its own). NumPy's numbers
    become Python's; an array of numbers stays one, and PyTorch reads it with ``weights_only=False`` only.
    ``pickle_module`` and ``pickle_protocol`` change nothing.

    Raises:
        UnsavableError: (a TypeError) before anything is written, for an object that could only be read by executing
            code, such as a module: save its ``state_dict()``. The message says where in ``obj`` it is.
        UnsupportedError: ``_use_new_zipfile_serialization`` is False.
        CheckpointError: a pipe, a device or a folder has this name.
        OSError: the file cannot be written; a file that was there before is untouched.
    """
    if not _use_new_zipfile_serialization:
        raise UnsupportedError("save(_use_new_zipfile_serialization=False), the form before PyTorch 1.6")
    if not isinstance(f, str | os.PathLike):
        torch_writer.save(f, obj, _stored, _advice)
        return
    if kind := special(f):
        raise CheckpointError(f"cannot save {os.fspath(f)!r}: {kind} has this name; give another")
    with replacing(f) as file:
        torch_writer.save(file, obj, _stored, _advice)


def _stored(value: object) -> Any:
    """The form of a value of Genesis or NumPy in a PyTorch file; None where it has none."""
    match value:
        case Tensor() if type(value) in (Tensor, Parameter):
            shown = storage_of(value)
            return torch_writer.parameter(shown) if isinstance(value, Parameter) else shown
        case Size():
            return torch_writer.size(tuple(value))
        case Device():
            return torch_writer.device(str(value))
        case DType():
            return torch_writer.dtype(value.numpy.name)
        case np.bool_() | np.integer() | np.floating():
            return value.item()
        case np.ndarray() if type(value) is np.ndarray:
            return torch_writer.array(value)
    return None


def _advice(value: object) -> str:
    """The thing to save instead."""
    if hasattr(value, "state_dict"):
        return "save its state_dict(), and load that into a new one"
    if isinstance(value, np.ndarray):
        return "save numbers: an array of integers, floats or booleans"
    for kind in (dict, list, tuple, set, str, int, float):
        if isinstance(value, kind):
            return f"save {kind.__name__}(...) of it"
    return "save its contents: vars(x)" if hasattr(value, "__dict__") else "save numbers, strings and tensors"


def load(
    f: str | os.PathLike[str] | IO[bytes],
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool = True,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Read what ``torch.save`` wrote (``.pth``, ``.pt``), or the dict of tensors in a ``.safetensors`` file.

    PyTorch is not needed, and nothing in the file is executed: tensors, parameters, numbers, strings and containers are
    read, with ``weights_only=False`` no others; :func:`genesis.serialization.add_safe_globals` names classes that may
    be made, too. Tensors on one storage share memory, as they did. Tensors come to the CPU, wherever they were. A
    ``map_location`` that is a function is called with each storage and its place, and returns the storage or None.
    With ``mmap=True`` the tensors of a PyTorch file stay there until they are looked at, and the file is never changed.
    ``pickle_module`` and its arguments change nothing.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: the file is damaged, of another kind, or holds objects of other classes; the message names one.
        UnsupportedError: ``map_location`` is another device than the CPU.
        ValueError: ``mmap=True``, and ``f`` is a file object.
    """
    for place in map_location.values() if isinstance(map_location, Mapping) else [map_location]:
        if not callable(place):
            on_cpu(place)
    name = repr(os.fspath(f)) if isinstance(f, str | os.PathLike) else "a file object"
    if mmap and not isinstance(f, str | os.PathLike):
        raise ChoiceError("f must be a string or path-like in order to use the mmap argument")
    try:
        if not isinstance(f, str | os.PathLike):
            return _load(io.BytesIO(f.read()), map_location)
        if kind := special(f):
            raise CheckpointError(f"it is {kind}, not a file")
        with open(f, "rb") as file:
            return _load(file, map_location, _mapped(file) if mmap else None)
    except CheckpointError as error:
        raise CheckpointError(f"cannot load {name}: {error}") from None


def _mapped(file: IO[bytes]) -> Map | None:
    """The file as memory that can be written without changing it; None for an empty one, which cannot be mapped."""
    size = os.fstat(file.fileno()).st_size
    return Map(file.fileno(), 0, access=ACCESS_COPY) if size else None


def _load(file: IO[bytes], map_location: Any, memory: Map | None = None) -> Any:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(8)
    file.seek(0)
    if start.startswith(b"PK\x03\x04") and start[4:] != bytes(4):
        holders: dict[str, Holders] = defaultdict(Holders)

        places: list[tuple[str, int]] = []
        leaves = torch_file.Leaves(
            *(lambda stored: _tensor(stored, holders), _parameter, Size, device, dtype),
            locate=lambda place, nbytes: places.append((place, nbytes)),
            allowed=trusted(),
        )
        tree = torch_file.load(file, size, leaves, memory)
        for place, nbytes in places:
            located(map_location, place, nbytes)
        return tree
    if start[:1] == b"\x80" and 2 <= start[1] <= 5 and start[2:] != bytes(6):
        raise CheckpointError(
            "it is a pickle without an archive, as torch.save wrote before version 1.6. Where PyTorch is installed, "
            "torch.save(torch.load(path), path) writes it in today's form"
        )
    entries, metadata = tensor_file.read_header(file, size)
    if checkpoint.is_ours(metadata):
        raise CheckpointError("genesis.save_checkpoint wrote it; genesis.load_checkpoint(path) reads it")
    return {name: _decode("tensor", tensor_file.read(file, entry)) for name, entry in entries.items()}


def _tensor(stored: torch_file.Stored, holders: dict[str, Holders]) -> Tensor:
    """A tensor on memory that the other tensors of its storage hold, too."""
    result = on_memory(stored.array, holders[stored.key])
    return result.requires_grad_() if stored.requires_grad else result


def _parameter(data: Any, requires_grad: bool) -> Parameter:
    if not isinstance(data, Tensor):
        raise CheckpointError(f"it holds a parameter that is a {type(data).__name__}, not a tensor")
    return Parameter(data, requires_grad)


def _encode(leaf: object) -> tuple[str, np.ndarray] | None:
    return ("tensor", np.asarray(leaf)) if isinstance(leaf, Tensor) else None


def _decode(tag: str, array: np.ndarray) -> Tensor:
    if tag != "tensor":
        raise CheckpointError(f"it holds a {tag!r}, which this reader does not know")
    try:
        return from_array(array)
    except TypeError as error:
        raise CheckpointError(f"it holds a tensor that there cannot be: {error}") from None
