"""Sums, means and maxima of rows of a table over bags of indices."""

from __future__ import annotations

from math import inf

from compiler.errors import ChoiceError, InvariantError, OpError, UnsupportedError
from compiler.ir.op import o
from compiler.ir.types import i64
from compiler.ops.layout import slice_along
from genesis.functions.embeddings import embedding
from genesis.functions.table import functional_only
from genesis.tensor import Tensor, wrap


def _bag_starts(offsets: Tensor, count: int) -> Tensor:
    """For each of ``count`` indices the number of its bag: how many bags begin at or before it, less one."""
    bags = offsets.shape[0]
    begun = o.le(o.reshape(offsets.value, shape=(1, bags)), o.iota(shape=(count, 1), axis=0))
    return wrap(o.sub(o.sum(o.cast(begun, to=i64), axes=(1,)), 1))


@functional_only
def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Sums, means or maxima of the rows of ``weight [rows, dim]`` over bags of indices: ``[bags, dim]``.

    ``input [bags, n]`` has a bag in each row; ``input [count]`` has them one behind the other, and ``offsets [bags]``
    says where each begins (``include_last_offset``: and where the last one ends). An empty bag gives zeros.
    ``per_sample_weights``, of the shape of ``input``, is for sums. Indices ``padding_idx`` count nowhere.
    """
    if weight.ndim != 2:
        raise OpError(f"embedding_bag takes a matrix [rows, dim] of weights, not {weight._type}")
    if sparse:
        raise UnsupportedError("embedding_bag with sparse gradients")
    if mode not in ("sum", "mean", "max"):
        raise ChoiceError("mode has to be one of sum, mean or max")
    if per_sample_weights is not None:
        if mode != "sum":
            raise UnsupportedError(
                f"embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' "
                f"(got mode='{mode}')"
            )
        if per_sample_weights.shape != input.shape:
            raise ChoiceError(
                f"embedding_bag: If per_sample_weights ({list(per_sample_weights.shape)}) is not None, then it must "
                f"have the same shape as the input ({list(input.shape)})"
            )
    if input.ndim not in (1, 2):
        raise ChoiceError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}")
    if (input.ndim == 2) != (offsets is None):
        raise ChoiceError(
            "if input is 2D, then offsets has to be None, as input is treated as a mini-batch of fixed length "
            "sequences; if it is 1D, offsets has to be a 1D Tensor"
        )
    rows, width = weight.shape
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise InvariantError("padding_idx must be within the number of embeddings")
    if scale_grad_by_freq and mode == "max":
        raise ChoiceError("max mode does not support scaling the gradient by the frequency")
    found = embedding(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq)
    counts = o.ones(shape=tuple(input.shape), dtype="bool")
    if padding_idx is not None:
        counts = o.ne(input.value, padding_idx % rows)
    if offsets is None:
        bags, number = input.shape[0], o.iota(shape=tuple(input.shape), axis=0)
    else:
        if offsets.ndim != 1:
            raise ChoiceError("offsets has to be a 1D Tensor")
        bags = offsets.shape[0] - int(include_last_offset)
        starts = wrap(slice_along(o, offsets.value, 0, 0, bags))
        number = o.bounded(_bag_starts(starts, input.shape[0]).value, size=bags, what="bag of an index")
    total = input.numel()
    values, flags = o.reshape(found.value, shape=(total, width)), o.reshape(counts, shape=(total, 1))
    if per_sample_weights is not None:
        values = o.mul(values, o.reshape(per_sample_weights.value, shape=(total, 1)))
    number = o.reshape(number, shape=(total,))
    if mode == "max":
        place = o.iota(shape=(bags, 1), axis=0)
        member = o.logical_and(o.eq(o.reshape(number, shape=(1, total)), place), o.reshape(counts, shape=(1, total)))
        seen = o.where(o.reshape(member, shape=(bags, total, 1)), o.reshape(values, shape=(1, total, width)), -inf)
        best = o.gather(values, o.argmax(seen, axes=(1,)), axis=0)
        return wrap(o.where(o.any(member, axes=(1,), keepdim=True), best, 0))
    sums = o.scatter_rows(number, o.where(flags, values, 0), rows=bags)
    if mode == "sum":
        return wrap(sums)
    sizes = o.scatter_rows(number, o.cast(o.reshape(flags, shape=(total,)), to=weight.dtype), rows=bags)
    return wrap(o.div(sums, o.reshape(o.maximum(sizes, 1), shape=(bags, 1))))
