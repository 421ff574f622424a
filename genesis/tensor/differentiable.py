"""The part of a tensor in autograd: whether it collects a gradient, and what made it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler.errors import AutogradError
from compiler.ir.op import o
from genesis.context import current_recording
from genesis.grad_fn import GradFn
from genesis.memory.cells import Cell
from genesis.memory.values import held
from genesis.memory.views import as_leaf
from genesis.tensor.described import Described

if TYPE_CHECKING:
    from typing_extensions import Self


class Differentiable(Described):
    """A tensor, as far as a backward pass asks."""

    __slots__ = ()

    @property
    def grad_fn(self) -> GradFn | None:
        """The op that a backward pass goes through first; None for a leaf."""
        return None if self.is_leaf else GradFn(self.value)

    @property
    def requires_grad(self) -> bool:
        """Whether a backward pass computes a gradient for the tensor. Assigned: :meth:`requires_grad_`."""
        return self.value.requires_grad

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        self.requires_grad_(flag)

    @property
    def is_leaf(self) -> bool:
        """Whether no op that a backward pass goes through made the tensor."""
        value = self.value
        leaf = value.leaf
        if leaf is None:
            return not value.requires_grad
        return not value.requires_grad or leaf.home is None or leaf not in leaf.home.inner

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Make this leaf collect a gradient or not; in place.

        A view of what needs no gradient becomes a leaf that shares the storage, and nothing else, with the rest.
        """
        if not self.is_leaf:
            raise AutogradError("you can only change requires_grad flags of leaf variables.")
        if requires_grad and not self.dtype.is_floating_point:
            raise AutogradError("only Tensors of floating point dtype can require gradients")
        if self._views and self._views[-1][0] is not as_leaf:
            leaf = Cell(held(o.detach(self.value)), current_recording())
            leaf.strides = self.value.strides
            self._views = (*self._views, (as_leaf, (), {"leaf": leaf}))
        self._grad_cell.set_requires_grad(requires_grad)
        self._base = None
        return self
