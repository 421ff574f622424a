"""Multi-head attention (Vaswani et al., "Attention is all you need", 2017)."""

from __future__ import annotations

from compiler.errors import InvariantError, OpError
from compiler.ir.op import o
from compiler.ir.types import DType, boolean
from genesis.functions.attention import scaled_dot_product_attention
from genesis.functions.creation import zeros
from genesis.functions.dropouts import dropout
from genesis.functions.padding import pad
from genesis.functions.pointwise import add, mul, where
from genesis.functions.products import linear, matmul
from genesis.functions.reductions import mean, softmax
from genesis.functions.shapes import cat, chunk, expand, flatten, reshape, split, transpose, unflatten, unsqueeze
from genesis.functions.table import functional_only
from genesis.tensor import Tensor, wrap

Weights = Tensor | tuple[Tensor, Tensor, Tensor]
"""The projections of query, key and value, in the rows of one matrix or each by itself."""


@functional_only
def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Attention of ``query [L, N, E]`` to ``key [S, N, *]`` with ``value [S, N, *]``, each projected, by heads.

    Gives ``[L, N, E]`` and, with ``need_weights``, the weights ``[N, L, S]``; without a batch there is no ``N``.
    ``static_k`` and ``static_v [N * num_heads, S, E / num_heads]`` stand in the place of projected keys and values.
    The masks are as for :class:`genesis.nn.MultiheadAttention`.
    """
    if query.shape[-1] != embed_dim_to_check:
        raise InvariantError(f"was expecting embedding dimension of {embed_dim_to_check}, but got {query.shape[-1]}")
    weights: tuple[Tensor | None, ...] = (in_proj_weight,)
    if use_separate_proj_weight:
        weights = (q_proj_weight, k_proj_weight, v_proj_weight)
    for weight in weights:
        if weight is None:
            raise InvariantError("use_separate_proj_weight is False but in_proj_weight is None, or the other way round")
    return multi_head(
        query,
        key,
        value,
        num_heads,
        weights if use_separate_proj_weight else in_proj_weight,  # type: ignore[arg-type]
        in_proj_bias,
        out_proj_weight,
        out_proj_bias,
        batch_first=False,
        extra=(bias_k, bias_v),
        zero=add_zero_attn,
        dropout_p=dropout_p if training else 0.0,
        key_padding_mask=key_padding_mask,
        need_weights=need_weights,
        attn_mask=attn_mask,
        average=average_attn_weights,
        causal=is_causal,
        static=(static_k, static_v),
    )


def multi_head(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    heads: int,
    weights: Weights,
    biases: Tensor | None,
    out_weight: Tensor,
    out_bias: Tensor | None,
    *,
    batch_first: bool,
    extra: tuple[Tensor | None, Tensor | None],
    zero: bool,
    dropout_p: float,
    key_padding_mask: Tensor | None,
    need_weights: bool,
    attn_mask: Tensor | None,
    average: bool,
    causal: bool,
    static: tuple[Tensor | None, Tensor | None] = (None, None),
) -> tuple[Tensor, Tensor | None]:
    """The common part of the function and the layer. ``extra``: one more key and value; ``zero``: one of zeros."""
    if causal and attn_mask is None:
        raise OpError("Need attn_mask if specifying the is_causal hint.")
    if {x.ndim for x in (query, key, value)} not in ({2}, {3}):
        raise InvariantError("query, key and value should be all 3-D (batched) or all 2-D")
    batched = query.ndim == 3
    swap = batched and not batch_first
    q, k, v = [_heads(x, heads, swap) for x in _projected(query, key, value, weights, biases)]
    k, v = [x if fixed is None else _fixed(x, fixed) for x, fixed in zip((k, v), static, strict=True)]
    length = k.shape[-2]
    k, v = [_longer(x, row, heads, zero) for x, row in zip((k, v), extra, strict=True)]
    added = k.shape[-2] - length
    causal = causal and key_padding_mask is None and not need_weights
    mask = None if causal else _mask(attn_mask, key_padding_mask, heads, q.dtype, added)
    found = None
    if need_weights:
        scores = matmul(mul(q, q.shape[-1] ** -0.5), transpose(k, -2, -1))
        found = dropout(softmax(scores if mask is None else add(scores, mask), -1), dropout_p)
        mixed = matmul(found, v)
    else:
        mixed = scaled_dot_product_attention(q, k, v, mask, dropout_p, causal)
    out = linear(flatten(transpose(mixed, -3, -2), -2), out_weight, out_bias)
    if batched:
        n, _, width = out.shape
        out._cell.strides = width, n * width, 1  # PyTorch computes with the time in front
    if found is not None and average:
        found = mean(found, -3)
    return (transpose(out, 0, 1) if swap else out), found


def _projected(
    query: Tensor, key: Tensor, value: Tensor, weights: Weights, biases: Tensor | None
) -> tuple[Tensor, ...]:
    """One product where the operands are the same."""
    if isinstance(weights, tuple):
        each = (None, None, None) if biases is None else chunk(biases, 3)
        return tuple(map(linear, (query, key, value), weights, each))
    if key is not value:
        return _projected(query, key, value, chunk(weights, 3), biases)  # type: ignore[arg-type]
    if query is key:
        return tuple(chunk(linear(query, weights, biases), 3, -1))
    size = query.shape[-1]
    sizes = [size, 2 * size]
    (first, rest), (bias, others) = split(weights, sizes), (None, None) if biases is None else split(biases, sizes)
    return (linear(query, first, bias), *chunk(linear(key, rest, others), 2, -1))


def _heads(x: Tensor, heads: int, swap: bool) -> Tensor:
    """``[L, E]``, ``[N, L, E]`` or (``swap``) ``[L, N, E]`` as ``[(N,) heads, L, E / heads]``."""
    return transpose(unflatten(transpose(x, 0, 1) if swap else x, -1, (heads, -1)), -3, -2)


def _fixed(x: Tensor, fixed: Tensor) -> Tensor:
    """``fixed [N * heads, S, E / heads]`` as the heads ``x``."""
    size = (x.shape[-3] * (x.shape[0] if x.ndim == 4 else 1), x.shape[-1])
    if fixed.ndim != 3 or (fixed.shape[0], fixed.shape[2]) != size:
        raise InvariantError(f"expecting static keys and values [{size[0]}, S, {size[1]}], but got {list(fixed.shape)}")
    return reshape(fixed, *x.shape[:-2], *fixed.shape[1:])


def _longer(x: Tensor, row: Tensor | None, heads: int, zero: bool) -> Tensor:
    """Keys or values ``[(N,) heads, S, D]`` with ``row [1, 1, E]`` behind them, and zeros."""
    if row is not None:
        last = _heads(reshape(row, 1, row.shape[-1]), heads, False)
        x = cat([x, wrap(o.cast(expand(last, *x.shape[:-2], 1, x.shape[-1]).value, to=x.dtype))], -2)
    return pad(x, (0, 0, 0, 1)) if zero else x


def _mask(
    attn_mask: Tensor | None, key_padding_mask: Tensor | None, heads: int, dtype: DType, added: int
) -> Tensor | None:
    """Both masks as one to add to the scores ``[(N,) heads, L, S + added]``; added keys may always be seen."""
    mask = None if attn_mask is None else pad(_additive(attn_mask, dtype), (0, added))
    if mask is not None and mask.ndim == 3 and mask.shape[0] != heads:
        mask = unflatten(mask, 0, (-1, heads))
    if key_padding_mask is None:
        return mask
    padding = unsqueeze(unsqueeze(pad(_additive(key_padding_mask, dtype), (0, added)), -2), -2)
    return padding if mask is None else add(mask, padding)


def _additive(mask: Tensor, dtype: DType) -> Tensor:
    """A bool mask as ``-inf`` where it is true; a floating one as it is."""
    if mask.dtype is boolean:
        return where(mask, float("-inf"), zeros(*mask.shape, dtype=dtype))
    if not mask.dtype.is_floating_point:
        raise InvariantError(f"only bool and floating types of masks are supported, not {mask.dtype!r}")
    return mask
