"""Look-up tables whose rows are summed, averaged or compared over bags of indices."""

from __future__ import annotations

from typing import Any

import genesis.nn.functional as F
import genesis.nn.init as init
from compiler.errors import InvariantError, UnsupportedError
from genesis.context import grad_mode
from genesis.functions.conversion import zero_
from genesis.functions.creation import empty
from genesis.functions.shapes import select
from genesis.members import Parameter
from genesis.nn.module import Module
from genesis.tensor import Tensor


class EmbeddingBag(Module):
    """Sums, means or maxima of rows of a trained table over bags of indices; see ``nn.functional.embedding_bag``."""

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if sparse:
            raise UnsupportedError("EmbeddingBag with sparse gradients")
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise InvariantError("padding_idx must be within num_embeddings")
            padding_idx %= num_embeddings
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.max_norm, self.norm_type, self.scale_grad_by_freq = max_norm, norm_type, scale_grad_by_freq
        self.mode = mode
        self.include_last_offset = include_last_offset
        self.padding_idx = padding_idx
        if _weight is None:
            self.weight = Parameter(empty(num_embeddings, embedding_dim, dtype=dtype, device=device))
            self.reset_parameters()
        else:
            if tuple(_weight.shape) != (num_embeddings, embedding_dim):
                raise InvariantError("Shape of weight does not match num_embeddings and embedding_dim")
            self.weight = Parameter(_weight)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:
        """An embedding bag on the rows of ``embeddings [num_embeddings, embedding_dim]``."""
        if embeddings.ndim != 2:
            raise InvariantError("Embeddings parameter is expected to be 2-dimensional")
        rows, width = embeddings.shape
        options = max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings, include_last_offset, padding_idx
        made = cls(rows, width, *options)
        made.weight.requires_grad = not freeze
        return made

    def reset_parameters(self) -> None:
        """Standard normal rows."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with grad_mode(False):
                zero_(select(self.weight, 0, self.padding_idx))

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        return F.embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            mode=self.mode,
            per_sample_weights=per_sample_weights,
            include_last_offset=self.include_last_offset,
            padding_idx=self.padding_idx,
        )

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}, mode={self.mode!r}{padding}"
