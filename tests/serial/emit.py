"""The serial target: a graph of fused nodes as one C function; placement and schedule are everybody's."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from compiler import schedule
from compiler.features import PLAIN, Features
from compiler.hazards import Access
from compiler.ir.graph import Graph, Node
from compiler.pipeline import Stages, lowering
from compiler.placement import BodyPlacement, Move, Placement
from compiler.places import Anywhere, Moving, buffers_of
from compiler.plan import Check
from compiler.schedule import Call, Item, Repeat, Schedule
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

    def add(self, graph: Graph, features: Features = PLAIN) -> Step:
        """Lower a recorded graph; nothing is claimed, so that attention and convolutions become loops and products."""
        step = Step(self, len(self.steps), Stages(graph).run(lowering(features)))
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


@dataclass(eq=False)
class Line(Call):
    """A call, as a statement."""

    text: str = ""


class Frame(schedule.Frame):
    """The calls of a step's graph, or of a loop's body."""

    def __init__(self, placement: Placement, owner: Step) -> None:
        super().__init__(placement)
        self.owner = owner

    def step(self, number: int) -> None:
        for node in self.placement.steps[number].nodes:
            checked = any(n.op.checks for n in node.inner.nodes)
            access = Access(self.buffers(node.inputs), self.buffers(node.outputs))
            self.items.append(Line(access, checked=checked, text=self.owner.kernel(node, self.placement)))

    def copy(self, moves: Sequence[Move]) -> None:
        for move in moves:
            access = Access(buffers_of([move.source]), buffers_of([move.target]))
            self.items.append(Line(access, text=self.owner.copy(move)))

    def inside(self, body: BodyPlacement) -> Frame:
        return Frame(body, self.owner)


class Step:
    """A graph, its C text, and the bytes of memory that its temporaries take."""

    def __init__(self, unit: Unit, number: int, graph: Graph) -> None:
        self.unit, self.number, self.graph = unit, number, graph
        self.checks: list[Check] = []
        self.call: ctypes._NamedFuncPointer | None = None
        placement = Placement(graph, runs(graph), ordered=True)
        self.buffers, self.nbytes = placement.buffers.laid_out()
        items = Frame(placement, self).fill()
        self.schedule = Schedule(items, self.buffers, ordered=True)
        inside = "\n".join("  " + line for line in self.lines(items))
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

    def lines(self, items: Sequence[Item]) -> list[str]:
        """The statements that make ``items``."""
        found = []
        for item in items:
            if isinstance(item, Repeat):
                i, inside = f"i{item.number}", ["  " + line for line in self.lines(item.items)]
                found += [f"for (long {i} = 0; {i} < {item.length}; {i}++) {{", *inside, "}"]
            elif isinstance(item, Line):
                found += ["if (status[0]) return;"] * (item in self.schedule.looking) + [item.text]
        return found

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
