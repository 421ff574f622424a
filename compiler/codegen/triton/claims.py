"""Which composites stay whole for Triton: those that a template of its own computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from compiler.codegen.triton import attention, convolution
from compiler.ir.graph import Value
from compiler.ir.op import Op


def claims(op: Op, inputs: Sequence[Value], attrs: dict[str, Any]) -> bool:
    """Whether Triton has a kernel for ``op`` on these inputs: attention and convolutions, each within its limits."""
    if op.anchor == "convolution":
        return convolution.claims(inputs, attrs, op.gradient)
    return attention.claims(op, inputs, attrs)
