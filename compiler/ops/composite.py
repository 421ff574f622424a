"""Composites: ops that are defined by an expansion into others.

They stay whole in the traced IR, so that it reads like the user's program and autocast decides on the op the user
wrote; ``expand`` breaks them up. Every expansion computes in f32 for 16-bit inputs and rounds once, at its end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compiler.errors import OpError
from compiler.ir.graph import Value
from compiler.ir.op import Op, OpSet, register
from compiler.ir.types import TensorType, f32

FP32 = {"cpu": "fp32", "cuda": "fp32"}


def rounded(expansion: Callable[..., Any]) -> Callable[..., Any]:
    """An expansion of one result that computes 16-bit floats in f32 and rounds once, at its end."""

    def expand(o: OpSet, x: Value, *rest: Value, **attrs: Any) -> Value:
        wide = [o.cast(v, to=f32) if v.dtype.is_half else v for v in (x, *rest)]
        return o.cast(expansion(o, *wide, **attrs), to=x.dtype)

    return expand


def floating(x: TensorType, **_: Any) -> TensorType:
    """``x``; raises :class:`OpError` for integers and bools."""
    if x.dtype.kind != "float":
        raise OpError(f"the op is not defined for {x.dtype.name} tensors; convert with .float()")
    return x


def composite(name: str, expansion: Callable[..., Any], infer: Callable[..., Any] = floating, **options: Any) -> Op:
    """Register a composite of one result, of its operand's floating type unless ``infer`` says otherwise."""
    return register(Op(name, infer, "composite", expand=rounded(expansion), **options))
