"""Op calls and tensor reads that go into the body of a loop."""

from __future__ import annotations

from typing import Any

from compiler.errors import TraceError
from compiler.ir import ambient
from compiler.ir.graph import Value
from compiler.ir.location import user_location
from compiler.ir.types import TensorType
from genesis.context import session
from genesis.memory.cells import Cell
from genesis.memory.values import TensorValue, concrete
from genesis.recording import Recording, Trace


class BodyTrace(Trace):
    """The trace of a loop's body. Cells of the outside are invariants: inputs of the body for what they hold before it.

    ``outside``: the value before the loop of each cell in ``state``.
    """

    def __init__(self, name: str) -> None:
        here = session()
        super().__init__(name, here.grad_enabled)
        self.around = here
        self.outside: dict[Cell, TensorValue] = {}
        self.builder.autocast = here.autocast
        self.builder.target = here.target
        if here.recording is not None:
            self.module_names = here.recording.module_names
            self.builder.scopes += here.recording.builder.scopes

    @property
    def step(self) -> Recording | None:
        around = self.around.recording
        return around.step if around is not None else None

    def training(self) -> Recording:
        raise TraceError(
            f"gradients (.grad, backward()) and optimizers in the body of a loop\n  at {user_location()}\n"
            "  return from genesis.scan what they need, and use them behind it"
        )

    def is_outside(self, cell: Cell) -> bool:
        recording = self.around.recording
        return cell.home is recording or (recording is not None and recording.is_outside(cell))

    def read(self, cell: Cell) -> TensorValue:
        found = self.current.get(cell)
        if found is None:
            with ambient.using(self.around):
                outside = cell.read()
            found = self.graph.add_input(TensorValue(cell.type, cell.label), "input", "")
            found.requires_grad = outside.requires_grad
            self.outside[cell] = outside
            self.state[cell] = self.current[cell] = found
        return found

    def write(self, cell: Cell, value: Value) -> None:
        raise TraceError(
            f"{cell.label or 'a tensor'} {cell.type}, made outside the loop, is written in its body\n"
            f"  at {user_location()}\n  carry it instead: take it from the carry and return the new one"
        )

    def array(self, array: Any, kind: TensorType) -> TensorValue:
        around = self.around.recording
        if around is None:
            return self.read(Cell(concrete(array, kind)))
        with ambient.using(self.around):
            outside = Cell(around.array(array, kind), around)
        return self.read(outside)
