"""Builders turn op calls into nodes. :class:`GraphBuilder` appends them to a list; the eager builder also evaluates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from compiler.errors import OpError
from compiler.ir.graph import Attrs, Graph, Node, Value
from compiler.ir.location import UNKNOWN, Loc, Phase
from compiler.ir.op import OPS, Op, autocast_target
from compiler.ir.types import DType, TensorType


class Call(NamedTuple):
    """A checked call of an op, to make a node of. ``types`` are the types of its outputs."""

    op: Op
    inputs: tuple[Value, ...]
    types: tuple[TensorType, ...]
    attrs: Attrs
    body: Graph | None = None


class Builder:
    """Checks a call against the op's record and emits a node.

    ``autocast`` is ``(low dtype, device)`` inside a mixed-precision region and None outside.
    """

    def __init__(self) -> None:
        self.autocast: tuple[DType, str] | None = None

    def call(self, op: Op, operands: Sequence[Any], attrs: dict[str, Any]) -> Any:
        outputs = self.emit(self.checked(op, operands, attrs))
        return outputs[0] if len(outputs) == 1 else outputs

    def checked(self, op: Op, operands: Sequence[Any], attrs: dict[str, Any]) -> Call:
        """The call with operands prepared, attributes complete, types inferred. Raises OpError where it cannot be."""
        try:
            full = op.complete(attrs)
            op.check_operands(len(operands))
            if op.prepare is not None:
                operands = op.prepare(operands)
            if self.autocast is not None and op.autocast:
                target = autocast_target(op, [v.type for v in operands], *self.autocast)
                if target is not None:
                    operands, full = self.cast_for(op, operands, full, target)
            types = op.result_types([v.type for v in operands], full)
        except OpError as error:
            raise self.explain(op, operands, error) from None
        return Call(op, tuple(operands), types, full)

    def explain(self, op: Op, operands: Sequence[Any], error: OpError) -> OpError:
        """``error`` with the call and the user's line."""
        shown = ", ".join(str(v.type) if isinstance(v, Value) else repr(v) for v in operands)
        return type(error)(f"{op.name}({shown}): {error}\n  at {self.location()}")

    def cast_for(
        self, op: Op, operands: Sequence[Value], attrs: dict[str, Any], target: DType
    ) -> tuple[Sequence[Value], dict[str, Any]]:
        """How an autocast decision is recorded: here as the attribute that the ``autocast`` pass turns into casts."""
        return operands, {**attrs, "autocast": target}

    def location(self) -> Loc:
        return UNKNOWN

    def emit(self, call: Call) -> tuple[Value, ...]:
        """The values of a call: how builders differ."""
        raise NotImplementedError


class GraphBuilder(Builder):
    """Appends nodes to ``nodes``, of the class ``makes``, with the location ``loc`` and the phase ``phase``."""

    makes: ClassVar[type[Node]] = Node

    def __init__(self, loc: Loc = UNKNOWN) -> None:
        super().__init__()
        self.nodes: list[Node] = []
        self.loc = loc
        self.phase: Phase = "forward"

    def at(self, node: Node, note: str = "", phase: Phase | None = None) -> None:
        """Let the ops recorded next stand for ``node``: at its place, with the note of a pass, and in its phase."""
        self.loc = node.loc.noted(note) if note else node.loc
        self.phase = phase or node.phase

    def location(self) -> Loc:
        return self.loc

    def emit(self, call: Call) -> tuple[Value, ...]:
        return self.add(
            self.makes(call.op, call.inputs, call.types, call.attrs, call.body, self.location(), self.phase)
        )

    def add(self, node: Node) -> tuple[Value, ...]:
        """Append a node that is made already; its outputs."""
        self.nodes.append(node)
        return node.outputs


def constant(value: float | int | bool, dtype: DType) -> Value:
    """A rank-0 constant, recorded with the ambient builder."""
    return OPS["constant"](value=value, dtype=dtype)
