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
import zipfile
from collections.abc import Callable, Mapping
from typing import IO, Any

import numpy as np

from compiler.errors import CheckpointError, UnsavableError
from runtime import tensor_file
from runtime.replace import replacing, special
from runtime.tensor_file import Entry, json_kind

EncodeLeaf = Callable[[object], tuple[str, np.ndarray] | None]
DecodeLeaf = Callable[[str, np.ndarray], object]

MAX_DEPTH = 100
"""Containers within one another. Also tells that a container holds itself."""

_FORMAT = "genesis-checkpoint-1"
_NO_NUMBERS = ("inf", "-inf", "nan")


def save_checkpoint(
    tree: Mapping[str, Any], path: str | os.PathLike[str], encode_leaf: EncodeLeaf = lambda leaf: None
) -> None:
    """Write ``tree`` to ``path`` atomically: afterwards the file is the new one or the old one, never a part.

    Leaves are NumPy arrays and scalars, ``str``, ``int``, ``float``, ``bool``, ``None``, and what ``encode_leaf(leaf)``
    returns as ``(tag, array)``. Containers are dicts with string or integer keys, lists and tuples; a subclass comes
    back as its plain type. A file that is replaced keeps its mode, a symbolic link its target.

    Beside the arrays of the caller, one of them at a time is held as a copy.

    Raises:
        UnsavableError: (a TypeError) before anything is written, for a value of another kind; the message says where in
            the tree it is.
        CheckpointError: a pipe, a device or a folder has this name.
        OSError: the file cannot be written; a file that was there before is untouched.
    """
    if not isinstance(tree, Mapping):
        raise UnsavableError(f"a checkpoint is a dict, not {type(tree).__name__}")
    encoder = _Encoder(encode_leaf)
    text = json.dumps(encoder.encode(tree, ()), allow_nan=False)
    if kind := special(path):
        raise CheckpointError(f"cannot save checkpoint {os.fspath(path)!r}: {kind} has this name; give another")
    digest = _Digest(text)

    def metadata() -> dict[str, str]:
        return {"format": _FORMAT, "tree": text, "sha256": digest.hexdigest()}

    with replacing(path) as file:
        tensor_file.write(file, encoder.arrays, metadata, digest.add)


def load_checkpoint(path: str | os.PathLike[str], decode_leaf: DecodeLeaf | None = None) -> dict[str, Any]:
    """Read what :func:`save_checkpoint` wrote; ``decode_leaf(tag, array)`` rebuilds the leaves ``encode_leaf`` tagged.

    The file is not trusted: whatever is in it, the result is what its checksum stands for, or an error. Nothing is held
    beside the arrays that are returned.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: the file is truncated, altered since it was written, malformed, or no checkpoint.
    """
    try:
        if kind := special(path):
            raise CheckpointError(f"it is {kind}, not a file")
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            _refuse_other_formats(file, os.fspath(path))
            entries, metadata = tensor_file.read_header(file, size)
            return _load(file, entries, metadata, decode_leaf)
    except CheckpointError as error:
        raise CheckpointError(f"cannot load checkpoint {os.fspath(path)!r}: {error}") from None


def _load(
    file: IO[bytes], entries: Mapping[str, Entry], metadata: Mapping[str, str], decode_leaf: DecodeLeaf | None
) -> dict[str, Any]:
    """The tree in an open file, once its checksum is found to be right."""
    if not is_ours(metadata):
        raise CheckpointError(
            "save_checkpoint did not write it: it is a safetensors file without a tree of values. "
            "genesis.load(path) reads its tensors, and load_state_dict takes them"
        )
    text = metadata.get("tree", "")
    digest, arrays = _Digest(text), {}
    for name in sorted(entries):
        arrays[name] = tensor_file.read(file, entries[name])
        digest.add(name, arrays[name])
    if digest.hexdigest() != metadata.get("sha256"):
        raise CheckpointError("its content does not match its checksum: it was altered after it was written")
    tree = _Decoder(arrays, decode_leaf).decode(tensor_file.parse_json(text, "its tree"), 0)
    if not isinstance(tree, dict):
        raise CheckpointError(f"its tree is a {type(tree).__name__}, not a dict")
    return tree


def is_ours(metadata: Mapping[str, str]) -> bool:
    """Whether :func:`save_checkpoint` wrote the file with this metadata."""
    return metadata.get("format") == _FORMAT


class _Encoder:
    """Turns a tree into JSON values and collects its arrays under the path where each was found."""

    def __init__(self, encode_leaf: EncodeLeaf) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.encode_leaf = encode_leaf

    def encode(self, value: object, path: tuple[str | int, ...]) -> object:
        if len(path) > MAX_DEPTH:
            raise UnsavableError(f"{_at(path[:3])} is nested more than {MAX_DEPTH} deep, or holds itself")
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
        raise UnsavableError(f"{_at(path)} is a {type(value).__name__}, which a checkpoint cannot hold{_advice(value)}")

    def encode_mapping(self, value: Mapping, path: tuple[str | int, ...]) -> object:
        for key in value:
            if not isinstance(key, (str, int)) or isinstance(key, np.generic):
                raise UnsavableError(f"{_at(path)} has the key {key!r}; keys in a checkpoint are strings or integers")
        items = [[key, self.encode(item, (*path, key))] for key, item in value.items()]
        if all(isinstance(key, str) for key in value):
            return {"dict": dict(items)}
        return {"items": items}

    def add(self, array: np.ndarray, path: tuple[str | int, ...]) -> str:
        if array.dtype.newbyteorder("=") not in tensor_file.SHORT:
            raise UnsavableError(f"{_at(path)} is an array of {array.dtype}, which a checkpoint cannot hold")
        name = "/".join(map(str, path)).encode(errors="replace").decode()
        while name in self.arrays or name == tensor_file.METADATA:
            name += "'"
        self.arrays[name] = array
        return name


class _Decoder:
    """Rebuilds the tree from its JSON form, and takes from ``arrays`` what it has used."""

    def __init__(self, arrays: dict[str, np.ndarray], decode_leaf: DecodeLeaf | None) -> None:
        self.arrays = arrays
        self.decode_leaf = decode_leaf

    def decode(self, node: Any, depth: int) -> Any:
        """The value that ``node``, at this depth, stands for; ``CheckpointError`` where it stands for none."""
        if depth > MAX_DEPTH:
            raise CheckpointError(f"its tree is nested more than {MAX_DEPTH} deep")
        if isinstance(node, list):
            return [self.decode(item, depth + 1) for item in node]
        if not isinstance(node, dict):
            return node
        if len(node) != 1:
            raise CheckpointError(f"its tree has an object with {len(node)} keys where one, a tag, is expected")
        ((tag, content),) = node.items()
        match tag:
            case "dict":
                items = self.checked(tag, content, dict).items()
                return {key: self.decode(item, depth + 1) for key, item in items}
            case "items":
                return self.items(self.checked(tag, content, list), depth)
            case "tuple":
                return tuple([self.decode(item, depth + 1) for item in self.checked(tag, content, list)])
            case "float":
                if content not in _NO_NUMBERS:
                    raise CheckpointError(f"its tree has the float {content!r}, which is none of {_NO_NUMBERS}")
                return float(content)
        array = self.array(tag, self.checked(tag, content, str))
        if tag == "array":
            return array
        if tag == "scalar":
            if array.shape != ():
                raise CheckpointError(f"its tree has a scalar {content!r} of the shape {list(array.shape)}")
            return array[()]
        if self.decode_leaf is None:
            raise CheckpointError(f"it holds a {tag!r}, which this reader does not know")
        return self.decode_leaf(tag, array)

    def items(self, pairs: list, depth: int) -> dict[Any, Any]:
        """A dict of the ``[key, value]`` in ``pairs``."""
        found = {}
        for pair in pairs:
            if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], (str, int)) or pair[0] in found:
                raise CheckpointError("its tree has 'items' that are no pairs of a key, each another, and a value")
            found[pair[0]] = self.decode(pair[1], depth + 1)
        return found

    def array(self, tag: str, name: str) -> np.ndarray:
        if name not in self.arrays:
            raise CheckpointError(f"its tree has the {tag} {name!r}, which is not in the file, or is used twice")
        return self.arrays.pop(name)

    @staticmethod
    def checked(tag: str, content: Any, kind: type) -> Any:
        if not isinstance(content, kind):
            raise CheckpointError(f"its tree has {json_kind(content)} under {tag!r}, where {json_kind(kind())} belongs")
        return content


class _Digest:
    """SHA-256 over the tree and over name, dtype, shape and bytes of every array, in the order of the names."""

    def __init__(self, text: str) -> None:
        self._digest = hashlib.sha256(text.encode(errors="surrogatepass"))

    def add(self, name: str, array: np.ndarray) -> None:
        self._digest.update(f"\n{name}\n{array.dtype.name}{list(array.shape)}\n".encode(errors="surrogatepass"))
        self._digest.update(array.reshape(-1).view(np.uint8).data)

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def _refuse_other_formats(file: IO[bytes], path: str) -> None:
    """Say what a file of another kind is, and how to read it; leave the file at its start.

    A checkpoint starts with the length of its header, so with zeros in the upper bytes.
    """
    start = file.read(8)
    if start.startswith(b"PK\x03\x04") and start[4:] != bytes(4):
        try:
            members = zipfile.ZipFile(file).namelist()
        except (zipfile.BadZipFile, OSError, ValueError):
            raise CheckpointError("it is a damaged zip archive, no checkpoint; torch.save writes such files") from None
        if any(member.endswith(".npy") for member in members):
            raise CheckpointError("it is an archive of NumPy arrays, no checkpoint; numpy.load(path) reads it")
        if any(member.endswith("data.pkl") for member in members):
            raise CheckpointError("it is a PyTorch file, no checkpoint; genesis.load(path) reads it")
        raise CheckpointError("it is a zip archive, no checkpoint")
    if start[:1] == b"\x80" and 2 <= start[1] <= 5 and start[2:] != bytes(6):
        raise CheckpointError(f"it is a pickle, no checkpoint; old versions of torch.save wrote such files. {_TORCH}")
    if start.startswith(b"\x93NUMPY"):
        raise CheckpointError("it is a NumPy array, no checkpoint; numpy.load(path) reads it")
    file.seek(0)


_TORCH = (
    "Read it where PyTorch is installed, torch.load(path, weights_only=True), and give its tensors to load_state_dict; "
    "then save the model with genesis.save_checkpoint"
)


def _at(path: tuple[str | int, ...]) -> str:
    """The place in the tree as Python writes it: ``checkpoint['model']['fc.weight']``."""
    return "checkpoint" + "".join(f"[{key!r}]" for key in path)


def _advice(value: object) -> str:
    if hasattr(value, "state_dict"):
        return "; save its state_dict() instead"
    if callable(value):
        return "; save the values it depends on instead"
    return ""
