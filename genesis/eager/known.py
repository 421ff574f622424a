"""Facts of eager calls that are alike: of one op, on operands of the same types, with equal attributes."""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_not
from typing import Any

import numpy as np

from compiler.ir.ambient import using
from compiler.ir.builder import Call, GraphBuilder
from compiler.ir.graph import Graph, Node, Param, Value
from compiler.ir.op import OPS, Op
from compiler.ir.replay import live_nodes
from compiler.ir.types import DType, TensorType, defaults
from compiler.ops.elementwise import as_type
from compiler.ops.vjp import pull_back
from compiler.text.printer import print_graph
from genesis.eager.pieces import Piece, is_slow, mode
from genesis.memory.values import TensorValue

MOST = 20000
"""After how many kinds of calls they are learnt again; a program has some hundred."""


def key_of(op: Op, operands: Sequence[Any], attrs: dict[str, Any], region: Any) -> tuple[Any, ...]:
    """The key of the check of a call: types of operands, attributes, autocast region, default dtype."""
    key: list[Any] = [op, region, defaults.float]
    for v in operands:
        if isinstance(v, TensorValue):
            type = v.type
            key += type.dtype, type.shape, v.number
        else:
            key.append(v.__class__)
    for name, attr in attrs.items():
        key += name, attr.__class__, attr if not isinstance(attr, _FLOATS) or (attr and attr == attr) else repr(attr)
    return tuple(key)


_FLOATS = float, np.floating
"""Where 0.0 and -0.0 are equal but not the same, and NaN is the same but not equal."""


class Known:
    """The outcome of the check of a call, and the program for calls like it.

    ``target``: the type that autocast brings operands to.
    """

    def __init__(self, call: Call, operands: Sequence[Any], target: DType | None) -> None:
        op = call.op
        self.call, self.types, self.attrs, self.target = _without_contents(call), call.types, call.attrs, target
        self._prepares = op.prepare is not None and any(map(is_not, operands, call.inputs))
        self._casts: tuple[DType, ...] | None = None
        if self._prepares and target is None and all(v.dtype.kind != "int" for v in call.inputs):
            self._casts = tuple([v.dtype for v in call.inputs])  # a divisor of integers is looked at as well
        self.is_piece = op.reference is None or call.body is not None or is_slow(op, [v.type for v in call.inputs])
        self._has_pieces = OPS.get(op.name) is op
        self._runs = 0
        self._piece: Piece | None = None
        self._backs: dict[tuple[tuple[bool, ...], tuple[bool, ...]], Back | int] = {}

    def prepared(self, op: Op, operands: Sequence[Any]) -> Sequence[Any]:
        """Operands as the op's type rule takes them."""
        if self._casts is not None:
            return [
                v if v.__class__ is TensorValue and v.type.dtype is dtype else _typed(v, dtype)
                for v, dtype in zip(operands, self._casts, strict=True)
            ]
        return op.prepare(operands) if self._prepares else operands  # type: ignore[misc]

    @property
    def has_pieces(self) -> bool:
        """Whether there is, or will be, more to it than the check."""
        return self.is_piece or bool(self._backs)

    def piece(self) -> Piece | None:
        """The program for the call; None at the first, which may stay the only one."""
        if self._piece is None and self._has_pieces:
            self._runs += 1
            if self._runs > 1 or mode() == "native":
                self._piece = Piece(
                    _graph_of([self.call], self.call.inputs), _family(self.call.op.name, self.call.inputs)
                )
        return self._piece

    def back(self, wanted: tuple[bool, ...], given: tuple[bool, ...]) -> Back | None:
        """The program for the gradients of the ``wanted`` operands from those of the results that are ``given``.

        None at the first call, which may stay the only one.
        """
        if not self._has_pieces:
            return None
        key = wanted, given
        found = self._backs.get(key)
        if isinstance(found, Back):
            return found
        if found is None and mode() != "native":
            self._backs[key] = 1
            return None
        made = self._backs[key] = Back(self.call, wanted, given)
        return made


_NUMBERS: dict[Any, Value] = {}
"""The constants of numbers beside tensors; for all threads."""


def _typed(operand: Any, dtype: DType) -> Value:
    """:func:`as_type`, which makes one constant of a number for all calls."""
    kind = operand.__class__
    if (kind is not int and kind is not float) or operand != operand:
        return as_type(operand, dtype)
    key = kind, operand or repr(operand), dtype  # 0.0 and -0.0 are equal
    found = _NUMBERS.get(key)
    if found is None:
        if len(_NUMBERS) >= MOST:
            _NUMBERS.clear()
        found = _NUMBERS[key] = as_type(operand, dtype)
    return found


def _empty(values: Sequence[Value]) -> list[Value]:
    """Values of the same types, which hold nothing."""
    made = [Value(v.type, f"x{i}") for i, v in enumerate(values)]
    for value, given in zip(made, values, strict=True):
        value.number = given.number
    return made


def _without_contents(call: Call) -> Call:
    return call._replace(inputs=tuple(_empty(call.inputs)))


def _graph_of(calls: Sequence[Call], inputs: Sequence[Value]) -> Graph:
    """The calls, whose operands are ``inputs``; all results one after the other."""
    nodes = [Node(*call) for call in calls]
    params = [Param(v, "input", v.name) for v in inputs]
    return Graph(calls[0].op.name, params, nodes, [], [v for node in nodes for v in node.outputs])


def all_key(calls: Sequence[Call], values: Sequence[Value]) -> tuple[Any, ...]:
    """What :func:`piece_of_all` depends on; ``values`` are the operands of all calls, each once."""
    place = {v: i for i, v in enumerate(values)}
    kinds = [(v.type.dtype, v.type.shape, v.number) for v in values]
    return *kinds, *[(c.op, *c.attrs.items(), *[place[v] for v in c.inputs]) for c in calls]


def piece_of_all(calls: Sequence[Call], values: Sequence[Value]) -> Piece:
    """Several calls of an op, operands that they share once."""
    inputs = _empty(values)
    new = dict(zip(values, inputs, strict=True))
    emptied = [call._replace(inputs=tuple([new[v] for v in call.inputs])) for call in calls]
    return Piece(_graph_of(emptied, inputs), f"{len(calls)} times {_family(calls[0].op.name, calls[0].inputs)}")


def _family(name: str, operands: Sequence[Value]) -> str:
    """An op, and the types of its operands without their sizes: ``add(f32[:,:], f32[:])``."""
    kinds = [f"{v.dtype.short}[{','.join(':' * v.type.rank)}]" for v in operands]
    return f"{name}({', '.join(kinds)})"


class Back:
    """The gradient rule of a call as a piece. It reads operands, results and their gradients, those that it needs."""

    def __init__(self, call: Call, wanted: Sequence[bool], given: Sequence[bool]) -> None:
        node = Node(*call)
        sources = [v for v, there in zip(node.inputs, wanted, strict=True) if there]
        grads = [Value(v.type, f"g{i}") for i, v in enumerate(node.outputs)]
        seeded = [(v, g) for v, g, there in zip(node.outputs, grads, given, strict=True) if there]
        adjoints: dict[Value, Value] = dict(seeded)
        for i, value in enumerate(node.outputs):
            value.name, value.producer = f"y{i}", None  # what it was computed by is not in the graph
        with using(GraphBuilder()) as builder:
            pull_back([node], adjoints, frozenset(sources).__contains__)
        self.places = [i for i, v in enumerate(node.inputs) if v in sources and v in adjoints]
        results = [adjoints[node.inputs[i]] for i in self.places]
        self.types = [v.type for v in results]
        graph = Graph(f"{call.op.name}_backward", [], builder.nodes, [], results)
        graph.nodes = live_nodes(graph)
        read = {v for n in graph.nodes for v in n.inputs}.union(results)
        operands = [*node.inputs, *node.outputs, *grads]
        self.reads = [i for i, v in enumerate(operands) if v in read]
        graph.params = [Param(operands[i], "input", operands[i].name) for i in self.reads]
        self.piece = Piece(graph, _family(graph.name, [operands[i] for i in self.reads]))

    def __call__(self, node: Node, grads: Sequence[Value | None]) -> list[tuple[Value, TensorValue]]:
        """The operands of ``node`` that get a gradient, each with it."""
        operands: list[Any] = [*node.inputs, *node.outputs, *grads]
        given = [operands[i] for i in self.reads]
        values = values_of(self.piece([v.data for v in given]), self.types, given)
        return [(node.inputs[i], value) for i, value in zip(self.places, values, strict=True)]


def values_of(
    arrays: Sequence[np.ndarray], types: Sequence[TensorType], given: Sequence[Any]
) -> tuple[TensorValue, ...]:
    """Values of ``arrays``; for the array of one that was ``given``, this one."""
    values = []
    for array, type in zip(arrays, types, strict=True):
        for value in given:
            if value.data is array:
                break
        else:
            value = TensorValue(type, "", None, array)
        values.append(value)
    return tuple(values)


def loop_key(call: Call) -> tuple[Any, ...]:
    """:func:`key_of` for a loop, whose body every call makes again."""
    assert call.body is not None
    text = print_graph(call.body, located=False)
    return ("loop", *call.types, *call.attrs.items(), *[v.type for v in call.inputs], text)
