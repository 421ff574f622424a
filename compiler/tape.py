"""A graph as a list of NumPy calls: what the interpreter computes, checked once and not at every run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from compiler.errors import DivisionError
from compiler.evaluate import evaluate, stored, uncast, widened
from compiler.ir.ambient import using
from compiler.ir.builder import Call, GraphBuilder
from compiler.ir.graph import Attrs, Graph, Node, Value
from compiler.ir.location import Loc
from compiler.ir.op import as_tuple
from compiler.ir.replay import live_nodes
from compiler.ir.types import TensorType

FOLDED = 4096
"""Elements up to which what depends on no input is computed once."""


class _Primitives(GraphBuilder):
    """Records what has a reference; the rest as its expansion."""

    def emit(self, call: Call) -> tuple[Value, ...]:
        if call.body is not None or call.op.reference is not None:
            return super().emit(call)
        if call.op.expand is None:
            raise NotImplementedError(f"op {call.op.name!r} has no NumPy reference and no expansion")
        return call.op.expansion(*call.inputs, **call.attrs)

    def replay(self, node: Node, inputs: Sequence[Value]) -> tuple[Value, ...]:
        self.at(node)
        if node.body is not None:
            types = tuple([v.type for v in node.outputs])
            return self.emit(Call(node.op, tuple(inputs), types, node.attrs, node.body))
        inputs, attrs = uncast(inputs, node.attrs)
        return as_tuple(node.op(*inputs, **attrs))


def primitives(graph: Graph) -> Graph:
    """``graph`` with every composite without a reference as its expansion, and without what no result needs."""
    env: dict[Value, Value] = {v: v for v in graph.inputs()}
    with using(_Primitives()) as builder:
        for node in graph.nodes:
            env.update(zip(node.outputs, builder.replay(node, [env[v] for v in node.inputs]), strict=True))
    flat = Graph(graph.name, graph.params, builder.nodes, [], [env[v] for v in graph.outputs])
    flat.nodes = live_nodes(flat)
    return flat


class _Step(NamedTuple):
    """One NumPy call. Numbers are places of values; those in ``dead`` are not read again."""

    node: Node
    run: Callable[..., Any]
    attrs: dict[str, Any]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    types: tuple[TensorType, ...]
    widens: bool
    dead: tuple[int, ...]
    loc: Loc


class Tape:
    """``graph``, which has no updates, as NumPy calls; results are those of the interpreter, bit for bit.

    A tape may run in several threads at once.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph = primitives(graph)
        places = {v: i for i, v in enumerate(graph.inputs())}
        self._inputs = len(places)
        self._start: list[np.ndarray | None] = [None] * len(places)
        self._steps: list[_Step] = []
        for node in graph.nodes:
            for value in node.outputs:
                places[value] = len(self._start)
                self._start.append(None)
            if not self._fold(node, places):
                self._steps.append(_step(node, places))
        self._outputs = [places[v] for v in graph.outputs]
        self._mark_dead()

    def _fold(self, node: Node, places: dict[Value, int]) -> bool:
        """Compute now what depends on no input."""
        arrays = [self._start[places[v]] for v in node.inputs]
        small = all(v.type.size <= FOLDED for v in node.outputs)
        if node.body is not None or not small or any(a is None for a in arrays):
            return False
        types = [v.type for v in node.outputs]
        given = [a for a in arrays if a is not None]
        for value, array in zip(node.outputs, evaluate(node.op, given, types, node.attrs), strict=True):
            array.flags.writeable = False
            self._start[places[value]] = array
        return True

    def _mark_dead(self) -> None:
        """Let every step drop the values that it is the last to read, or that nobody reads."""
        kept = set(self._outputs) | {i for i, array in enumerate(self._start) if array is not None}
        for k in reversed(range(len(self._steps))):
            step = self._steps[k]
            dead = set(step.inputs + step.outputs) - kept
            kept |= dead
            self._steps[k] = step._replace(dead=tuple(dead))

    def spread(self, *arrays: np.ndarray) -> tuple[Any, ...]:
        """The results for arrays as arguments: those of a kernel in a loop, say."""
        return tuple(self(arrays))

    def computes(self) -> list[Node]:
        """The nodes that are left to do at every run, views of memory aside."""
        return [step.node for step in self._steps if step.node.op.kind != "view" or step.node.op.reads == "window"]

    @np.errstate(all="ignore")
    def __call__(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        """The results for one array per input of the graph."""
        env: list[Any] = [*arrays, *self._start[self._inputs :]]
        for _, run, attrs, inputs, outputs, types, widens, dead, loc in self._steps:
            operands = [env[i] for i in inputs]
            try:
                result = run(*(widened(operands) if widens else operands), **attrs)
            except (DivisionError, IndexError) as error:
                if not loc.file:
                    raise
                kind = DivisionError if isinstance(error, DivisionError) else IndexError
                raise kind(f"{error}\n  at {loc}") from None
            if len(outputs) == 1 and not isinstance(result, tuple):
                env[outputs[0]] = stored(result, types[0])
            else:
                for i, part, type in zip(outputs, result, types, strict=True):
                    env[i] = stored(part, type)
            for i in dead:
                env[i] = None
        return [env[i] for i in self._outputs]


def _step(node: Node, places: dict[Value, int]) -> _Step:
    op = node.op
    inputs, outputs = (tuple([places[v] for v in values]) for values in (node.inputs, node.outputs))
    types = tuple([v.type for v in node.outputs])
    if node.body is not None:
        body = Tape(node.body)
        run = body.spread if op.kind == "fused" else Loop(body, node.attrs, types)
        return _Step(node, run, {}, inputs, outputs, types, False, (), Loc())
    assert op.reference is not None
    widens = not op.raw and any(v.dtype.is_half for v in node.inputs)
    return _Step(node, op.reference, node.attrs, inputs, outputs, types, widens, (), node.loc)


class Loop:
    """A loop over ``body``; see :mod:`compiler.ops.loop`. ``types`` are those of its results."""

    def __init__(self, body: Callable[[list[Any]], list[Any]], attrs: Attrs, types: Sequence[TensorType]) -> None:
        self.body, self.types = body, types
        self.carries, self.slices = attrs["carries"], attrs["carries"] + attrs["sequences"]
        steps = range(attrs["length"])
        self.order = steps[::-1] if attrs["reverse"] else steps

    def __call__(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        carried, sequences = list(arrays[: self.carries]), arrays[self.carries : self.slices]
        fixed = arrays[self.slices :]
        stacks = [np.empty(t.shape, t.dtype.numpy) for t in self.types[self.carries :]]
        for t in self.order:
            pieces = [np.asarray(a[t]) for a in sequences]
            results = self.body([*carried, *pieces, *fixed])
            carried = results[: self.carries]
            for stack, result in zip(stacks, results[self.carries :], strict=True):
                stack[t] = result
        return *carried, *stacks
