"""Gradients across the border of a compiled function: eager autograd goes back through what a program returned.

While the function is recorded, the gradients of its results are recorded behind them, for seeds that are given later.
The graph is then cut in two (:mod:`compiler.partition`): the forward half is the program of every call, the backward
half is compiled at the first backward pass. Every call leaves a node in the eager history, which owns the residuals of
this call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import RLock
from typing import Any

import numpy as np

from compiler.errors import AutogradError
from compiler.interpret import run
from compiler.ir.builder import Call
from compiler.ir.graph import Graph, Value
from compiler.ir.op import Op, o
from compiler.partition import partition, without_seeds
from compiler.passes.cse import dead_code
from compiler.pipeline import Stages
from genesis.capture.results import Origin
from genesis.compiled import Compiled, Runner, before_fusion, differentiation
from genesis.context import session
from genesis.eager.calls import Taped
from genesis.history import Ended, at_border, history
from genesis.memory.cells import Cell
from genesis.memory.values import TensorValue, concrete, held
from genesis.options import Options
from genesis.recording import Recording
from genesis.saved import Ages, check_ages, check_saved, reached_from
from genesis.tensor import Tensor


@dataclass(frozen=True)
class Source:
    """A leaf that gradients go to: the cell of a state, an argument, or the place of a result."""

    cell: Cell | None = None
    argument: Origin | None = None
    result: int = -1


@dataclass(frozen=True)
class Border:
    """The record about the gradients of results.

    Attributes:
        ended: the results that require a gradient but have none, and the error that says why.
        made: the results that are leaves made inside.
        roots: the results that have a gradient.
        seeds: the inputs of the graph for the gradients of the roots.
        leaves: the values of the graph whose gradients stand at the end of its outputs.
        sources: where the gradient of each leaf goes.
    """

    ended: dict[int, Ended]
    made: tuple[int, ...] = ()
    roots: tuple[int, ...] = ()
    seeds: tuple[Value, ...] = ()
    leaves: tuple[Value, ...] = ()
    sources: tuple[Source, ...] = ()

    def mark_leaves(self, results: Sequence[Tensor]) -> None:
        """Let the ``results`` that are leaves be so."""
        for i in self.made:
            cell = results[i]._cell
            cell.requires_grad = cell.value.requires_grad = True
            cell.value.leaf = cell


def record_border(
    recording: Recording, results: Sequence[TensorValue], arguments: dict[Cell, Origin], refusal: str = ""
) -> tuple[Border | None, list[Value]]:
    """Record the gradients of ``results`` with the ambient builder; returns them with their record.

    ``arguments``: how a call finds the arguments that collect a gradient. ``refusal``: why there can be no gradient.
    """
    ended: dict[int, Ended] = {}
    roots: list[int] = []
    made = {
        v.leaf: i
        for i, v in enumerate(results)
        if v.leaf is not None and v.leaf.home is recording and v.leaf not in arguments
    }
    for i, value in enumerate(results):
        if not value.requires_grad or value.leaf in made:
            continue
        try:
            nodes, ends = history([value])
            check_saved(nodes, reached_from(ends, nodes))
        except AutogradError as error:
            ended[i] = Ended(str(error))
            continue
        if refusal:
            ended[i] = Ended(refusal)
        else:
            roots.append(i)
    ends = history([results[i] for i in roots])[1]
    sources = {v: _source(held(v).leaf, recording, arguments, made) for v in ends}
    reached = [v for v, source in sources.items() if source is not None]
    if not reached:
        ended |= {i: Ended("the leaves that this result depends on were made inside a compiled call") for i in roots}
        return Border(ended, tuple(made.values())) if ended or made else None, []
    seeds = [recording.graph.add_input(TensorValue(results[i].type, f"seed{i}"), "input", "") for i in roots]
    gradients = at_border([results[i] for i in roots], seeds, reached)
    found = [(v, g) for v, g in zip(reached, gradients, strict=True) if g is not None]
    leaves = tuple([v for v, _ in found])
    places = tuple([place for v in leaves if (place := sources[v]) is not None])
    border = Border(ended, tuple(made.values()), tuple(roots), tuple(seeds), leaves, places)
    return border, [g for _, g in found]


def _source(cell: Cell, recording: Recording, arguments: dict[Cell, Origin], made: dict[Cell, int]) -> Source | None:
    if cell in arguments:
        return Source(argument=arguments[cell])
    if cell in made:
        return Source(result=made[cell])
    return Source(cell=cell) if recording.is_outside(cell) else None


class Crossing:
    """The backward half of a program, for all its calls, so that gradients cross its border."""

    def __init__(self, border: Border, joint: Graph, options: Options) -> None:
        """Cut ``joint``, whose last outputs are the gradients, in two."""
        count = len(border.sources)
        differentiated = Stages(joint)
        differentiated.run(differentiation())
        gradients = differentiated.latest.outputs[-count:]
        self.gradients = dead_code(Graph(joint.name, joint.params, differentiated.latest.nodes, [], gradients))
        read = {v for node in self.gradients.nodes for v in node.inputs}.union(gradients)
        lowered = Stages(differentiated.latest)
        lowered.run(before_fusion(options))
        self.halves = partition(lowered.latest, border.seeds, count, [v for v in joint.inputs("state") if v in read])
        self.border, self.options = border, options
        params = self.halves.forward.params
        kinds = [p.kind for p in params]
        self.places = {p.value: (p.kind, kinds[:i].count(p.kind)) for i, p in enumerate(params)}
        self.borrowed = [self.places[params[i].value] for i in self.halves.borrowed]
        updated = {update.state for update in joint.updates}
        self.replayed = [k for v, (kind, k) in self.places.items() if kind == "state" and v in read - updated]
        self._programs: dict[tuple[bool, ...], tuple[Runner, list[int], list[bool]]] = {}
        self._lock = RLock()

    def attach(
        self,
        arrays: Sequence[np.ndarray],
        results: Sequence[Tensor],
        states: Sequence[Cell],
        inputs: Sequence[np.ndarray],
        scalars: Sequence[float],
        arguments: Sequence[Any],
    ) -> None:
        """Let the ``results`` of a call carry their gradients; the other arguments are what the call was about."""
        sources = [_value_of(source, arguments, results) for source in self.border.sources]
        ages = [(states[k], states[k].age()) for k in self.replayed]
        call = _Call(self, [arrays[i] for i in self.halves.residuals], states, ages, inputs, scalars)
        values = [results[i]._cell.value for i in self.border.roots]
        op = Op(self.halves.forward.name, lambda *types: types, "composite", vjp=call.pull)
        node = Taped(Call(op, tuple(sources), tuple([v.type for v in values]), {}))
        node.ages = [(states[k], states[k].age()) for kind, k in self.borrowed if kind == "state"]
        for i, old, value in zip(self.border.roots, values, node.outputs, strict=True):
            value.data, value.requires_grad, value.place = old.data, True, old.place
            results[i]._cell.value = value

    def run(self, given: tuple[bool, ...], inputs: list[Any], scalars: list[float]) -> list[np.ndarray | None]:
        """The gradients of all sources; None where no seed that is ``given`` reaches.

        ``inputs``: the inputs of the backward half, with something in place of the other seeds.
        """
        with self._lock:
            program, used, returned = self._programs.get(given) or self._compile(given)
            found = iter(program.run([inputs[i] for i in used], scalars))
        return [next(found) if there else None for there in returned]

    def _compile(self, given: tuple[bool, ...]) -> tuple[Runner, list[int], list[bool]]:
        back = self.halves.backward
        seeds = back.inputs("input")[-len(given) :]
        missing = [seed for seed, there in zip(seeds, given, strict=True) if not there]
        graph, returned = without_seeds(back, seeds, missing)
        graph = dead_code(graph)
        read = {v for node in graph.nodes for v in node.inputs}.union(graph.outputs)
        used = [i for i, v in enumerate(graph.inputs("input")) if v in read]
        graph.params = [p for p in graph.params if p.kind == "scalar" or p.value in read]
        found = self._programs[given] = Compiled(graph, self.options).start(), used, returned
        return found


@dataclass(frozen=True)
class _Call:
    """The values that one call leaves for its backward pass.

    ``residuals``: arrays of its own. ``states``, ``inputs`` and ``scalars``: what it was called with.
    """

    crossing: Crossing
    residuals: list[np.ndarray]
    states: Sequence[Cell]
    ages: Ages
    inputs: Sequence[np.ndarray]
    scalars: Sequence[float]

    def pull(self, o: Any, node: Taped, *grads: TensorValue | None) -> list[Value | None]:
        """The gradients of the sources, by the compiled backward half; op by op where they need a history, too."""
        if session().grad_enabled:
            return self._replayed(node, grads)
        given = tuple([g is not None for g in grads])
        inputs, scalars = list(self.residuals), []
        for kind, k in self.crossing.borrowed:
            if kind == "scalar":
                scalars.append(self.scalars[k])
            else:
                inputs.append(self.inputs[k] if kind == "input" else self.states[k].fetched().data)
        found = self.crossing.run(given, [*inputs, *(None if g is None else g.data for g in grads)], scalars)
        return [None if a is None else concrete(a, v.type) for a, v in zip(found, node.inputs, strict=True)]

    def _replayed(self, node: Taped, grads: Sequence[TensorValue | None]) -> list[Value | None]:
        """The gradients as eager values with a history, computed again from what the call read."""
        crossing, border = self.crossing, self.crossing.border
        check_ages(self.crossing.halves.forward.name, self.ages)
        if not all(value in crossing.places for value in border.leaves):
            raise AutogradError(
                f"a gradient with create_graph=True reaches a leaf that {crossing.halves.forward.name} made or changed "
                "inside; take it inside the compiled function"
            )
        forward = crossing.halves.forward
        saved = {forward.outputs[i]: a for i, a in zip(crossing.halves.residuals, self.residuals, strict=True)}
        sources = dict(zip(border.leaves, node.inputs, strict=True))
        seeds = dict(zip(border.seeds, grads, strict=True))
        here = session()
        autocast, here.autocast = here.autocast, None
        try:
            arguments = [self._given(v, saved.get(v), sources.get(v), seeds) for v in crossing.gradients.inputs()]
            values = run(crossing.gradients, arguments)
        finally:
            here.autocast = autocast
        return [values[v] for v in crossing.gradients.outputs]

    def _given(
        self,
        value: Value,
        saved: np.ndarray | None,
        source: TensorValue | None,
        seeds: dict[Value, TensorValue | None],
    ) -> TensorValue:
        """The value of an input of the graph of gradients at the call."""
        if value in seeds:
            seed = seeds[value]
            return held(o.zeros(shape=value.shape, dtype=value.dtype)) if seed is None else seed
        if saved is not None:
            old = concrete(saved, value.type)
            if source is not None:
                old.leaf, old.requires_grad = source.leaf, True
            return old
        if source is not None:
            return source
        kind, k = self.crossing.places[value]
        if kind == "scalar":
            return concrete(np.array(self.scalars[k]), value.type)
        return concrete(self.inputs[k] if kind == "input" else self.states[k].fetched().data, value.type)


def _value_of(source: Source, arguments: Sequence[Any], results: Sequence[Tensor]) -> TensorValue:
    if source.cell is not None:
        return source.cell.value
    tensor = source.argument(arguments) if source.argument is not None else results[source.result]
    return tensor.value
