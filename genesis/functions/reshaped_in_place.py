"""Methods that give a tensor another shape in place: it becomes a view of what it was."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from compiler.errors import AutogradError, OpError, UnsupportedError
from compiler.ir.location import here
from genesis.context import current_recording, session
from genesis.functions.shapes import as_sizes, squeeze, t, transpose, unsqueeze
from genesis.functions.table import api, method_only
from genesis.scope import OF_MEMORY
from genesis.tensor import Tensor, from_array

Dim = int | Sequence[int] | None


def _becomes(input: Tensor, view: Tensor) -> Tensor:
    """``input``, now of the contents and history of ``view``."""
    if input.requires_grad and input.is_leaf and session().grad_enabled:
        raise AutogradError(here("a leaf Variable that requires grad is being used in an in-place operation."))
    input._start(view._cell, view._views)
    return input


@method_only
def unsqueeze_(input: Tensor, dim: int) -> Tensor:
    """In place: a new dimension of size 1 at ``dim``."""
    return _becomes(input, unsqueeze(input, dim))


@method_only
def squeeze_(input: Tensor, dim: Dim = None) -> Tensor:
    """In place: without dimensions of size 1, all or those in ``dim``."""
    return _becomes(input, squeeze(input, dim))


@api(function=False, alias=("swapaxes_", "swapdims_"))
def transpose_(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """In place: two dimensions exchanged."""
    return _becomes(input, transpose(input, dim0, dim1))


@method_only
def t_(input: Tensor) -> Tensor:
    """In place: a matrix transposed."""
    return _becomes(input, t(input))


@api()
def detach_(input: Tensor) -> Tensor:
    """In place: without a history; a leaf needs no gradient from now on. Other tensors keep theirs.

    Raises RuntimeError for a view.
    """
    if input._views and input.requires_grad:
        raise AutogradError(here("Can't detach views in-place.", "use detach() instead"))
    return input.requires_grad_(False) if input.is_leaf else _becomes(input, input.detach())


@api(eager_only=OF_MEMORY)
def resize_as_(input: Tensor, other: Tensor, memory_format: Any = None) -> Tensor:
    """In place, outside compiled steps: the shape of ``other``, as :meth:`resize_` gives it."""
    return resize_(input, *other.shape)


@api(function=False, eager_only=OF_MEMORY)
def resize_(input: Tensor, *sizes: Any, memory_format: Any = None) -> Tensor:
    """In place, outside compiled steps: another shape of the elements in order, with zeros where it asks for more."""
    shape = as_sizes(sizes)
    if min(shape, default=0) < 0:
        raise OpError(f"resize_: requested sizes must be non-negative, not {list(shape)}")
    if current_recording() is not None:
        raise UnsupportedError(here(f"resize_({list(shape)}) in a compiled step", "make a tensor of the right shape"))
    if input.requires_grad:
        raise AutogradError(here("cannot resize variables that require grad"))
    old = input._array("resize_()").reshape(-1)
    new = np.zeros(prod(shape), old.dtype)
    kept = min(new.size, old.size)
    new[:kept] = old[:kept]
    return _becomes(input, from_array(new.reshape(shape)))
