"""Where the values of a fused graph are: arguments of the entry point, states overwritten in place, temporaries."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from compiler.codegen.c.isa import Isa
from compiler.codegen.c.loops import loop_kernel
from compiler.codegen.c.templates import contract_kernel
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.types import TensorType
from compiler.memory import Lifetime


@dataclass
class Place:
    """Where a value is: an argument of the entry point, or ``index`` into the temporaries."""

    kind: str
    index: int
    pointer: str


class Placement:
    """The places of a graph's values.

    Attributes:
        runs: nodes that run together.
        places: value -> where it is.
        temporaries: name, type and life of each temporary.
        copies: values to be copied to a second place at the end.
        aliases: node -> {output: operand whose memory it overwrites}.
        first_write: the first run that writes into a state.
    """

    def __init__(self, graph: Graph, isa: Isa) -> None:
        self.graph, self.isa = graph, isa
        self.runs = _runs(graph.nodes)
        self.position = {v: i for i, run in enumerate(self.runs) for n in run for v in n.outputs}
        self.maker = {v: n for n in graph.nodes for v in n.outputs}
        self.last_read: dict[Value, int] = {}
        for i, run in enumerate(self.runs):
            for node in run:
                for value in node.inputs:
                    self.last_read[value] = i
        self.places: dict[Value, Place] = {}
        self.temporaries: list[tuple[str, TensorType, Lifetime]] = []
        self.copies: list[tuple[Value, Place]] = []
        self.aliases: dict[Node, dict[int, int]] = {}
        self.first_write = len(self.runs)
        self._assign()

    def _assign(self) -> None:
        for i, param in enumerate(self.graph.params):
            self.places[param.value] = Place("param", i, _identifier(param.value.name, i))
        self._place_updates()
        base = len(self.graph.params)
        for i, value in enumerate(self.graph.outputs):
            place = Place("output", base + i, f"out{i}")
            if value in self.places:
                self.copies.append((value, place))
            else:
                self.places[value] = place
        for i, run in enumerate(self.runs):
            for value in [v for node in run for v in node.outputs]:
                if value not in self.places:
                    self._temporary(value, i, self.last_read.get(value, i))

    def _temporary(self, value: Value, start: int, end: int) -> None:
        name = f"x{len(self.temporaries)}"
        self.places[value] = Place("temporary", len(self.temporaries), name)
        self.temporaries.append((name, value.type, Lifetime(start, end, value.type.nbytes)))

    def _place_updates(self) -> None:
        """New states go straight into the state's memory where nobody needs the old contents any more."""
        results = list(self.graph.outputs)
        for update in self.graph.updates:
            value, state = update.value, update.state
            at = self.position.get(value)
            last = self.last_read.get(state, -1)
            direct = at is not None and value not in results and value not in self.places and last <= at
            if direct and at is not None and last == at:
                node = self.maker[value]
                reads = [i for i, v in enumerate(node.inputs) if v is state]
                others = any(state in n.inputs for n in self.runs[at] if n is not node)
                out = node.outputs.index(value)
                direct = len(reads) == 1 and not others and self._in_place(node, reads[0], out)
                if direct:
                    self.aliases.setdefault(node, {})[out] = reads[0]
            if direct and at is not None:
                self.places[value] = self.places[state]
                self.first_write = min(self.first_write, at)
            else:
                self.copies.append((value, self.places[state]))
                if value in self.position and value not in self.places:
                    self._temporary(value, self.position[value], len(self.runs))

    def _in_place(self, node: Node, operand: int, output: int) -> bool:
        """Whether ``output`` can overwrite ``operand``: every element is read only where it is written."""
        body = node.body
        assert body is not None
        if node.attrs["kind"] not in ("pointwise", "contract"):
            return False
        if body.inputs()[operand].type != body.outputs[output].type:
            return False
        contract = node.attrs["kind"] == "contract"
        kernel = contract_kernel(self.isa, node, {}, 0) if contract else loop_kernel(node, {}, 0)
        return operand in kernel.own_place


def _runs(nodes: Sequence[Node]) -> list[list[Node]]:
    """Nodes that run together: those of one table, every other one by itself."""
    runs: list[list[Node]] = []
    for node in nodes:
        table = node.attrs["table"]
        if table and runs and runs[-1][-1].attrs["table"] == table:
            runs[-1].append(node)
        else:
            runs.append([node])
    return runs


def _identifier(name: str, index: int) -> str:
    text = re.sub(r"\W", "_", name)
    return f"s{index}_{text}"
