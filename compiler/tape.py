"""A graph as a list of NumPy calls: what the interpreter computes, checked once and not at every run."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from types import CodeType
from typing import Any, NamedTuple

import numpy as np

from compiler.errors import DivisionError
from compiler.evaluate import evaluate, stored, uncast, widened
from compiler.ir.ambient import using
from compiler.ir.builder import Call, GraphBuilder
from compiler.ir.graph import Attrs, Graph, Node, Value
from compiler.ir.op import as_tuple
from compiler.ir.replay import live_nodes
from compiler.ir.types import TensorType
from compiler.passes.cse import cse
from compiler.passes.simplify import simplify

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
    dead: tuple[int, ...]

    def text(self, k: int) -> Iterator[str]:
        """The lines of step ``k``, in which ``v`` are values, and ``f``, ``a`` and ``t`` its call."""
        attrs = f"**a{k}" if self.attrs else ""
        call = f"f{k}({_values(self.inputs)}, {attrs})" if self.inputs else f"f{k}({attrs})"
        if len(self.outputs) == 1:
            (made,) = self.outputs
            yield f"v{made} = {call}"
            yield f"if v{made}.__class__ is not ndarray or v{made}.dtype is not d{k}:"
            yield f"    v{made} = only(v{made}, t{k})"
        else:
            yield f"{_values(self.outputs)} = several({call}, t{k})"
        if self.dead:
            yield f"del {_values(self.dead)}"


class Tape:
    """``graph``, which has no updates, as NumPy calls; results equal the interpreter's, bit for bit.

    Calls that stand there twice are made once. A tape may run in several threads at once.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph = cse(simplify(primitives(graph)))
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
        self._begins: list[int] = []
        """The line of each step in the text."""
        self._run = self._joined()

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
            self._steps[k] = step._replace(dead=tuple(sorted(dead)))

    def _joined(self) -> Callable[..., list[Any]]:
        """The steps as one function of the inputs."""
        lines = [f"def run({_values(range(self._inputs))}):"]
        for k, step in enumerate(self._steps):
            self._begins.append(len(lines) + 1)
            lines += step.text(k)
        text = "\n    ".join([*lines, f"return [{_values(self._outputs)}]"])
        names: dict[str, Any] = {"ndarray": np.ndarray, "only": _only, "several": _several}
        names |= {f"v{i}": array for i, array in enumerate(self._start) if array is not None}
        for k, step in enumerate(self._steps):
            names[f"f{k}"], names[f"a{k}"], names[f"t{k}"] = step.run, step.attrs, step.types
            names[f"d{k}"] = step.types[0].dtype.numpy
        exec(_compiled(text), names)
        run: Callable[..., list[Any]] = names["run"]
        return run

    def spread(self, *arrays: np.ndarray) -> tuple[Any, ...]:
        """The results for arrays as arguments: a kernel's in a loop, say."""
        return tuple(self(arrays))

    def computes(self) -> list[Node]:
        """The nodes that are left to do at every run, views of memory aside."""
        return [step.node for step in self._steps if step.node.op.kind != "view" or step.node.op.reads == "window"]

    @np.errstate(all="ignore")
    def __call__(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        """The results for one array per input of the graph."""
        try:
            return self._run(*arrays)
        except (DivisionError, IndexError) as error:
            assert error.__traceback__ is not None and error.__traceback__.tb_next is not None
            step = self._steps[bisect_right(self._begins, error.__traceback__.tb_next.tb_lineno) - 1]
            if not step.node.loc.file or step.node.body is not None:
                raise
            kind = DivisionError if isinstance(error, DivisionError) else IndexError
            raise kind(f"{error}\n  at {step.node.loc}") from None


def _values(places: Iterable[int]) -> str:
    return ", ".join(f"v{i}" for i in places)


@lru_cache(1024)
def _compiled(text: str) -> CodeType:
    """Tapes of one composite on operands of other shapes have the same text."""
    return compile(text, f"{__file__}/run", "exec")


def _only(result: Any, types: Sequence[TensorType]) -> np.ndarray:
    (part,) = result if isinstance(result, tuple) else (result,)
    return stored(part, types[0])


def _several(results: Sequence[Any], types: Sequence[TensorType]) -> list[np.ndarray]:
    return [stored(part, t) for part, t in zip(results, types, strict=True)]


def _step(node: Node, places: dict[Value, int]) -> _Step:
    op = node.op
    inputs, outputs = (tuple([places[v] for v in values]) for values in (node.inputs, node.outputs))
    types = tuple([v.type for v in node.outputs])
    if node.body is not None:
        body = Tape(node.body)
        run = body.spread if op.kind == "fused" else Loop(body, node.attrs, types)
        return _Step(node, run, {}, inputs, outputs, types, ())
    assert op.reference is not None
    reads_halves = not op.raw and any(v.dtype.is_half for v in node.inputs)
    run = _on_widened(op.reference) if reads_halves else op.reference
    return _Step(node, run, node.attrs, inputs, outputs, types, ())


def _on_widened(reference: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arrays, **attrs: reference(*widened(arrays), **attrs)


class Loop:
    """A loop over ``body``; see :mod:`compiler.ops.loop`. ``types`` are the types of its results."""

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
