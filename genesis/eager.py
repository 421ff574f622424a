"""Ops that run at once, and the history that a backward pass walks back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import is_not
from typing import Any

from compiler.errors import OpError
from compiler.interpret import Evaluator, evaluate
from compiler.ir import ambient
from compiler.ir.builder import Call
from compiler.ir.graph import Node, Value
from compiler.ir.location import Loc, user_location
from compiler.ir.op import Op, autocast_target, castable, o
from compiler.ir.types import DType, TensorType
from compiler.ops.elementwise import as_type
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


@dataclass(slots=True)
class Known:
    """What the check of a call found, for calls that are alike: of operands of the same types, with equal attributes.

    ``target``: the type that autocast brings operands to. ``prepares``: the operands are not taken as they are.
    ``casts``: the types that they are brought to, where that is all: a divisor of integers is looked at as well.
    """

    types: tuple[TensorType, ...]
    attrs: dict[str, Any]
    target: DType | None
    prepares: bool
    casts: tuple[DType, ...] | None


_MOST_KNOWN = 20000
"""After how many kinds of calls a thread starts to learn anew; a program has some hundred."""


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
        self._known: dict[Any, Known] = {}

    def call(self, op: Op, operands: Sequence[Any], attrs: dict[str, Any]) -> Any:
        key = self._key(op, operands, attrs)
        try:
            known = self._known.get(key)
        except TypeError:  # an attribute that is no key, such as a list
            known, key = None, None
        if known is None:
            call = self.checked(op, operands, attrs)
            if key is not None:
                self._learn(key, op, operands, call)
        else:
            try:
                call = self._known_call(op, operands, known)
            except OpError as error:
                raise self.explain(op, operands, error) from None
        outputs = self.emit(call)
        return outputs[0] if len(outputs) == 1 else outputs

    def _key(self, op: Op, operands: Sequence[Any], attrs: dict[str, Any]) -> Any:
        """What the check of a call depends on: types of operands, attributes, the autocast region."""
        key: list[Any] = [op, self.autocast]
        for v in operands:
            if isinstance(v, TensorValue):
                type = v.type
                key += type.dtype, type.shape, v.number
            else:
                key.append(v.__class__)
        for name, attr in attrs.items():
            kind = attr.__class__
            key += name, kind, attr if kind is not float or attr else repr(attr)  # 0.0 equals -0.0
        return tuple(key)

    def _learn(self, key: Any, op: Op, operands: Sequence[Any], call: Call) -> None:
        target = None
        if self.autocast is not None and op.autocast:
            prepared = op.prepare(operands) if op.prepare is not None else operands
            target = autocast_target(op, [v.type for v in prepared], *self.autocast)
        prepares = op.prepare is not None and any(map(is_not, operands, call.inputs))
        casts = None
        if prepares and target is None and all(v.dtype.kind != "int" for v in call.inputs):
            casts = tuple([v.dtype for v in call.inputs])
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[key] = Known(call.types, call.attrs, target, prepares, casts)

    def _known_call(self, op: Op, operands: Sequence[Any], known: Known) -> Call:
        if known.casts is not None:
            operands = [as_type(v, dtype) for v, dtype in zip(operands, known.casts, strict=True)]
        elif known.prepares:
            operands = op.prepare(operands)  # type: ignore[misc]
        if known.target is not None:
            operands, _ = self.cast_for(op, operands, known.attrs, known.target)
        return Call(op, tuple(operands), known.types, known.attrs)

    def emit(self, call: Call) -> tuple[TensorValue, ...]:
        op = call.op
        inputs: tuple[Any, ...] = call.inputs  # of TensorValues, as all that this builder meets and makes
        records = False
        if self.grad_enabled and op.differentiable:
            for value in inputs:
                if value.requires_grad:
                    records = True
                    break
        if records and op.vjp is None and op.expand is not None:
            result = op.expand(o, *inputs, **call.attrs)
            results = result if isinstance(result, tuple) else (result,)
            lay_out(call, results)
            return results
        if op.reference is not None and call.body is None:
            types = call.types
            arrays = evaluate(op, [v.data for v in inputs], types, call.attrs)
            if not records:
                outputs: tuple[TensorValue, ...] = tuple([TensorValue(t, "", None, a) for t, a in zip(types, arrays)])
                lay_out(call, outputs)
                return outputs
        else:
            outputs = self._expanded(call)
            if not records:
                lay_out(call, outputs)
                return outputs
            arrays = tuple([v.data for v in outputs])
        node = Taped(call)
        if Anomalies.on:
            node.loc = user_location()
        lay_out(call, node.outputs)
        for value, array in zip(node.outputs, arrays, strict=True):
            value.data = array
            value.requires_grad = value.type.dtype.is_floating_point
        return node.outputs

    def _expanded(self, call: Call) -> tuple[Any, ...]:
        """The results, without history, and without autocast for the ops inside an expansion."""
        saved = self.grad_enabled, self.autocast
        self.grad_enabled, self.autocast = False, None
        try:
            return super().emit(call)
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
