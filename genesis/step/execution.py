"""A traced step compiled for one backend and bound to the memory of its states."""

from __future__ import annotations

import functools
import os
from bisect import bisect_left
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakSet, finalize

import numpy as np

from compiler.errors import AutogradError, DeviceError, TraceError, UnsupportedError
from compiler.ir.graph import Graph, Value
from compiler.ir.types import TensorType
from compiler.pipeline import DIFFERENTIATION, Stages
from compiler.target import Target
from genesis.capture.arguments import Sharing, array_of, check_arrays, put_entries, write_back
from genesis.capture.border import Crossing
from genesis.capture.guards.keys import digest
from genesis.capture.keeping import Held
from genesis.capture.output import show
from genesis.capture.tracing import Traced
from genesis.compiled import DUMP, Compiled, Interpreted
from genesis.edit import UNCHANGED, Edit, check_fits, edit
from genesis.gradients import GradientStaysInside, accumulate, check_backward, grad_type
from genesis.history import Ended
from genesis.host import take_back
from genesis.live import changes as host_changes
from genesis.memory.cells import Cell, moved, rebound
from genesis.memory.clock import Clock
from genesis.memory.shared import Shared
from genesis.memory.values import TensorValue, concrete
from genesis.options import Options
from genesis.pytree import containers
from genesis.recording import LateInput
from genesis.step.cost_report import does_not_fit, refuse_what_does_not_fit
from genesis.step.numerics import Execute, Numerics
from genesis.tensor import Tensor, view_of
from runtime.devices.cpu import aligned_empty
from runtime.devices.cuda_executor import CudaExecutor, StateStore
from runtime.devices.pool import num_threads
from runtime.profile import Profile, profile


@dataclass(frozen=True)
class Last:
    """The outcome of the last call. ``applied``: False when the step was skipped because a gradient overflowed.

    ``loss_scale``: the scale the step ran with, ``grad_norm``: the norm before clipping, ``lr``: the learning rate of
    the first parameter group; None where the step has no such thing. ``skip_reason``: why it was skipped, in words;
    with ``check_numerics=True`` it names the op.
    """

    applied: bool
    loss_scale: float | None
    grad_norm: float | None
    lr: float | None
    skip_reason: str | None = None


@dataclass(frozen=True)
class Memory:
    """The memory of a step, in bytes.

    ``arena``: all temporaries, at their peak; ``kept``: the part of them that the forward pass leaves for the backward
    pass; ``scratch``: what kernels pack and buffer in; ``states``: parameters, moments and what else lives from call to
    call; ``outputs``: what a call returns.
    """

    arena: int
    kept: int
    scratch: int
    states: int
    outputs: int


class ArrayInputs:
    """The NumPy arrays from outside that are inputs of a program.

    Whether the step also computes on one of them with NumPy shows when its contents change for the first time: then the
    step must be recorded again. ``proved``: that gave the same graph, so the contents do not matter.
    """

    def __init__(self, late_inputs: Sequence[LateInput]) -> None:
        self.owners = {id(late.owner): late.owner for late in late_inputs if late.owner is not None}
        self._contents = self._digests()
        self.proved = not self._contents

    def have_changed(self) -> bool:
        """Whether the contents are other than when the program was recorded, and that may matter."""
        return not self.proved and self._digests() != self._contents

    def _digests(self) -> list[Hashable]:
        return list(map(digest, self.owners.values()))


class Program:
    """One traced signature, compiled for one backend, bound to its states."""

    def __init__(self, traced: Traced, options: Options, edit: Edit = UNCHANGED) -> None:
        self.traced = traced
        self.options = options
        if options.check_numerics and edit is UNCHANGED:
            edit = Edit(after=DIFFERENTIATION[-1])  # which the flags stand behind
        self.edit = edit
        self.calls = 0
        self.signature: dict[str, Any] = {}
        self.cause, self.seconds = "", 0.0  # why it was compiled, and how long that took
        self.arrays = ArrayInputs(traced.late_inputs)
        self.clock = Clock()
        self._host_time = -1
        border, self.crossing, graph = traced.border, None, edit.graph or traced.stages.latest
        if border is not None and border.roots:
            self.crossing = Crossing(border, graph, options)
            graph = self.crossing.halves.forward
        fresh = traced.outputs + len(traced.effects.writes) if self.crossing is None else None
        places = {cell: k for k, cell in enumerate(traced.states)}
        self.compiled = Compiled(graph, options, edit, keep=bool(os.environ.get(DUMP)))
        self.plan = self.compiled.plan
        if self.plan is not None:
            refuse_what_does_not_fit(traced, options, self.plan)
        try:
            self.executor = self.compiled.start(fresh, {places[cell] for cell in traced.written})
        except MemoryError as error:
            raise self._does_not_fit(error) from error
        self.remote = isinstance(self.executor, CudaExecutor)
        self._execute: Execute = self.executor.run
        self.numerics: Numerics | None = None
        if "numerics" in traced.last:
            behind = traced.stages.graphs[DIFFERENTIATION[-1]]
            last = traced.last
            self.numerics = Numerics(behind, last["numerics"], last.get("found_inf"), traced.states)
            self._execute = self.numerics.checked(self.executor.run)
        self.bound: list[TensorValue] = []
        self.mirrors: list[tuple[Shared, np.ndarray, bool]] = []
        self.shown: list[np.ndarray] = []
        self.time = -1
        self.moved = 0
        self.outputs: list[np.ndarray] = []
        self._inputs: list[np.ndarray] = []
        self.scalars: tuple[float, ...] = ()
        self.state_types = [v.type for v in traced.stages.latest.inputs("state")]
        self.state_strides = [cell.strides for cell in traced.states]
        direct = all(e.is_plain() and e.output == i for i, e in enumerate(traced.exits))
        self._exits = [] if direct else traced.exits
        ended = border.ended if border is not None else {}
        self._kinds = [v.type for v in traced.stages.latest.outputs[: traced.outputs]]
        self._ended = [ended.get(i) for i in range(traced.outputs)]
        leaves = border is not None and border.made
        self._has_effects = any((leaves, self.remote, self.crossing, self._exits, traced.effects))
        self._looks_at_grads = bool(traced.entry_grads or traced.same_grads or traced.given_grads)
        self._reads_more = bool(traced.late_inputs or traced.effects.writes)
        self._updated = traced.stages.latest.name, {*traced.written, *traced.dropped}
        self._needs_containers = bool(traced.effects.entries) or traced.returns_arguments
        for cell in traced.written:
            if cell.clock is None:
                cell.clock = self.clock
        self.clocks = {cell.clock for cell in traced.written if cell.clock is not None}
        for cell in traced.states:
            cell.bound += 1
        self._unbind = finalize(self, _unbind, traced.states)
        self._unbind.atexit = False

    # Running

    def takes(self, arguments: Sequence[Any], sharing: Sharing) -> bool:
        """Whether the program is right for a call on ``arguments``, as far as its states and gradients tell."""
        if self._host_time == host_changes.time and self.time == rebound.time and not self._looks_at_grads:
            return True
        return self.fits() and self.serves(arguments, sharing)

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
        same = self.traced.same_grads
        if same and any(cell.grad is not grad for cell, grad in same):
            return False
        if self.traced.given_grads and not _independent(self.traced):
            return False
        if self.time == rebound.time:
            return True
        return all(
            cell.value.type == kind and cell.strides == strides
            for cell, kind, strides in zip(self.traced.states, self.state_types, self.state_strides, strict=True)
        )

    def serves(self, arguments: Sequence[Any], sharing: Sharing) -> bool:
        """Whether no gradient that the step adds to or uses is an argument as well, or known to have been one."""
        if not self.traced.given_grads:
            return True
        grads = {cell.grad._cell for cell in self.traced.given_grads if isinstance(cell.grad, Tensor)}
        arguments = [x._cell for x in arguments if isinstance(x, Tensor)]
        return not any(cell in sharing.states or cell in arguments for cell in grads)

    def is_due(self) -> bool:
        """Count a call; says whether it is to be recorded again: the calls 2, 4, 8, ... are."""
        self.calls = calls = self.calls + 1
        return not calls & (calls - 1) and calls > 1

    def run(
        self,
        arguments: Sequence[Any],
        inputs: list[np.ndarray] | None = None,
        call: Any = (),
        held: Held | None = None,
    ) -> Any:
        """One call on the leaves of the arguments; ``inputs``: their arrays, where all are tensors.

        ``call``: the arguments themselves, for steps that change containers among them. ``held``: the
        places in which the step keeps tensors, as this call found them.
        """
        traced = self.traced
        undo, numbers = traced.host.enter(self._floats(arguments) if traced.float_arguments else ())
        try:
            if traced.output:
                show(traced.output)
            targets, inputs, results = self._launch(arguments, inputs, numbers)
        except BaseException as error:
            take_back(undo)
            if isinstance(error, MemoryError):
                raise self._does_not_fit(error) from error
            raise
        for clock in self.clocks:
            clock.tick()
        self.outputs, self.scalars = results, numbers
        tensors = list(map(_result, results, self._kinds, self._ended))
        given = containers(call) if self._needs_containers else ()
        if self._has_effects:
            tensors = self._carry_out(targets, tensors, arguments, inputs, given)
        for cell in traced.consumed:
            cell.grad = _CONSUMED
        for cell in traced.dropped:
            cell.grad = None
        if traced.host.acts_late:
            traced.host.leave(undo, results[traced.host_results :])
        result = traced.result(tensors, given)
        if traced.keeps:
            result, kept = result
            assert held is not None
            held.put(zip(traced.keeps, kept, strict=True))
        return result

    def _does_not_fit(self, error: MemoryError) -> MemoryError:
        """The error to raise if the memory for the program was not given."""
        return error if self.plan is None else does_not_fit(self.traced, self.options, self.plan, error)

    def _carry_out(
        self,
        targets: Sequence[Any],
        tensors: list[Tensor],
        arguments: Sequence[Any],
        inputs: Sequence[np.ndarray],
        given: Sequence[Any],
    ) -> list[Tensor]:
        """The work of a call besides updating states and returning ``tensors``; returns the tensors that leave.

        ``given``: the containers among the arguments.
        """
        traced, results = self.traced, self.outputs
        if traced.border is not None:
            traced.border.mark_leaves(tensors)
        if self.remote:
            self._leave_on_gpu()
        for target, array in zip(targets, results[traced.outputs :], strict=False):
            write_back(target, array)
        for argument, flag in traced.effects.flags:
            argument(arguments).requires_grad_(flag)
        if self.crossing is not None:
            kept = self._kept(arguments, inputs)
            self.crossing.attach(results, tensors, traced.states, kept, self.scalars, arguments)
        if self._exits:
            tensors = [exit.tensor(tensors, arguments) for exit in self._exits]
        for made, own in traced.effects.own:
            _leave_gradient(tensors[made], None if own is None else tensors[own])
        for holder, hole in traced.effects.grads:
            holder(arguments).grad = None if hole is None else tensors[hole.index]
        if traced.effects.inner:
            roots = [argument(arguments) for argument, _ in traced.effects.inner]
            accumulate(roots, [tensors[hole.index] for _, hole in traced.effects.inner], None, False)
        for number, entries in traced.effects.entries:
            put_entries(given[number], entries, tensors)
        return tensors

    def _kept(self, arguments: Sequence[Any], inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The inputs of a call for its backward pass; arrays that are the caller's, who may change them, as copies."""
        own = self.traced.inputs
        kept = [a if isinstance(arguments[i], Tensor) else a.copy() for (i, _), a in zip(own, inputs, strict=False)]
        return [*kept, *inputs[len(own) :]]

    def rehearse(self, arguments: Sequence[Any]) -> None:
        """Raises OtherDecision where Python would take another branch in a call; nothing happens."""
        take_back(self.traced.host.enter(self._floats(arguments))[0])

    def _floats(self, arguments: Sequence[Any]) -> tuple[float, ...]:
        """The arguments that are scalars of the graph."""
        return tuple([float(arguments[i]) for i in self.traced.float_arguments])

    def _launch(
        self, arguments: Sequence[Any], inputs: list[np.ndarray] | None, numbers: Sequence[float]
    ) -> tuple[Sequence[Any], list[np.ndarray], list[np.ndarray]]:
        """Run the executor on states, arguments and scalars.

        Returns the values to write back, the inputs, and the results.
        """
        traced = self.traced
        for cell in traced.parted:
            cell.part()
        if self.time != rebound.time:
            self._bind()
        if self.moved != moved.time and not self.remote:
            self._bring_states_home()
        if inputs is None:
            inputs = [read(arguments[i]) for i, read in traced.inputs]
        targets: Sequence[Any] = ()
        if self._reads_more:
            inputs += [_late_input(late) for late in traced.late_inputs]
            targets = [target(arguments) for target in traced.effects.writes]
            check_arrays(targets, [*inputs, *(value.data for value in self.bound)])
        if traced.effects.inner:
            check_backward([argument(arguments) for argument, _ in traced.effects.inner], *self._updated)
        self._inputs = inputs
        if self.shown:
            self._check_shown(inputs)
        if not self.mirrors:
            return targets, inputs, self._execute(inputs, numbers)
        for shared, array, _ in self.mirrors:
            np.copyto(array, shared.array)
        results = self._execute(inputs, numbers)
        for shared, array, written in self.mirrors:
            if written:
                shared.take(array)
        return targets, inputs, results

    def _check_shown(self, inputs: Sequence[np.ndarray]) -> None:
        """Raise TraceError for an input on memory that the step writes and others hold: the step would not see that."""
        for array in inputs:
            if any(np.may_share_memory(array, memory) for memory in self.shown):
                raise TraceError(
                    f"an argument, or a NumPy array that the step reads, {array.dtype}{list(array.shape)}, shares its "
                    "memory with a state that the step writes\n"
                    "  pass the tensor itself or a view of it (x.detach() instead of x.numpy()), or a copy"
                )

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
        """Hand the states' memory to the executor; written states get memory of their own the first time.

        Memory that others hold, too, is bound as it is; what a program cannot use is copied in and out at every call.
        """
        written = set(self.traced.written)
        values = []
        self.mirrors = []
        self.shown = [c.value.data for c in self.traced.written if c.shared is not None and not c.shared.is_alone(c)]
        for cell, kind in zip(self.traced.states, self.state_types, strict=True):
            value = cell.value
            array = value.data
            if value.type != kind or array.shape != kind.shape or array.dtype != kind.dtype.numpy:
                raise DeviceError(
                    f"{cell.label or 'a state'} holds {array.dtype}{list(array.shape)}, but this program was compiled "
                    f"for {kind}; give a tensor another type by `tensor.data = ...`, which compiles the step again"
                )
            if cell.shared is not None and cell.shared.is_alone(cell):
                cell.shared = None
            if cell.shared is not None:
                writeable = array.flags.writeable or cell.remote is not None  # a GPU that has the contents forbids it
                if not (array.flags.c_contiguous and array.flags.aligned and writeable):
                    value = self._mirrored(cell, cell in written)
            elif cell in written and value not in _OWNED:
                _own(cell)
                value = cell.value
                rebound.tick()  # other programs may hold the old address
            elif not value.data.flags.c_contiguous:
                cell.fetched()
                value.data = np.ascontiguousarray(value.data)
            values.append(value)
        changed = sorted(map(_span, written))
        for i, cell in enumerate(self.traced.states):
            start, end = _span(cell)
            place = bisect_left(changed, (end, 0))
            if place and changed[place - 1][1] > start and changed[place - 1] != (start, end):
                _refuse_shared(cell)
            if cell not in written and place and changed[place - 1][1] > start:
                _refuse_shared(cell)
                _own(cell)  # a read state stays as it is while the step changes the memory that it was made on
                values[i] = cell.value
        self.bound = values
        self.executor.bind([v.data for v in values])
        self.time = rebound.time

    def _mirrored(self, cell: Cell, written: bool) -> TensorValue:
        """Memory for a state whose own memory a program cannot use."""
        assert cell.shared is not None
        if self.remote:
            raise DeviceError(f"{cell.label or 'a state'} shares memory with an array of strides that a GPU cannot use")
        copy = concrete(np.ascontiguousarray(cell.value.data).copy(), cell.type)
        self.mirrors.append((cell.shared, copy.data, written))
        return copy

    def profile(self, runs: int) -> Profile:
        """Time the kernels over ``runs`` runs on the arguments of the last call; states and results stay."""
        if isinstance(self.executor, CudaExecutor):
            raise UnsupportedError(
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
        timed = self.compiled.timed_plan()
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
        scale, skipped = number("loss_scale"), bool(number("found_inf"))
        reason = None
        if skipped:
            at = f" at a loss scale of {scale:g}" if scale is not None else ""
            reason = f"a gradient was not finite{at}; check_numerics=True names the op that made it so"
            if self.numerics is not None:
                reason = self.numerics.reason or reason
        return Last(not skipped, scale, number("grad_norm"), rate, reason)

    # Inspecting

    def last_inputs(self) -> list[np.ndarray]:
        """The arrays of the last call, in the order of the plan."""
        return self._inputs

    def edited(self, what: Graph | str | Path, after: str | None) -> Program:
        """This program with an edited graph, or edited code; see :meth:`genesis.step.inspection.Inspected.replace`."""
        if self.crossing is not None:
            raise UnsupportedError(
                "replace() of a function whose results carry gradients: its graph is cut into a forward and a backward "
                "half; call backward() inside of it, or call it under no_grad()"
            )
        target = self.compiled.target
        change = edit(what, after, target.language if target is not None else "", self.edit)
        if change.graph is not None:
            check_fits(self.traced.stages.latest, change.graph)
        program = Program(self.traced, self.options, change)
        program.calls, program.signature = self.calls, self.signature
        program.cause = f"its {'graph' if change.source is None else 'code'} was edited"
        return program

    def memory(self) -> Memory:
        plan = self.plan
        if plan is None:
            raise UnsupportedError("memory() of a step that runs in the interpreter, which plans none")

        scratch = plan.scratch_bytes(plan.threads or num_threads())
        results = sum(s.nbytes for s in plan.slots if s.kind == "output")
        return Memory(plan.arena_bytes, plan.kept_bytes, scratch, sum(plan.resident().values()), results)

    def stages(self, target: Target | None = None) -> Stages:
        """Every stage, from the recorded graph on; with ``target`` as the step would be compiled for it."""
        before = dict(self.traced.stages.graphs)
        if self.crossing is not None:
            before["forward"] = self.crossing.halves.forward
        if self.edit.graph is not None:
            before["edited"] = self.edit.graph
        stages = Stages(self.traced.stages.graphs["traced"])
        after = self.compiled.stages() if target is None else self.compiled.lowered(target)
        stages.graphs = {**before, **{k: g for k, g in after.graphs.items() if k != "traced"}}
        stages.seconds = {**self.traced.stages.seconds, **after.seconds}
        return stages

    def source(self, language: str) -> str:
        return self.compiled.source(language)

    def sources(self) -> dict[str, str]:
        """File name -> text of the generated code; instead of Triton kernels that cannot be, the reason."""
        try:
            triton = self.source("triton")
        except NotImplementedError as missing:
            triton = "".join(f"# {line}\n" for line in str(missing).splitlines())
        return {"step.c": self.source("c"), "step_triton.py": triton}


def _span(cell: Cell) -> tuple[int, int]:
    """The addresses of a cell's first byte and behind its last."""
    array = cell.value.data
    return array.ctypes.data, array.ctypes.data + array.nbytes


def _refuse_shared(cell: Cell) -> None:
    """Raise TraceError for a state whose memory others hold, while the step writes another state there."""
    if cell.shared is not None:
        raise TraceError(
            f"{cell.label or 'a state'} {cell.type} shares its memory with another state that the step writes (by "
            "from_numpy(), numpy() or .data =); a compiled step would not see that\n"
            "  use one tensor and views of it, or clone() one of the two"
        )


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
    grads = [cell.grad for cell in traced.given_grads if isinstance(cell.grad, Tensor)]
    return not any(g._views for g in grads) and len({g._cell for g in grads}) == len(grads)


def _result(array: np.ndarray, kind: TensorType, ended: Ended | None) -> Tensor:
    """A tensor on an array that a call returns; ``ended`` says why it has no gradient, though it requires one."""
    value = TensorValue(kind, "", None, array)
    if ended is not None:
        value.requires_grad, value.producer = True, ended
    return view_of(Cell(value), ())


def _leave_gradient(tensor: Tensor, grad: Tensor | None) -> None:
    """Give a result the ``.grad`` that the step left in it."""
    if tensor.is_leaf:
        tensor._grad_cell.grad = grad
    else:
        tensor._retains, tensor._kept = True, grad


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
    fresh.leaf, fresh.requires_grad, fresh.place = old.leaf, old.requires_grad, old.place
    cell.value = fresh
    _OWNED.add(fresh)
