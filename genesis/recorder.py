"""The builder behind ``@genesis.compile``: records ops with their place in the user's program."""

from __future__ import annotations

from typing import Any

from compiler.ir.builder import Call, GraphBuilder
from compiler.ir.graph import Node, Value
from compiler.ir.location import Loc, user_location
from compiler.ir.op import OPS
from compiler.ops.structure import is_constant
from genesis.memory.strides import lay_out, show
from genesis.memory.values import TensorValue


class Recorded(Node):
    """A node of a recording."""

    __slots__ = ()
    makes = TensorValue


class Recorder(GraphBuilder):
    """Records nodes, the user's line and module scope of each, and which values carry a gradient.

    A value computed under ``no_grad`` from one that needs a gradient is ``cut``; where recorded ops read it later, a
    ``detach`` keeps the autodiff pass from differentiating through it. ``place`` stands in for the line of the caller
    once the function has returned.
    """

    makes = Recorded
    view = staticmethod(show)

    def __init__(self, grad_enabled: bool) -> None:
        super().__init__()
        self.grad_enabled = grad_enabled
        self.scopes: list[str] = []
        self.place: Loc | None = None
        self._detached: dict[Value, TensorValue] = {}

    def location(self) -> Loc:
        return self.place or user_location(self.scopes[-1] if self.scopes else "")

    def emit(self, call: Call) -> tuple[TensorValue, ...]:
        op = call.op
        inputs: tuple[Any, ...] = call.inputs  # of TensorValues, as all that this builder meets and makes
        if self.grad_enabled and any(v.cut for v in inputs):
            inputs = tuple([self._detach(v) if v.cut else v for v in inputs])
        outputs = self._record(call._replace(inputs=inputs))
        if op.kind == "pointwise" and not op.converts and _all_numbers(inputs):
            for value in outputs:
                value.number = True
        if any(v.requires_grad for v in inputs):
            for value in outputs:
                if op.differentiable and value.dtype.is_floating_point:
                    value.requires_grad = self.grad_enabled
                    value.cut = not self.grad_enabled
        elif any(v.cut for v in inputs):
            for value in outputs:
                value.cut = True
        lay_out(call, outputs)
        return outputs

    def _record(self, call: Call) -> tuple[TensorValue, ...]:
        made: tuple[Any, ...] = super().emit(call)
        return made

    def _detach(self, value: TensorValue) -> TensorValue:
        found = self._detached.get(value)
        if found is None:
            (found,) = self._record(Call(OPS["detach"], (value,), (value.type,), {}))
            self._detached[value] = found
        return found


def _all_numbers(inputs: tuple[Value, ...]) -> bool:
    """Whether these are run-time numbers and constants."""
    return any(v.number for v in inputs) and all(v.number or is_constant(v) for v in inputs)
