"""Reverse-mode differentiation over a list of nodes: the one loop behind eager ``backward()`` and the autodiff pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from compiler.errors import AutogradError
from compiler.ir.graph import Node, Value
from compiler.ir.op import o
from compiler.ops.layout import sum_to_shape


def pull_back(
    nodes: Sequence[Node],
    adjoints: dict[Value, Value],
    wanted: Callable[[Value], bool],
    enter: Callable[[Node], None] | None = None,
) -> None:
    """Add to ``adjoints`` the gradient of every wanted value that the seeded adjoints reach through ``nodes``.

    ``nodes`` are in program order. A rule gives one gradient per input: a value, None, or a function called only when
    the input is wanted. Gradients of broadcast operands are summed back to the operand's shape.
    """
    for node in reversed(nodes):
        grads = [adjoints.get(v) for v in node.outputs]
        if all(g is None for g in grads) or not any(wanted(v) for v in node.inputs):
            continue
        if enter is not None:
            enter(node)
        if node.op.vjp is None:
            if node.op.differentiable:
                raise AutogradError(f"op {node.op.name!r} has no gradient rule\n  at {node.loc}")
            continue
        for value, g in zip(node.inputs, node.op.vjp(o, node, *grads), strict=True):
            if g is None or not wanted(value):
                continue
            g = sum_to_shape(o, g() if callable(g) else g, value.shape)
            earlier = adjoints.get(value)
            adjoints[value] = g if earlier is None else o.add(earlier, g)
