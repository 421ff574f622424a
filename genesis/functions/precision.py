"""The precision of formulas that autocast leaves in float32."""

from __future__ import annotations

from compiler.ir.op import castable
from compiler.ir.types import f32
from genesis.context import session
from genesis.functions.pointwise import cast
from genesis.tensor import Tensor


def full_precision(*tensors: Tensor) -> tuple[Tensor, ...]:
    """In an autocast region: the 16-bit floats among ``tensors`` as float32."""
    if session().autocast is None:
        return tensors
    return tuple(cast(t, f32) if castable(t.dtype) else t for t in tensors)
