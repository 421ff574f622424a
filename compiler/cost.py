"""The cost of a step on a processor, before it runs there: time by a roofline, and memory.

A kernel takes as long as its operations at the processor's peak, or as its bytes at the peak of the memory, whichever
is longer, and no less than a launch (Williams, Waterman & Patterson, "Roofline: an insightful visual performance model
for multicore architectures", 2009). No step is faster; real kernels reach 60 to 95 % of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compiler.ir.graph import Graph, Value
from compiler.ir.location import Loc
from compiler.peak import peak
from compiler.plan import Launch, Plan
from compiler.processors import Processor


@dataclass(frozen=True)
class KernelCost:
    """One kernel run: how long it takes at least, in seconds, and what it waits for."""

    launch: Launch
    seconds: float
    bound: str


@dataclass(frozen=True)
class MemoryCost:
    """Bytes that a step takes.

    Attributes:
        parameters: the tensors that are trained.
        optimizer: moments and what else the optimizer keeps.
        states: other tensors that live from call to call.
        arguments: what a call is given.
        results: what a call returns.
        arena: all temporaries, at their peak.
        gradients: the results alive at the peak that the optimizer is yet to read.
        saved: those that the forward pass left for the backward pass.
        temporaries: the others. A kernel may write a result over an operand, and gaps between results are lost, so the
            three may add up to more or less than the arena.
        scratch: what kernels pack and buffer in.
        peak: the line whose op runs at the peak.
    """

    parameters: int
    optimizer: int
    states: int
    arguments: int
    results: int
    arena: int
    gradients: int
    saved: int
    temporaries: int
    scratch: int
    peak: Loc | None

    @property
    def total(self) -> int:
        return (
            self.parameters + self.optimizer + self.states + self.arguments + self.results + self.arena + self.scratch
        )


@dataclass(frozen=True)
class Cost:
    """The cost of a step on ``processor``: its kernel runs in order, and its memory. ``print`` it."""

    name: str
    processor: Processor
    kernels: tuple[KernelCost, ...]
    memory: MemoryCost

    @property
    def seconds(self) -> float:
        """The time that a call takes at least."""
        return sum(kernel.seconds for kernel in self.kernels)

    @property
    def flops(self) -> int:
        return sum(kernel.launch.flops for kernel in self.kernels)

    @property
    def nbytes(self) -> int:
        """Bytes that kernels read and write."""
        return sum(kernel.launch.nbytes for kernel in self.kernels)

    @property
    def fits(self) -> bool:
        """Whether the step fits into the memory of the processor."""
        return self.memory.total <= self.processor.memory

    def by_module(self) -> dict[str, tuple[float, int, int]]:
        """Seconds, operations and bytes of each module, the longest first; "" is code outside of modules."""
        found: dict[str, tuple[float, int, int]] = {}
        for kernel in self.kernels:
            seconds, flops, nbytes = found.get(kernel.launch.loc.scope, (0.0, 0, 0))
            launch = kernel.launch
            found[launch.loc.scope] = seconds + kernel.seconds, flops + launch.flops, nbytes + launch.nbytes
        return dict(sorted(found.items(), key=lambda item: -item[1][0]))


def cost(plan: Plan, graph: Graph, processor: Processor, kinds: Sequence[str] = (), threads: int = 1) -> Cost:
    """The cost of ``plan``, which was made of the fused ``graph``, on ``processor``.

    ``kinds``: for each state, in order, the field of :class:`MemoryCost` it counts for; "states" without them.
    """
    kernels = tuple([KernelCost(launch, *processor.seconds(launch)) for launch in plan.launches])
    states = dict.fromkeys(("parameters", "optimizer", "states"), 0)
    taken = plan.resident().values()
    for nbytes, kind in zip(taken, kinds or ["states"] * len(taken), strict=True):
        states[kind] += nbytes
    most = peak(graph)
    roles = dict.fromkeys(("gradients", "saved", "temporaries"), 0)
    read_by = readers(graph)
    for value in most.alive:
        roles[role(value, read_by.get(value, set()))] += value.type.nbytes
    memory = MemoryCost(
        **states,
        arguments=sum(s.nbytes for s in plan.slots if s.kind in ("input", "scalar")),
        results=sum(s.nbytes for s in plan.slots if s.kind == "output"),
        arena=plan.arena_bytes,
        **roles,
        scratch=plan.scratch_bytes(threads),
        peak=most.node.loc if most.node is not None else None,
    )
    return Cost(plan.name, processor, kernels, memory)


def readers(graph: Graph) -> dict[Value, set[str]]:
    """The phases of the ops that read each value."""
    found: dict[Value, set[str]] = {}
    for node in graph.nodes:
        for value in node.inputs:
            found.setdefault(value, set()).add(node.phase)
    return found


def role(value: Value, readers: set[str]) -> str:
    """The purpose of a temporary: the optimizer, which counts as forward, reads values of the backward pass."""
    made = value.producer.phase if value.producer is not None else "forward"
    if made == "backward" and "forward" in readers:
        return "gradients"
    return "saved" if made == "forward" and readers & {"backward", "recomputed"} else "temporaries"
