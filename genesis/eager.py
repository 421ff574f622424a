"""Ops that run at once, and the history that a backward pass walks back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from compiler.interpret import Evaluator
from compiler.ir import ambient
from compiler.ir.builder import Call
from compiler.ir.graph import Node, Value
from compiler.ir.location import Loc, user_location
from compiler.ir.op import Op, castable, o
from compiler.ir.types import DType
from genesis.anomaly import Anomalies
from genesis.cells import Cell, Hook
from genesis.clock import Clock
from genesis.strides import lay_out
from genesis.values import TensorValue, held


class Taped(Node):
    """A node of the eager history.

    ``times``: of the inputs that compiled programs overwrite, the clock and what it said. ``ages``: how old the cells
    were that a compiled call needs for its gradient. ``hooks``: by output, those that see its gradient; None as long as
    there are none.
    """

    __slots__ = ("ages", "hooks", "times")
    makes = TensorValue
    inputs: tuple[TensorValue, ...]
    outputs: tuple[TensorValue, ...]

    def __init__(self, call: Call) -> None:
        super().__init__(*call)
        self.ages: list[tuple[Cell, tuple[int, int]]] = []
        self.times: dict[TensorValue, tuple[Clock, int]] = {}
        for value in self.inputs:
            cell = value.place() if value.place is not None else None
            if cell is not None and cell.clock is not None:
                self.times[value] = cell.clock, cell.clock.time
        self.hooks: dict[Value, dict[float, Hook]] | None = None


class EagerBuilder(Evaluator):
    """Evaluates every op at once and, where a gradient is needed, keeps its node."""

    makes = TensorValue
    recording = None
    target = "cpu"

    def location(self) -> Loc:
        return user_location()

    def __init__(self) -> None:
        super().__init__()
        self.grad_enabled = True
        self.weight_casts: dict[tuple[TensorValue, DType], tuple[Any, TensorValue]] = {}

    def emit(self, call: Call) -> tuple[TensorValue, ...]:
        op = call.op
        inputs: tuple[Any, ...] = call.inputs  # of TensorValues, as all that this builder meets and makes
        records = self.grad_enabled and op.differentiable and any(v.requires_grad for v in inputs)
        if records and op.vjp is None and op.expand is not None:
            result = op.expand(o, *inputs, **call.attrs)
            results = result if isinstance(result, tuple) else (result,)
            lay_out(call, results)
            return results
        with self._quiet():
            outputs: tuple[Any, ...] = super().emit(call)
        if not records:
            lay_out(call, outputs)
            return outputs
        node = Taped(call)
        if Anomalies.on:
            node.loc = user_location()
        lay_out(call, node.outputs)
        for value, computed in zip(node.outputs, outputs, strict=True):
            value.data = computed.data
            value.requires_grad = value.dtype.is_floating_point
        return node.outputs

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """Neither history nor autocast for the ops inside an expansion."""
        saved = self.grad_enabled, self.autocast
        self.grad_enabled, self.autocast = False, None
        try:
            yield
        finally:
            self.grad_enabled, self.autocast = saved

    def cast_for(
        self, op: Op, operands: Any, attrs: dict[str, Any], target: DType
    ) -> tuple[tuple[TensorValue, ...], dict[str, Any]]:
        """Casts at once; casts of leaves are kept until the leaf changes or the outermost autocast region ends."""
        return tuple([self._cast(v, target) if castable(v.dtype) else v for v in operands]), attrs

    def _cast(self, value: TensorValue, target: DType) -> TensorValue:
        if value.dtype is target:
            return value
        if value.leaf is None or not self.grad_enabled:
            return held(o.cast(value, to=target))
        key, age = (value, target), value.leaf.age()
        found = self.weight_casts.get(key)
        if found is None or found[0] != age:  # a compiled step changes the contents of a value in place
            found = self.weight_casts[key] = age, held(o.cast(value, to=target))
        return found[1]


ambient.set_default(EagerBuilder)
