"""Constants and the ops that hold a program together: ``detach``, ``reload``, ``grad``, ``fused``.

``reload`` is its operand read back from memory: its readers run in later kernels than the operand's maker.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from compiler.errors import OpError
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import REQUIRED, Op, register
from compiler.ir.types import TensorType

register(
    Op(
        "constant",
        lambda value, dtype: TensorType(dtype, ()),
        "pointwise",
        lambda value, dtype: np.asarray(value, dtype.numpy),
        attrs={"value": REQUIRED, "dtype": REQUIRED},
        differentiable=False,
        raw=True,
    )
)

register(Op("detach", lambda x: x, "view", lambda x: x, differentiable=False, raw=True, keeps="order"))
register(Op("reload", lambda x: x, "view", lambda x: x, differentiable=False, raw=True, reads="memory"))


def _infer_grad(loss: TensorType, *rest: TensorType, seed: bool) -> tuple[TensorType, ...]:
    wrt = rest[1:] if seed else rest
    if not seed and loss.size != 1:
        raise OpError(
            f"grad can be implicitly created only for scalar outputs; the output has shape {list(loss.shape)}. "
            "Reduce it (.mean(), .sum()) or pass gradient="
        )
    if seed and rest[0] != loss:
        raise OpError(f"gradient= has type {rest[0]}, the output {loss}")
    for t in (loss, *wrt):
        if not t.dtype.is_floating_point:
            raise OpError(f"only floating tensors have gradients, not {t}")
    return wrt


register(Op("grad", _infer_grad, "grad", attrs={"seed": False}, differentiable=False))


def _fused_infer(*types: TensorType, kind: str, **attrs: Any) -> tuple[TensorType, ...]:
    raise OpError("the results of a fused node are the results of its body")


def _fused_types(types: Sequence[TensorType], body: Graph, attrs: dict[str, Any]) -> tuple[TensorType, ...]:
    for name in ("rows", "columns", "table"):
        number = attrs.get(name, 0)
        if type(number) is not int or number < 0:
            raise OpError(f"{name} of a fused node must be an integer from 0 on, not {number!r}")
    if any(n.op.is_structure for n in body.nodes):
        raise OpError("the body of a fused node holds a loop, a gradient or another fused node")
    if [v.type for v in body.inputs()] != list(types):
        raise OpError("the body's inputs have other types than the node's")
    return tuple([v.type for v in body.outputs])


register(
    Op(
        "fused",
        _fused_infer,
        "fused",
        attrs={"kind": REQUIRED, "rows": 0, "columns": 0, "table": 0},
        differentiable=False,
        infer_body=_fused_types,
    )
)


def made_by(value: Value, *ops: str) -> Node | None:
    """The node that makes ``value``, if it is one of ``ops``."""
    node = value.producer
    return node if node is not None and node.op.name in ops else None


def is_constant(value: Value, number: float | None = None) -> bool:
    """Whether ``value`` is a recorded constant (equal to ``number``, when given)."""
    node = made_by(value, "constant")
    return node is not None and (number is None or bool(node.attrs["value"] == number))
