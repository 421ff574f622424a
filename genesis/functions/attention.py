"""Attention."""

from __future__ import annotations

from compiler.errors import OpError
from compiler.ir.op import o
from compiler.ir.types import boolean
from compiler.ops.elementwise import broadcast_shapes
from genesis.functions.creation import ones
from genesis.functions.dropouts import check_probability, dropout
from genesis.functions.pointwise import add, mul, where
from genesis.functions.products import matmul
from genesis.functions.reductions import softmax
from genesis.functions.shapes import expand, reshape, transpose, tril, unsqueeze
from genesis.functions.table import functional_only
from genesis.memory.strides import kept
from genesis.random import default_generator
from genesis.tensor import Tensor, wrap


@functional_only
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """``softmax(q kᵀ scale + mask) v`` for ``q [*, T, D]``, ``k [*, S, D]``, ``v [*, S, E]``; gives ``[*, T, E]``.

    A bool ``attn_mask`` is true where attention is allowed, a floating one is added; it broadcasts to ``[*, T, S]``.
    ``is_causal`` allows (of those) keys up to the query's own position. ``scale`` is ``1 / sqrt(D)`` by default.
    With ``enable_gqa`` each head of ``key`` and ``value`` (dimension -3) serves several heads of ``query``.
    """
    if attn_mask is not None and attn_mask.dtype is not boolean and not attn_mask.dtype.is_floating_point:
        raise OpError(
            "Expected attn_mask dtype to be bool or float or to match query dtype, "
            f"but got attn_mask.dtype: {attn_mask.dtype!r} and  query.dtype: {query.dtype!r} instead."
        )
    q, k, v = query.shape, key.shape, value.shape
    if min(len(q), len(k), len(v)) < 2:
        raise OpError("scaled_dot_product_attention takes at least 2-D tensors: query, key and value")
    check_probability(dropout_p)
    if enable_gqa:
        key, value = _repeat_heads(key, query.shape[-3]), _repeat_heads(value, query.shape[-3])
    if enable_gqa or not q[:-2] == k[:-2] == v[:-2]:
        batch = broadcast_shapes(*(x.shape[:-2] for x in (query, key, value)))
        same = [x if x.shape[:-2] == batch else expand(x, *batch, *x.shape[-2:]) for x in (query, key, value)]
        query, key, value = same
    if not k[-2]:  # nothing to attend to
        return matmul(matmul(query, transpose(key, -2, -1)), value)
    if attn_mask is not None and attn_mask.requires_grad:
        return _attention_with_trained_mask(query, key, value, attn_mask, dropout_p, is_causal, scale)
    rest = () if attn_mask is None else (attn_mask.value,)
    index = 0
    if dropout_p:
        seed, offset, index = default_generator.reserve()
        rest = (*rest, seed, offset)
    operands = query.value, key.value, value.value
    out, _ = o.scaled_dot_product_attention(
        *operands,
        *rest,
        scale=None if scale is None else float(scale),
        causal=is_causal,
        mask=attn_mask is not None,
        dropout=float(dropout_p),
        index=index,
    )
    result = wrap(out)
    if len(q) == 4 and not dropout_p and all(x.strides is None or x.strides[-1] == 1 for x in operands):
        result._cell.strides = kept(operands[0].shape, operands[0].strides)  # as PyTorch's flash attention
    return result


def _repeat_heads(x: Tensor, heads: int) -> Tensor:
    """``[*, G, S, D]`` as ``[*, heads, S, D]``, each head ``heads / G`` times in a row."""
    groups = x.shape[-3]
    if heads % groups:
        raise OpError(
            f"Number of heads in key and value must divide the number of heads in query, but got {groups} and {heads}"
        )
    repeated = expand(unsqueeze(x, -3), *x.shape[:-2], heads // groups, *x.shape[-2:])
    return reshape(repeated, *x.shape[:-3], heads, *x.shape[-2:])


def _attention_with_trained_mask(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor, dropout_p: float, is_causal: bool, scale: float | None
) -> Tensor:
    """The formula in single ops: the fused op has no gradient for its mask."""
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    scores = add(mul(matmul(query, transpose(key, -2, -1)), factor), mask)
    if is_causal:
        visible = tril(ones(query.shape[-2], key.shape[-2], dtype=boolean))
        scores = where(visible, scores, float("-inf"))
    return matmul(dropout(softmax(scores, -1), dropout_p), value)
