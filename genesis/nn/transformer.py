"""The transformer of Vaswani et al., "Attention is all you need", 2017; norms in front by Xiong et al., 2020."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import genesis.functions as fn
import genesis.nn.functional as F
import genesis.nn.init as init
from compiler.errors import OpError
from genesis.nn.attention import MultiheadAttention
from genesis.nn.container import ModuleList
from genesis.nn.dropout import Dropout
from genesis.nn.linear import Linear
from genesis.nn.module import Module
from genesis.nn.normalization import LayerNorm
from genesis.tensor import Tensor

Activation = str | Callable[[Tensor], Tensor]


def _activation(given: Activation) -> Callable[[Tensor], Tensor]:
    known: dict[Any, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu}
    if isinstance(given, str) and given not in known:
        raise OpError(f"activation should be relu/gelu, not {given}")
    return known[given] if isinstance(given, str) else given


class _Layer(Module):
    """The base of both kinds of layers: the network of each position, and the places of the norms.

    ``attentions``: the names of the attentions; there is a norm and a dropout behind each, and behind the network.
    """

    def __init__(
        self,
        attentions: Sequence[str],
        d_model: int,
        nhead: int,
        dim_feedforward: int,
        dropout: float,
        activation: Activation,
        layer_norm_eps: float,
        batch_first: bool,
        norm_first: bool,
        **place: Any,
    ) -> None:
        super().__init__()
        for name in attentions:
            setattr(self, name, MultiheadAttention(d_model, nhead, dropout, batch_first=batch_first, **place))
        self.linear1 = Linear(d_model, dim_feedforward, **place)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, **place)
        self.norm_first = norm_first
        blocks = range(1, len(attentions) + 2)
        for i in blocks:
            setattr(self, f"norm{i}", LayerNorm(d_model, layer_norm_eps, **place))
        for i in blocks:
            setattr(self, f"dropout{i}", Dropout(dropout))
        self.activation = _activation(activation)

    def _after(self, norm: Module, x: Tensor, block: Callable[[Tensor], Tensor]) -> Tensor:
        """``x`` plus ``block`` of it; the norm stands in front of the block, or behind the sum."""
        return fn.add(x, block(norm(x))) if self.norm_first else norm(fn.add(x, block(x)))

    def _network(self, x: Tensor, dropout: Module) -> Tensor:
        result: Tensor = dropout(self.linear2(self.dropout(self.activation(self.linear1(x)))))
        return result


class TransformerEncoderLayer(_Layer):
    """Self-attention, then two linear layers, each added to its input: ``[S, N, d_model]`` to the same shape.

    With ``batch_first`` ``[N, S, d_model]``. ``norm_first``: the norms stand in front of the parts, not behind.
    ``activation`` is ``"relu"``, ``"gelu"`` or a function. Masks are as for :class:`MultiheadAttention`.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        usual = d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first
        super().__init__(("self_attn",), *usual, bias=bias, device=device, dtype=dtype)

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """``is_causal`` says that ``src_mask`` is the causal mask."""

        def attention(x: Tensor) -> Tensor:
            mixed, _ = self.self_attn(x, x, x, src_key_padding_mask, False, src_mask, is_causal=is_causal)
            result: Tensor = self.dropout1(mixed)
            return result

        x = self._after(self.norm1, src, attention)
        return self._after(self.norm2, x, lambda x: self._network(x, self.dropout2))


class TransformerDecoderLayer(_Layer):
    """As :class:`TransformerEncoderLayer`, with attention to ``memory [S, N, d_model]`` in between."""

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        usual = d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first
        super().__init__(("self_attn", "multihead_attn"), *usual, bias=bias, device=device, dtype=dtype)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """``tgt [T, N, d_model]`` to the same shape."""

        def attention(x: Tensor) -> Tensor:
            mixed, _ = self.self_attn(x, x, x, tgt_key_padding_mask, False, tgt_mask, is_causal=tgt_is_causal)
            result: Tensor = self.dropout1(mixed)
            return result

        def attention_to_memory(x: Tensor) -> Tensor:
            padding = memory_key_padding_mask
            mixed, _ = self.multihead_attn(x, memory, memory, padding, False, memory_mask, is_causal=memory_is_causal)
            result: Tensor = self.dropout2(mixed)
            return result

        x = self._after(self.norm1, tgt, attention)
        x = self._after(self.norm2, x, attention_to_memory)
        return self._after(self.norm3, x, lambda x: self._network(x, self.dropout3))


class TransformerEncoder(Module):
    """``num_layers`` copies of ``encoder_layer``, and a last norm if given.

    ``enable_nested_tensor`` and ``mask_check`` are accepted and change nothing: PyTorch may leave out padding in
    evaluation, and then gives zeros in its place.
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        self.layers = ModuleList([deepcopy(encoder_layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor, self.mask_check = enable_nested_tensor, mask_check

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        """``is_causal`` says that ``mask`` is the causal mask."""
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, is_causal=bool(is_causal))
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Module):
    """``num_layers`` copies of ``decoder_layer``, and a last norm if given."""

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = ModuleList([deepcopy(decoder_layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """``tgt_is_causal``, ``memory_is_causal``: the mask of that name is the causal one."""
        for layer in self.layers:
            tgt = layer(
                tgt,
                memory,
                tgt_mask,
                memory_mask,
                tgt_key_padding_mask,
                memory_key_padding_mask,
                bool(tgt_is_causal),
                memory_is_causal,
            )
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """Encoder and decoder: ``src [S, N, d_model]`` and ``tgt [T, N, d_model]`` to ``[T, N, d_model]``.

    With ``batch_first`` the first two dimensions change places. Own parts may be given as ``custom_encoder`` and
    ``custom_decoder``. Raises RuntimeError for batches or widths that do not fit.
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        place = {"bias": bias, "device": device, "dtype": dtype}
        sizes = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first)
        if custom_encoder is None:
            layer: Module = TransformerEncoderLayer(*sizes, **place)
            custom_encoder = TransformerEncoder(layer, num_encoder_layers, LayerNorm(d_model, layer_norm_eps, **place))
        self.encoder = custom_encoder
        if custom_decoder is None:
            layer = TransformerDecoderLayer(*sizes, **place)
            custom_decoder = TransformerDecoder(layer, num_decoder_layers, LayerNorm(d_model, layer_norm_eps, **place))
        self.decoder = custom_decoder
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        batch = 0 if self.batch_first else 1
        if src.ndim == 3 and src.shape[batch] != tgt.shape[batch]:
            raise OpError("the batch number of src and tgt must be equal")
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise OpError("the feature number of src and tgt must be equal to d_model")
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        result: Tensor = self.decoder(
            tgt,
            memory,
            tgt_mask,
            memory_mask,
            tgt_key_padding_mask,
            memory_key_padding_mask,
            tgt_is_causal,
            memory_is_causal,
        )
        return result

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """The causal mask ``[sz, sz]`` to add: ``-inf`` right of the diagonal."""
        return fn.triu(fn.full((sz, sz), float("-inf"), dtype=dtype, device=device), 1)
