"""Look-up tables."""

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


class Embedding(Module):
    """Rows of a trained table ``[num_embeddings, embedding_dim]``, by integer index.

    The row ``padding_idx`` starts as zero and gets no gradient.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if sparse:
            raise UnsupportedError("Embedding with sparse gradients")
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise InvariantError("Padding_idx must be within num_embeddings")
            padding_idx %= num_embeddings
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx
        self.max_norm, self.norm_type, self.scale_grad_by_freq = max_norm, norm_type, scale_grad_by_freq
        if _weight is None:
            table = empty(num_embeddings, embedding_dim, dtype=dtype, device=device)
            self.weight = Parameter(table, requires_grad=not _freeze)
            self.reset_parameters()
        else:
            if tuple(_weight.shape) != (num_embeddings, embedding_dim):
                raise InvariantError("Shape of weight does not match num_embeddings and embedding_dim")
            self.weight = Parameter(_weight, requires_grad=not _freeze)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """An embedding on the rows of ``embeddings [num_embeddings, embedding_dim]``."""
        if embeddings.ndim != 2:
            raise InvariantError("Embeddings parameter is expected to be 2-dimensional")
        rows, width = embeddings.shape
        options = max_norm, norm_type, scale_grad_by_freq, sparse
        return cls(rows, width, padding_idx, *options, _weight=embeddings, _freeze=freeze)

    def reset_parameters(self) -> None:
        """Standard normal rows."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with grad_mode(False):
                zero_(select(self.weight, 0, self.padding_idx))

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq)

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        text += "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        text += "" if self.max_norm is None else f", max_norm={self.max_norm}"
        text += "" if self.norm_type == 2 else f", norm_type={self.norm_type}"
        return text + (", scale_grad_by_freq=True" if self.scale_grad_by_freq else "")
