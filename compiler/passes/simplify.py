"""Local rewrites that leave every rounding as it was."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from compiler.evaluate import evaluate
from compiler.ir.builder import Call, GraphBuilder
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import o
from compiler.ir.replay import rewrite
from compiler.ir.types import DType, f32, f64
from compiler.ops.layout import slice_length
from compiler.ops.structure import is_constant, made_by

Rule = Callable[[Node, tuple[Value, ...]], "Value | None"]


def simplify(graph: Graph) -> Graph:
    """Apply the table of rules below to every node once, producers first.

    before::

        %0: f32[8,4] = cast(%x) {to=f32}          # %x is f32 already
        %1: f32[32] = reshape(%0) {shape=(32,)}
        %2: f32[4,8] = reshape(%1) {shape=(4,8)}
        %3: f32[4,8] = mul(%2, %one)

    after::

        %0: f32[4,8] = reshape(%x) {shape=(4,8)}
    """

    def rule(node: Node, inputs: tuple[Value, ...]) -> tuple[Value] | None:
        found = _simpler(node, inputs)
        return None if found is None else (found,)

    return rewrite(graph, rule, _Simplifying())


class _Simplifying(GraphBuilder):
    """Simplifies what the rules record in turn."""

    def emit(self, call: Call) -> tuple[Value, ...]:
        found = _simpler(Node(call.op, call.inputs, call.types, call.attrs), call.inputs)
        return super().emit(call) if found is None else (found,)


def _simpler(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """A simpler value for the only output of ``node`` on ``inputs``, by the first rule that has one."""
    if len(node.outputs) != 1:
        return None
    if not node.output.type.size:
        return _filled(node, 0)
    for rule in _RULES.get(node.op.name, ()):
        found = rule(node, inputs)
        if found is not None:
            return found
    return _fold(node, inputs)


def _fold(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """Arithmetic on rank-0 constants, done now by the op's own reference."""
    if node.op.kind != "pointwise" or not inputs or node.output.type.rank or node.op.checks:
        return None
    if not all(is_constant(v) for v in inputs):
        return None
    arrays = [np.asarray(v.producer.attrs["value"], v.dtype.numpy) for v in inputs]  # type: ignore[union-attr]
    (result,) = evaluate(node.op, arrays, [node.output.type], node.attrs)
    return o.constant(value=result.item(), dtype=node.output.dtype)


def _filled(node: Node, number: float) -> Value | None:
    """``number`` everywhere: tensors without elements, and results made of no elements."""
    if not node.inputs or node.op.name == "expand":
        return None
    return o.expand(o.constant(value=number, dtype=node.output.dtype), shape=node.output.shape)


def _of_nothing(number: float) -> Rule:
    """A reduction or a product over a dimension of size 0."""
    return lambda node, inputs: _filled(node, number) if not all(v.type.size for v in inputs) else None


def _view_of_number(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """A view of one number everywhere."""
    number = _bare(inputs[0])
    return o.expand(number, shape=node.output.shape) if is_constant(number) else None


def _same_type_cast(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    return inputs[0] if inputs[0].dtype is node.attrs["to"] else None


def _holds(narrow: DType, wide: DType) -> bool:
    """Whether every ``narrow`` is exactly a ``wide``."""
    return (narrow.is_half and wide in (f32, f64)) or (narrow is f32 and wide is f64)


def _cast_there_and_back(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """``cast(cast(x))`` through a type that holds x exactly."""
    inner = made_by(inputs[0], "cast")
    if inner is None or not _holds(inner.inputs[0].dtype, inner.output.dtype):
        return None
    start = inner.inputs[0]
    return start if start.dtype is node.attrs["to"] else o.cast(start, to=node.attrs["to"])


def _no_op_view(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    if node.op.keeps == "elements":
        return inputs[0] if list(node.attrs["dims"]) == sorted(node.attrs["dims"]) else None
    return inputs[0] if inputs[0].type == node.output.type and node.op.name != "slice" else None


def _whole_slice(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    forward = all(s == 1 or n == 1 for s, n in zip(node.attrs["step"], inputs[0].shape, strict=True))
    return inputs[0] if inputs[0].type == node.output.type and forward else None


def _reshape_twice(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    inner = made_by(inputs[0], "reshape")
    return None if inner is None else o.reshape(inner.inputs[0], shape=node.attrs["shape"])


def _permute_twice(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    inner = made_by(inputs[0], "permute")
    if inner is None:
        return None
    return o.permute(inner.inputs[0], dims=tuple(inner.attrs["dims"][d] for d in node.attrs["dims"]))


def _permute_of_ones(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """A permutation that moves only dimensions of size 1 is a reshape."""
    shape = inputs[0].shape
    moved = [d for d in node.attrs["dims"] if shape[d] != 1]
    return o.reshape(inputs[0], shape=node.output.shape) if moved == sorted(moved) else None


def _expand_twice(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    inner = made_by(inputs[0], "expand")
    return None if inner is None else o.expand(inner.inputs[0], shape=node.attrs["shape"])


def _neutral(number: float, positions: tuple[int, ...]) -> Rule:
    """``op(x, number) = x`` where the shape does not change."""

    def rule(node: Node, inputs: tuple[Value, ...]) -> Value | None:
        for p in positions:
            if is_constant(inputs[p], number) and inputs[1 - p].type == node.output.type:
                return inputs[1 - p]
        return None

    return rule


def _bare(value: Value) -> Value:
    """A scalar constant behind an ``expand``: pointwise ops broadcast by themselves."""
    spread = made_by(value, "expand")
    return spread.inputs[0] if spread is not None and is_constant(spread.inputs[0]) else value


def _unspread(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """Take constants in front of their ``expand``, unless that would change the result's shape."""
    bare = [_bare(v) for v in inputs]
    if all(a is b for a, b in zip(bare, inputs, strict=True)):
        return None
    if not any(v.shape == node.output.shape for v in bare):
        return None
    return node.op(*bare, **node.attrs)


def _square(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    return o.mul(inputs[0], inputs[0]) if is_constant(inputs[1], 2) and inputs[0].dtype.kind == "float" else None


def _no_axes(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """A reduction over nothing, or over dimensions of size 1 only."""
    x = inputs[0]
    if any(x.shape[a] != 1 for a in node.attrs["axes"]):
        return None
    return o.reshape(x, shape=node.output.shape) if x.dtype is node.output.dtype else None


def _is_zero(value: Value) -> bool:
    return is_constant(_bare(value), 0)


def _pieces(value: Value) -> list[Node] | None:
    """The ``slice_scatter`` into zeros that ``value`` is a sum of."""
    scatter = made_by(value, "slice_scatter")
    if scatter is not None:
        return [scatter] if _is_zero(scatter.inputs[0]) else None
    total = made_by(value, "add")
    return None if total is None else _pieces_of_sum(*total.inputs)


def _pieces_of_sum(left: Value, right: Value) -> list[Node] | None:
    """The right one first: a long sum grows to the left."""
    last = _pieces(right)
    first = None if last is None else _pieces(left)
    return None if first is None or last is None else first + last


def _fewer_parts(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """A concatenation without its empty parts."""
    parts = [v for v in inputs if v.type.size]
    if len(parts) == 1:
        return parts[0]
    return o.concat(*parts, axis=node.attrs["axis"]) if len(parts) < len(inputs) else None


def _whole_part(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """A part written over everything, or one without elements."""
    base, part = inputs
    if not part.type.size:
        return base
    forward = all(s == 1 or n == 1 for s, n in zip(node.attrs["step"], base.shape, strict=True))
    return part if part.type == base.type and forward else None


def _scatter_wide(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """16-bit values are added up in f32 and rounded once, as the record says."""
    if not inputs[-1].type.size:
        return inputs[0] if len(inputs) == 3 else _filled(node, 0)
    dtype = node.output.dtype
    if not dtype.is_half or not node.op.join:
        return None
    wide = [o.cast(v, to=f32) if v.dtype is dtype else v for v in inputs]
    return o.cast(node.op(*wide, **node.attrs), to=dtype)


def _sum_of_pieces(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """Gradients of slices that tile one axis, added up, are a concatenation."""
    pieces = _pieces_of_sum(*inputs)
    if pieces is None:
        return None
    shape = node.output.shape
    axes = {a for p in pieces for a, n in enumerate(shape) if p.inputs[1].shape[a] != n}
    if len(axes) != 1 or any(s != 1 for p in pieces for s in p.attrs["step"]):
        return None
    (axis,) = axes
    pieces.sort(key=lambda p: p.attrs["start"][axis])
    position = 0
    for piece in pieces:
        if piece.attrs["start"][axis] != position:
            return None
        position += slice_length(piece.attrs["start"][axis], piece.attrs["stop"][axis], 1)
    return o.concat(*(p.inputs[1] for p in pieces), axis=axis) if position == shape[axis] else None


_RULES: dict[str, tuple[Rule, ...]] = {
    "cast": (_same_type_cast, _cast_there_and_back),
    "reshape": (_no_op_view, _view_of_number, _reshape_twice),
    "permute": (_no_op_view, _view_of_number, _permute_of_ones, _permute_twice),
    "expand": (_no_op_view, _expand_twice),
    "slice": (_whole_slice, _view_of_number),
    "detach": (lambda node, inputs: inputs[0],),
    "mul": (_neutral(1, (0, 1)), _unspread),
    "div": (_neutral(1, (1,)), _unspread),
    "add": (_neutral(0, (0, 1)), _sum_of_pieces, _unspread),
    "sub": (_neutral(0, (1,)), _unspread),
    "where": (_unspread,),
    "maximum": (_unspread,),
    "minimum": (_unspread,),
    "pow": (_square,),
    "sum": (_of_nothing(0), _no_axes),
    "prod": (_of_nothing(1), _no_axes),
    "any": (_of_nothing(0),),
    "all": (_of_nothing(1),),
    "amax": (_no_axes,),
    "amin": (_no_axes,),
    "dot": (_of_nothing(0),),
    "concat": (_fewer_parts,),
    "slice_scatter": (_whole_part,),
    "scatter_rows": (_scatter_wide,),
    "scatter": (_scatter_wide,),
    "scatter_add": (_scatter_wide,),
    "scatter_prod": (_scatter_wide,),
    "scatter_amax": (_scatter_wide,),
    "scatter_amin": (_scatter_wide,),
}
