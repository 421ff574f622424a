"""Masks for causal attention, at the paths of ``torch.nn.attention.bias``."""

from __future__ import annotations

import genesis.functions as fn
from compiler.errors import ChoiceError
from compiler.ir.types import boolean
from genesis.misuse import explained
from genesis.tensor import Tensor


@explained
def causal_upper_left(*size: int) -> Tensor:
    """A bool mask ``[L, S]`` that is true where the key's place is at most the query's, counted from the start."""
    return _mask(size, 0)


@explained
def causal_lower_right(*size: int) -> Tensor:
    """A bool mask ``[L, S]`` that is true where the key's place is at most the query's, counted from the end."""
    return _mask(size, size[-1] - size[0] if size else 0)


def _mask(size: tuple[int, ...], diagonal: int) -> Tensor:
    if len(size) != 2:
        raise ChoiceError(f"a causal mask takes two sizes, of queries and of keys, not {list(size)}")
    return fn.tril(fn.ones(*size, dtype=boolean), diagonal)
