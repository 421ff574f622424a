"""A view over a shared cell: what every tensor is, apart from what it tells, and what users call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from compiler.errors import AutogradError, TraceError
from compiler.ir.graph import Value
from compiler.ir.location import user_location
from compiler.ir.op import o
from compiler.ir.types import TensorType
from genesis.context import current_recording, grad_mode, session
from genesis.history import custom
from genesis.memory.cells import Cell
from genesis.memory.strides import Layout, after, contiguous_strides
from genesis.memory.values import TensorValue, held
from genesis.memory.views import View, as_leaf, contents, put
from genesis.methods import Methods
from genesis.recording import Trace

if TYPE_CHECKING:
    from typing_extensions import Self


class Alias(Methods):
    """``_cell`` is the storage, ``_views`` the chain of view ops from it to this tensor.

    Writing through any view puts a new value into the cell, and every alias reads it.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_base",
        "_cell",
        "_kept",
        "_retains",
        "_shown",
        "_starts",
        "_tracks",
        "_views",
    )
    _base: TensorValue | None
    _shown: TensorValue | None

    def _start(self, cell: Cell, views: tuple[View, ...]) -> None:
        self._cell = cell
        self._views = views
        self._retains = False
        if views:
            here = session()
            self._tracks = here.grad_enabled
            self._base = self._shown = None
            self._register(here.recording)

    def _register(self, recording: Trace | None) -> None:
        if recording is None:
            self._cell.viewed(self)
        else:
            recording.viewed(self, self._cell)

    def move(self, cell: Cell) -> None:
        """Show ``cell`` through the same views; its contents are those that were shown so far."""
        self._cell, self._base = cell, None
        self._register(current_recording())

    @property
    def value(self) -> TensorValue:
        """The IR value an op on this tensor reads."""
        base = self._cell.read()
        base.strides = self._cell.strides
        if not self._views:
            return base
        if self._base is not base:
            self._check_parted()
            with grad_mode(self._tracks):
                self._show(base, self._views, base)
        assert self._shown is not None
        return self._shown

    def _show(self, base: TensorValue, views: Sequence[View], value: TensorValue) -> None:
        """Keep what the tensor shows of ``base``: what the last ``views`` of its chain show of ``value``."""
        here = session()
        for op, operands, attrs in views:
            others = [x.value for x in operands] if operands else ()
            value = here.view(op, others, attrs, value)
        if value.place is None:
            value.place = base.place
        self._base, self._shown = base, value

    def _check_parted(self) -> None:
        """Raise TraceError for a view from outside of what got other memory in the step."""
        recording, viewers = current_recording(), self._cell.viewers
        if recording is None or viewers is None or self._cell not in recording.parted:
            return
        if any(tensor is self for tensor in viewers.alive()):
            raise TraceError(
                f"a view, made outside the step, of {self._cell.label or 'a tensor'}, whose .data was assigned in the "
                f"step\n  at {user_location()}\n  the view keeps the old memory, which the step does not have; use "
                "copy_ under no_grad in place of the assignment, or read the view before it"
            )

    def write(self, value: Value) -> Self:
        """Replace the contents, seen by every alias of the storage.

        Behind ``detach`` and under ``no_grad`` autograd does not know: a tensor with a history keeps the one it has.
        """
        ops = [op for op, _, _ in self._views]
        unseen = contents in ops
        tracks = session().grad_enabled and not unseen and o.detach not in ops
        if tracks:
            self._check_writable()
        old = self._cell.read()
        if self._cell.shared is not None and self._views and self._shown is not None:
            self._shown.data = np.array(self._shown.data)  # what a backward pass saved stays what it was
        if tracks and not self._views:
            new = held(put(old, (), value))
        else:
            with grad_mode(tracks):
                new = held(put(old, self._views, value if tracks else o.detach(value)))
        self._cell.write(continued(old, new, seen=tracks), unseen)
        return self

    def _check_writable(self) -> None:
        if self._grad_cell.requires_grad:
            own = not self._views or self._views[-1][0] is as_leaf
            kind = "a leaf Variable" if own else "a view of a leaf Variable"
            home = self._cell.home
            if home is not None and self._cell in home.inner:
                raise AutogradError(
                    "a compiled step cannot write an argument that was computed outside from what requires a gradient\n"
                    f"  at {user_location()}\n  write a copy of it: x = x.clone()"
                )
            raise AutogradError(f"{kind} that requires grad is being used in an in-place operation.")

    @property
    def _grad_cell(self) -> Cell:
        """The cell that collects the gradient: the storage's, or the cell of a view that was made a leaf."""
        for op, _, attrs in reversed(self._views):
            if op is as_leaf:
                leaf: Cell = attrs["leaf"]
                return leaf
        return self._cell

    @property
    def _type(self) -> TensorType:
        if not self._views:
            return self._cell.value.type
        return self._shown.type if self._shown is not None and self._base is self._cell.value else self.value.type

    def _layout(self) -> Layout:
        shown = self._shown if self._views and self._base is self._cell.value else None
        if shown is not None:
            return shown.shape, shown.strides or contiguous_strides(shown.shape)
        shape = self._cell.type.shape
        layout = shape, self._cell.strides or contiguous_strides(shape)
        for op, _, attrs in self._views:
            layout = after(op, attrs, *layout)
        return layout


def continued(old: TensorValue, new: TensorValue, seen: bool = False) -> TensorValue:
    """``new``, which takes the place of ``old``, with the history that ``old`` has, unless it has one of its own.

    A write that autograd has ``seen`` gives no gradient to the value before; another is taken for ``old``.
    """
    if not old.requires_grad or old.leaf is not None or new.requires_grad or new.type != old.type:
        return new
    (written,) = custom("write", [old], [new], _no_gradient if seen else _same_gradient)
    return held(written)


def _same_gradient(grads: Sequence[Value | None]) -> Sequence[Value | None]:
    return grads


def _no_gradient(grads: Sequence[Value | None]) -> list[Value | None]:
    return [None if g is None else o.zeros(shape=g.shape, dtype=g.dtype) for g in grads]
