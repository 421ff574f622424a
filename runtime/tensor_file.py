"""The safetensors container (https://github.com/huggingface/safetensors), read and written one array at a time.

    8 bytes    length of the header, little endian
    header     JSON: {name: {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]},
                      "__metadata__": {text: text}}
    data       the arrays, one behind the other; offsets count from here

Neither reading nor writing holds more than one array beside the caller's arrays.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import IO, Any, NamedTuple

import ml_dtypes
import numpy as np

from compiler.errors import CheckpointError

DTYPES: dict[str, np.dtype] = {
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
SHORT = {dtype: short for short, dtype in DTYPES.items()}

METADATA = "__metadata__"
MAX_RANK = 64
PREFIX = 8  # bytes: the length of the header


class Entry(NamedTuple):
    """An array in a file, from byte ``begin`` on."""

    dtype: np.dtype
    shape: tuple[int, ...]
    begin: int

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def write(
    file: IO[bytes],
    arrays: Mapping[str, np.ndarray],
    metadata: Callable[[], dict[str, str]],
    see: Callable[[str, np.ndarray], None],
) -> None:
    """Write ``arrays``, in the order of their names, and what ``metadata()`` returns.

    ``see(name, array)`` is shown each array as it is written, native and contiguous; nobody else changes it.
    ``metadata`` is called before the first array and after the last; the lengths of its texts are the same both times.
    """
    header: dict[str, Any] = {}
    end = 0
    # Wide types first: then each array is aligned to its type.
    for name in sorted(arrays, key=lambda n: (-arrays[n].dtype.itemsize, n)):
        array = arrays[name]
        begin, end = end, end + array.nbytes
        short = SHORT[array.dtype.newbyteorder("=")]
        header[name] = {"dtype": short, "shape": list(array.shape), "data_offsets": [begin, end]}
    start = PREFIX + len(_encoded({METADATA: metadata(), **header}))
    for name in sorted(arrays):
        array = np.array(arrays[name], dtype=arrays[name].dtype.newbyteorder("="), order="C")
        file.seek(start + header[name]["data_offsets"][0])
        file.write(_bytes(array))
        see(name, array)
        del array  # before the next is made
    text = _encoded({METADATA: metadata(), **header})
    assert PREFIX + len(text) == start
    file.seek(0)
    file.write(len(text).to_bytes(PREFIX, "little") + text)


def read_header(file: IO[bytes], size: int) -> tuple[dict[str, Entry], dict[str, str]]:
    """The arrays in ``file``, of ``size`` bytes, and its metadata.

    Raises:
        CheckpointError: something in the header is wrong, or the file is too short for it.
    """
    prefix = file.read(PREFIX)
    length = int.from_bytes(prefix, "little")
    if len(prefix) < PREFIX or PREFIX + length > size:
        raise CheckpointError(f"it is truncated, or no checkpoint: its header does not fit in its {size} bytes")
    header = parse_json(file.read(length), "its header")
    if not isinstance(header, dict):
        raise CheckpointError(f"it is no checkpoint: its header is {json_kind(header)}")
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise CheckpointError(f"the {METADATA} in its header is no object of strings")
    found = {name: _entry(name, value) for name, value in header.items()}
    end = 0
    for name, entry in sorted(found.items(), key=lambda item: (item[1].begin, item[1].nbytes)):
        if entry.begin != end:
            raise CheckpointError(f"array {name!r} begins at byte {entry.begin} of the data, not at {end}")
        end += entry.nbytes
    start = PREFIX + length
    if start + end > size:
        raise CheckpointError(f"it is truncated: {size} bytes of {start + end}")
    if start + end < size:
        raise CheckpointError(f"it is damaged: {size} bytes, where its header speaks of {start + end}")
    return {name: entry._replace(begin=entry.begin + start) for name, entry in found.items()}, metadata


def read(file: IO[bytes], entry: Entry) -> np.ndarray:
    """A fresh array with the contents of ``entry``."""
    try:
        array = np.empty(entry.shape, entry.dtype)
    except (ValueError, OverflowError) as error:
        raise CheckpointError(f"no array has the shape {list(entry.shape)} ({error})") from None
    file.seek(entry.begin)
    if array.size and file.readinto(_bytes(array)) != entry.nbytes:  # type: ignore[attr-defined]
        raise CheckpointError("it is truncated: it became shorter while it was read")
    return array


def parse_json(text: bytes | str, name: str) -> Any:
    """The value that a JSON text stands for. It has no number that is none, and no key twice."""

    def refuse(constant: str) -> Any:
        raise CheckpointError(f"{name} holds {constant}, which is not JSON")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
            raise CheckpointError(f"{name} holds the key {twice!r} twice")
        return found

    try:
        return json.loads(text, parse_constant=refuse, object_pairs_hook=unique)
    except RecursionError:
        raise CheckpointError(f"{name} is nested too deeply") from None
    except ValueError as error:
        raise CheckpointError(f"{name} is damaged ({error})") from None


def json_kind(value: Any) -> str:
    """The kind of a JSON value, with its article."""
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")


def _entry(name: str, value: Any) -> Entry:
    """The checked description of one array, its place counted from the start of the data."""

    def wrong(part: str) -> CheckpointError:
        return CheckpointError(f"the {part} of array {name!r} in its header is wrong")

    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise wrong("description")
    short, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(short, str) or short not in DTYPES:
        raise CheckpointError(f"array {name!r} has the dtype {short!r}, which is none of {', '.join(DTYPES)}")
    if not _counts(shape):
        raise wrong("shape")
    if not _counts(offsets) or len(offsets) != 2:
        raise wrong("place")
    entry = Entry(DTYPES[short], tuple(shape), offsets[0])
    if offsets[1] - offsets[0] != entry.nbytes:
        raise CheckpointError(
            f"array {name!r}, {short}{shape}, takes {entry.nbytes} bytes, but {offsets[1] - offsets[0]} are set aside"
        )
    return entry


def _counts(value: Any) -> bool:
    """Whether this is a short list of integers, as shapes and places in files are."""
    return isinstance(value, list) and len(value) <= MAX_RANK and all(type(x) is int and 0 <= x < 2**63 for x in value)


def _encoded(header: dict[str, Any]) -> bytes:
    """The header as JSON in ASCII, filled up with spaces so that the data is aligned to 8 bytes."""
    text = json.dumps(header, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8)


def _bytes(array: np.ndarray) -> memoryview:
    """The memory of a contiguous array, byte by byte."""
    return array.reshape(-1).view(np.uint8).data
