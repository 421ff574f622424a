"""``step.cost()``: what a step takes in time and memory, on this machine or on one that is not there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from compiler import pipeline
from compiler.codegen.c.isa import ISAS, isa_for
from compiler.cost import Cost, KernelCost, cost
from compiler.errors import ChoiceError, MemoryBudgetError, OutOfMemoryError
from compiler.ir.graph import Graph
from compiler.pipeline import Stages
from compiler.plan import Plan
from compiler.processors import PROCESSORS, Processor
from compiler.target import Target
from genesis.capture.border import Crossing
from genesis.capture.tracing import Traced
from genesis.gpu import gpu
from genesis.memory.cells import Cell
from genesis.options import Options
from genesis.tables import Table
from runtime import processor
from runtime.devices.pool import num_threads
from runtime.toolchain import find_compiler

ROWS = 12
"""Kernels and modules that a report shows."""

UNITS = " kMGTP"


class CostReport(Cost):
    """A :class:`compiler.cost.Cost`; its text is for people."""

    def __str__(self) -> str:
        memory, processor = self.memory, self.processor
        verdict = "fits" if self.fits else "does NOT fit"
        parts = [
            ("parameters", memory.parameters, ""),
            ("optimizer state", memory.optimizer, ""),
            ("other states", memory.states, ""),
            ("arguments", memory.arguments, ""),
            ("results", memory.results, ""),
            ("temporaries at the peak", memory.arena, f"at {memory.peak}" if memory.peak is not None else ""),
            ("  alive then: gradients", memory.gradients, ""),
            ("    saved activations", memory.saved, ""),
            ("    others", memory.temporaries, ""),
            ("scratch of kernels", memory.scratch, ""),
            ("total", memory.total, f"{verdict} into the {amount(processor.memory, 'B')} of {processor.name}"),
        ]
        groups: dict[str, list[KernelCost]] = {}
        for run in self.kernels:
            groups.setdefault(run.launch.kernel, []).append(run)
        longest = sorted(groups.items(), key=lambda item: -sum(run.seconds for run in item[1]))
        rows = [_row(name, runs) for name, runs in longest[:ROWS]]
        modules = [
            (name or "(outside modules)", _time(seconds), amount(flops, "FLOP"), amount(nbytes, "B"))
            for name, (seconds, flops, nbytes) in [*self.by_module().items()][:ROWS]
        ]
        return "\n".join(
            [
                f"{self.name} on {processor.name}: at least {_time(self.seconds)} a call; "
                f"{amount(self.flops, 'FLOP')}, {amount(self.nbytes, 'B')} moved by {len(self.kernels)} kernel runs",
                "",
                str(Table(("memory", "", ""), [(name, amount(n, "B"), note) for name, n, note in parts])),
                "",
                str(Table(("kernel", "runs", "at least", "bound by", "", "moves", "from"), rows)),
                "",
                str(Table(("module", "at least", "", "moves"), modules)),
            ]
        )

    __repr__ = __str__


def _row(name: str, runs: Sequence[KernelCost]) -> tuple[str, ...]:
    flops, nbytes = sum(run.launch.flops for run in runs), sum(run.launch.nbytes for run in runs)
    seconds, longest = sum(run.seconds for run in runs), max(runs, key=lambda run: run.seconds)
    work = amount(flops, "FLOP"), amount(nbytes, "B")
    return name, str(len(runs)), _time(seconds), longest.bound, *work, longest.launch.place


def amount(number: float, unit: str) -> str:
    """A number with three digits and a decimal prefix, such as ``1.25 MB``."""
    power = 0
    while abs(number) >= 1000 and power < len(UNITS) - 1:
        number, power = number / 1000, power + 1
    return f"{number:.3g} {UNITS[power].strip()}{unit}"


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:.3g} us" if seconds < 1e-3 else f"{seconds * 1e3:.4g} ms"


def processor_named(device: str | Processor) -> Processor:
    """The processor that ``device`` names; "cpu" is this one, whose peaks NumPy measures."""
    if isinstance(device, Processor):
        return device
    if device == "cpu":
        flops, bandwidth = processor.peaks()
        features = compiler.features if (compiler := find_compiler()) is not None else frozenset()
        half = flops * (2 if "avx512bf16" in features else 1)
        room = processor.memory() or float("inf")
        products = {"f32": flops, "bf16": half, "f16": flops, "f64": flops / 2}
        return Processor("this CPU", "c", products, flops, bandwidth, room, launch=1e-6)
    if device not in PROCESSORS:
        raise ChoiceError(
            f"cost(device={device!r}): there are cpu, {', '.join(PROCESSORS)}; for another one pass a "
            "compiler.cost.Processor with its peaks"
        )
    return PROCESSORS[device]


def target_of(processor: Processor) -> Target:
    """The code generator for a processor."""
    if processor.target != "c":
        return pipeline.triton_target(processor.target)
    compiler = find_compiler()
    return pipeline.c_target(isa_for(compiler.features) if compiler is not None else ISAS["portable"])


def cost_of(traced: Traced, options: Options, device: str | Processor, optimizers: Collection[str]) -> CostReport:
    """The cost of a recorded step on ``device``; ``optimizers``: the names of those that it reaches."""
    processor, border = processor_named(device), traced.border
    target = target_of(processor)
    graph = traced.stages.latest
    if border is not None and border.roots:
        graph = Crossing(border, graph, options).halves.forward
    stages = Stages(graph)
    fused = stages.run(pipeline.passes_for(target, options.budget()))
    return cost_of_plan(target.emit(fused), fused, traced, processor, optimizers)


def cost_of_plan(
    plan: Plan, fused: Graph, traced: Traced, processor: Processor, optimizers: Collection[str]
) -> CostReport:
    """The cost of the ``plan`` that was made of the last stage of a recorded step."""
    kinds = [_kind(cell, optimizers) for cell in traced.states]
    found = cost(plan, fused, processor, kinds, num_threads())
    return CostReport(found.name, found.processor, found.kernels, found.memory)


def refuse_what_does_not_fit(traced: Traced, options: Options, plan: Plan) -> None:
    """Raise :func:`does_not_fit` for a ``plan`` that takes more memory than its processor has."""
    room = processor.memory() if plan.target.startswith("c/") else gpu()[0].memory()
    if room is not None and _needed(plan) > room:
        raise does_not_fit(traced, options, plan)


def does_not_fit(traced: Traced, options: Options, plan: Plan, cause: MemoryError | None = None) -> MemoryBudgetError:
    """The error, with the report, for a ``plan`` whose memory is not there, or was not given because of ``cause``."""
    kind, where, device = MemoryBudgetError, "this machine", processor_named("cpu")
    if not plan.target.startswith("c/"):
        kind, where, device = OutOfMemoryError, "the GPU", _this_gpu()
    needed, temporaries = amount(_needed(plan), "B"), amount(_temporaries(plan), "B")
    why = "" if cause is None else f"\n  {str(cause) or type(cause).__name__}: other programs may hold a part of it"
    return kind(
        f"{plan.name} does not fit: it takes {needed}, {temporaries} of that for "
        f"temporaries, and {where} has {amount(device.memory, 'B')}{why}\n  make the batch smaller, cut it with "
        f"accumulate=, or compute more a second time with activation_memory=\n\n{cost_of(traced, options, device, ())}"
    )


def _needed(plan: Plan) -> int:
    """Bytes of everything that a run of ``plan`` touches."""
    given = sum(s.nbytes for s in plan.slots if s.kind in ("scalar", "input", "output"))
    return sum(plan.resident().values()) + given + _temporaries(plan)


def _temporaries(plan: Plan) -> int:
    return plan.arena_bytes + plan.scratch_bytes(plan.threads or num_threads())


def _this_gpu() -> Processor:
    """The GPU that is there, with the peaks of the one of its generation that is listed first."""
    device = gpu()[0]
    target = device.target()
    (known, *_) = (p for p in PROCESSORS.values() if p.target == target)
    return replace(known, name=device.name(), memory=device.memory())


def _kind(cell: Cell, optimizers: Collection[str]) -> str:
    if cell.requires_grad:
        return "parameters"
    return "optimizer" if any(cell.label.startswith(f"{name}.") for name in optimizers) else "states"
