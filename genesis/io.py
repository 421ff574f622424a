"""Files: checkpoints of programs, without pickle; and what PyTorch and safetensors wrote, read as data."""

from __future__ import annotations

import io
import os
from collections import defaultdict
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from compiler.errors import CheckpointError
from compiler.ir.types import dtype
from genesis.device import device, on_cpu
from genesis.shared import Holders
from genesis.tensor import Parameter, Size, Tensor, from_array, on_memory
from runtime import checkpoint, tensor_file, torch_file
from runtime.replace import special


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


def load(
    f: str | os.PathLike[str] | IO[bytes], map_location: Any = None, *, weights_only: bool = True, mmap: Any = None
) -> Any:
    """Read what ``torch.save`` wrote (``.pth``, ``.pt``), or the dict of tensors in a ``.safetensors`` file.

    PyTorch is not needed, and nothing in the file is executed: tensors, parameters, numbers, strings and containers are
    read, with ``weights_only=False`` no others. Tensors on one storage share memory, as they did. Tensors come to the
    CPU, wherever they were; a ``map_location`` that is a function is not called. ``mmap`` changes nothing.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: the file is damaged, of another kind, or holds objects of other classes; the message names one.
        UnsupportedError: ``map_location`` is another device than the CPU.
    """
    for place in map_location.values() if isinstance(map_location, Mapping) else [map_location]:
        if not callable(place):
            on_cpu(place)
    name = repr(os.fspath(f)) if isinstance(f, str | os.PathLike) else "a file object"
    try:
        if not isinstance(f, str | os.PathLike):
            return _load(io.BytesIO(f.read()))
        if kind := special(f):
            raise CheckpointError(f"it is {kind}, not a file")
        with open(f, "rb") as file:
            return _load(file)
    except CheckpointError as error:
        raise CheckpointError(f"cannot load {name}: {error}") from None


def _load(file: IO[bytes]) -> Any:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(8)
    file.seek(0)
    if start.startswith(b"PK\x03\x04") and start[4:] != bytes(4):
        holders: dict[str, Holders] = defaultdict(Holders)
        leaves = torch_file.Leaves(lambda stored: _tensor(stored, holders), _parameter, Size, device, dtype)
        return torch_file.load(file, size, leaves)
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
