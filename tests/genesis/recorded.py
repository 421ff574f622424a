"""Steps recorded once and run by the interpreter, the way a compiled step runs."""

from collections.abc import Callable
from typing import Any

import numpy as np

from compiler.interpret import interpret
from compiler.ir.ambient import using
from compiler.ir.graph import Graph
from genesis.host import HostProgram
from genesis.memory.values import concrete
from genesis.recording import Recording


class Recorded:
    """``step``, recorded when this is made; each call runs the graph and the host actions."""

    def __init__(self, step: Callable[[], Any]) -> None:
        self.recording = Recording("step")
        host = self.recording.host
        with using(self.recording.builder):
            try:
                step()
                host.finish()
            finally:
                host.take_back()
        self.graph: Graph = self.recording.finish(host.results)
        self.host = HostProgram(host)

    def __call__(self) -> None:
        cells = {value: cell for cell, value in self.recording.state.items()}
        undo, numbers = self.host.enter()
        late = self.recording.late_inputs  # the step has no arguments
        found = {
            value: np.asarray(x.array, x.dtype) if x.cell is None else x.cell.grad.value.data
            for value, x in zip(self.graph.inputs("input"), late, strict=True)
        }
        found |= {value: cell.value.data for value, cell in cells.items()}
        found |= {value: np.float64(numbers[i]) for value, i in self.recording.host.scalars.items()}
        results, written = interpret(self.graph, [found[v] for v in self.graph.inputs()])
        for update, array in zip(self.graph.updates, written, strict=True):
            cells[update.state].write(concrete(array, update.state.type))
        self.host.leave(undo, results)

    def labels(self, kind: str) -> list[str]:
        return [p.label for p in self.graph.params if p.kind == kind]

    def ops(self) -> list[str]:
        return [node.op.name for node in self.graph.nodes]
