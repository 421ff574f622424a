"""Text to graphs: the inverse of ``printer``. Every error says where it is in the text and what was expected there."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import cache
from math import inf, nan
from typing import Any, NoReturn, get_args

from lark import Lark, Token, Tree, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

import compiler.ops.all  # noqa: F401  (a text may use every op)
from compiler.collector import without_collector
from compiler.errors import OpError, ParseError, VerifyError
from compiler.ir.graph import Attrs, Graph, Node, Param, Update, Value
from compiler.ir.location import UNKNOWN, Loc, Phase
from compiler.ir.op import OPS, Op
from compiler.ir.types import DTYPES, TensorType
from compiler.ir.verify import verify

Syntax = Any
"""A token or a tree of the grammar's; lark types the children of a tree as either."""

_WORDS: dict[str, Any] = {"none": None, "true": True, "false": False, "inf": inf, "-inf": -inf, "nan": nan, **DTYPES}
_STRING = r'"(?:[^"\\]|\\.)*"'
_LOCATION = re.compile(
    rf'# *(?:\?|(?P<file>{_STRING}|[^\s":=]+):(?P<line>-?\d+))'
    rf'(?: +(?P<scope>{_STRING}|[^\s"\[]+))?(?: +\[(?P<note>{_STRING}|[^"\]]+)\])? *'
)
_PHASES: dict[str, Phase] = {phase: phase for phase in get_args(Phase)}
_EXPECTED = {
    "FILE": "a file name",
    "FLOAT": "an attribute value",
    "INT": "an attribute value",
    "KEY": "an attribute name",
    "KIND": "an input (state, scalar or input)",
    "NAME": "a graph name such as @step",
    "OP": "an op",
    "STRING": "a string in double quotes",
    "TYPE": "a type such as f32[2,3]",
    "VALUE": "a value such as %x",
    "WORD": "an attribute value",
    "$END": "the end of the text",
}


@without_collector()
def parse_graph(text: str, file: str = "<text>") -> Graph:
    """The graph that ``text`` describes, verified. ``file`` names the text in errors.

    Raises :class:`ParseError`.
    """
    return _Reader(text, file).read()


@cache
def _grammar() -> Lark:
    return Lark.open("grammar.lark", rel_to=__file__, parser="lalr", propagate_positions=False, maybe_placeholders=True)


@cache
def _type(text: str) -> TensorType | None:
    dtype, _, shape = text[:-1].partition("[")
    if dtype not in DTYPES:
        return None
    return TensorType(DTYPES[dtype], tuple(map(int, shape.split(","))) if shape else ())


def _in_words(terminals: Iterable[str]) -> str:
    """Names of terminals of the grammar as people would say them, without what may be left out."""
    optional = {"LOCATION", "COMMENT", "COMMENT_LINE", "SPACE", "PHASE"}
    words = [_EXPECTED.get(t) or repr(_grammar().get_terminal(t).pattern.value) for t in terminals if t not in optional]
    *most, last = sorted(set(words))
    return f"{', '.join(most)} or {last}" if most else last


def _suggest(word: str, known: Iterable[str]) -> str:
    close = get_close_matches(word, list(known))
    return f"; did you mean {' or '.join(close)}?" if close else ""


class _Reader:
    """Turns the syntax tree of ``text`` into a graph."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.files: dict[str, str] = {}
        self.places: dict[str, Loc] = {}

    def read(self) -> Graph:
        try:
            tree: Syntax = _grammar().parse(self.text)
        except UnexpectedInput as error:
            self.fail_syntax(error)
        *files, graph = tree.children
        for short, full in (entry.children for entry in files):
            self.files[self.name(short, short)] = self.name(full, full)
        name, *statements = graph.children
        return self.graph(name, statements)

    def graph(self, name: Token, statements: list[Syntax]) -> Graph:
        """A graph from its name and the statements of its block, checked by the verifier."""
        graph = Graph(self.name(name, name[1:]))
        values: dict[str, Value] = {}
        readers: dict[str, Callable[..., None]] = {
            "param": self.param,
            "node": self.node,
            "update": self.update,
            "return": self.results,
        }
        for statement in statements:
            readers[statement.data](graph, values, *statement.children)
        try:
            return verify(graph)
        except Exception:  # not only VerifyError: type rules trust their attributes, and a text may hold anything
            self.fail_unsound(graph, [s for s in statements if s.data != "param"])

    def param(
        self, graph: Graph, values: dict[str, Value], kind: Token, name: Token, type: Token, label: Token | None
    ) -> None:
        value = Value(self.type(type))
        value.name = self.define(values, name, value)
        graph.params.append(Param(value, str(kind), self.name(label, label) if label else ""))

    def node(
        self,
        graph: Graph,
        values: dict[str, Value],
        results: Syntax,
        phase: Token | None,
        op: Token,
        operands: Syntax,
        attrs: Syntax,
        tail: Syntax,
    ) -> None:
        record = OPS.get(op)
        if record is None:
            self.fail(op, f"there is no op {op.value!r}{_suggest(op, OPS)}")
        inputs = tuple([self.value(values, v) for v in operands.children if v])
        full = self.attrs(record, op, attrs)
        body, location = None, tail
        if isinstance(tail, Tree):
            children: list[Syntax] = tail.children
            body_name, location, *statements = children
            body = self.graph(body_name, statements)
        names, types = results.children[::2], results.children[1::2]
        loc = self.location(location)
        node = Node(record, inputs, tuple([self.type(t) for t in types]), full, body, loc)
        if phase is not None:
            node.phase = _PHASES[phase]
        graph.nodes.append(node)
        for token, value in zip(names, node.outputs):
            value.name = self.define(values, token, value)

    def update(self, graph: Graph, values: dict[str, Value], state: Token, value: Token) -> None:
        graph.updates.append(Update(self.value(values, state), self.value(values, value)))

    def results(self, graph: Graph, values: dict[str, Value], *outputs: Token) -> None:
        graph.outputs = [self.value(values, v) for v in outputs]

    def attrs(self, op: Op, place: Token, tree: Syntax) -> Attrs:
        """The attributes as the text gives them, completed with the op's defaults."""
        given: Attrs = {}
        for key, value in (attr.children for attr in tree.children if attr):
            if key in given:
                self.fail(key, f"attribute {key.value!r} is given twice")
            if key not in op.attrs and key != "autocast":
                has = f"it has {', '.join(op.attrs)}" if op.attrs else "it has none"
                self.fail(key, f"{op.name} has no attribute {key.value!r}{_suggest(key, op.attrs) or f'; {has}'}")
            given[str(key)] = self.attribute(value)
        universal = {key: given.pop(key) for key in ("autocast",) if key in given}
        try:
            return {**op.complete(given), **universal}
        except OpError as error:
            self.fail(place, str(error))

    def attribute(self, value: Syntax) -> Any:
        if isinstance(value, Tree):
            return tuple([self.attribute(v) for v in value.children if v])
        if value.type == "INT":
            return int(value)
        if value.type == "FLOAT":
            return float(value)
        if value.type == "STRING":
            return self.name(value, value)
        if value not in _WORDS:
            words = _suggest(value, _WORDS) or f'; there are {", ".join(_WORDS)}, numbers, [lists] and "strings"'
            self.fail(value, f"{value.value!r} is no attribute value{words}")
        return _WORDS[value]

    def type(self, token: Token) -> TensorType:
        found = _type(str(token))
        if found is None:
            self.fail(token, f"{token.partition('[')[0]!r} is no element type; there are {', '.join(DTYPES)}")
        return found

    def value(self, values: dict[str, Value], token: Token) -> Value:
        found = values.get(self.name(token, token[1:]))
        if found is None:
            self.fail(token, f"{token} is not defined above{_suggest(token, [f'%{name}' for name in values])}")
        return found

    def define(self, values: dict[str, Value], token: Token, value: Value) -> str:
        name = self.name(token, token[1:])
        if name in values:
            self.fail(token, f"{token} is defined a second time")
        values[name] = value
        return name

    def location(self, token: Token | None) -> Loc:
        if token is None:
            return UNKNOWN
        loc = self.places.get(token)
        if loc is None:
            match = _LOCATION.fullmatch(token)
            if match is None:
                self.fail(
                    token, "a location reads `# file.py:31 scope [note]`; other comments take a line of their own"
                )
            file, line, scope, note = match.groups(default="")
            key = self.name(token, file)
            where = self.files.get(key, key)
            loc = Loc(where, int(line or 0), self.name(token, scope), self.name(token, note))
            self.places[str(token)] = loc
        return loc

    def name(self, place: Token, text: str) -> str:
        """The value that ``text`` stands for, in quotes or not."""
        if not text.startswith('"'):
            return str(text)
        try:
            return json.loads(text, strict=False)
        except json.JSONDecodeError:
            self.fail(place, f"{text} holds an escape that JSON strings do not have")

    def fail(self, token: Token, message: str) -> NoReturn:
        self.fail_at(token.line or 1, token.column or 1, message)

    def fail_at(self, line: int, column: int, message: str) -> NoReturn:
        """Raise the error with the line of the text and a caret under the place."""
        shown = self.text.split("\n")[line - 1].rstrip()
        indent = re.sub(r"[^\t]", " ", shown[: column - 1]).ljust(column - 1)
        raise ParseError(f"{self.file}:{line}:{column}: {message}\n    {shown}\n    {indent}^") from None

    def fail_syntax(self, error: UnexpectedInput) -> NoReturn:
        """Raise what the grammar would have taken instead, in words."""
        if isinstance(error, UnexpectedCharacters):
            message = f"expected {_in_words(error.allowed)}, found {error.char!r}"
            unclosed = "the string does not end on its line"
            self.fail_at(error.line, error.column, unclosed if error.char == '"' else message)
        assert isinstance(error, UnexpectedToken)
        expected = f"expected {_in_words(error.accepts or error.expected)}, found"
        if error.token.type == "$END":
            lines = self.text.rstrip().split("\n")
            self.fail_at(len(lines), len(lines[-1]) + 1, f"{expected} the end of the text")
        self.fail(error.token, f"{expected} {error.token.value!r}")

    def fail_unsound(self, graph: Graph, statements: list[Syntax]) -> NoReturn:
        """Raise the verifier's finding at the first statement that draws it."""

        def finding(count: int) -> Exception | None:
            """The error of the first ``count`` statements."""
            updates = graph.updates[: max(0, count - len(graph.nodes))]
            outputs = graph.outputs if count == len(statements) else []
            try:
                verify(Graph(graph.name, graph.params, graph.nodes[:count], updates, outputs))
            except Exception as error:
                return error
            return None

        index = bisect_left(range(len(statements)), True, key=lambda i: finding(i + 1) is not None)
        error = finding(index + 1)
        message = str(error).removeprefix(f"@{graph.name}").removeprefix(": ")
        if not isinstance(error, VerifyError):
            message = f"the op's type rule fails on these operands and attributes ({type(error).__name__}: {error})"
        elif index < len(graph.nodes):
            node = graph.nodes[index]
            message = message.removeprefix(f", node {index}: {node!r}: ").removesuffix(f"\n  at {node.loc}")
        self.fail(next(statements[index].scan_values(lambda t: isinstance(t, Token))), message)
