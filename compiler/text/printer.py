"""Graphs as text. ``grammar.lark`` describes the form; ``parser`` reads it back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any

from compiler.errors import OpError
from compiler.ir.graph import Graph, Node, Param, Value
from compiler.ir.location import UNKNOWN, Loc
from compiler.ir.op import REQUIRED
from compiler.ir.types import DType

_LABEL_COLUMN = 32
_LOCATION_COLUMN = 60
_NAME = re.compile(r"[\w.]+")
_FILE = re.compile(r'(?!\?$)[^\s":=]+')
_SCOPE = re.compile(r'[^\s"\[]+')
_NOTE = re.compile(r'[^"\]]+')
_SEPARATOR = re.compile(r"[/\\]")


def print_graph(graph: Graph, located: bool = True, names: dict[Value, str] | None = None) -> str:
    """The text of ``graph``; the same graph always gives the same text. ``located``: with the lines ops come from.

    ``names``: what the values are called, instead of :func:`value_names`. Unsound graphs print too, with ``%?`` where a
    value is read that the graph does not define.
    """
    keys = file_keys({loc.file for loc in _locations(graph)} if located else ())
    header = [f"file {_bare(key, _FILE)} = {quote(file)}" for file, key in sorted(keys.items()) if key != file]
    block = _Printer(keys, located).block(graph, "  ", names)
    return "\n".join([*header, f"graph @{_bare(graph.name, _NAME)} {{", *block, "}", ""])


def value_names(graph: Graph) -> dict[Value, str]:
    """The name of each value in the text: its own name, made unique, or the next free number."""
    names: dict[Value, str] = {}
    taken: set[str] = set()
    counts: dict[str, int] = {}
    nameless = []
    for value in _values(graph):
        if not value.name:
            nameless.append(value)
            continue
        name = value.name
        while name in taken:
            counts[value.name] = counts.get(value.name, 0) + 1
            name = f"{value.name}_{counts[value.name]}"
        taken.add(name)
        names[value] = name
    numbers = (str(n) for n in count() if str(n) not in taken)
    names.update(zip(nameless, numbers, strict=False))
    return names


def file_keys(files: Iterable[str]) -> dict[str, str]:
    """A short name for each file: the shortest end of its path that no other file ends in."""
    known = sorted(set(files))

    def key(file: str) -> str:
        for separator in reversed(list(_SEPARATOR.finditer(file))):
            end = file[separator.end() :]
            others = (f for f in known if f != file)
            if end and not any(f == end or f.endswith((f"/{end}", f"\\{end}")) for f in others):
                return end
        return file

    return {file: key(file) for file in known}


def quote(text: str) -> str:
    """``text`` as a JSON string; everything that does not print is escaped."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def attribute(value: Any) -> str:
    """An attribute's value; floats in the fewest digits that give the same float back. Raises ``TypeError``."""
    if value is None:
        return "none"
    kind = type(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int or kind is float:
        return repr(value)
    if kind is str:
        return quote(value)
    if kind is DType:
        return value.short
    if kind is tuple:
        return f"[{','.join(map(attribute, value))}]"
    raise TypeError(f"the text form has no spelling for {value!r} of type {kind.__name__}")


def _bare(text: str, pattern: re.Pattern[str]) -> str:
    return text if pattern.fullmatch(text) and text.isprintable() else quote(text)


def _values(graph: Graph) -> Iterator[Value]:
    for param in graph.params:
        yield param.value
    for node in graph.nodes:
        yield from node.outputs


def _locations(graph: Graph) -> Iterator[Loc]:
    for node in graph.nodes:
        yield node.loc
        if node.body is not None:
            yield from _locations(node.body)


class _Printer:
    """The lines of a graph. ``keys`` are the names of the files in locations."""

    def __init__(self, keys: dict[str, str], located: bool) -> None:
        self.files = {file: _bare(key, _FILE) for file, key in keys.items()}
        self.places: dict[Loc, str] = {UNKNOWN: ""}
        self.located = located

    def block(self, graph: Graph, indent: str, called: dict[Value, str] | None = None) -> Iterator[str]:
        """The lines between the braces of ``graph``; ``called``: the names of its values."""
        names = {value: f"%{_bare(name, _NAME)}" for value, name in (called or value_names(graph)).items()}

        def listed(values: Iterable[Value]) -> str:
            return ", ".join([names.get(v, "%?") for v in values])

        for param in graph.params:
            yield indent + self.param(param, names[param.value])
        for node in graph.nodes:
            results = ", ".join([f"{names[v]}: {v.type}" for v in node.outputs])
            phase = "" if node.phase == "forward" else f"{node.phase} "
            line = f"{indent}{results} = {phase}{node.op.name}({listed(node.inputs)}){self.attrs(node)}"
            if node.body is None:
                yield self.placed(line, node.loc)
            else:
                yield self.placed(f"{line} @{_bare(node.body.name, _NAME)} {{", node.loc)
                yield from self.block(node.body, indent + "  ")
                yield f"{indent}}}"
        for update in graph.updates:
            yield f"{indent}update {listed([update.state])} = {listed([update.value])}"
        if graph.outputs:
            yield f"{indent}return {listed(graph.outputs)}"

    def param(self, param: Param, name: str) -> str:
        line = f"{param.kind:<6} {name}: {param.value.type}"
        return f"{line:<{_LABEL_COLUMN}} {quote(param.label)}" if param.label else line

    def attrs(self, node: Node) -> str:
        """The attributes that differ from the op's defaults, in the order of its schema."""
        shown = []
        for key in dict.fromkeys((*node.op.attrs, *node.attrs)):
            default = node.op.attrs.get(key, REQUIRED)
            value = node.attrs.get(key, default)
            if value is default:
                continue
            try:
                text = attribute(value)
            except TypeError as error:
                raise OpError(f"{node.op.name}: attribute {key!r}: {error}\n  at {node.loc}") from None
            if default is REQUIRED or text != attribute(default):
                shown.append(f"{key}={text}")
        return f" {{{', '.join(shown)}}}" if shown else ""

    def placed(self, line: str, loc: Loc) -> str:
        if not self.located:
            return line
        place = self.places.get(loc)
        if place is None:
            place = self.places[loc] = self.place(loc)
        return f"{line:<{_LOCATION_COLUMN}}  # {place}" if place else line

    def place(self, loc: Loc) -> str:
        parts = [f"{self.files[loc.file]}:{loc.line}" if loc.file or loc.line else "?"]
        if loc.scope:
            parts.append(_bare(loc.scope, _SCOPE))
        if loc.note:
            parts.append(f"[{_bare(loc.note, _NOTE)}]")
        return " ".join(parts)
