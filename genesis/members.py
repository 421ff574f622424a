"""Tensors that are members of modules."""

from __future__ import annotations

from typing import Any

from genesis.memory.cells import Cell
from genesis.memory.values import concrete
from genesis.tensor import Tensor, memory_of, tensor


class _Member(Tensor):
    """A tensor made to be a member of a module; it shares the memory of the tensor it is made of."""

    def _share(self, data: Any, what: str, requires_grad: bool) -> None:
        source = data if isinstance(data, Tensor) else tensor([] if data is None else data)
        shared = memory_of(source, f"making a {what}")
        self._start(Cell(concrete(shared.array, source._type), requires_grad=requires_grad), ())
        self._cell.hold(shared)
        self._cell.strides = source.value.strides


class Buffer(_Member):
    """A tensor that a module registers as a buffer when it is assigned; ``persistent`` ones are in the state dict."""

    persistent = True

    def __new__(cls, data: Any = None, *, persistent: bool = True) -> Buffer:
        return super().__new__(cls)

    def __init__(self, data: Any = None, *, persistent: bool = True) -> None:
        self._share(data, "Buffer", False)
        self.persistent = persistent


class Parameter(_Member):
    """A tensor that a module registers and an optimizer trains; it shares the memory of the tensor it is made of."""

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Parameter:
        return super().__new__(cls)

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        self._share(data, "Parameter", requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"
