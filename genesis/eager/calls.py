"""Ops that run at once, and the history that a backward pass walks back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from compiler.errors import OpError
from compiler.evaluate import evaluate
from compiler.interpret import Evaluator
from compiler.ir import ambient
from compiler.ir.builder import Call
from compiler.ir.graph import Node, Value
from compiler.ir.location import Loc, user_location
from compiler.ir.op import Op, autocast_target, castable, o
from compiler.ir.types import DType, TensorType
from genesis.anomaly import Anomalies
from genesis.eager.known import MOST, Known, all_key, key_of, loop_key, piece_of_all, values_of
from genesis.eager.pieces import Piece
from genesis.memory.cells import Cell, Hook
from genesis.memory.clock import Clock
from genesis.memory.strides import Strides, lay_out, show
from genesis.memory.values import TensorValue, held


class Taped(Node):
    """A node of the eager history.

    ``times``: of the inputs that compiled programs overwrite, the clock and what it said. ``ages``: how old the cells
    were that a compiled call needs for its gradient. ``hooks``: by output, those that see its gradient; None as long as
    there are none. ``known``: the record of calls like it, None if its gradient is the user's.
    """

    __slots__ = ("ages", "hooks", "known", "times")
    makes = TensorValue
    inputs: tuple[TensorValue, ...]
    outputs: tuple[TensorValue, ...]

    def __init__(self, call: Call, known: Known | None = None) -> None:
        super().__init__(*call)
        self.known = known
        self.ages: list[tuple[Cell, tuple[int, int]]] = []
        self.times: dict[TensorValue, tuple[Clock, int]] = {}
        for value in self.inputs:
            cell = value.place() if value.place is not None else None
            if cell is not None and cell.clock is not None:
                self.times[value] = cell.clock, cell.clock.time
        self.hooks: dict[Value, dict[float, Hook]] | None = None


_KNOWN: dict[Any, Known] = {}
"""The knowledge of calls, by their keys; for all threads."""


def _learnt(key: Any, known: Known) -> Known:
    if len(_KNOWN) >= MOST:  # numbers that are new at every step are to cost no program
        for old in [k for k, v in list(_KNOWN.items()) if not v.has_pieces]:
            _KNOWN.pop(old, None)
        if len(_KNOWN) > MOST // 2:
            _KNOWN.clear()
    return _KNOWN.setdefault(key, known)


_PIECES: dict[Any, Piece] = {}
"""Pieces of several calls, by their keys; for all threads."""


def call_all(op: Op, calls: Sequence[tuple[Sequence[Any], dict[str, Any]]]) -> list[tuple[Any, ...]]:
    """The results of a composite for several operands with their attributes: at once, as one piece, if ops run at once.

    No history is kept of it.
    """
    builder = ambient.builder()
    if isinstance(builder, EagerBuilder) and not builder.grad_enabled and builder.autocast is None:
        return builder.call_all(op, calls)
    return [op.many(*operands, **attrs) for operands, attrs in calls]


class _Shown(NamedTuple):
    """The record of a view op on a layout: its checked call, and how the result stands in memory."""

    known: Known | None
    type: TensorType
    attrs: dict[str, Any]
    strides: Strides | None


_SHOWN: dict[Any, _Shown] = {}
"""The knowledge of views, by their keys; for all threads."""


def _loop_known(call: Call) -> Known:
    key = loop_key(call)
    return _KNOWN.get(key) or _learnt(key, Known(call, call.inputs, None))


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

    def call(self, op: Op, operands: Sequence[Any], attrs: dict[str, Any]) -> Any:
        outputs = self.emit(*self._known_call(op, operands, attrs))
        return outputs[0] if len(outputs) == 1 else outputs

    def _known_call(self, op: Op, operands: Sequence[Any], attrs: dict[str, Any]) -> tuple[Call, Known | None]:
        """The call, checked, and the record of calls like it."""
        key = key_of(op, operands, attrs, self.autocast)
        try:
            known = _KNOWN.get(key)
        except TypeError:  # an attribute that is no key, such as a list
            return self.checked(op, operands, attrs), None
        if known is None:
            call = self.checked(op, operands, attrs)
            return call, _learnt(key, Known(call, operands, self._target(op, operands)))
        try:
            inputs = known.prepared(op, operands)
        except OpError as error:
            raise self.explain(op, operands, error) from None
        if known.target is not None:
            inputs, _ = self.cast_for(op, inputs, known.attrs, known.target)
        return Call(op, tuple(inputs), known.types, known.attrs), known

    def _target(self, op: Op, operands: Sequence[Any]) -> DType | None:
        """The type that autocast brings the operands to."""
        if self.autocast is None or not op.autocast:
            return None
        prepared = op.prepare(operands) if op.prepare is not None else operands
        return autocast_target(op, [v.type for v in prepared], *self.autocast)

    def emit(self, call: Call, known: Known | None = None) -> tuple[TensorValue, ...]:
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
        if call.body is not None:
            known = _loop_known(call)
        if op.reference is not None and call.body is None and (known is None or not known.is_piece):
            types = call.types
            arrays: Sequence[np.ndarray] = evaluate(op, [v.data for v in inputs], types, call.attrs)
            if not records:
                outputs: tuple[TensorValue, ...] = tuple([TensorValue(t, "", None, a) for t, a in zip(types, arrays)])
                lay_out(call, outputs)
                return outputs
        else:
            outputs = self._computed(call, known)
            if not records:
                lay_out(call, outputs)
                return outputs
            arrays = [v.data for v in outputs]
        node = Taped(call, known)
        if Anomalies.on:
            node.loc = user_location()
        lay_out(call, node.outputs)
        for value, array in zip(node.outputs, arrays, strict=True):
            value.data = array
            value.requires_grad = value.type.dtype.is_floating_point
        return node.outputs

    def view(self, op: Any, operands: Sequence[Any], attrs: dict[str, Any], value: TensorValue) -> TensorValue:
        """The result of a view op on ``value``, with its operands besides: with its strides."""
        type = value.type
        key = op, type.dtype, type.shape, value.strides, *attrs.items()
        try:
            shown = _SHOWN.get(key)
        except TypeError:  # an attribute that is no key, such as a list
            shown, key = None, ()
        if shown is None or operands:
            return self._new_view(op, operands, attrs, value, key)
        if self.grad_enabled and value.requires_grad:
            (made,) = self.emit(Call(op, (value,), (shown.type,), shown.attrs), shown.known)
        else:
            made = TensorValue(shown.type, "", None, op.reference(value.data, **shown.attrs))
        made.strides = shown.strides
        return made

    def _new_view(
        self, op: Any, operands: Sequence[Any], attrs: dict[str, Any], value: TensorValue, key: tuple[Any, ...]
    ) -> TensorValue:
        """:meth:`view`, checked; what is found is kept for calls with the same key."""
        made = show(op, operands, attrs, value)
        if key and not operands and isinstance(op, Op) and op.kind == "view":
            if len(_SHOWN) >= MOST:
                _SHOWN.clear()
            call, known = self._known_call(op, [value], attrs)
            _SHOWN[key] = _Shown(known, call.types[0], call.attrs, made.strides)
        return made

    def _computed(self, call: Call, known: Known | None) -> tuple[Any, ...]:
        """The results of a piece, without history, and without autocast for the ops inside an expansion."""
        piece = known.piece() if known is not None else None
        if piece is not None:
            return values_of(piece([v.data for v in call.inputs]), call.types, call.inputs)  # type: ignore[attr-defined]
        saved = self.grad_enabled, self.autocast
        self.grad_enabled, self.autocast = False, None
        try:
            return super().emit(call)
        finally:
            self.grad_enabled, self.autocast = saved

    def call_all(self, op: Op, calls: Sequence[tuple[Sequence[Any], dict[str, Any]]]) -> list[tuple[TensorValue, ...]]:
        """The results of a composite for several operands with their attributes, without history, as one piece."""
        checked = [self._known_call(op, operands, attrs)[0] for operands, attrs in calls]
        values = tuple(dict.fromkeys(v for call in checked for v in call.inputs))
        key = all_key(checked, values)
        piece = _PIECES.get(key)
        if piece is None:
            if len(_PIECES) >= MOST:
                _PIECES.clear()
            piece = _PIECES.setdefault(key, piece_of_all(checked, values))
        types = [t for call in checked for t in call.types]
        results = iter(values_of(piece([v.data for v in values]), types, values))  # type: ignore[attr-defined]
        return [tuple(islice(results, len(call.types))) for call in checked]

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
