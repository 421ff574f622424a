"""The data of a page: every stage of every program, its code, its work and its memory, as plain records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compiler import pipeline
from compiler.casts import RULES, Decision, decisions
from compiler.cost import PROCESSORS, Processor
from compiler.errors import UnsupportedError
from compiler.ir.graph import Graph
from compiler.pipeline import Stages
from compiler.plan import Plan
from genesis.captured import Captured
from genesis.cost_report import cost_of_plan, processor_named, target_of
from genesis.explore.code import spans
from genesis.explore.memory import memory
from genesis.explore.places import Places
from genesis.explore.stages import Lines, row_numbers, stage_records
from genesis.explore.timing import launches, measured, nodes_run, roof, work
from genesis.guards.reachable import Reachable
from genesis.guards.report import shown
from genesis.version import __version__
from runtime.profile import Profile

TRITON = "sm_80"
"""The GPU whose kernels are shown of a step that runs in C."""


def model(script: str, captured: Sequence[Captured], runs: int) -> dict[str, Any]:
    """The data of a page about the programs that ``script`` compiled; each is timed over ``runs`` calls."""
    places = Places()
    programs = [program(item, runs, places) for item in captured]
    return {
        "version": __version__,
        "script": Path(script).name,
        "programs": programs,
        "places": places.table(),
        "files": places.files(),
        "rules": RULES,
    }


def program(item: Captured, runs: int, places: Places) -> dict[str, Any]:
    """The record of a program."""
    done = item.program
    graphs = done.stages()
    fused, lines = graphs.latest, Lines(places)
    records = list(stage_records(graphs.graphs, graphs.seconds, lines))
    processor = _processor(done.plan)
    plan = done.plan or target_of(processor).emit(fused)
    optimizers = [name for name, _ in Reachable(item.function.function).optimizers]
    cost = cost_of_plan(plan, fused, done.traced, processor, optimizers)
    rows, found = row_numbers(fused), measured(done, runs)
    language = "triton" if plan.buffers else "c"
    recorded = graphs.graphs["traced"]
    states = recorded.inputs("state")
    return {
        "name": item.name,
        "target": done.plan.target if done.plan is not None else "the NumPy interpreter",
        "cause": done.cause,
        "seconds": done.seconds,
        "inputs": [{"type": str(p.value.type), "label": p.label} for p in recorded.params if p.kind == "input"],
        "states": {"count": len(states), "bytes": sum(v.type.nbytes for v in states)},
        "scalars": [p.label for p in recorded.params if p.kind == "scalar"],
        "guards": [[name, shown(key)] for name, key in done.signature.items()],
        "lines": lines.table(),
        "stages": records,
        "launches": launches(plan, fused, cost, found, rows, places),
        "processor": roof(cost),
        "least": cost.seconds,
        "measured": _whole(found) if isinstance(found, Profile) else {"why": found},
        "memory": memory(fused, cost.memory, rows, places),
        "amp": [_decision(d, places) for d in decisions(graphs.graphs)],
        "code": [_code(plan, language), *([_triton(graphs, places)] if language == "c" else [])],
    }


def _processor(plan: Plan | None) -> Processor:
    """The processor that a plan is for; of a GPU the first that runs its code."""
    if plan is None or plan.target.startswith("c/"):
        return processor_named("cpu")
    return next((p for p in PROCESSORS.values() if p.target == plan.target), PROCESSORS["a100"])


def _whole(found: Profile) -> dict[str, Any]:
    return {"seconds": found.seconds, "outside": found.outside, "threads": found.threads, "runs": found.runs}


def _code(plan: Plan, language: str) -> dict[str, Any]:
    """The code that runs."""
    kernels = spans(plan.source, language, (x.kernel for x in plan.launches))
    file = "step.c" if language == "c" else "step_triton.py"
    text = plan.source.splitlines()
    return {"language": language, "file": file, "target": plan.target, "text": text, "kernels": kernels}


def _triton(graphs: Stages, places: Places) -> dict[str, Any]:
    """The kernels of the same step for a GPU, or why there are none."""
    record = {"language": "triton", "file": "step_triton.py", "target": TRITON, "text": [], "kernels": {}}
    stages = Stages(_before_passes(graphs))
    try:
        plan = pipeline.compile_for(stages, pipeline.triton_target(TRITON))
    except (NotImplementedError, UnsupportedError) as missing:
        return record | {"why": str(missing)}
    nodes = nodes_run(plan, stages.latest)
    runs = [work(launch, run, places) for launch, run in zip(plan.launches, nodes, strict=True)]
    return record | _code(plan, "triton") | {"launches": runs}


def _before_passes(graphs: Stages) -> Graph:
    """The last stage before the first pass of the pipeline: with what options and edits added."""
    names = list(graphs.graphs)
    return graphs.graphs[names[names.index("autocast") - 1]]


def _decision(decision: Decision, places: Places) -> dict[str, Any]:
    return {
        "op": decision.op,
        "place": places.number(decision.loc),
        "rule": decision.rule,
        "inputs": [d.short for d in decision.inputs],
        "compute": decision.compute.short,
        "outputs": [d.short for d in decision.outputs],
        "casts": [
            {"value": c.value, "from": c.source.short, "to": c.to.short, "fate": c.fate, "why": c.why}
            for c in decision.casts
        ],
    }
