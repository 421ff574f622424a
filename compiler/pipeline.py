"""The passes in order, and the way from a traced graph to a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from compiler.codegen.c import unit
from compiler.codegen.c.isa import ISAS, Isa
from compiler.errors import VerifyError
from compiler.features import PLAIN, Features
from compiler.imports import import_whole
from compiler.ir.graph import Graph
from compiler.ir.replay import in_loops
from compiler.ir.verify import verify
from compiler.passes.autocast import autocast
from compiler.passes.autodiff import autodiff
from compiler.passes.cse import cse
from compiler.passes.expand import expand
from compiler.passes.fuse import fuse
from compiler.passes.hoist import hoist
from compiler.passes.horizontal import horizontal
from compiler.passes.last_steps import last_steps
from compiler.passes.narrow import narrow
from compiler.passes.simplify import simplify
from compiler.passes.split_reductions import split_reductions
from compiler.plan import Plan
from compiler.text.printer import print_graph

if TYPE_CHECKING:
    from compiler.codegen.triton.program import TritonProgram

Pass = Callable[[Graph], Graph]
Named = tuple[str, Pass]
Emit = Callable[[Graph], "Plan | TritonProgram"]


def remat(
    graph: Graph,
    budget: float | None = None,
    arena: Callable[[Graph], int] | None = None,
    keeps_operands: bool = False,
) -> Graph:
    """The pass of this name; its module needs networkx, which a plan from the cache does without."""
    found: Graph = import_whole("compiler.passes.remat").remat(graph, budget, arena, keeps_operands)
    return found


PASSES: dict[str, Pass] = {
    "autocast": in_loops(autocast),
    "last_steps": in_loops(last_steps),
    "autodiff": in_loops(autodiff),
    "expand": in_loops(expand),
    "simplify": in_loops(simplify),
    "narrow": in_loops(narrow),
    "hoist": in_loops(hoist),
    "split_reductions": in_loops(split_reductions),
    "cse": in_loops(cse),
    "remat": remat,
    "fuse": in_loops(fuse),
    "horizontal": horizontal,
}
"""The passes that need no setting, by name, in order; most run on the bodies of loops too."""


def lowering(features: Features = PLAIN, budget: float | None = None, emit: Emit | None = None) -> list[Named]:
    """The passes from a recorded step to fused kernels, for a target with ``features``.

    ``budget`` is what the step's temporaries may take, in bytes or (float) as a part of what they take without one;
    ``emit`` tells how much that is.
    """
    settings: dict[str, Pass] = {
        "expand": in_loops(partial(expand, claims=features.claims)),
        "fuse": in_loops(partial(fuse, product_sums=features.product_sums, joins=features.joins)),
    }

    def arena(graph: Graph) -> int:
        assert emit is not None
        return emit(horizontal(settings["fuse"](graph))).arena_bytes

    settings["remat"] = partial(remat, budget=budget, arena=arena, keeps_operands=features.keeps_operands)
    return [(name, settings.get(name, run)) for name, run in PASSES.items()]


class Stages:
    """The graph after every pass that ran, how long each took in seconds, and a check of each."""

    def __init__(self, traced: Graph) -> None:
        self.graphs: dict[str, Graph] = {"traced": traced}
        self.seconds: dict[str, float] = {}

    @property
    def latest(self) -> Graph:
        return next(reversed(self.graphs.values()))

    def run(self, passes: Sequence[Named]) -> Graph:
        """Run ``passes`` on the latest graph, verifying each result."""
        for name, run in passes:
            start = perf_counter()
            graph = run(self.latest)
            self.seconds[name] = perf_counter() - start
            try:
                verify(graph)
            except VerifyError as error:
                raise VerifyError(f"after pass {name!r}: {error}\n{print_graph(graph)}") from None
            self.graphs[name] = graph
        return self.latest


def compile_c(stages: Stages, isa: Isa) -> Plan:
    """Lower the latest graph of ``stages`` and emit C for ``isa``."""
    return unit.emit(stages.run(lowering(unit.FEATURES)), isa)


def compile_triton(stages: Stages, target: str, budget: float | None = None) -> TritonProgram:
    """Lower the latest graph of ``stages`` and emit Triton for ``target`` ("sm_80", ...); see :func:`lowering`."""
    triton = _triton()
    emit = partial(triton.emit, target=target)
    program: TritonProgram = emit(stages.run(lowering(triton.FEATURES, budget, emit)))
    return program


def triton_features() -> Features:
    """The features of Triton's kernels; see :func:`lowering`."""
    features: Features = _triton().FEATURES
    return features


def _triton() -> Any:
    """The Triton renderer; importing it needs triton, which most steps on a CPU never do."""
    return import_whole("compiler.codegen.triton.module")


def emit(graph: Graph, target: str) -> str:
    """The text that ``graph`` becomes for ``target``: "c" (portable) or "triton" (sm_80).

    A graph of fused nodes is taken as it is, any other is lowered first.
    """
    fused = all(n.op.kind in ("fused", "loop") for n in graph.nodes)
    if target == "c":
        return (unit.emit(graph, ISAS["portable"]) if fused else compile_c(Stages(graph), ISAS["portable"])).source
    if target == "triton":
        return (_triton().emit(graph, "sm_80") if fused else compile_triton(Stages(graph), "sm_80")).source
    raise ValueError(f"unknown target {target!r}; there are: c, triton")
