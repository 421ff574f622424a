"""The passes in order, and the way from a traced graph to a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter

from compiler.codegen.c import unit
from compiler.codegen.c.isa import ISAS, Isa
from compiler.errors import UnsupportedError, VerifyError
from compiler.features import PLAIN, Features
from compiler.imports import import_whole
from compiler.ir.graph import Graph
from compiler.ir.replay import in_loops
from compiler.ir.verify import Typed, verify
from compiler.naming import Names
from compiler.passes.autocast import autocast
from compiler.passes.autodiff import autodiff
from compiler.passes.cse import cse
from compiler.passes.expand import expand
from compiler.passes.fuse import fuse
from compiler.passes.hoist import hoist
from compiler.passes.horizontal import horizontal
from compiler.passes.last_steps import last_steps
from compiler.passes.narrow import narrow
from compiler.passes.repeat_products import repeat_products
from compiler.passes.simplify import simplify
from compiler.passes.split_reductions import split_reductions
from compiler.plan import Plan
from compiler.target import Target
from compiler.text.printer import print_graph

Pass = Callable[[Graph], Graph]
Named = tuple[str, Pass]
Emit = Callable[[Graph], Plan]


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
    "repeat_products": in_loops(repeat_products),
    "fuse": in_loops(fuse),
    "horizontal": horizontal,
}
"""The passes that need no setting, by name, in order; most run on the bodies of loops too."""

DIFFERENTIATION = ("autocast", "last_steps", "autodiff")
"""The passes after which a graph has no ``grad`` nodes any more."""


def differentiated(graph: Graph) -> Graph:
    """``graph`` and its loops with the casts of autocast regions and without ``grad`` nodes."""
    for name in DIFFERENTIATION:
        graph = PASSES[name](graph)
    return graph


def lowering(features: Features = PLAIN, budget: float | None = None, emit: Emit | None = None) -> list[Named]:
    """The passes from a recorded step to fused kernels, for a target with ``features``.

    ``budget`` is what the step's temporaries may take, in bytes or (float) as a part of what they take without one;
    ``emit`` tells how much that is.
    """
    settings: dict[str, Pass] = {
        "expand": in_loops(partial(expand, claims=features.claims)),
        "repeat_products": in_loops(partial(repeat_products, rates=features.product_rates)),
        "fuse": in_loops(
            partial(
                fuse,
                product_sums=features.product_sums,
                product_tests=features.product_tests,
                joins=features.joins,
                row_sums=features.row_sums,
                packed_sums=features.packed_sums,
                few_launches=features.few_launches,
            )
        ),
    }

    def arena(graph: Graph) -> int:
        assert emit is not None
        return emit(horizontal(settings["fuse"](settings["repeat_products"](graph)))).arena_bytes

    settings["remat"] = partial(remat, budget=budget, arena=arena, keeps_operands=features.keeps_operands)
    return [(name, settings.get(name, run)) for name, run in PASSES.items()]


class Stages:
    """The graph after every pass that ran, how long each took in seconds, and a check of each."""

    def __init__(self, traced: Graph) -> None:
        self.graphs: dict[str, Graph] = {"traced": traced}
        self.seconds: dict[str, float] = {}
        self._names = Names()
        self._names.settle(traced)

    @property
    def latest(self) -> Graph:
        return next(reversed(self.graphs.values()))

    def run(self, passes: Sequence[Named]) -> Graph:
        """Run ``passes`` on the latest graph, verifying each result."""
        typed: Typed = {}
        for name, run in passes:
            before, start = self.latest, perf_counter()
            graph = run(before)
            self.seconds[name] = perf_counter() - start
            try:
                if graph is not before or not typed:  # the first one was not verified yet
                    verify(graph, typed)
            except VerifyError as error:
                raise VerifyError(f"after pass {name!r}: {error}\n{print_graph(graph)}") from None
            if graph is not before:
                self._names.settle(graph)
            self.graphs[name] = graph
        return self.latest


def passes_for(target: Target, budget: float | None = None) -> list[Named]:
    """The passes from a recorded step to the fused kernels of ``target``; see :func:`lowering`."""
    return lowering(target.features, budget, target.emit)


def compile_for(stages: Stages, target: Target, budget: float | None = None) -> Plan:
    """Lower the latest graph of ``stages`` and emit it for ``target``, within ``budget``; see :func:`lowering`."""
    return target.emit(stages.run(passes_for(target, budget)))


def c_target(isa: Isa, timed: bool = False) -> Target:
    """C for an instruction set; ``timed``: with a mark behind every launch."""
    return Target(f"c/{isa.name}", "c", unit.FEATURES, partial(unit.emit, isa=isa, timed=timed))


def triton_target(name: str) -> Target:
    """Triton for a GPU: "sm_80", "sm_90", ... The package is imported only when something is emitted."""

    def emit(graph: Graph) -> Plan:
        if not release("triton"):
            raise UnsupportedError(
                "kernels for a GPU need the package triton, which is not installed: pip install triton"
            )
        plan: Plan = import_whole("compiler.codegen.triton.module").emit(graph, name)
        return plan

    features = import_whole("compiler.codegen.triton.features").FEATURES
    return Target(name, "triton", features, emit, release("triton"))


def release(package: str) -> str:
    """The version of a package, "" where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def emit(graph: Graph, language: str) -> str:
    """The text that ``graph`` becomes in "c" (portable) or "triton" (sm_80).

    A graph of fused nodes is taken as it is, any other is lowered first.
    """
    if language not in ("c", "triton"):
        raise ValueError(f"unknown target {language!r}; there are: c, triton")
    target = c_target(ISAS["portable"]) if language == "c" else triton_target("sm_80")
    fused = all(n.op.kind in ("fused", "loop") for n in graph.nodes)
    return (target.emit(graph) if fused else compile_for(Stages(graph), target)).source
