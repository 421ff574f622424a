"""One graph compiled for one backend: what runs it, and every stage on the way there."""

from __future__ import annotations

import functools
import hashlib
import warnings
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from compiler import pipeline
from compiler.codegen.c.isa import ISAS, isa_for
from compiler.errors import DeviceError, DivisionError, GenesisWarning, OutOfRangeError, UnsupportedError
from compiler.interpret import interpret
from compiler.ir.graph import Graph
from compiler.ir.types import defaults
from compiler.pipeline import Named, Stages
from compiler.plan import Plan
from compiler.target import Target
from compiler.text.printer import print_graph
from genesis.edit import UNCHANGED, Edit
from genesis.gpu import gpu, gpu_executor
from genesis.options import Options
from runtime.cache import cached_bytes
from runtime.devices.cpu import CpuDevice
from runtime.devices.cuda_executor import CudaExecutor
from runtime.devices.pool import get_pool
from runtime.executor import Executor
from runtime.toolchain import find_compiler

DUMP = "GENESIS_DUMP"
"""The variable of the environment that asks for the stages of every program, as files in the folder it names."""


class Compiled:
    """The graph ``traced`` (with the decorator's passes on), compiled for the backend that ``options`` name.

    Attributes:
        target: the code generator; None where the interpreter runs the graph.
        plan: what was made of the graph for ``target``.

    ``edit``: what a person changed. ``keep``: the stages will be asked for. Raises DeviceError where the backend is
    missing.
    """

    def __init__(self, traced: Graph, options: Options, edit: Edit = UNCHANGED, keep: bool = False) -> None:
        self.traced, self.options, self.edit, self._keep = traced, options, edit, keep
        self._stages: Stages | None = None
        self.target = self._target()
        self.plan = self._cached_plan(self.target) if self.target is not None else None

    def _target(self) -> Target | None:
        backend = self.options.backend
        if backend == "cuda":
            return pipeline.triton_target(gpu()[0].target())
        compiler = find_compiler() if backend in ("auto", "c") else None
        if compiler is not None:
            self._isa = isa_for(compiler.features)
            return pipeline.c_target(self._isa)
        if backend == "c":
            raise DeviceError("backend='c' needs a C compiler; install gcc or clang, or `pip install ziglang`")
        if self.options.budget() is not None:
            raise DeviceError(
                "activation_memory= needs a C compiler or backend='cuda'; the interpreter plans no memory"
            )
        if backend == "auto":
            warnings.warn(
                "no C compiler found: steps run in the NumPy interpreter, slowly", GenesisWarning, stacklevel=6
            )
        return None

    def start(self, fresh: int | None = None, written: Collection[int] = ()) -> Runner:
        """The executor of the graph.

        Only the first ``fresh`` results own their memory (all when None); ``written``: the places of the states that
        it changes.
        """
        if self.plan is None:
            return Interpreted(self.traced, self.edit)
        if self.options.backend == "cuda":
            return gpu_executor(self.plan)
        return Executor(self.plan, CpuDevice(), fresh, written)

    def timed_plan(self) -> Plan:
        """The plan in C with a mark behind every launch."""
        if self.edit.source is not None:
            raise UnsupportedError(
                "profile() puts its marks into generated code, and this step runs code that was edited; "
                "profile it before the edit, or run the program under `perf record`"
            )
        return self._cached_plan(pipeline.c_target(self._isa, timed=True), "timed plan")

    def _cached_plan(self, target: Target, kind: str = "plan") -> Plan:
        """The plan for ``target``, from the cache where it is there."""
        budget = repr(self.options.budget())
        after = self.edit.after
        settings = budget, defaults.float.short
        key = (kind, *settings, compiler_version(), target.name, target.version, after, print_graph(self.traced))

        def make() -> bytes:
            with ThreadPoolExecutor() as threads:
                if target.language == "c":
                    threads.submit(get_pool)  # its library is built while the passes run
                stages = self._stages or self.lowered(self.target)
                self._stages = stages if self._keep else self._stages
                return target.emit(stages.latest).to_json().encode()

        plan = Plan.from_json(cached_bytes(key, make).decode())
        return plan if self.edit.source is None else replace(plan, source=self.edit.source)

    def stages(self) -> Stages:
        """The stages from ``traced`` on. The passes run again for it, and what they make is kept from then on.

        Compiling keeps none of it unless asked: the graphs of all stages are many times the size of the plan.
        """
        if self._stages is None:
            self._stages = self.lowered(self.target)
        return self._stages

    def lowered(self, target: Target | None) -> Stages:
        """The stages from ``traced`` on for ``target``, made at every call; None: portable C."""
        stages = Stages(self.traced)
        target = target or pipeline.c_target(ISAS["portable"])
        left = self.edit.remaining()
        stages.run([(name, run) for name, run in pipeline.passes_for(target, self.options.budget()) if name in left])
        return stages

    def source(self, language: str) -> str:
        """The generated text: "c" or "triton"."""
        if self.plan is not None and self.target is not None and language == self.target.language:
            return self.plan.source
        return pipeline.emit(self.traced, language)


def differentiation() -> list[Named]:
    """The passes after which a graph has no ``grad`` nodes any more."""
    return [(name, pipeline.PASSES[name]) for name in pipeline.DIFFERENTIATION]


def before_fusion(options: Options) -> list[Named]:
    """The passes between :func:`differentiation` and fusion, for the backend that ``options`` name."""
    if options.backend == "cuda":
        passes = pipeline.passes_for(pipeline.triton_target("sm_80"))
    elif options.backend != "interpret" and find_compiler() is not None:
        passes = pipeline.passes_for(pipeline.c_target(ISAS["portable"]))
    else:
        return [("cse", pipeline.PASSES["cse"])]
    names = [name for name, _ in passes]
    return passes[names.index("autodiff") + 1 : names.index("fuse")]


@functools.cache
def compiler_version() -> str:
    """A digest of the files of the compiler, whenever they were written: in a wheel, all may bear the same time."""
    digest = hashlib.sha256()
    root = Path(pipeline.__file__).parent
    for file in sorted(f for pattern in ("*.py", "*.lark", "*.c") for f in root.rglob(pattern)):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(root).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


class Interpreted:
    """The interpreter as an executor: for machines without a C compiler, and as the reference."""

    def __init__(self, graph: Graph, edit: Edit = UNCHANGED) -> None:
        stages, left = Stages(graph), {"autocast", "autodiff", "cse"}.intersection(edit.remaining())
        self.graph = stages.run([(name, run) for name, run in pipeline.PASSES.items() if name in left])
        self.states: list[np.ndarray] = []

    def bind(self, states: Sequence[np.ndarray]) -> None:
        self.states = list(states)

    def close(self) -> None:
        self.states = []

    def run(self, inputs: Sequence[np.ndarray], scalars: Sequence[float]) -> list[np.ndarray]:
        """The same contract as :meth:`runtime.executor.Executor.run`."""
        sources = {"state": iter(self.states), "input": iter(inputs), "scalar": iter(np.float64(s) for s in scalars)}
        arguments = [np.asarray(next(sources[p.kind])) for p in self.graph.params]
        try:
            outputs, updates = interpret(self.graph, arguments)
        except (DivisionError, IndexError) as error:
            kind = DivisionError if isinstance(error, DivisionError) else OutOfRangeError
            raise kind(f"{error}\n  nothing was updated by this call") from None
        results = [np.array(a) for a in outputs]
        places = {v: i for i, v in enumerate(self.graph.inputs("state"))}
        for update, array in zip(self.graph.updates, [np.array(u) for u in updates], strict=True):
            np.copyto(self.states[places[update.state]], array)
        return results


Runner = Executor | Interpreted | CudaExecutor
"""Runs a compiled graph: ``bind`` it to its states, ``run`` it on inputs and scalars, ``close`` it."""
