"""Pickles, written opcode by opcode: names are written as text, so that a class need not be there to be named.

Python's own pickler looks each name up, and needs PyTorch for PyTorch's. The opcodes belong to protocol 2:
https://docs.python.org/3/library/pickletools
"""

from __future__ import annotations

import pickle
import struct
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from compiler.errors import UnsavableError
from runtime.pickled import Global

MAX_DEPTH = 200
"""Containers within one another."""


class Call(NamedTuple):
    """An object that the pickle makes, when it is read, by calling ``function``; then it gets its state."""

    function: Global
    arguments: tuple[Any, ...]
    state: dict[str, Any] | tuple[Any, ...] | None = None


class Elsewhere(NamedTuple):
    """An object that the pickle only refers to; ``place`` says where it is."""

    place: tuple[Any, ...]


Encode = Callable[[object], Any]
"""A call, a name or a plain value that stands for an object of another kind; None for one that cannot be written."""

_SET = Global("builtins", "set")
_COUNTER = Global("collections", "Counter")
_ORDERED = Global("collections", "OrderedDict")
_BYTES = Global("_codecs", "encode")


def write(tree: object, encode: Encode, advice: Callable[[object], str]) -> bytes:
    """The pickle of ``tree``: None, booleans, numbers, strings, bytes, containers, and what ``encode`` knows.

    An object that ``tree`` holds several times is one object when it is read. Containers are exactly ``list``,
    ``tuple``, ``dict``, ``OrderedDict``, ``Counter`` and ``set``; reading a subclass would execute code of it.

    Raises:
        UnsavableError: (a TypeError) for any other object; the message says where in the tree it is, and ``advice``.
    """
    writer = _Writer(encode, advice)
    writer.write(tree, ())
    return b"".join([pickle.PROTO, b"\x02", *writer.parts, pickle.STOP])


class _Writer:
    def __init__(self, encode: Encode, advice: Callable[[object], str]) -> None:
        self.encode, self.advice = encode, advice
        self.parts: list[bytes] = []
        self.places: dict[int, int] = {}
        self.names: dict[Global, int] = {}
        self.kept: list[object] = []  # an object that is freed would give its id to another one
        self.memoized = 0

    def write(self, value: object, path: tuple[object, ...]) -> None:
        """Write what pushes ``value`` on the reader's stack."""
        if len(path) > MAX_DEPTH:
            raise UnsavableError(f"cannot save {_at(path[:8])}...: containers are nested more than {MAX_DEPTH} deep")
        simple = _simple(value)
        if simple is not None:
            self.parts.append(simple)
        elif isinstance(value, Global):
            self._name(value)
        elif id(value) in self.places:
            self.parts.append(_get(self.places[id(value)]))
        else:
            self._object(value, path)

    def _object(self, value: Any, path: tuple[object, ...]) -> None:
        kind = type(value)
        if kind is str:
            text = value.encode("utf-8", "surrogatepass")
            self._push(value, pickle.BINUNICODE + struct.pack("<I", len(text)) + text)
        elif kind is bytes:
            self._call(value, Call(_BYTES, (value.decode("latin1"), "latin1")), path)
        elif kind is list:
            self._push(value, pickle.EMPTY_LIST)
            self._items(pickle.APPENDS, ((item, i) for i, item in enumerate(value)), path)
        elif kind is tuple:
            self._tuple(value, path)
        elif kind is dict:
            self._push(value, pickle.EMPTY_DICT)
            self._pairs(value, path)
        elif kind is OrderedDict:
            attributes = {key: item for key, item in vars(value).items() if key == "_metadata"}
            self._call(value, Call(_ORDERED, ()), path)
            self._pairs(value, path)
            self._state(attributes, path)
        elif kind is Counter:
            self._call(value, Call(_COUNTER, (dict(value),)), path)
        elif kind is set:
            self._call(value, Call(_SET, (list(value),)), path)
        else:
            self._encoded(value, path)

    def _encoded(self, value: object, path: tuple[object, ...]) -> None:
        found = value if isinstance(value, Call | Elsewhere) else self.encode(value)
        if found is None:
            raise UnsavableError(
                f"cannot save {_at(path)}: a {type(value).__module__}.{type(value).__qualname__} could only be read by "
                f"executing code of its class; {self.advice(value)}"
            )
        if isinstance(found, Call):
            self._call(value, found, path)
        elif isinstance(found, Elsewhere):
            self.write(found.place, path)
            self.parts.append(pickle.BINPERSID)
        else:
            self.write(found, path)

    def _call(self, value: object, call: Call, path: tuple[object, ...]) -> None:
        self._name(call.function)
        self._tuple(call.arguments, path)
        self._push(value, pickle.REDUCE)
        self._state(call.state, path)

    def _state(self, state: dict[str, Any] | tuple[Any, ...] | None, path: tuple[object, ...]) -> None:
        if state:
            self.write(state, path)
            self.parts.append(pickle.BUILD)

    def _tuple(self, items: tuple[Any, ...], path: tuple[object, ...]) -> None:
        short = {0: pickle.EMPTY_TUPLE, 1: pickle.TUPLE1, 2: pickle.TUPLE2, 3: pickle.TUPLE3}
        if len(items) not in short:
            self.parts.append(pickle.MARK)
        for i, item in enumerate(items):
            self.write(item, (*path, i))
        self._push(items, short.get(len(items), pickle.TUPLE))

    def _pairs(self, mapping: dict[Any, Any], path: tuple[object, ...]) -> None:
        self._items(pickle.SETITEMS, ((part, key) for key, item in mapping.items() for part in (key, item)), path)

    def _items(self, opcode: bytes, items: Iterable[tuple[Any, object]], path: tuple[object, ...]) -> None:
        self.parts.append(pickle.MARK)
        for item, place in items:
            self.write(item, (*path, place))
        self.parts.append(opcode)

    def _name(self, name: Global) -> None:
        if name in self.names:
            self.parts.append(_get(self.names[name]))
        else:
            self.names[name] = self.memoized
            self._memoize(pickle.GLOBAL + f"{name.module}\n{name.name}\n".encode())

    def _push(self, value: object, opcodes: bytes) -> None:
        self.places[id(value)] = self.memoized
        self.kept.append(value)
        self._memoize(opcodes)

    def _memoize(self, opcodes: bytes) -> None:
        self.parts += [opcodes, pickle.LONG_BINPUT + struct.pack("<I", self.memoized)]
        self.memoized += 1


def _simple(value: object) -> bytes | None:
    """The opcodes for a value that has no identity; None for others."""
    if value is None or value is True or value is False:
        return {None: pickle.NONE, True: pickle.NEWTRUE, False: pickle.NEWFALSE}[value]
    if type(value) is float:
        return pickle.BINFLOAT + struct.pack(">d", value)
    if type(value) is int:
        if -(2**31) <= value < 2**31:
            return pickle.BININT + struct.pack("<i", value)
        data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        if len(data) > 255:
            raise UnsavableError(f"cannot save an int of {len(data)} bytes: PyTorch reads 255 at most; save str(n)")
        return pickle.LONG1 + bytes([len(data)]) + data
    return None


def _get(place: int) -> bytes:
    return pickle.LONG_BINGET + struct.pack("<I", place)


def _at(path: tuple[object, ...]) -> str:
    """How a part of the tree is reached, as Python would write it."""
    return "obj" + "".join(f"[{place!r}]" for place in path)
