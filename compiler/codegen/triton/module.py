"""A fused graph as one Triton module and the launches that run it."""

from __future__ import annotations

import textwrap

from compiler.codegen.comments import comment
from compiler.codegen.triton.attention import attention_tasks
from compiler.codegen.triton.body import INDENT
from compiler.codegen.triton.claims import claims
from compiler.codegen.triton.contract import contract_tasks
from compiler.codegen.triton.convolution import convolution_tasks
from compiler.codegen.triton.flat import Flat, flat_tasks
from compiler.codegen.triton.layout import Windows, arrange
from compiler.codegen.triton.prelude import prelude
from compiler.codegen.triton.program import UNTOUCHED, Buffer, Kernel, Launch, Reference, TritonProgram
from compiler.codegen.triton.scatter import scatter_task
from compiler.codegen.triton.schedule import schedule
from compiler.codegen.triton.task import Argument, Entry, Mergeable, Place, Scratch, Status, Table, Task
from compiler.codegen.triton.tiles import tile_tasks
from compiler.features import Features
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import OPS
from compiler.memory import Lifetime, assign_offsets
from compiler.plan import Check, Slot

__all__ = ["FEATURES", "emit"]

FEATURES = Features(claims, product_sums=True, keeps_operands=True)


def emit(graph: Graph, target: str = "sm_80") -> TritonProgram:
    """Triton text and launches for a graph of fused nodes, compiled for ``target`` later."""
    return _Module(graph, target).program()


def tasks_of(node: Node, target: str, windows: Windows) -> list[Task | Mergeable]:
    """The launches that compute a fused node."""
    if not any(v.type.size for v in node.outputs):
        return []
    kind = node.attrs["kind"]
    if kind == "contract":
        return contract_tasks(node, target, windows)
    if kind == "convolution":
        return convolution_tasks(node, target, windows)
    if kind == "attention":
        return list(attention_tasks(node, windows))
    if kind == "scatter":
        return [scatter_task(node)]
    if kind in ("pointwise", "row", "column", "full", "concat"):
        return flat_tasks(node) or tile_tasks(node)
    raise NotImplementedError(f"a Triton kernel of kind {kind!r}\n  at {node.loc}")


def _refuse_loops(graph: Graph) -> None:
    for node in graph.nodes:
        if node.op.kind == "loop":
            raise NotImplementedError(
                "loops (genesis.scan, recurrent layers) on a GPU; compile the step for the processor, with backend='c'"
                f"\n  at {node.loc}"
            )


class _Module:
    def __init__(self, graph: Graph, target: str) -> None:
        _refuse_loops(graph)
        self.graph, windows = arrange(graph)
        self.target = target
        self.tasks = schedule([t for node in self.graph.nodes for t in tasks_of(node, target, windows)])
        self.buffers: list[Buffer] = []
        self.numbers: dict[Place, int] = {}
        self.tables: list[Table] = []
        self.checks: list[Check] = []

    def program(self) -> TritonProgram:
        arena = self._place()
        kernels, launches, source = self._kernels()
        return TritonProgram(
            self.graph.name,
            self.target,
            source,
            self._slots(),
            tuple(self.buffers),
            arena,
            tuple(tuple(self._entry(e) for e in table.entries) for table in self.tables),
            kernels,
            launches,
            tuple(self.checks),
        )

    # Memory

    def _slots(self) -> tuple[Slot, ...]:
        slots = [Slot(p.kind, p.label, p.value.dtype.short, p.value.shape) for p in self.graph.params]
        return (
            *slots,
            *(Slot("output", f"output {i}", v.dtype.short, v.shape) for i, v in enumerate(self.graph.outputs)),
        )

    def _add(self, place: Place, kind: str, index: int) -> None:
        self.numbers[place] = len(self.buffers)
        self.buffers.append(Buffer(kind, index, place.type.dtype.short, place.type.shape))

    def _place(self) -> int:
        """Give every place its memory; returns the size of the arena in bytes."""
        for i, param in enumerate(self.graph.params):
            self._add(param.value, param.kind, i)
        base = len(self.graph.params)
        for i, value in enumerate(self.graph.outputs):
            if value not in self.numbers:
                self._add(value, "output", base + i)
        self._update_states()
        lives = self._lives()
        offsets, arena = assign_offsets(list(lives.values()))
        for place, offset in zip(lives, offsets, strict=True):
            self._add(place, "temporary", offset)
        for task in self.tasks:
            for argument in task.arguments:
                self._add_constant(argument.place)
        return arena

    def _add_constant(self, place: Place) -> None:
        if place in self.numbers:
            return
        if isinstance(place, Table):
            same = next((t for t in self.tables if t.entries == place.entries), None)
            if same is not None:
                self.numbers[place] = self.numbers[same]
                return
            self._add(place, "table", len(self.tables))
            self.tables.append(place)
        elif isinstance(place, Status):
            check = place.check
            self._add(place, "status", len(self.checks))
            self.checks.append(Check(check.attrs["what"], check.attrs.get("size"), str(check.loc)))

    def _lives(self) -> dict[Place, Lifetime]:
        """Lifetimes, in launches, of the places that have no memory yet."""
        first: dict[Place, int] = {}
        last: dict[Place, int] = {}
        for step, task in enumerate(self.tasks):
            for place in (*task.reads, *task.writes):
                if isinstance(place, (Value, Scratch)) and place not in self.numbers:
                    first.setdefault(place, step)
                    last[place] = step
        return {p: Lifetime(first[p], last[p], p.type.nbytes) for p in first}

    def _update_states(self) -> None:
        """New states go straight into the state's memory where nobody needs the old contents any more."""
        copies: list[tuple[Value, Place]] = []
        for update in self.graph.updates:
            if update.value not in self.numbers and self._may_overwrite(update.value, update.state):
                self.numbers[update.value] = self.numbers[update.state]
            else:
                copies.append((update.value, update.state))
        base = len(self.graph.params)
        for i, value in enumerate(self.graph.outputs):
            if self.buffers[self.numbers[value]].index != base + i:
                place = Scratch(value.type)
                self._add(place, "output", base + i)
                copies.append((value, place))
        self.tasks += schedule([copy_of(value, place) for value, place in copies if value.type.size])
        self._guard()

    def _guard(self) -> None:
        """Once a check has failed, states stay as they were."""
        words = list(dict.fromkeys(word for task in self.tasks for word in task.checks()))
        if not words:
            return
        tests = [f"tl.load(check{k}) != {UNTOUCHED}" for k in range(len(words))]
        failed = tests[0] if len(tests) == 1 else " | ".join(f"({test})" for test in tests)
        guard = ["# After an index out of range the states stay as they were.", f"if {failed}:", f"{INDENT}return"]
        for task in self.tasks:
            if any(self._is_state(place) for place in task.writes):
                task.text = [*guard, *task.text]
                task.arguments += [Argument(f"check{k}", word) for k, word in enumerate(words)]

    def _is_state(self, place: Place) -> bool:
        return place in self.numbers and self.buffers[self.numbers[place]].kind == "state"

    def _may_overwrite(self, value: Value, state: Value) -> bool:
        """Whether the launch that makes ``value`` can write it over ``state``: the last reader, place by place."""
        steps = [i for i, task in enumerate(self.tasks) if value in task.writes]
        if not steps or value.producer is None:
            return not value.type.size
        task = self.tasks[steps[0]]
        if any(state in later.reads or later.checks() for later in self.tasks[steps[0] + 1 :]):
            return False
        readers = [node for node in task.nodes if state in node.inputs]
        return not readers or (readers == [value.producer] and state in task.streamed)

    # Text

    def _entry(self, entry: Entry) -> int | Reference:
        return entry if isinstance(entry, int) else Reference(self.numbers[entry[0]], entry[1])

    def _kernels(self) -> tuple[tuple[Kernel, ...], tuple[Launch, ...], str]:
        """Kernels of one text are one kernel, whatever they work on."""
        users: dict[str, list[Task]] = {}
        for task in self.tasks:
            users.setdefault(task.source("NAME") + str(task.signature), []).append(task)
        kernels: list[Kernel] = []
        parts: list[str] = []
        number: dict[str, int] = {}
        taken: dict[str, int] = {}
        for key, tasks in users.items():
            first = tasks[0]
            count = taken[first.name] = taken.get(first.name, 0) + 1
            name = first.name if count == 1 else f"{first.name}_{count}"
            number[key] = len(kernels)
            kernels.append(_kernel(name, tasks))
            parts.append(f"{_comment(tasks)}\n{first.source(name)}")
        launches = tuple(
            Launch(
                number[task.source("NAME") + str(task.signature)],
                task.grid,
                tuple(Reference(self.numbers[a.place], a.nbytes) for a in task.arguments),
                task.ops(),
                task.places(),
                task.moved(),
            )
            for task in self.tasks
        )
        counts = f"{len(launches)} launches of {len(kernels)} kernels"
        head = f'"""{comment(self.graph.name)}: {counts}, for {self.target}. Generated by Genesis."""'
        body = "\n\n".join(parts)
        return tuple(kernels), launches, f"{head}\n\n{prelude(body)}\n\n{body}"


def copy_of(value: Value, place: Place) -> Flat:
    """A launch that copies ``value`` to ``place``."""
    body = Graph("copy")
    body.outputs = [body.add_param(value.type, "input", "", "a0")]
    attrs = {"kind": "pointwise", "rows": 1, "columns": value.type.size}
    copy = Flat(Node(OPS["fused"], (value,), (value.type,), attrs, body))
    copy.targets[0] = place
    return copy.settle()


def _kernel(name: str, tasks: list[Task]) -> Kernel:
    """The record of a kernel that ``tasks`` launch."""
    aligned = [
        argument.name
        for k, argument in enumerate(tasks[0].arguments)
        if all(task.arguments[k].nbytes % 16 == 0 for task in tasks)
    ]
    return Kernel(name, tasks[0].signature, tuple(aligned), tasks[0].warps, tasks[0].stages)


def _comment(tasks: list[Task]) -> str:
    """Where in the user's program a kernel comes from, and what it gets in its first launch."""
    places = list(dict.fromkeys(place for task in tasks for place in task.places()))
    more = f" and {len(places) - 3} more" if len(places) > 3 else ""
    lines = textwrap.wrap("".join(c if c.isprintable() else "_" for c in f"{', '.join(places[:3])}{more}"), 116)
    types = ", ".join(
        f"{a.name} {a.place.type}" for a in tasks[0].arguments if not isinstance(a.place, (Table, Status))
    )
    lines += textwrap.wrap(types, 116)
    return "\n".join(f"# {line}" for line in lines)
