"""The NumPy interpreter: the definition of what every op means. C and Triton must agree with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from compiler.errors import DivisionError
from compiler.evaluate import evaluate, uncast
from compiler.ir import ambient
from compiler.ir.ambient import using
from compiler.ir.builder import Builder, Call
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import o
from compiler.ir.types import TensorType
from compiler.tape import Loop, Tape


class Computed(Value):
    """A value that carries its ``data``."""

    __slots__ = ("data",)

    def __init__(self, type: TensorType, name: str = "", producer: Node | None = None, data: Any = None) -> None:
        super().__init__(type, name, producer)
        self.data = data


Observe = Callable[[Node, Sequence[Computed], Sequence[Computed]], None]
"""Is shown a node of a graph, also of the body of a loop, with its operands and results."""


class Evaluator(Builder):
    """A builder that computes every value as it is recorded; a composite without a reference runs its expansion.

    ``makes`` is the class of its values. ``observe`` is shown every node of the graph that runs.
    """

    makes: ClassVar[type[Computed]] = Computed

    def __init__(self, observe: Observe | None = None) -> None:
        super().__init__()
        self.observe = observe

    def concrete(self, array: np.ndarray, type: TensorType) -> Computed:
        """A value with the contents ``array``."""
        return self.makes(type, data=array)

    def emit(self, call: Call) -> tuple[Value, ...]:
        op, _, types, attrs, body = call
        inputs: Sequence[Any] = call.inputs  # of values that it has made
        if body is not None:
            return self._iterate(body, inputs, types, attrs)
        inputs, attrs = uncast(inputs, attrs)
        if op.reference is not None:
            arrays = evaluate(op, [v.data for v in inputs], types, attrs)
            return tuple([self.concrete(a, t) for a, t in zip(arrays, types, strict=True)])
        if op.expand is not None:
            result = op.expand(o, *inputs, **attrs)
            return result if isinstance(result, tuple) else (result,)
        raise NotImplementedError(f"op {op.name!r} has no NumPy reference and no expansion")

    def _iterate(
        self, body: Graph, inputs: Sequence[Computed], types: Sequence[TensorType], attrs: dict[str, Any]
    ) -> tuple[Value, ...]:
        """The results of a loop."""
        iteration = Tape(body) if self.observe is None else partial(self._observed, body)
        arrays = Loop(iteration, attrs, types)(*[v.data for v in inputs])
        return tuple([self.concrete(a, t) for a, t in zip(arrays, types, strict=True)])

    def _observed(self, body: Graph, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        env = run(body, [self.concrete(a, v.type) for a, v in zip(arrays, body.inputs(), strict=True)])
        return [env[v].data for v in body.outputs]


def interpret(
    graph: Graph, arguments: Sequence[np.ndarray], observe: Observe | None = None
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Run ``graph`` on one array per parameter; returns the outputs and the new values of ``graph.updates``.

    ``observe`` is shown every node that runs.
    """
    with using(Evaluator(observe)) as evaluator:
        values = run(graph, [evaluator.concrete(a, v.type) for a, v in zip(arguments, graph.inputs(), strict=True)])
    return [values[v].data for v in graph.outputs], [values[u.value].data for u in graph.updates]


def run(graph: Graph, inputs: Sequence[Computed]) -> dict[Value, Computed]:
    """Evaluate every node with the ambient evaluator."""
    env: dict[Value, Computed] = dict(zip(graph.inputs(), inputs, strict=True))
    observe = getattr(ambient.builder(), "observe", None)
    for node in graph.nodes:
        operands = [env[v] for v in node.inputs]
        results = _run_node(node, operands)
        if observe is not None:
            observe(node, operands, results)
        env.update(zip(node.outputs, results, strict=True))
    return env


def _run_node(node: Node, inputs: Sequence[Computed]) -> Sequence[Computed]:
    if node.body is not None:
        if node.op.kind == "fused":
            env = run(node.body, inputs)
            return [env[v] for v in node.body.outputs]
        types = tuple(v.type for v in node.outputs)
        computed: tuple[Computed, ...] = ambient.builder().emit(
            Call(node.op, tuple(inputs), types, node.attrs, node.body)
        )
        return computed
    operands, attrs = uncast(inputs, node.attrs)
    try:
        result = node.op(*operands, **attrs)
    except (DivisionError, IndexError) as error:
        kind = DivisionError if isinstance(error, DivisionError) else IndexError
        raise kind(f"{error}\n  at {node.loc}") from None
    return (result,) if isinstance(result, Computed) else result
