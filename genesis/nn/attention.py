"""Multi-head attention (Vaswani et al., "Attention is all you need", 2017)."""

from __future__ import annotations

from typing import Any

import genesis.functions as fn
import genesis.nn.init as init
from compiler.errors import ChoiceError, InvariantError
from genesis.functions.multi_head import multi_head
from genesis.members import Parameter
from genesis.nn.kernels import SDPBackend as SDPBackend
from genesis.nn.kernels import sdpa_kernel as sdpa_kernel
from genesis.nn.linear import Linear
from genesis.nn.module import Module
from genesis.tensor import Tensor


class MultiheadAttention(Module):
    """Attention of ``query [L, N, embed_dim]`` to ``key [S, N, kdim]`` with ``value [S, N, vdim]``.

    With ``batch_first`` the first two dimensions change places; without a batch there is no ``N``. ``add_bias_kv``: one
    more key and value, which are trained, behind the others; ``add_zero_attn``: one more, of zeros.
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
        for name in ("bias_k", "bias_v"):
            self.register_parameter(name, Parameter(fn.empty(1, 1, embed_dim, **place)) if add_bias_kv else None)
        self.add_zero_attn = add_zero_attn
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Projections Xavier uniform, biases zero, the additional key and value Xavier normal."""
        for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight", "in_proj_weight"):
            if getattr(self, name) is not None:
                init.xavier_uniform_(getattr(self, name))
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for extra in (self.bias_k, self.bias_v):
            if extra is not None:
                init.xavier_normal_(extra)

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
        separate = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        out, found = multi_head(
            query,
            key,
            value,
            self.num_heads,
            self.in_proj_weight if self._qkv_same_embed_dim else separate,
            self.in_proj_bias,
            self.out_proj.weight,
            self.out_proj.bias,
            batch_first=self.batch_first,
            extra=(self.bias_k, self.bias_v),
            zero=self.add_zero_attn,
            dropout_p=self.dropout if self.training else 0.0,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            average=average_attn_weights,
            causal=is_causal,
        )
        if self.batch_first and self.num_heads % 2 == 0 and query is key is value:
            if not self.training and not out.requires_grad and not out._views:
                out._cell.strides = None  # PyTorch takes its fast path
        return out, found
