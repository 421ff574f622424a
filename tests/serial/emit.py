"""The serial target: a graph of fused nodes as one C function; the placement is everybody's."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from compiler.ir.graph import Graph, Node
from compiler.pipeline import Stages, lowering
from compiler.placement import Move, Placement, loop_of
from compiler.places import Anywhere, Moving
from compiler.plan import Check
from compiler.sharing import runs
from runtime.devices.cpu import aligned_empty
from tests.compiler.codegen.c.plans import compiler
from tests.serial.kernels import function
from tests.serial.spelling import PRELUDE

FLAGS = ("-std=gnu11", "-O0", "-fwrapv", "-ffp-contract=off", "-fno-math-errno", "-w", "-shared", "-fPIC")


@dataclass
class Unit:
    """Graphs that are compiled together; kernels of one text are one function."""

    names: dict[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    def add(self, graph: Graph) -> Step:
        """Lower a recorded graph; nothing is claimed, so that attention and convolutions become loops and products."""
        step = Step(self, len(self.steps), Stages(graph).run(lowering()))
        self.steps.append(step)
        return step

    def build(self) -> None:
        """Compile the file; steps can be called then."""
        path = Path(tempfile.mkdtemp(prefix="serial-")) / "steps.so"
        command = [*compiler().command, *FLAGS, "-x", "c", "-", "-o", str(path), "-lm"]
        kernels = [text.replace("NAME", name) for text, name in self.names.items()]
        source = "\n".join([PRELUDE, *kernels, *(step.text for step in self.steps)])
        done = subprocess.run(command, input=source, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[:4000]
        library = ctypes.CDLL(str(path))
        for step in self.steps:
            step.call = getattr(library, f"step{step.number}")


class Step:
    """A graph, its C text, and the bytes of memory that its temporaries take."""

    def __init__(self, unit: Unit, number: int, graph: Graph) -> None:
        self.unit, self.number, self.graph = unit, number, graph
        self.checks: list[Check] = []
        self.call: ctypes._NamedFuncPointer | None = None
        placement = Placement(graph, runs(graph), ordered=True)
        self.buffers, self.nbytes = placement.buffers.laid_out()
        inside = "\n".join("  " + line for line in self.lines(placement))
        self.text = f"void step{number}(void **p, void *m, long long *status) {{\n{inside}\n}}\n"

    def run(self, arrays: Sequence[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray], list[int]]:
        """The results, the parameters after the call, and the status."""
        assert self.call is not None, "build the unit first"
        given = zip(arrays, self.graph.inputs(), strict=True)
        params = [np.array(x, v.dtype.numpy, order="C").reshape(v.shape) for x, v in given]
        results = [np.full(v.shape, 99).astype(v.dtype.numpy) for v in self.graph.outputs]
        memory, status = aligned_empty(self.nbytes), np.zeros(4, np.int64)
        pointers = (ctypes.c_void_p * max(len(params + results), 1))(*[x.ctypes.data for x in params + results])
        self.call(pointers, ctypes.c_void_p(memory.ctypes.data), ctypes.c_void_p(status.ctypes.data))
        return results, params, status.tolist()

    def lines(self, placement: Placement) -> list[str]:
        """The statements that compute a graph, the step's or the body of a loop."""
        found = []
        for step in placement.steps:
            loop = loop_of(step)
            if loop is None:
                found += [self.kernel(node, placement) for node in step.nodes]
                found += ["if (status[0]) return;"] * any(
                    n.op.checks for f in step.nodes if f.body for n in f.body.nodes
                )
                continue
            body = placement.bodies[loop]
            i = f"i{body.number}"
            inside = ["  " + line for line in self.lines(body)]
            found += [*map(self.copy, body.before), f"for (long {i} = 0; {i} < {body.length}; {i}++) {{", *inside, "}"]
            found += map(self.copy, body.after)
        return found + [self.copy(Move(v, placement.places[v], target)) for v, target in placement.copies]

    def kernel(self, node: Node, placement: Placement) -> str:
        """The call of a fused node's kernel."""
        text, checks = function(node)
        name = self.unit.names.setdefault(text, f"kernel{len(self.unit.names)}")
        arguments = [self.place(placement.places[v]) for v in (*node.inputs, *node.outputs)]
        line = f"{name}({', '.join([*arguments, 'status', str(len(self.checks))])});"
        self.checks += [Check(c.attrs["what"], c.attrs.get("size"), str(c.loc)) for c in checks]
        return line

    def copy(self, move: Move) -> str:
        """A copy from one place to another."""
        return f"memmove({self.place(move.target)}, {self.place(move.source)}, {move.value.type.nbytes});"

    def place(self, where: Anywhere) -> str:
        """A place as a pointer."""
        if isinstance(where, Moving):
            i = f"i{where.loop}"
            first, odd, even = map(self.place, (where.first, where.odd, where.even))
            return f"({i} == 0 ? {first} : {i} % 2 ? {odd} : {even}) + {i} * {where.stride}"
        buffer = self.buffers[where.buffer]
        base = f"p[{where.buffer}]" if buffer.life is None else f"m + {buffer.index}"
        return f"({base} + {where.offset})"
