"""Windows along one dimension."""

from __future__ import annotations

from compiler.errors import OpError
from compiler.ops.reduce import normalize_axis
from genesis.functions.shapes import reshape
from genesis.functions.table import method_only
from genesis.memory.windows import windows_of
from genesis.tensor import Tensor


@method_only
def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """The windows of ``size`` along ``dimension``, ``step`` apart; the elements of a window are the last dimension.

    A view; one cannot write where windows overlap.
    """
    if step <= 0:
        raise OpError(f"step is {step} but must be > 0")
    if size < 0:
        raise OpError(f"size is {size} but must be >= 0")
    x = input if input.ndim else reshape(input, 1)
    axis = normalize_axis(dimension, x.ndim)
    n = x.shape[axis]
    if size > n:
        raise OpError(f"maximum size for tensor at dimension {dimension} is {n} but size is {size}")
    seen = x.view_as_op(windows_of, axis=axis, size=size, step=step)
    return seen if input.ndim else reshape(seen, size)
