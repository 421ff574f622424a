"""The abilities of the Triton kernels, and which composites stay whole for them: those that a template computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from compiler.codegen.triton import attention, convolution
from compiler.features import Features
from compiler.ir.graph import Value
from compiler.ir.op import Op
from compiler.processors import product_rates


def claims(op: Op, inputs: Sequence[Value], attrs: dict[str, Any]) -> bool:
    """Whether Triton has a kernel for ``op`` on these inputs: attention and convolutions, each within its limits."""
    if op.anchor == "convolution":
        return convolution.claims(inputs, attrs, op.gradient)
    return attention.claims(op, inputs, attrs)


FEATURES = Features(
    claims,
    product_sums=True,
    product_tests=True,
    product_rates=product_rates(),
    keeps_operands=True,
    row_sums=True,
    packed_sums=True,
    few_launches=True,
    ordered=True,
)
