"""Look-ups in tables of vectors."""

from __future__ import annotations

from typing import Any

from compiler.errors import InvariantError, UnsupportedError
from compiler.ir.op import o
from compiler.ir.types import f32
from genesis.context import grad_mode
from genesis.custom import Function
from genesis.functions.gathering import gather
from genesis.functions.pointwise import add, cast, div, gt, logical_and, mul, where
from genesis.functions.reductions import norm
from genesis.functions.shapes import reshape, unsqueeze
from genesis.functions.table import functional_only
from genesis.tensor import Tensor, wrap


@functional_only
def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of ``weight [rows, dim]`` at the integers in ``input``; the row ``padding_idx`` gets no gradient.

    ``max_norm``: rows that are looked up and whose ``norm_type``-norm is larger are first scaled down to it, in
    ``weight`` itself. ``scale_grad_by_freq``: the gradient of a row is divided by how often ``input`` names it.
    """
    if sparse:
        raise UnsupportedError("embedding with sparse gradients")
    if padding_idx is not None:
        rows = weight.shape[0]
        if not -rows <= padding_idx < rows:
            raise InvariantError(f"Padding_idx must be within num_embeddings, here {rows}, not {padding_idx}")
        padding_idx %= rows
    if max_norm is not None:
        limit_rows(weight, input, max_norm, norm_type)
    found = wrap(o.embedding(weight.value, input.value, padding_idx=padding_idx))
    return by_frequency(found, input, weight.shape[0]) if scale_grad_by_freq else found


def _counts(places: Tensor, rows: int) -> Tensor:
    """How often ``places`` has each of ``rows`` numbers, f32 ``[rows]``."""
    flat = o.bounded(o.reshape(places.value, shape=(places.numel(),)), size=rows)
    ones = o.constant(value=1.0, dtype=f32)
    counted = o.scatter_add(o.zeros(shape=(rows,), dtype=f32), flat, o.expand(ones, shape=(places.numel(),)), axis=0)
    return wrap(counted)


def limit_rows(weight: Tensor, places: Tensor, max_norm: float, norm_type: float) -> None:
    """Scale rows of ``weight`` that ``places`` name down to ``max_norm``, in place, where their norm is larger."""
    with grad_mode(False):
        norms = norm(weight, norm_type, 1, True)
        named = unsqueeze(gt(_counts(places, weight.shape[0]), 0), 1)
        factor = where(logical_and(named, gt(norms, max_norm)), div(max_norm, add(norms, 1e-7)), 1.0)
        weight.write(mul(weight, cast(factor, weight.dtype)).value)


class _ByFrequency(Function):
    """The rows themselves; their gradient divided by how often each was looked up."""

    @staticmethod
    def forward(ctx: Any, found: Tensor, places: Tensor, rows: int) -> Tensor:
        counts = _counts(places, rows)
        ctx.save_for_backward(unsqueeze(gather(counts, 0, reshape(places, -1)).reshape(*places.shape), -1))
        return wrap(o.mul(found.value, 1))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (counts,) = ctx.saved_tensors
        return cast(div(g, counts), g.dtype), None, None


def by_frequency(found: Tensor, places: Tensor, rows: int) -> Tensor:
    """``found``, rows at ``places`` of a table of ``rows``, with gradients that are means and not sums."""
    result: Tensor = _ByFrequency.apply(found, places, rows)
    return result
