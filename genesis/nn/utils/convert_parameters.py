"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from compiler.errors import ArgumentError
from genesis.context import grad_mode
from genesis.functions.conversion import copy_
from genesis.functions.shapes import cat, narrow, reshape
from genesis.misuse import explained
from genesis.tensor import Tensor


@explained
def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """The elements of all ``parameters`` in one 1-D tensor; gradients flow through."""
    return cat([reshape(p, -1) for p in parameters])


@explained
def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Write the pieces of ``vec`` into ``parameters``, in place. Raises TypeError when ``vec`` is no tensor."""
    if not isinstance(vec, Tensor):
        raise ArgumentError(f"expected genesis.Tensor, but got: {type(vec).__name__}")
    start = 0
    with grad_mode(False):
        for parameter in parameters:
            copy_(parameter, reshape(narrow(vec, 0, start, parameter.numel()), *parameter.shape))
            start += parameter.numel()
