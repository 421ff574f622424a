"""Tensors that leave a recorded step: its results, and gradients and entries of arguments that it leaves behind.

A tensor that leaves is a view of a cell. Where the cell was there before the call (a state, an argument, a gradient),
the caller gets a view of that very cell, as from an eager call; otherwise the graph returns the contents, once for all
views of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from compiler.ir.graph import Value
from genesis.context import Cell
from genesis.pytree import Hole, map_leaves
from genesis.tensor import Tensor, View, view_of

Origin = Callable[[Sequence[Any]], Tensor]
"""Finds a tensor of the caller among the leaves of the arguments of a call."""


@dataclass(frozen=True)
class Exit:
    """How a call makes one tensor: ``views`` of output number ``output``, or of what ``origin`` finds.

    ``operands``: for each view its other operands, which leave as well where the step made them.
    """

    output: int
    origin: Origin | None
    views: tuple[View, ...]
    operands: tuple[tuple[Exit | Tensor, ...], ...]

    def tensor(self, fresh: Sequence[Tensor], arguments: Sequence[Any]) -> Tensor:
        base = fresh[self.output] if self.origin is None else self.origin(arguments)
        if not self.views:
            return base
        views = [
            (op, tuple([x.tensor(fresh, arguments) if isinstance(x, Exit) else x for x in operands]), attrs)
            for (op, _, attrs), operands in zip(self.views, self.operands, strict=True)
        ]
        return view_of(base._cell, (*base._views, *views))


class Leaving:
    """Collects the tensors that leave. ``origins``: the recorded cells that stand for tensors of the caller."""

    def __init__(self, origins: dict[Cell, Origin]) -> None:
        self._origins = origins
        self._tensors: list[Tensor] = []
        self._holes: dict[int, Hole] = {}

    def add(self, tensor: Tensor) -> Hole:
        """The place of ``tensor``; the same one every time."""
        found = self._holes.get(id(tensor))
        if found is None:
            found = self._holes[id(tensor)] = Hole(len(self._tensors))
            self._tensors.append(tensor)
        return found

    def pattern(self, tree: Any) -> Any:
        """``tree`` with a hole in place of every tensor."""
        return map_leaves(lambda _, leaf: self.add(leaf) if isinstance(leaf, Tensor) else leaf, tree)

    def exits(self) -> tuple[list[Value], list[Exit]]:
        """The outputs of the graph, and how a call makes each tensor."""
        self._inside = Counter(t._cell for t in self._tensors if not self._outside(t))
        self._values: list[Value] = []
        self._outputs: dict[Cell, int] = {}
        exits = [self._exit(tensor) for tensor in self._tensors]
        return self._values, exits

    def _exit(self, tensor: Tensor) -> Exit:
        cell, output, origin = tensor._cell, -1, None
        if self._outside(tensor):
            origin = self._origins.get(cell) or _itself(tensor)
        else:
            whole = self._inside[cell] > 1
            if cell not in self._outputs:
                self._outputs[cell] = len(self._values)
                self._values.append(cell.read() if whole else tensor.value)
            output = self._outputs[cell]
            if not whole:
                return Exit(output, None, (), ())
        operands = [tuple([x if x._cell.home is None else self._exit(x) for x in view[1]]) for view in tensor._views]
        return Exit(output, origin, tensor._views, tuple(operands))

    def _outside(self, tensor: Tensor) -> bool:
        return tensor._cell.home is None or tensor._cell in self._origins


def _itself(tensor: Tensor) -> Origin:
    base = view_of(tensor._cell, ()) if tensor._views else tensor
    return lambda _: base


def filled(pattern: Any) -> Callable[[Sequence[Tensor]], Any]:
    """A function from the tensors that leave to ``pattern`` with them in its holes."""
    if isinstance(pattern, Hole):
        return itemgetter(pattern.index)
    return lambda tensors: map_leaves(lambda _, x: tensors[x.index] if isinstance(x, Hole) else x, pattern)
