"""Multi-head attention (Vaswani et al., "Attention is all you need", 2017)."""

from __future__ import annotations

from typing import Any

import genesis.functions as fn
import genesis.nn.functional as F
import genesis.nn.init as init
from compiler.errors import ChoiceError, InvariantError, OpError, UnsupportedError
from compiler.ir.types import DType, boolean
from genesis.nn.linear import Linear
from genesis.nn.module import Module
from genesis.tensor import Parameter, Tensor


class MultiheadAttention(Module):
    """Attention of ``query [L, N, embed_dim]`` to ``key [S, N, kdim]`` with ``value [S, N, vdim]``.

    With ``batch_first`` the first two dimensions change places; without a batch there is no ``N``.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0:
            raise ChoiceError(
                f"embed_dim and num_heads must be greater than 0, "
                f"got embed_dim={embed_dim} and num_heads={num_heads} instead"
            )
        if embed_dim % num_heads:
            raise InvariantError("embed_dim must be divisible by num_heads")
        if add_bias_kv or add_zero_attn:
            raise UnsupportedError("MultiheadAttention with add_bias_kv or add_zero_attn")
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.num_heads = num_heads
        self.head_dim = embed_dim // num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self._qkv_same_embed_dim = self.kdim == embed_dim == self.vdim
        place = {"device": device, "dtype": dtype}
        shapes = {
            "q_proj_weight": (embed_dim, embed_dim),
            "k_proj_weight": (embed_dim, self.kdim),
            "v_proj_weight": (embed_dim, self.vdim),
        }
        for name, shape in shapes.items():
            self.register_parameter(name, None if self._qkv_same_embed_dim else Parameter(fn.empty(*shape, **place)))
        packed = Parameter(fn.empty(3 * embed_dim, embed_dim, **place)) if self._qkv_same_embed_dim else None
        self.register_parameter("in_proj_weight", packed)
        self.register_parameter("in_proj_bias", Parameter(fn.empty(3 * embed_dim, **place)) if bias else None)
        self.out_proj = Linear(embed_dim, embed_dim, bias, device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Projections Xavier uniform, biases zero."""
        for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight", "in_proj_weight"):
            if getattr(self, name) is not None:
                init.xavier_uniform_(getattr(self, name))
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """The attention's output like ``query``, and with ``need_weights`` the weights ``[N, L, S]``.

        Masks: ``attn_mask [L, S]`` or ``[N * num_heads, L, S]``, ``key_padding_mask [N, S]``; a bool mask is true where
        attention is *not* allowed, a floating one is added. ``is_causal`` says that ``attn_mask`` is the causal mask.
        The weights are the mean over the heads, or ``[N, num_heads, L, S]`` without ``average_attn_weights``.
        """
        if is_causal and attn_mask is None:
            raise OpError("Need attn_mask if specifying the is_causal hint.")
        batched = query.ndim == 3
        swap = batched and not self.batch_first
        q, k, v = (self._heads(x, batched, swap) for x in self._projected(query, key, value))
        causal = is_causal and key_padding_mask is None and not need_weights
        mask = None if causal else self._mask(attn_mask, key_padding_mask, q.dtype)
        dropout = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            scores = fn.matmul(fn.mul(q, self.head_dim**-0.5), fn.transpose(k, -2, -1))
            weights = F.dropout(fn.softmax(scores if mask is None else fn.add(scores, mask), -1), dropout)
            mixed = fn.matmul(weights, v)
        else:
            mixed = F.scaled_dot_product_attention(q, k, v, mask, dropout, causal)
        out = self.out_proj(fn.flatten(fn.transpose(mixed, -3, -2), -2))
        if weights is not None and average_attn_weights:
            weights = fn.mean(weights, -3)
        return (fn.transpose(out, 0, 1) if swap else out), weights

    def _projected(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
        if self._qkv_same_embed_dim and query is key is value:
            return fn.chunk(F.linear(query, self.in_proj_weight, self.in_proj_bias), 3, -1)
        names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
        weights = (
            fn.chunk(self.in_proj_weight, 3)
            if self._qkv_same_embed_dim
            else tuple(getattr(self, name) for name in names)
        )
        biases = (None, None, None) if self.in_proj_bias is None else fn.chunk(self.in_proj_bias, 3)
        return tuple(map(F.linear, (query, key, value), weights, biases))

    def _heads(self, x: Tensor, batched: bool, swap: bool) -> Tensor:
        """``[L, E]``, ``[N, L, E]`` or (``swap``) ``[L, N, E]`` as ``[(N,) heads, L, head_dim]``."""
        if x.ndim != (3 if batched else 2):
            raise InvariantError("query, key and value should be all 3-D (batched) or all 2-D")
        x = fn.unflatten(fn.transpose(x, 0, 1) if swap else x, -1, (self.num_heads, self.head_dim))
        return fn.transpose(x, -3, -2)

    def _mask(self, attn_mask: Tensor | None, key_padding_mask: Tensor | None, dtype: DType) -> Tensor | None:
        """Both masks as one to add to the scores ``[(N,) heads, L, S]``."""
        mask = None if attn_mask is None else _additive(attn_mask, dtype)
        if mask is not None and mask.ndim == 3 and mask.shape[0] != self.num_heads:
            mask = fn.unflatten(mask, 0, (-1, self.num_heads))
        if key_padding_mask is None:
            return mask
        padding = fn.unsqueeze(fn.unsqueeze(_additive(key_padding_mask, dtype), -2), -2)
        return padding if mask is None else fn.add(mask, padding)


def _additive(mask: Tensor, dtype: DType) -> Tensor:
    """A bool mask as ``-inf`` where it is true; a floating one as it is."""
    if mask.dtype is boolean:
        return fn.where(mask, float("-inf"), fn.zeros(*mask.shape, dtype=dtype))
    if not mask.dtype.is_floating_point:
        raise InvariantError(f"only bool and floating types of masks are supported, not {mask.dtype!r}")
    return mask
