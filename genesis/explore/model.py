"""The data of a page: every stage of every program, its code, its work and its memory, as plain records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compiler import pipeline
from compiler.casts import RULES, Decision, decisions
from compiler.errors import UnsupportedError
from compiler.plan import Plan
from compiler.processors import PROCESSORS, Processor
from genesis.capture.guards.reachable import Reachable
from genesis.capture.guards.report import shown
from genesis.explore.code import spans
from genesis.explore.memory import memory
from genesis.explore.places import Places
from genesis.explore.stages import Lines, row_numbers, stage_records
from genesis.explore.timing import launches, measured, nodes_run, roof, work
from genesis.step.captured import Captured
from genesis.step.cost_report import cost_of_plan, processor_named, target_of
from genesis.step.execution import Program
from genesis.version import __version__
from runtime.profile import Profile

TRITON = "sm_80"
"""The GPU whose kernels are shown of a step that runs in C."""


def model(script: str, captured: Sequence[Captured], runs: int, device: str | None = None) -> dict[str, Any]:
    """The data of a page about the programs that ``script`` compiled; each is timed over ``runs`` calls.

    ``device``: the processor to show them on, which need not be there; None: the one that they ran on.
    """
    places = Places()
    programs = [program(item, runs, places, device) for item in captured]
    return {
        "version": __version__,
        "script": Path(script).name,
        "programs": programs,
        "places": places.table(),
        "files": places.files(),
        "rules": RULES,
    }


def program(item: Captured, runs: int, places: Places, device: str | None = None) -> dict[str, Any]:
    """The record of a program."""
    done = item.program
    plan = done.plan
    processor = processor_named(device) if device else _processor(plan)
    target = target_of(processor)
    if device and (plan is None or plan.target != target.name):
        graphs, plan = done.stages(target), None
        found: Profile | str = f"it ran on another processor than {processor.name}"
    else:
        graphs, found = done.stages(), measured(done, runs)
    fused, lines = graphs.latest, Lines(places)
    records = list(stage_records(graphs.graphs, graphs.seconds, lines))
    plan = plan or target.emit(fused)
    optimizers = [name for name, _ in Reachable(item.function.function).optimizers]
    cost = cost_of_plan(plan, fused, done.traced, processor, optimizers)
    rows = row_numbers(fused)
    language = "triton" if plan.buffers else "c"
    recorded = graphs.graphs["traced"]
    states = recorded.inputs("state")
    return {
        "name": item.name,
        "target": "the NumPy interpreter" if done.plan is None and not device else plan.target,
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
        "amp": [_decision(d, places) for d in decisions(graphs.graphs)] if "autocast" in graphs.graphs else [],
        "code": [_code(plan, language), *([_triton(done, places)] if language == "c" else [])],
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


def _triton(done: Program, places: Places) -> dict[str, Any]:
    """The kernels of the same step for a GPU, or why there are none."""
    record = {"language": "triton", "file": "step_triton.py", "target": TRITON, "text": [], "kernels": {}}
    target = pipeline.triton_target(TRITON)
    try:
        fused = done.stages(target).latest
        plan = target.emit(fused)
    except (NotImplementedError, UnsupportedError) as missing:
        return record | {"why": str(missing)}
    nodes = nodes_run(plan, fused)
    runs = [work(launch, run, places) for launch, run in zip(plan.launches, nodes, strict=True)]
    return record | _code(plan, "triton") | {"launches": runs}


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
