"""Windows along one dimension."""

from __future__ import annotations

from compiler.errors import OpError
from compiler.ir.op import o
from compiler.ops.reduce import normalize_axis
from genesis.functions.table import method_only
from genesis.tensor import Tensor, wrap


@method_only
def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """The windows of ``size`` along ``dimension``, ``step`` apart; the elements of a window are the last dimension.

    A copy: writing into the result does not change ``input``.
    """
    if step <= 0:
        raise OpError(f"step is {step} but must be > 0")
    if size < 0:
        raise OpError(f"size is {size} but must be >= 0")
    x = input.value if input.ndim else o.reshape(input.value, shape=(1,))
    rank = x.type.rank
    axis = normalize_axis(dimension, rank)
    n = x.shape[axis]
    if size > n:
        raise OpError(f"maximum size for tensor at dimension {dimension} is {n} but size is {size}")
    places = (n - size) // step + 1
    moved = o.permute(x, dims=(*(a for a in range(rank) if a != axis), axis))
    lead = moved.shape[:-1]
    spread = o.expand(o.reshape(moved, shape=(*lead, 1, n)), shape=(*lead, size, n))
    seen = o.slide(spread, size=(places,), stride=(step,), dilation=(1,), padding=(0,), base=(1,))
    kept = list(range(rank - 1))
    result = o.permute(seen, dims=(*kept[:axis], rank, *kept[axis:], rank - 1))
    return wrap(result if input.ndim else o.reshape(result, shape=(size,)))
