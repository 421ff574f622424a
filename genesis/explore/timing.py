"""The kernel runs of a step: their work, the least time they take by the roofline, and the time measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compiler.cost import Cost
from compiler.errors import GenesisError
from compiler.ir.graph import Graph, Node, numbered
from compiler.ir.location import Loc
from compiler.plan import Launch, Plan
from genesis.explore.places import Places
from genesis.explore.stages import located
from genesis.step.execution import Program
from runtime.profile import Profile


def measured(program: Program, runs: int) -> Profile | str:
    """The profile of ``program``, or why there is none."""
    try:
        return program.profile(runs)
    except GenesisError as error:
        return str(error)


def launches(
    plan: Plan, graph: Graph, cost: Cost | None, found: Profile | str, rows: Mapping[Node, int], places: Places
) -> list[dict[str, Any]]:
    """A record per kernel run of ``plan``, in order, with the rows of the nodes of ``graph`` that it runs."""
    records = []
    for i, (launch, run) in enumerate(zip(plan.launches, nodes_run(plan, graph), strict=True)):
        record = {**work(launch, run, places), "rows": [rows[node] for node in run]}
        if cost is not None:
            record |= {"least": cost.kernels[i].seconds, "bound": cost.kernels[i].bound}
        if isinstance(found, Profile):
            record |= {"seconds": found.launches[i].seconds, "waiting": found.launches[i].waiting}
        records.append(record)
    return records


def nodes_run(plan: Plan, graph: Graph) -> list[list[Node]]:
    """The nodes of the fused ``graph``, which ``plan`` was made of, that each kernel run of it runs.

    A plan for a GPU does not number them: there they are those of the kind and the place of the run.
    """
    nodes = list(numbered(graph))
    by_place: dict[tuple[Loc, object], list[Node]] = {}
    for node in nodes:
        by_place.setdefault((node.loc, node.attrs.get("kind")), []).append(node)

    def found(launch: Launch) -> list[Node]:
        if launch.nodes:
            return [nodes[i] for i in launch.nodes]
        return [node for loc in (launch.loc, *launch.others) for node in by_place.get((loc, launch.kind), ())]

    return [found(launch) for launch in plan.launches]


def work(launch: Launch, run: list[Node], places: Places) -> dict[str, Any]:
    """The work of a kernel run, and all places in the user's program that it comes from."""
    inside = [loc for node in run if node.body is not None for loc in located(node.body)]
    return {
        "kernel": launch.kernel,
        "kind": launch.kind,
        "ops": list(launch.ops),
        "place": places.number(launch.loc),
        "places": list(dict.fromkeys(places.number(loc) for loc in (launch.loc, *launch.others, *inside))),
        "phase": launch.phase,
        "flops": launch.flops,
        "bytes": launch.nbytes,
        "compute": launch.compute,
    }


def roof(cost: Cost) -> dict[str, Any]:
    """The peaks of the processor."""
    processor = cost.processor
    return {
        "name": processor.name,
        "products": dict(processor.products),
        "plain": processor.plain,
        "bandwidth": processor.bandwidth,
        "memory": processor.memory,
        "launch": processor.launch,
    }
