"""The NumPy interpreter: the definition of what every op means. C and Triton must agree with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from compiler.errors import DivisionError
from compiler.ir import ambient
from compiler.ir.ambient import using
from compiler.ir.builder import Builder, Call
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import Op, castable, o
from compiler.ir.types import TensorType, bf16, f16
from compiler.ops.elementwise import cast_array

Arrays = tuple[np.ndarray, ...]


def evaluate(op: Op, arrays: Sequence[np.ndarray], types: Sequence[TensorType], attrs: dict[str, Any]) -> Arrays:
    """The results of a record's NumPy reference: 16-bit floats computed in f32 and rounded once."""
    assert op.reference is not None
    if op.kind == "view":  # nothing is computed that NumPy could warn of
        return (op.reference(*arrays, **attrs),)
    if not op.raw:
        arrays = [a.astype(np.float32) if a.dtype in _HALVES else a for a in arrays]
    result = _quietly(op.reference, arrays, attrs)
    if isinstance(result, tuple):
        return tuple([_stored(r, t) for r, t in zip(result, types, strict=True)])
    return (_stored(result, types[0]),)


@np.errstate(all="ignore")  # as a decorator, a third of the price of a block
def _quietly(reference: Callable[..., Any], arrays: Sequence[np.ndarray], attrs: dict[str, Any]) -> Any:
    return reference(*arrays, **attrs)


_HALVES = frozenset((bf16.numpy, f16.numpy))


def _stored(result: Any, type: TensorType) -> np.ndarray:
    array = result if isinstance(result, np.ndarray) else np.asarray(result)
    dtype = type.dtype
    return array if array.dtype is dtype.numpy or array.dtype == dtype.numpy else cast_array(array, dtype)


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
        inputs: tuple[Any, ...] = call.inputs  # of values that it has made
        if body is not None:
            return self._iterate(body, inputs, types, attrs)
        target = attrs.get("autocast")
        if target is not None:
            inputs = tuple([o.cast(v, to=target) if castable(v.dtype) else v for v in inputs])
            attrs = {k: v for k, v in attrs.items() if k != "autocast"}
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
        length, carries, slices = attrs["length"], attrs["carries"], attrs["carries"] + attrs["sequences"]
        carried = list(inputs[:carries])
        stacks = [np.empty(t.shape, t.dtype.numpy) for t in types[carries:]]
        for t in reversed(range(length)) if attrs["reverse"] else range(length):
            pieces = [
                self.concrete(np.asarray(v.data[t]), TensorType(v.dtype, v.shape[1:])) for v in inputs[carries:slices]
            ]
            env = run(body, [*carried, *pieces, *inputs[slices:]])
            carried = [env[v] for v in body.outputs[:carries]]
            for stack, value in zip(stacks, body.outputs[carries:], strict=True):
                stack[t] = env[value].data
        return *carried, *(self.concrete(a, t) for a, t in zip(stacks, types[carries:], strict=True))


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
    attrs = node.attrs
    operands: Sequence[Value] = inputs
    if "autocast" in attrs:
        target = attrs["autocast"]
        operands = [o.cast(v, to=target) if castable(v.dtype) else v for v in inputs]
        attrs = {k: v for k, v in attrs.items() if k != "autocast"}
    try:
        result = node.op(*operands, **attrs)
    except (DivisionError, IndexError) as error:
        kind = DivisionError if isinstance(error, DivisionError) else IndexError
        raise kind(f"{error}\n  at {node.loc}") from None
    return (result,) if isinstance(result, Computed) else result
