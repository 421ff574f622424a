"""Pickles, read as data: a stack machine that builds containers and numbers, and calls nothing by name.

Python's own unpickler imports and calls what a pickle names. This reader hands each name and its arguments to the
caller's builder, which knows a few names and refuses the rest. Opcodes: https://docs.python.org/3/library/pickletools
"""

from __future__ import annotations

import pickletools
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Protocol

from compiler.errors import CheckpointError


@dataclass(frozen=True, slots=True)
class Global:
    """A name that a pickle refers to; nothing is imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


_MARK = object()
_IGNORED = {"PROTO", "FRAME"}
_SIMPLE_KEYS = (str, int, float, bytes, type(None))


class Builder(Protocol):
    """The few names that a reader knows; each method raises CheckpointError for what it refuses."""

    def name(self, name: Global) -> Any:
        """The value of ``name``, or ``name`` itself where it is only called."""

    def build(self, name: Global, arguments: tuple[Any, ...], bare: bool) -> Any:
        """The object that a call of ``name`` makes; ``bare``: its ``__new__`` alone, without ``__init__``."""

    def fetch(self, place: Any) -> Any:
        """An object that the pickle keeps elsewhere."""

    def state(self, value: Any, attributes: Any) -> None:
        """Give ``value`` its attributes."""


def read(data: bytes, builder: Builder) -> Any:
    """The value that the pickle ``data`` describes.

    Raises:
        CheckpointError: the pickle is malformed, or ``builder`` refuses a part of it.
    """
    machine = _Machine(builder)
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return machine.result()
            machine.step(opcode.name, argument)
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise CheckpointError(f"its pickle is damaged ({type(error).__name__}: {error})") from None
    raise CheckpointError("its pickle is damaged (it has no end)")


class _Machine:
    """The stack and the memo of one pickle."""

    def __init__(self, builder: Builder) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.builder = builder

    def result(self) -> Any:
        (value,) = self.stack
        if value is _MARK or isinstance(value, Global):
            raise CheckpointError("its pickle is damaged (it describes no value)")
        return value

    def step(self, name: str, argument: Any) -> None:
        """Do one opcode."""
        match name:
            case "MARK":
                self.stack.append(_MARK)
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                self.stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[name])
            case "INT" | "BININT" | "BININT1" | "BININT2" | "LONG" | "LONG1" | "LONG4" | "FLOAT" | "BINFLOAT":
                self.stack.append(argument)
            case "UNICODE" | "BINUNICODE" | "SHORT_BINUNICODE" | "BINUNICODE8":
                self.stack.append(argument)
            case "BINBYTES" | "SHORT_BINBYTES" | "BINBYTES8":
                self.stack.append(argument)
            case "EMPTY_LIST" | "EMPTY_DICT" | "EMPTY_TUPLE" | "EMPTY_SET":
                kinds = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple, "EMPTY_SET": set}
                self.stack.append(kinds[name]())
            case "TUPLE" | "LIST" | "FROZENSET":
                items = self.to_mark()
                kind = {"TUPLE": tuple, "LIST": list, "FROZENSET": frozenset}[name]
                self.stack.append(kind(map(_key, items) if kind is frozenset else items))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                self.stack.append(tuple(self.pop(int(name[-1]))))
            case "DICT":
                items = self.to_mark()
                self.stack.append({})
                self.set_items(items)
            case "APPEND" | "APPENDS":
                items = self.pop(1) if name == "APPEND" else self.to_mark()
                self.top(list).extend(items)
            case "ADDITEMS":
                items = self.to_mark()
                self.top(set).update(map(_key, items))
            case "SETITEM" | "SETITEMS":
                self.set_items(self.pop(2) if name == "SETITEM" else self.to_mark())
            case "GLOBAL":
                module, _, attribute = argument.partition(" ")
                self.stack.append(self.builder.name(Global(module, attribute)))
            case "STACK_GLOBAL":
                module, attribute = self.pop(2)
                if not isinstance(module, str) or not isinstance(attribute, str):
                    raise TypeError("a name is a string")
                self.stack.append(self.builder.name(Global(module, attribute)))
            case "REDUCE" | "NEWOBJ":
                function, arguments = self.pop(2)
                if not isinstance(function, Global) or not isinstance(arguments, tuple):
                    raise TypeError("it calls what is no name")
                self.stack.append(self.builder.build(function, arguments, name == "NEWOBJ"))
            case "BUILD":
                (attributes,) = self.pop(1)
                self.builder.state(self.top(object), attributes)
            case "BINPERSID":
                (place,) = self.pop(1)
                self.stack.append(self.builder.fetch(place))
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = self.top(object)
            case "MEMOIZE":
                self.memo[len(self.memo)] = self.top(object)
            case "GET" | "BINGET" | "LONG_BINGET":
                self.stack.append(self.memo[argument])
            case _ if name not in _IGNORED:
                raise CheckpointError(f"its pickle has the opcode {name}, which files of tensors do not need")

    def pop(self, count: int) -> list[Any]:
        """The last ``count`` values, taken from the stack."""
        items = self.stack[-count:]
        if len(items) < count or any(item is _MARK for item in items):
            raise IndexError("its stack is empty")
        del self.stack[-count:]
        return items

    def to_mark(self) -> list[Any]:
        """The values behind the last mark; they and the mark are taken from the stack."""
        for place in range(len(self.stack) - 1, -1, -1):
            if self.stack[place] is _MARK:
                items = self.stack[place + 1 :]
                del self.stack[place:]
                return items
        raise IndexError("there is no mark")

    def top(self, kind: type) -> Any:
        if not self.stack or self.stack[-1] is _MARK or not isinstance(self.stack[-1], kind):
            raise TypeError(f"there is no {kind.__name__} to change")
        return self.stack[-1]

    def set_items(self, items: list[Any]) -> None:
        if len(items) % 2:
            raise ValueError("a key has no value")
        self.top(dict).update((_key(key), value) for key, value in zip(items[::2], items[1::2]))


def _key(key: Any) -> Hashable:
    """``key``, which is simple: the hash of nested tuples may take for ever."""
    parts = key if isinstance(key, tuple) else (key,)
    if not all(isinstance(part, _SIMPLE_KEYS) and not isinstance(part, tuple) for part in parts):
        raise TypeError(f"a key is a {type(key).__name__}")
    return key
