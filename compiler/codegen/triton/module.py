"""A fused graph as one Triton module and the launches that run it."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Sequence
from functools import partial

from compiler import schedule, work
from compiler.codegen.comments import comment, made, origins
from compiler.codegen.slots import slots
from compiler.codegen.triton.attention import attention_tasks
from compiler.codegen.triton.beside import launches_of
from compiler.codegen.triton.contract import contraction, product_tasks
from compiler.codegen.triton.convolution import convolution_tasks
from compiler.codegen.triton.features import FEATURES
from compiler.codegen.triton.flat import flat_tasks
from compiler.codegen.triton.joint import joint_tasks, together
from compiler.codegen.triton.last import Last, is_last
from compiler.codegen.triton.launches import ALIGNED, Bound, Launches, bound
from compiler.codegen.triton.loop import LoopKernel
from compiler.codegen.triton.matmul import config
from compiler.codegen.triton.prelude import prelude
from compiler.codegen.triton.scan import scan_tasks
from compiler.codegen.triton.scatter import scatter_tasks
from compiler.codegen.triton.sort import sort_tasks
from compiler.codegen.triton.task import Status, Table, Task
from compiler.codegen.triton.tiles import tile_tasks
from compiler.ir.graph import Graph, Node, Value
from compiler.layout import Windows, arrange
from compiler.narrow_states import narrowed, slots_of
from compiler.placement import Memory, Placement
from compiler.plan import Kernel, Launch, Plan, Repeat, Step
from compiler.schedule import Item
from compiler.sharing import Shareable, steps
from compiler.sparse import compacted
from compiler.whole_loops import gathered

_PLAIN = {"scatter": scatter_tasks, "sort": sort_tasks, "scan": scan_tasks}
"""Kernels that nothing is fused to, by kind."""


def emit(graph: Graph, target: str = "sm_80") -> Plan:
    """Triton text and launches for a graph of fused nodes, compiled for ``target`` later."""
    graph, narrow = narrowed(compacted(graph))
    graph, loops, unfit = gathered(graph, partial(LoopKernel, target=target))
    arranged, windows = arrange(graph)
    loose = set(_loose(arranged))
    products = together(arranged, target, windows)
    states: dict[Memory, Memory] = {u.value: u.state for u in arranged.updates}

    def kernels_of(node: Node) -> Sequence[Task | Shareable]:
        if node.body in loops:
            return [loops[node.inner].task(node)]
        if node not in products:
            tasks = tasks_of(node, target, windows, loose)
            return [Last.of(task, loose) for task in tasks] if is_last(node, states) else tasks
        return joint_tasks(products[node], target, windows) if products[node] else []

    kernels = steps(arranged, kernels_of, FEATURES.few_launches, partial(launches_of, states=states))
    placement = Placement(arranged, kernels, FEATURES.ordered)
    launches = Launches(placement, narrow)
    module = _Module([*launches.items, *launches.refresh])
    return Plan(
        graph.name,
        target,
        module.source(graph.name, target, unfit),
        slots(graph),
        launches.arena_bytes,
        (),
        0,
        tuple(map(module.step, launches.items)),
        tuple(launches.checks),
        placement.kept_bytes(),
        tuple(launches.records),
        tuple(launches.tables),
        tuple(module.kernels),
        tuple(map(module.launch, launches.refresh)),
        tuple(slots_of(narrow, graph)),
        tuple(i for i, p in enumerate(graph.params) if any(u.state is p.value for u in graph.updates)),
    )


def _loose(graph: Graph) -> Iterator[Value]:
    """Values of loop bodies, slices of stacks, that need not stand at a multiple of 16 bytes."""
    for node in graph.nodes:
        if node.op.kind == "loop" and node.body is not None:
            yield from (v for v in (*node.body.inputs(), *node.body.outputs) if v.type.nbytes % ALIGNED)
            yield from _loose(node.body)


def tasks_of(node: Node, target: str, windows: Windows, loose: Collection[Value] = ()) -> list[Task | Shareable]:
    """The launches that compute a fused node; ``loose``: see :class:`Flat`."""
    if not any(v.type.size for v in node.outputs):
        return []
    kind = node.attrs["kind"]
    if kind == "contract":
        return product_tasks("dot", contraction(node), partial(config, target=target), windows)
    if kind == "convolution":
        return convolution_tasks(node, target, windows)
    if kind == "attention":
        return attention_tasks(node, target, windows)
    if kind in _PLAIN:
        return list(_PLAIN[kind](node))
    if kind in ("pointwise", "row", "column", "full", "concat"):
        return flat_tasks(node, loose) or tile_tasks(node)
    raise NotImplementedError(f"a Triton kernel of kind {kind!r}\n  at {node.loc}")


class _Module:
    """The text: kernels of one text are one kernel, whatever they work on."""

    def __init__(self, items: Sequence[Item]) -> None:
        users: dict[str, list[Bound]] = {}
        for launch in bound(items):
            users.setdefault(_key(launch.task), []).append(launch)
        self.kernels: list[Kernel] = []
        self.parts: list[str] = []
        self.names: dict[str, str] = {}
        self.counted: set[Node] = set()  # whose operations stand in a launch
        self.launches = sum(map(len, users.values()))
        taken: dict[str, int] = {}
        for key, launches in users.items():
            first = launches[0].task
            count = taken[first.name] = taken.get(first.name, 0) + 1
            name = first.name if count == 1 else f"{first.name}_{count}"
            self.names[key] = name
            self.kernels.append(_kernel(name, launches))
            self.parts.append(f"{_comment([launch.task for launch in launches])}\n{first.source(name)}")

    def source(self, name: str, target: str, unfit: Sequence[str]) -> str:
        """The module as text, with the reasons why loops are not one kernel."""
        counts = f"{self.launches} launches of {len(self.kernels)} kernels"
        head = f'"""{comment(name)}: {counts}, for {target}. Generated by Genesis."""'
        body = "\n\n".join(self.parts)
        notes = [f"# {line}\n" for reason in unfit for line in textwrap.wrap(f"Not one kernel: {reason}.", 116)]
        return f"{head}\n\n{''.join(notes)}{prelude(body)}\n\n{body}"

    def step(self, item: Item) -> Step:
        """The record of a launch or of a loop."""
        if isinstance(item, schedule.Repeat):
            return Repeat(item.number, item.length, tuple(map(self.step, item.items)))
        assert isinstance(item, Bound)
        return self.launch(item)

    def launch(self, item: Bound) -> Launch:
        """The record of a launch."""
        task = item.task
        name = self.names[_key(task)]
        first, *others = task.nodes
        flops = sum(work.flops(node) for node in task.nodes if node not in self.counted)
        self.counted.update(task.nodes)
        return Launch(
            name,
            str(first.attrs["kind"]),
            task.ops(),
            first.loc,
            flops,
            task.moved(),
            first.phase,
            tuple(dict.fromkeys(node.loc for node in others)),
            work.compute(task.nodes),
            task.grid,
            item.places,
            values=made(task.nodes),
        )


def _key(task: Task) -> str:
    return task.source("NAME") + str(task.signature)


def _kernel(name: str, launches: Sequence[Bound]) -> Kernel:
    """The record of a kernel that is launched."""
    first = launches[0].task
    aligned = [a.name for k, a in enumerate(first.arguments) if all(x.is_aligned(k) for x in launches)]
    return Kernel(name, first.signature, tuple(aligned), first.warps, first.stages)


def _comment(tasks: list[Task]) -> str:
    """The origin of a kernel in the user's program, and its arguments in its first launch."""
    nodes = list(dict.fromkeys(node for task in tasks for node in task.nodes))
    lines = [part for line in origins(nodes) for part in textwrap.wrap(comment(line), 116)]
    types = ", ".join(
        f"{a.name} {a.place.type}" for a in tasks[0].arguments if not isinstance(a.place, (Table, Status))
    )
    lines += textwrap.wrap(types, 116)
    return "\n".join(f"# {line}" for line in lines)
