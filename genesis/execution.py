"""A traced step compiled for one backend and bound to the memory of its states."""

from __future__ import annotations

import functools
import hashlib
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakSet, finalize

import numpy as np

from compiler import pipeline
from compiler.codegen.c import unit
from compiler.codegen.c.isa import isa_for
from compiler.errors import AutogradError, DeviceError, DivisionError, GenesisWarning, OutOfRangeError
from compiler.interpret import concrete, interpret
from compiler.ir.graph import Graph, Value
from compiler.ir.types import TensorType, dtype
from compiler.pipeline import Stages
from compiler.plan import Plan
from compiler.text.printer import print_graph
from genesis.arguments import array_of, check_arrays, put_entries, write_back
from genesis.context import Cell, Clock, LateInput, moved, rebound
from genesis.gpu import gpu_executor
from genesis.host import take_back
from genesis.live import changes as host_changes
from genesis.options import Options
from genesis.pytree import containers
from genesis.tensor import GradientStaysInside, Tensor, grad_type
from genesis.tracing import Traced
from runtime.cache import cached_bytes
from runtime.devices.cpu import CpuDevice, aligned_empty
from runtime.devices.cuda_executor import CudaExecutor, StateStore
from runtime.devices.pool import get_pool, num_threads
from runtime.executor import Executor
from runtime.profile import Profile, profile
from runtime.toolchain import find_compiler


@dataclass(frozen=True)
class Last:
    """What the last call did. ``applied``: False when the step was skipped because a gradient overflowed.

    ``loss_scale``: the scale the step ran with, ``grad_norm``: the norm before clipping, ``lr``: the learning rate of
    the first parameter group; None where the step has no such thing.
    """

    applied: bool
    loss_scale: float | None
    grad_norm: float | None
    lr: float | None


@dataclass(frozen=True)
class Memory:
    """What a step takes, in bytes.

    ``arena``: all temporaries, at their peak; ``kept``: those of them that the forward pass leaves for the backward
    pass; ``scratch``: what kernels pack and buffer in; ``states``: parameters, moments and what else lives from call to
    call; ``outputs``: what a call returns.
    """

    arena: int
    kept: int
    scratch: int
    states: int
    outputs: int


class Program:
    """One traced signature, compiled for one backend, bound to its states."""

    def __init__(self, traced: Traced, options: Options) -> None:
        self.traced = traced
        self.options = options
        self.calls = 0
        self.signature: dict[str, Any] = {}
        self.plan: Plan | None = None
        self._stages: Stages | None = None
        self._passes = pipeline.lowering(unit.claims, product_sums=True)
        self.clock = Clock()
        self._host_time = -1
        self.executor: Executor | Interpreted | CudaExecutor = self._executor()
        self.remote = isinstance(self.executor, CudaExecutor)
        self.bound: list[Value] = []
        self.time = -1
        self.moved = 0
        self.outputs: list[np.ndarray] = []
        self.scalars: list[float] = []
        self.state_types = [v.type for v in traced.stages.latest.inputs("state")]
        direct = all(e.origin is None and not e.views and e.output == i for i, e in enumerate(traced.exits))
        self._exits = [] if direct else traced.exits
        self.result_types = [v.type for v in traced.stages.latest.outputs[: traced.outputs]]
        for cell in traced.written:
            if cell.clock is None:
                cell.clock = self.clock
        self.clocks = {cell.clock for cell in traced.written if cell.clock is not None}
        for cell in traced.states:
            cell.bound += 1
        self._unbind = finalize(self, _unbind, traced.states)
        self._unbind.atexit = False

    def _executor(self) -> Executor | Interpreted | CudaExecutor:
        backend, budget = self.options.backend, self.options.budget()
        if backend == "cuda":
            self._stages = Stages(self.traced.stages.latest)
            return gpu_executor(self._stages, budget)
        compiler = find_compiler() if backend in ("auto", "c") else None
        if compiler is None:
            if backend == "c":
                raise DeviceError("backend='c' needs a C compiler; install gcc or clang, or `pip install ziglang`")
            if budget is not None:
                raise DeviceError(
                    "activation_memory= needs a C compiler or backend='cuda'; the interpreter plans no memory"
                )
            if backend == "auto":
                warnings.warn(
                    "no C compiler found: steps run in the NumPy interpreter, slowly", GenesisWarning, stacklevel=5
                )
            return Interpreted(self.traced.stages.latest)
        self._isa = isa_for(compiler.features)
        self._passes = pipeline.lowering(unit.claims, True, budget, functools.partial(unit.emit, isa=self._isa))
        self.plan = self._plan()
        fresh = self.traced.outputs + len(self.traced.effects.writes)
        places = {cell: k for k, cell in enumerate(self.traced.states)}
        return Executor(self.plan, CpuDevice(), fresh, {places[cell] for cell in self.traced.written})

    def _plan(self, timed: bool = False) -> Plan:
        """The plan in C, from the cache where it is there."""
        kind, budget = "timed plan" if timed else "plan", repr(self.options.budget())
        key = (kind, budget, _compiler_version(), self._isa.name, print_graph(self.traced.stages.latest))

        def make() -> bytes:
            with ThreadPoolExecutor() as threads:
                threads.submit(get_pool)  # its library is built while the passes run
                return unit.emit(self._lowered().latest, self._isa, timed).to_json().encode()

        return Plan.from_json(cached_bytes(key, make).decode())

    # Running

    def fits(self) -> bool:
        """Whether states, and the ``.grad`` that the step reads before it clears them, have the types recorded."""
        if self._host_time != host_changes.time:
            time = host_changes.time
            if not self.traced.host.fits():
                return False
            self._host_time = time
        grads = self.traced.entry_grads
        if grads and any(grad_type(cell) != kind for cell, kind in grads):
            return False
        if any(cell.grad is not grad for cell, grad in self.traced.same_grads) or not _independent(self.traced):
            return False
        if self.time == rebound.time:
            return True
        return all(cell.value.type == kind for cell, kind in zip(self.traced.states, self.state_types, strict=True))

    def run(self, arguments: Sequence[Any], inputs: list[np.ndarray] | None = None, call: Any = ()) -> Any:
        """One call on the leaves of the arguments; ``inputs``: their arrays, where all are tensors.

        ``call``: the arguments themselves, for steps that change containers among them.
        """
        traced = self.traced
        numbers = [float(arguments[i]) for i in traced.float_arguments]
        undo = traced.host.enter(numbers)
        try:
            targets, results = self._launch(arguments, inputs, numbers)
        except BaseException:
            take_back(undo)
            raise
        for clock in self.clocks:
            clock.tick()
        if self.remote:
            self._leave_on_gpu()
        self.outputs, self.scalars = results, numbers
        for target, array in zip(targets, results[traced.outputs :], strict=False):
            write_back(target, array)
        tensors = list(map(_result, results, self.result_types))
        if self._exits:
            tensors = [exit.tensor(tensors, arguments) for exit in self._exits]
        for holder, hole in traced.effects.grads:
            holder(arguments).grad = None if hole is None else tensors[hole.index]
        if traced.effects.entries:
            found = containers(call)
            for number, entries in traced.effects.entries:
                put_entries(found[number], entries, tensors)
        for cell in traced.consumed:
            cell.grad = _CONSUMED
        for cell in traced.dropped:
            cell.grad = None
        traced.host.leave(undo, results[traced.host_results :])
        return traced.result(tensors)

    def rehearse(self, arguments: Sequence[Any]) -> None:
        """Raises OtherDecision where Python would take another branch in a call; nothing happens."""
        take_back(self.traced.host.enter([float(arguments[i]) for i in self.traced.float_arguments]))

    def _launch(
        self, arguments: Sequence[Any], inputs: list[np.ndarray] | None, numbers: Sequence[float]
    ) -> tuple[Sequence[Any], list[np.ndarray]]:
        """Run the executor on states, arguments and scalars; returns what is to be written back, and the results."""
        traced = self.traced
        if self.time != rebound.time:
            self._bind()
        if self.moved != moved.time and not self.remote:
            self._bring_states_home()
        if inputs is None:
            inputs = [read(arguments[i]) for i, read in traced.inputs]
        if traced.late_inputs:
            inputs += [_late_input(late) for late in traced.late_inputs]
        targets = [target(arguments) for target in traced.effects.writes] if traced.effects.writes else ()
        if targets:
            check_arrays(targets, [*inputs, *(value.data for value in self.bound)])
        return targets, self.executor.run(inputs, numbers)

    def _leave_on_gpu(self) -> None:
        """Say of every state that the GPU owns its contents now, and how they come home."""
        assert isinstance(self.executor, CudaExecutor)
        here = [cell for cell in self.traced.states if cell.remote is None]
        for cell in here:
            cell.remote = functools.partial(_bring_home, cell, self.executor.store)
        if here:
            moved.tick()

    def _bring_states_home(self) -> None:
        """Before a run on the CPU: it reads and writes what the GPU owned."""
        for cell in self.traced.states:
            cell.fetched()
        self.moved = moved.time

    def _bind(self) -> None:
        """Hand the states' memory to the executor; written states get memory of their own the first time."""
        written = set(self.traced.written)
        values = []
        for cell, kind in zip(self.traced.states, self.state_types, strict=True):
            value = cell.value
            array = value.data
            if value.type != kind or array.shape != kind.shape or array.dtype != kind.dtype.numpy:
                raise DeviceError(
                    f"{cell.label or 'a state'} holds {array.dtype}{list(array.shape)}, but this program was compiled "
                    f"for {kind}; give a tensor another type by `tensor.data = ...`, which compiles the step again"
                )
            if cell in written and value not in _OWNED:
                _own(cell)
                value = cell.value
                rebound.tick()  # other programs may hold the old address
            elif not value.data.flags.c_contiguous:
                cell.fetched()
                value.data = np.ascontiguousarray(value.data)
            values.append(value)
        self.bound = values
        self.executor.bind([v.data for v in values])
        self.time = rebound.time

    def profile(self, runs: int) -> Profile:
        """Time the kernels over ``runs`` runs on the arguments of the last call; states and results stay."""
        if isinstance(self.executor, CudaExecutor):
            raise NotImplementedError(
                "profile() of a step on a GPU: its kernels are one CUDA graph, which is not timed yet. "
                'Profile it with backend="c", or run the program under `nsys profile --cuda-graph-trace=node`.'
            )
        if isinstance(self.executor, Interpreted):
            raise DeviceError(
                "profile() times compiled kernels, and this step runs in the NumPy interpreter, which has none; "
                'compile it with backend="c", which needs a C compiler (gcc, clang, or `pip install ziglang`)'
            )
        if self.time != rebound.time:
            self._bind()
        timed = self._plan(timed=True)
        arrays = [*(cell.value.data for cell in self.traced.written), *self.outputs]
        before = [array.copy() for array in arrays]
        try:
            return profile(self.executor, timed.source, runs)
        finally:
            for array, contents in zip(arrays, before, strict=True):
                np.copyto(array, contents)

    def release(self) -> None:
        """Let go of the states and of the code, which is not called again."""
        self._unbind()
        self.executor.close()

    def last(self) -> Last:
        def number(name: str) -> float | None:
            place = self.traced.last.get(name)
            return None if place is None else float(self.outputs[place])

        rate = number("lr") if self.traced.rate is None else self.scalars[self.traced.rate]
        return Last(not number("found_inf"), number("loss_scale"), number("grad_norm"), rate)

    # Inspecting

    def memory(self) -> Memory:
        plan = self.plan
        if plan is None:
            raise NotImplementedError("memory() of a step that is not compiled to C")

        def slots(kind: str) -> int:
            return sum(TensorType(dtype(s.dtype), s.shape).nbytes for s in plan.slots if s.kind == kind)

        scratch = plan.scratch_bytes(plan.threads or num_threads())
        return Memory(plan.arena_bytes, plan.kept_bytes, scratch, slots("state"), slots("output"))

    def stages(self) -> Stages:
        """Every stage; passes are run again if the plan came from the cache."""
        before = dict(self.traced.stages.graphs)
        stages = Stages(self.traced.stages.graphs["traced"])
        stages.graphs = {**before, **{k: g for k, g in self._lowered().graphs.items() if k != "traced"}}
        return stages

    def _lowered(self) -> Stages:
        """The stages from the recorded graph with the decorator's passes on."""
        if self._stages is None:
            stages = Stages(self.traced.stages.latest)
            stages.run(self._passes)
            self._stages = stages
        return self._stages

    def source(self, language: str) -> str:
        if language == "c":
            if self.plan is not None:
                return self.plan.source
            return pipeline.emit(self.traced.stages.latest, "c")
        return pipeline.emit(self.traced.stages.latest, language)

    def sources(self) -> dict[str, str]:
        """File name -> text of the generated code; instead of Triton kernels that cannot be, the reason."""
        try:
            triton = self.source("triton")
        except NotImplementedError as missing:
            triton = "".join(f"# {line}\n" for line in str(missing).splitlines())
        return {"step.c": self.source("c"), "step_triton.py": triton}


@functools.cache
def _compiler_version() -> str:
    """A digest of the files of the compiler, whenever they were written: in a wheel, all may bear the same time."""
    digest = hashlib.sha256()
    root = Path(pipeline.__file__).parent
    for file in sorted(f for pattern in ("*.py", "*.lark") for f in root.rglob(pattern)):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(root).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


class Interpreted:
    """The interpreter as an executor: for machines without a C compiler, and as the reference."""

    def __init__(self, graph: Graph) -> None:
        stages = Stages(graph)
        self.graph = stages.run([(n, p) for n, p in pipeline.PASSES.items() if n in ("autocast", "autodiff", "cse")])
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


def _unbind(states: Sequence[Cell]) -> None:
    """One program fewer holds the addresses of ``states``."""
    for cell in states:
        cell.bound -= 1


_CONSUMED = GradientStaysInside()
_OWNED: WeakSet[Value] = WeakSet()
"""Values whose memory belongs to their cell alone, so that programs may write it."""


def _late_input(late: LateInput) -> np.ndarray:
    """The array of an input that is no argument."""
    return late.array.astype(late.dtype, copy=False) if late.cell is None else _given_grad(late.cell)


def _given_grad(cell: Cell) -> np.ndarray:
    """The gradient that a step adds to or uses."""
    if isinstance(cell.grad, GradientStaysInside):
        raise AutogradError(f"the step uses a gradient that is not there: {cell.grad}")
    return array_of(cell.grad)


def _independent(traced: Traced) -> bool:
    """Whether the gradients that the step adds to are whole tensors, no two of which share their storage."""
    if not traced.given_grads:
        return True
    grads = [cell.grad for cell in traced.given_grads if isinstance(cell.grad, Tensor)]
    return not any(g._views for g in grads) and len({g._cell for g in grads}) == len(grads)


def _result(array: np.ndarray, kind: TensorType) -> Tensor:
    value = Value(kind)
    value.data = array
    result = Tensor.__new__(Tensor)
    result._start(Cell(value), ())
    return result


def _bring_home(cell: Cell, store: StateStore) -> None:
    """Make the contents of ``cell`` the host's, to read and to write."""
    store.fetch(cell.value.data)
    cell.remote = None


def _own(cell: Cell) -> None:
    """Move a state into aligned memory that nothing else refers to."""
    old = cell.fetched()
    kind = old.type
    memory = aligned_empty(kind.nbytes).view(kind.dtype.numpy).reshape(kind.shape)
    memory[...] = old.data
    fresh = concrete(memory, kind)
    fresh.leaf, fresh.requires_grad = old.leaf, old.requires_grad
    cell.value = fresh
    _OWNED.add(fresh)
