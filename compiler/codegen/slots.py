"""The arguments of a step."""

from compiler.ir.graph import Graph
from compiler.plan import Slot


def slots(graph: Graph) -> tuple[Slot, ...]:
    """The arguments of a call, and its results."""
    taken = [Slot(p.kind, p.label, p.value.dtype.short, p.value.shape) for p in graph.params]
    given = [Slot("output", f"output {i}", v.dtype.short, v.shape) for i, v in enumerate(graph.outputs)]
    return (*taken, *given)
