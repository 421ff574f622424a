"""Tensors that leave a recorded step: its results, and gradients and entries of arguments that it leaves behind.

A tensor that leaves is a view of a cell. If the cell was there before the call (a state, an argument, a gradient),
the caller gets a view of that very cell, as from an eager call; otherwise the graph returns the contents, once for all
views of them.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

from compiler.errors import TraceError
from compiler.ir.graph import Value
from genesis.capture.guards.keys import BUFFERS
from genesis.memory.cells import Cell
from genesis.memory.strides import Strides
from genesis.memory.views import Operand, View, as_leaf
from genesis.pytree import Hole, map_leaves
from genesis.tensor import Number, Tensor, view_of

Origin = Callable[[Sequence[Any]], Tensor]
"""Finds a tensor of the caller among the leaves of the arguments of a call."""


@dataclass(frozen=True)
class Exit:
    """How a call makes one tensor: ``views`` of output number ``output``, or of what ``origin`` finds.

    ``operands``: for each view its other operands, which leave as well where the step made them. ``strides``: those of
    the output in memory, None for row-major. ``number``: a Python number leaves.
    """

    output: int
    origin: Origin | None
    views: tuple[View, ...]
    operands: tuple[tuple[Exit | Tensor, ...], ...]
    strides: Strides | None = None
    number: bool = False

    def is_plain(self) -> bool:
        """Whether the tensor is the output itself."""
        return self.origin is None and not self.views and self.strides is None and not self.number

    def tensor(self, fresh: Sequence[Tensor], arguments: Sequence[Any]) -> Any:
        if self.number:
            return fresh[self.output].item()
        base = fresh[self.output] if self.origin is None else self.origin(arguments)
        if self.strides is not None:
            base._cell.strides = self.strides
        if not self.views:
            return base
        views = [
            (op, tuple([x.tensor(fresh, arguments) if isinstance(x, Exit) else x for x in operands]), attrs)
            for (op, _, attrs), operands in zip(self.views, self.operands, strict=True)
        ]
        return view_of(base._cell, (*base._views, *views))


@dataclass(frozen=True)
class _Whole:
    """A part of the result that the call does not make: ``given``, or a container among the arguments by number."""

    given: Any
    argument: int | None = None


@dataclass(frozen=True)
class _Copied:
    """A part of the result that the step makes and that may change: every call returns a copy of its own."""

    made: Any


class Leaving:
    """Collects the tensors that leave. ``origins``: the recorded cells that stand for tensors of the caller.

    ``outside`` says whether an object was there before the step ran; ``arguments``: the containers among the arguments,
    as the step sees them. ``gradients``: the places of tensors that the step made and that have a ``.grad``, or are to
    keep one, and of their gradients, which leave, too.
    """

    def __init__(
        self,
        origins: dict[Cell, Origin],
        outside: Callable[[Any], bool] = lambda thing: False,
        arguments: Sequence[Any] = (),
    ) -> None:
        self._origins = origins
        self._arguments = {id(container): number for number, container in enumerate(arguments)}
        self._outside_object = outside
        self._tensors: list[Tensor] = []
        self._holes: dict[int, Hole] = {}
        self.gradients: list[tuple[int, int | None]] = []

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

    def result(self, tree: Any) -> Any:
        """The pattern of a result. Raises TraceError for an iterator: the first call would use it up."""
        return map_leaves(self._leaf, tree, whole=self._is_whole)

    def _is_whole(self, thing: Any) -> bool:
        return not isinstance(thing, Tensor) and (id(thing) in self._arguments or self._outside_object(thing))

    def _leaf(self, path: str, leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            return self.add(leaf)
        if self._is_whole(leaf):
            return _Whole(leaf, self._arguments.get(id(leaf)))
        if isinstance(leaf, Iterator):
            raise TraceError(
                f"the step returns {f'a {type(leaf).__name__} at result{path}' if path else f'a {type(leaf).__name__}'}"
                ", which is used up by reading it; a compiled step would make it only when it is compiled\n"
                "  return a list or a tuple: list(...) runs it inside the step"
            )
        if isinstance(leaf, set | deque) and any(isinstance(x, Tensor) for x in leaf):
            raise TraceError(
                f"the step returns a {type(leaf).__name__} of tensors; return them in a list, tuple, dict or object"
            )
        return _Copied(leaf) if isinstance(leaf, (set, deque, *BUFFERS)) else leaf

    def exits(self) -> tuple[list[Value], list[Exit]]:
        """The outputs of the graph, and how a call makes each tensor."""
        for tensor in self._tensors:  # those of gradients are added to them
            self._add_gradient(tensor)
        self._inside = Counter(t._cell for t in self._tensors if not self._outside(t))
        self._values: list[Value] = []
        self._outputs: dict[Cell, int] = {}
        exits = [self._exit(tensor) for tensor in self._tensors]
        return self._values, exits

    def _add_gradient(self, tensor: Tensor) -> None:
        if self._outside(tensor) or not (tensor._retains or (tensor.requires_grad and tensor.is_leaf)):
            return
        grad = tensor._kept if tensor._retains else tensor._grad_cell.grad
        if isinstance(grad, Tensor) or tensor._retains:
            place = self.add(tensor).index
            self.gradients.append((place, None if grad is None else self.add(grad).index))

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
            if type(tensor) is Number:
                return Exit(output, None, (), (), number=True)
            if not whole:
                return Exit(output, None, (), (), None if tensor.is_contiguous() else tensor.stride())
        if tensor.requires_grad and any(op is as_leaf for op, _, _ in tensor._views):
            raise TraceError(
                f"a tensor {tensor._type} that was made a leaf leaves the step as a view of another one that does; "
                "use x.detach().clone().requires_grad_()"
            )
        operands = [tuple([self._operand(x) for x in view[1]]) for view in tensor._views]
        return Exit(output, origin, tensor._views, tuple(operands), cell.strides if origin is None else None)

    def _operand(self, x: Operand) -> Tensor | Exit:
        assert isinstance(x, Tensor)
        return x if x._cell.home is None else self._exit(x)

    def _outside(self, tensor: Tensor) -> bool:
        return tensor._cell.home is None or tensor._cell in self._origins


def _itself(tensor: Tensor) -> Origin:
    base = view_of(tensor._cell, ()) if tensor._views else tensor
    return lambda _: base


def filled(pattern: Any) -> Callable[..., Any]:
    """A function from the tensors that leave, and the containers among the arguments, to ``pattern`` with them in it.

    The second may be missing where :func:`returns_arguments` says so.
    """
    if isinstance(pattern, Hole):
        index = pattern.index
        return lambda tensors, given=(): tensors[index]

    def fill(tensors: Sequence[Tensor], given: Sequence[Any] = ()) -> Any:
        def leaf(_: str, x: Any) -> Any:
            if isinstance(x, Hole):
                return tensors[x.index]
            if isinstance(x, _Whole):
                return x.given if x.argument is None or not given else given[x.argument]
            return copy(x.made) if isinstance(x, _Copied) else x

        return map_leaves(leaf, pattern, whole=lambda x: isinstance(x, _Whole | _Copied))

    return fill


def returns_arguments(pattern: Any) -> bool:
    """Whether a container among the arguments is a part of the result."""
    found = []
    map_leaves(lambda _, x: found.append(x) if isinstance(x, _Whole) and x.argument is not None else None, pattern)
    return bool(found)
