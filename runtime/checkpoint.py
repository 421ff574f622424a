"""Checkpoints: a tree of Python values and arrays in one file, without pickle, whole or not at all.

The file is a safetensors container (https://github.com/huggingface/safetensors), so any safetensors reader lists its
arrays. Its ``__metadata__`` holds the tree as JSON and a SHA-256 over the tree and every array. In the tree
``None``, booleans, integers, finite floats, strings and lists stand for themselves; everything else is an object with
one key, its tag:

    {"dict": {...}}              dict with string keys
    {"items": [[key, value]]}    dict with integer (or mixed) keys
    {"tuple": [...]}             tuple
    {"float": "inf"}             inf, -inf and nan
    {"array": name}              NumPy array      (``name``: that of the array in the container)
    {"scalar": name}             NumPy scalar
    {<tag>: name}                whatever ``encode_leaf`` turned into an array under a tag of its own
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy

from compiler.errors import GenesisError

EncodeLeaf = Callable[[object], tuple[str, np.ndarray] | None]
DecodeLeaf = Callable[[str, np.ndarray], object]

_FORMAT = "genesis-checkpoint-1"
_DTYPES: dict[str, np.dtype] = {
    "BOOL": np.dtype(np.bool_),
    "U8": np.dtype(np.uint8),
    "I8": np.dtype(np.int8),
    "U16": np.dtype(np.uint16),
    "I16": np.dtype(np.int16),
    "U32": np.dtype(np.uint32),
    "I32": np.dtype(np.int32),
    "U64": np.dtype(np.uint64),
    "I64": np.dtype(np.int64),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
    "C64": np.dtype(np.complex64),
}


class CheckpointError(GenesisError):
    """A checkpoint file cannot be trusted: it is truncated, altered, or not a checkpoint."""


def save_checkpoint(
    tree: Mapping[str, Any], path: str | os.PathLike[str], encode_leaf: EncodeLeaf = lambda leaf: None
) -> None:
    """Write ``tree`` to ``path`` atomically: afterwards the file is the new one or the old one, never a part.

    Leaves are NumPy arrays and scalars, ``str``, ``int``, ``float``, ``bool``, ``None``, and what ``encode_leaf(leaf)``
    returns as ``(tag, array)``. Containers are dicts with string or integer keys, lists and tuples; a subclass comes
    back as its plain type.

    Raises:
        TypeError: before anything is written, for a value of another kind; the message says where in the tree it is.
        OSError: the file cannot be written; a file that was there before is untouched.
    """
    if not isinstance(tree, Mapping):
        raise TypeError(f"a checkpoint is a dict, not {type(tree).__name__}")
    encoder = _Encoder(encode_leaf)
    text = json.dumps(encoder.encode(tree, ()), allow_nan=False)
    metadata = {"format": _FORMAT, "tree": text, "sha256": _digest(text, encoder.arrays)}
    _write_atomically(Path(os.path.realpath(path)), safetensors.numpy.save(encoder.arrays, metadata))


def load_checkpoint(path: str | os.PathLike[str], decode_leaf: DecodeLeaf | None = None) -> dict[str, Any]:
    """Read what :func:`save_checkpoint` wrote; ``decode_leaf(tag, array)`` rebuilds the leaves ``encode_leaf`` tagged.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: the file is truncated, altered since it was written, or no checkpoint.
    """
    data = Path(path).read_bytes()
    try:
        metadata = _metadata(data)
        arrays = {
            name: np.frombuffer(spec["data"], _DTYPES[spec["dtype"]]).reshape(spec["shape"])
            for name, spec in safetensors.deserialize(data)
        }
        if _digest(metadata["tree"], arrays) != metadata["sha256"]:
            raise CheckpointError("its content does not match its checksum: it was altered after it was written")
        return _Decoder(arrays, decode_leaf).decode(json.loads(metadata["tree"]))
    except CheckpointError as error:
        raise CheckpointError(f"cannot load checkpoint {os.fspath(path)!r}: {error}") from None
    except (safetensors.SafetensorError, ValueError, LookupError) as error:
        raise CheckpointError(f"cannot load checkpoint {os.fspath(path)!r}: it is damaged ({error})") from error


class _Encoder:
    """Turns a tree into JSON values and collects its arrays under the path where each was found."""

    def __init__(self, encode_leaf: EncodeLeaf) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.encode_leaf = encode_leaf

    def encode(self, value: object, path: tuple[str | int, ...]) -> object:
        leaf = self.encode_leaf(value)
        if leaf is not None:
            tag, array = leaf
            return {tag: self.add(array, path)}
        match value:
            case np.ndarray():
                return {"array": self.add(value, path)}
            case str():
                return str(value)
            case np.generic():
                return {"scalar": self.add(np.asarray(value), path)}
            case None | bool() | int():
                return value
            case float():
                return value if math.isfinite(value) else {"float": str(value)}
            case list():
                return [self.encode(item, (*path, i)) for i, item in enumerate(value)]
            case tuple():
                return {"tuple": [self.encode(item, (*path, i)) for i, item in enumerate(value)]}
            case Mapping():
                return self.encode_mapping(value, path)
        raise TypeError(f"{_at(path)} is a {type(value).__name__}, which a checkpoint cannot hold{_advice(value)}")

    def encode_mapping(self, value: Mapping, path: tuple[str | int, ...]) -> object:
        for key in value:
            if not isinstance(key, (str, int)) or isinstance(key, np.generic):
                raise TypeError(f"{_at(path)} has the key {key!r}; keys in a checkpoint are strings or integers")
        items = [[key, self.encode(item, (*path, key))] for key, item in value.items()]
        if all(isinstance(key, str) for key in value):
            return {"dict": dict(items)}
        return {"items": items}

    def add(self, array: np.ndarray, path: tuple[str | int, ...]) -> str:
        if array.dtype.newbyteorder("=") not in _DTYPES.values():
            raise TypeError(f"{_at(path)} is an array of {array.dtype}, which a checkpoint cannot hold")
        name = "/".join(map(str, path))
        while name in self.arrays or name == "__metadata__":
            name += "'"
        self.arrays[name] = np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
        return name


class _Decoder:
    """Rebuilds the tree from its JSON form."""

    def __init__(self, arrays: dict[str, np.ndarray], decode_leaf: DecodeLeaf | None) -> None:
        self.arrays = arrays
        self.decode_leaf = decode_leaf

    def decode(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self.decode(item) for item in node]
        if not isinstance(node, dict):
            return node
        ((tag, content),) = node.items()
        match tag:
            case "dict":
                return {key: self.decode(item) for key, item in content.items()}
            case "items":
                return {key: self.decode(item) for key, item in content}
            case "tuple":
                return tuple(self.decode(item) for item in content)
            case "float":
                return float(content)
            case "array":
                return self.arrays[content]
            case "scalar":
                return self.arrays[content][()]
        if self.decode_leaf is None:
            raise CheckpointError(f"it holds a {tag!r}, which this reader does not know")
        return self.decode_leaf(tag, self.arrays[content])


def _metadata(data: bytes) -> dict[str, str]:
    """The container's ``__metadata__``: 8 bytes of header length, little endian, then the header in JSON."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or len(data) < 8 + length:
        raise CheckpointError(f"it is truncated, or no checkpoint: its header does not fit in its {len(data)} bytes")
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__", {}) if isinstance(header, dict) else {}
    if metadata.get("format") != _FORMAT:
        raise CheckpointError("save_checkpoint did not write it: it has no tree of values")
    size = 8 + length + max((entry["data_offsets"][1] for entry in header.values()), default=0)
    if len(data) < size:
        raise CheckpointError(f"it is truncated: {len(data)} bytes of {size}")
    return metadata


def _digest(text: str, arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over the tree and over name, dtype, shape and bytes of every array."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\n{name}\n{array.dtype.name}{list(array.shape)}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _write_atomically(path: Path, data: bytes) -> None:
    """Write beside ``path``, force it to the disk, then rename, which replaces the old file in one step."""
    temporary = path.with_name(f".checkpoint-{secrets.token_hex(8)}")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _at(path: tuple[str | int, ...]) -> str:
    """Where in the tree: ``checkpoint['model']['fc.weight']``."""
    return "checkpoint" + "".join(f"[{key!r}]" for key in path)


def _advice(value: object) -> str:
    if hasattr(value, "state_dict"):
        return "; save its state_dict() instead"
    if callable(value):
        return "; save the values it depends on instead"
    return ""
