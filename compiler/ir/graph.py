"""Values, nodes and graphs: an ordered list of ops in SSA form, compared by identity."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from compiler.errors import VerifyError
from compiler.ir.location import UNKNOWN, Loc, Phase
from compiler.ir.op import Op
from compiler.ir.types import DType, Shape, TensorType

Attrs = dict[str, Any]

V = TypeVar("V", bound="Value")


class Value:
    """One SSA value.

    ``producer`` is the node that makes it, None for inputs of a graph. ``number``: it is a Python number in the user's
    program and promotes as such: a run-time scalar, or a number computed from scalars alone.
    """

    __slots__ = ("__weakref__", "name", "number", "producer", "type")

    def __init__(self, type: TensorType, name: str = "", producer: Node | None = None) -> None:
        self.type = type
        self.name = name
        self.producer = producer
        self.number = False

    @property
    def dtype(self) -> DType:
        return self.type.dtype

    @property
    def shape(self) -> Shape:
        return self.type.shape

    def __repr__(self) -> str:
        return f"%{self.name or '?'}: {self.type}"


class Node:
    """One application of an op: ``outputs = op(inputs) {attrs}``; a structured op also has a ``body`` graph.

    ``makes`` is the class of its outputs.
    """

    makes: ClassVar[type[Value]] = Value
    __slots__ = ("attrs", "body", "inputs", "loc", "op", "outputs", "phase")

    def __init__(
        self,
        op: Op,
        inputs: tuple[Value, ...],
        types: tuple[TensorType, ...],
        attrs: Attrs,
        body: Graph | None = None,
        loc: Loc = UNKNOWN,
        phase: Phase = "forward",
    ) -> None:
        self.op = op
        self.inputs = inputs
        self.attrs = attrs
        self.body = body
        self.loc = loc
        self.phase: Phase = phase
        self.outputs = tuple([self.makes(t, "", self) for t in types])

    @property
    def output(self) -> Value:
        """The only output; :class:`VerifyError` where there are several, as of a composite or a kernel."""
        if len(self.outputs) != 1:
            raise VerifyError(f"{self!r} has {len(self.outputs)} results where one is expected\n  at {self.loc}")
        return self.outputs[0]

    @property
    def inner(self) -> Graph:
        """The body, of a node that has one."""
        assert self.body is not None, f"{self!r} has no body"
        return self.body

    def copy(
        self,
        inputs: tuple[Value, ...],
        *,
        types: tuple[TensorType, ...] | None = None,
        attrs: Attrs | None = None,
        body: Graph | None = None,
        loc: Loc | None = None,
        phase: Phase | None = None,
    ) -> Node:
        """This node on other operands, and with what else is given; its results have the same names."""
        node = Node(
            self.op,
            inputs,
            types or tuple([v.type for v in self.outputs]),
            self.attrs if attrs is None else attrs,
            body or self.body,
            loc or self.loc,
            phase or self.phase,
        )
        for old, new in zip(self.outputs, node.outputs, strict=True):
            new.name = old.name
        return node

    def __repr__(self) -> str:
        return f"<{self.op.name} {', '.join(str(v.type) for v in self.inputs)}>"


@dataclass(eq=False, slots=True)
class Param:
    """An input of a graph.

    ``kind`` is ``"state"`` (kept between calls, may be updated), ``"scalar"`` (a run-time f64 read at every call) or
    ``"input"`` (an argument); a code generator adds others of its own. ``label`` names it for people:
    ``"model.fc.weight"``, ``"optimizer.lr[0]"``.
    """

    value: Value
    kind: str
    label: str = ""


@dataclass(eq=False, slots=True)
class Update:
    """At the end of the call, ``state`` takes ``value``. All updates happen together, after every read."""

    state: Value
    value: Value


class Graph:
    """Inputs, ordered nodes, state updates and outputs. ``str`` gives its text."""

    __slots__ = ("_taken", "name", "nodes", "outputs", "params", "updates")

    text: ClassVar[Callable[[Graph], str]] = repr
    """:func:`compiler.text.printer.print_graph`; ``compiler.text`` sets it, as it imports this module."""

    def __init__(
        self,
        name: str,
        params: list[Param] | None = None,
        nodes: list[Node] | None = None,
        updates: list[Update] | None = None,
        outputs: list[Value] | None = None,
    ) -> None:
        self.name = name
        self.params: list[Param] = params if params is not None else []
        self.nodes: list[Node] = nodes if nodes is not None else []
        self.updates: list[Update] = updates if updates is not None else []
        self.outputs: list[Value] = outputs if outputs is not None else []
        self._taken: set[str] = set()

    def results(self) -> Iterator[Value]:
        """Every value the graph must compute: outputs and new states."""
        yield from self.outputs
        for update in self.updates:
            yield update.value

    def inputs(self, kind: str | None = None) -> list[Value]:
        return [p.value for p in self.params if kind is None or p.kind == kind]

    def add_param(self, type: TensorType, kind: str, label: str, name: str) -> Value:
        """A new input; ``name`` is made an identifier that is unique among the inputs."""
        return self.add_input(Value(type, name), kind, label)

    def add_input(self, value: V, kind: str, label: str) -> V:
        """``value`` as a new input; its name is made an identifier that is unique among the inputs."""
        if len(self._taken) != len(self.params):  # one was added, or left out, elsewhere
            self._taken = {p.value.name for p in self.params}
        name = re.sub(r"\W+", "_", value.name).strip("_") or kind
        unique, n = name, 1
        while unique in self._taken:
            unique, n = f"{name}_{n}", n + 1
        value.name = unique
        self._taken.add(unique)
        self.params.append(Param(value, kind, label))
        return value

    def copy(self) -> Graph:
        """A graph of the same nodes, to which inputs and outputs can be added."""
        return Graph(self.name, list(self.params), list(self.nodes), list(self.updates), list(self.outputs))

    def __str__(self) -> str:
        return Graph.text(self)

    def __repr__(self) -> str:
        return f"<graph @{self.name}: {len(self.nodes)} nodes>"


def users(graph: Graph) -> dict[Value, list[Node]]:
    """Which nodes read each value (nodes of this graph only, in order, once per node)."""
    result: dict[Value, list[Node]] = {}
    for node in graph.nodes:
        for value in dict.fromkeys(node.inputs):
            result.setdefault(value, []).append(node)
    return result


def numbered(graph: Graph) -> dict[Node, int]:
    """The number of each node in the order of the text; nodes in loops count, those in kernels do not."""
    found: dict[Node, int] = {}

    def count(graph: Graph) -> None:
        for node in graph.nodes:
            found[node] = len(found)
            if node.op.kind == "loop" and node.body is not None:
                count(node.body)

    count(graph)
    return found
