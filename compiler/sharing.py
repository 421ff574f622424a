"""The steps of a fused graph in the order in which they run, and which kernels share one; the same for all targets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from compiler.domain import read_in_place
from compiler.ir.graph import Graph, Node, Value
from compiler.placement import Memory, Step


@dataclass(eq=False)
class Run:
    """Nodes that run together: a table's nodes, every other one by itself. See :class:`compiler.placement.Step`."""

    nodes: list[Node]
    _in_place: dict[Node, frozenset[int]] = field(default_factory=dict)

    @property
    def reads(self) -> list[Value]:
        return [v for n in self.nodes for v in n.inputs]

    @property
    def writes(self) -> list[Value]:
        return [v for n in self.nodes for v in n.outputs]

    @property
    def steps(self) -> Sequence[Step]:
        """There are none in a kernel."""
        return ()

    def streams(self, node: Node, operand: Value) -> bool:
        if node not in self._in_place:
            self._in_place[node] = read_in_place(node)
        return node.inputs.index(operand) in self._in_place[node]


@dataclass(eq=False)
class Loop:
    """A loop: the steps of its body, which is a graph of its own."""

    node: Node
    steps: Sequence[Step]

    @property
    def nodes(self) -> list[Node]:
        return [self.node]

    @property
    def reads(self) -> Sequence[Memory]:
        return self.node.inputs

    @property
    def writes(self) -> Sequence[Memory]:
        return self.node.outputs

    def streams(self, node: Node, operand: Value) -> bool:
        """A loop as a whole reads everything again."""
        return False


@dataclass(eq=False)
class Shareable:
    """A kernel that shares a step with others of the same ``key``."""

    key: Hashable
    reads: Sequence[Memory]
    writes: Sequence[Memory]
    nodes: list[Node] = field(default_factory=list)

    def merged(self, others: Sequence[Shareable]) -> Step:
        """One step for this one and ``others``."""
        return Run([n for member in (self, *others) for n in member.nodes])


Kernels = Callable[[Node], Sequence[Step | Shareable]]
"""The kernel that computes a fused node."""

Beside = Callable[[Sequence[Step]], Sequence[Step]]
"""The launches made of steps that do not wait for each other."""


def runs(graph: Graph) -> list[Step]:
    """The steps of a target with a kernel for each node, and for each table of :mod:`compiler.passes.horizontal`."""
    return steps(graph, _run)


def _run(node: Node) -> list[Step | Shareable]:
    table = node.attrs.get("table", 0)
    return [Shareable(table, node.inputs, node.outputs, [node]) if table else Run([node])]


def steps(graph: Graph, kernels: Kernels, patient: bool = False, beside: Beside | None = None) -> list[Step]:
    """The steps of a graph, and of the bodies of its loops; see :func:`shared`."""
    found: list[Step | Shareable] = []
    for node in graph.nodes:
        if node.op.kind == "loop" and node.body is not None:
            found.append(Loop(node, steps(node.body, kernels, patient, beside)))
        else:
            found += kernels(node)
    return shared(found, patient, beside)


def shared(kernels: Sequence[Step | Shareable], patient: bool, beside: Beside | None = None) -> list[Step]:
    """Steps in an order that keeps every result before its readers.

    Neighbours of one key share a step. ``patient``: one that can share runs only when somebody needs what it writes,
    together with all others of its key that are ready by then. So all sums of squares of the gradients are one launch,
    and the whole optimizer is another. Those of other keys that must run, too, and are ready, run ``beside`` it.
    """
    queue = _Queue(beside)
    for kernel in kernels:
        if isinstance(kernel, Shareable):
            if not patient:
                queue.settle(m for m in queue.waiting if m.key != kernel.key)
            queue.wait(kernel)
        else:
            queue.settle(queue.behind(kernel.reads) if patient else queue.waiting)
            queue.steps.append(kernel)
    queue.settle(queue.waiting)
    return queue.steps


class _Queue:
    """Steps in order, and the kernels that wait for others to share a step."""

    def __init__(self, beside: Beside | None) -> None:
        self.beside = beside
        self.steps: list[Step] = []
        self.waiting: dict[Shareable, None] = {}
        self.writer: dict[Memory, Shareable] = {}

    def wait(self, member: Shareable) -> None:
        self.waiting[member] = None
        self.writer.update(dict.fromkeys(member.writes, member))

    def settle(self, members: Iterable[Shareable]) -> None:
        """Make steps of ``members``, and of what else shares them; what they read is among them or made already."""
        needed = dict.fromkeys(members)
        while needed:
            leads = filter(self._ready, needed)
            keys = {next(leads).key: None} if self.beside is None else dict.fromkeys(m.key for m in leads)
            groups: dict[Hashable, list[Shareable]] = {key: [] for key in keys}
            for member in [m for m in self.waiting if m.key in keys and self._ready(m)]:
                groups[member.key].append(member)
            made = [lead.merged(others) for lead, *others in groups.values()]
            self.steps += made if self.beside is None else self.beside(made)
            for member in (m for group in groups.values() for m in group):
                del self.waiting[member]
                needed.pop(member, None)

    def behind(self, places: Collection[Memory]) -> list[Shareable]:
        """The kernels that must run before ``places`` can be read, in the order in which they came."""
        found: set[Shareable] = set()
        pending = list(places)
        while pending:
            member = self.writer.get(pending.pop())
            if member in self.waiting and member not in found:
                found.add(member)
                pending += member.reads
        return [m for m in self.waiting if m in found]

    def _ready(self, member: Shareable) -> bool:
        return not any(self.writer.get(place) in self.waiting for place in member.reads)
