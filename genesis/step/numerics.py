"""``check_numerics=True``: which op made the first infinity or NaN of a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from compiler.errors import NumericsError
from compiler.interpret import Computed, Observe, interpret
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import o
from compiler.passes.check_numerics import Wanted, suspects, watched
from genesis.memory.cells import Cell

Execute = Callable[[Sequence[np.ndarray], Sequence[float]], list[np.ndarray]]
"""Runs a step on inputs and scalars; returns its results."""


class _Found(Exception):
    """The first op that made what it must not."""

    def __init__(self, node: Node, operands: Sequence[Computed], results: Sequence[Computed]) -> None:
        super().__init__(node)
        self.node, self.operands, self.results = node, operands, results


class Numerics:
    """The flags of a program, and what they mean.

    ``graph``: the step before the flags were inserted; ``output``: the place of the flags among the results;
    ``skips``: the place of the flag that says whether the step was skipped, None in a step that skips nothing.
    """

    def __init__(self, graph: Graph, output: int, skips: int | None, states: Sequence[Cell]) -> None:
        self.graph, self.output, self.skips, self.states = graph, output, skips, states
        self.reason: str | None = None
        places = {v: k for k, v in enumerate(graph.inputs("state"))}
        moving = [u for u in graph.updates if skips is not None and not _is_skipped(u.value)]
        self._moving = [states[places[u.state]] for u in moving]  # changed by a skipped step, too
        self._before: dict[Cell, np.ndarray] = {}

    def checked(self, execute: Execute) -> Execute:
        """``execute`` with a look at the flags of every run."""

        def run(inputs: Sequence[np.ndarray], numbers: Sequence[float]) -> list[np.ndarray]:
            self._begin()
            results = execute(inputs, numbers)
            self._check(results, inputs, numbers)
            return results

        return run

    def _begin(self) -> None:
        """Before a launch: keep what a skipped step changes all the same."""
        self._before = {cell: cell.fetched().data.copy() for cell in self._moving}

    def _check(self, results: Sequence[np.ndarray], inputs: Sequence[np.ndarray], numbers: Sequence[float]) -> None:
        """After a launch: raise NumericsError where an op made an infinity or a NaN, unless the step was skipped."""
        self.reason = None
        flags = results[self.output]
        if True not in flags.tolist():  # a third of the time of any()
            return
        node = [*watched(self.graph)][int(flags.argmax())]
        found = self._explained(node, inputs, numbers)
        if self.skips is None:
            raise NumericsError(f"{found}\n  nothing was updated by this call")
        if not results[self.skips]:
            raise NumericsError(f"{found}\n  no gradient overflowed, so the step was applied")
        self.reason = found

    def _explained(self, node: Node, inputs: Sequence[np.ndarray], numbers: Sequence[float]) -> str:
        """The operands and results of ``node``; the interpreter computes the call again."""
        states = iter([self._before[c] if c in self._before else c.fetched().data for c in self.states])
        given, scalars = iter(inputs), iter(numbers)
        sources = {"state": states, "input": given, "scalar": (np.float64(x) for x in scalars)}
        arguments = [np.asarray(next(sources[p.kind])) for p in self.graph.params]
        try:
            interpret(self.graph, arguments, _watch(self.graph))
        except _Found as found:
            labels = {p.value: p.label or p.value.name for p in self.graph.params}
            operands = [
                f"    {labels.get(v) or _origin(v)}: {x.type}, {_range(x.data)}"
                for v, x in zip(found.node.inputs, found.operands, strict=True)
            ]
            return "\n".join([_headline(found.node, _made(found.results)), "  from", *operands])
        return _headline(node, "an infinity or a NaN, or passed one on") + (
            "\n  (the interpreter, which rounds sums in another order, does not make it of the same numbers)"
        )


def _watch(graph: Graph) -> Observe:
    """An observer that raises :class:`_Found` at the first result that is not what it must be."""
    wanted: dict[Node, Wanted] = {}
    for part in _graphs(graph):
        wanted |= suspects(part)

    def observe(node: Node, operands: Sequence[Computed], results: Sequence[Computed]) -> None:
        rule = wanted.get(node)
        if rule is None or node.body is not None:
            return
        for value in results:
            if value.dtype.kind == "float":
                array = value.data.astype(np.float64)
                bad = np.isnan(array) if rule == "numbers" else ~np.isfinite(array)
                if bad.any():
                    raise _Found(node, operands, results)

    return observe


def _graphs(graph: Graph) -> Iterator[Graph]:
    """``graph`` and the bodies of its loops."""
    yield graph
    for node in graph.nodes:
        if node.body is not None:
            yield from _graphs(node.body)


def _is_skipped(value: Value) -> bool:
    return value.producer is not None and value.producer.op is o.skip_if


def _origin(value: Value) -> str:
    """The op that makes a value, and its line."""
    node = value.producer
    return "an operand" if node is None else f"{node.op.name} ({node.loc})" if str(node.loc) else node.op.name


def _headline(node: Node, made: str) -> str:
    phase = "backward" if node.phase == "backward" else "forward"
    return f"{node.op.name} made {made} in the {phase} pass\n  at {node.loc}"


def _made(results: Sequence[Computed]) -> str:
    """How many infinities and NaNs there are, and where the first is."""
    for value in results:
        if value.dtype.kind != "float":
            continue
        array = value.data.astype(np.float64)
        nans, infinities = int(np.isnan(array).sum()), int(np.isinf(array).sum())
        if nans or infinities:
            counts = [f"{n} {what}" for n, what in ((nans, "NaN"), (infinities, "infinite")) if n]
            first = [int(i) for i in np.argwhere(~np.isfinite(array))[0]] if array.ndim else []
            place = f", the first at {first}" if first else ""
            return f"{' and '.join(counts)} of {array.size} elements{place}"
    return "an infinity or a NaN"


def _range(array: np.ndarray) -> str:
    """The least and the largest finite element, and how many are not finite."""
    if array.dtype.kind == "b" or not array.size:
        return f"{int(array.sum())} of {array.size} true" if array.size else "no elements"
    wide = array.astype(np.float64)
    finite = wide[np.isfinite(wide)]
    bounds = f"from {finite.min():.6g} to {finite.max():.6g}" if finite.size else "no finite element"
    lost = array.size - finite.size
    return bounds + (f", {lost} not finite" if lost else "")
