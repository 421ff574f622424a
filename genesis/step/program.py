"""``@genesis.compile``: a training step, or a forward function, as one program."""

from __future__ import annotations

import functools
import itertools
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from copy import deepcopy
from threading import RLock
from time import perf_counter
from typing import Any, Concatenate, Generic, NamedTuple, ParamSpec, Protocol, TypeVar, overload

import numpy as np

import genesis.step.ledger as ledger
from compiler.collector import without_collector
from compiler.errors import TraceError
from compiler.ir.types import TensorType, defaults
from compiler.processors import Processor
from genesis.capture.arguments import Sharing, argument_name
from genesis.capture.audit import Trace, check_again, record_audited
from genesis.capture.callables import CompiledModule, compiled_module, named
from genesis.capture.guards.keys import HashedKey, IdentityKey, guard_key
from genesis.capture.guards.reachable import PLAIN, Named, Reachable
from genesis.capture.guards.recompiles import MAX_RECOMPILES, Recompiles
from genesis.capture.guards.repeated import LastCall, can_repeat
from genesis.capture.guards.snapshot import Snapshot
from genesis.capture.keeping import Held, Keep, Keeps, same_objects
from genesis.capture.output import muted
from genesis.capture.tracing import Traced, record
from genesis.context import session
from genesis.forks import give_lock
from genesis.gradients import grad_type
from genesis.host import OtherDecision
from genesis.live import changes as optimizer_changes
from genesis.memory.cells import Cell
from genesis.memory.cells import changes as module_changes
from genesis.memory.values import concrete
from genesis.nn.module import Module
from genesis.options import Options, without_torch
from genesis.pytree import is_tensor_like, leaves, structure
from genesis.replaced import replacements
from genesis.step.cost_report import CostReport, cost_of
from genesis.step.execution import Program
from genesis.step.inspection import Inspected
from genesis.tensor import Tensor, from_array

MAX_PROGRAMS = MAX_RECOMPILES

told: list[Callable[[CompiledFunction[..., Any], Program], None]] = []
"""Facts about every program when it is compiled, and about its function."""


class _Reached(NamedTuple):
    """The objects that a function reaches, found when the clocks of modules and optimizers showed these times."""

    module_time: int
    optimizer_time: int
    key: HashedKey
    reachable: Reachable
    modules: Snapshot


class _Call:
    """One call: its arguments, and the tensors that it finds where the step keeps some.

    Attributes:
        roots: the objects among the arguments that guards look into, and methods that were replaced.
        keeps: the places that recordings for such roots showed; ``held``: what stands there.
        tree: all arguments; ``given``: their leaves; ``at``: for each of these the place that it stands in, if any.
    """

    def __init__(self, args: Any, kwargs: Any, roots: list[Named], keeps: Keeps) -> None:
        self.args, self.kwargs, self.roots, self.keeps = args, kwargs, roots, keeps
        self.look()

    def look(self) -> None:
        """Look at the places, and find what stands there."""
        self.held = Held(self.keeps.places)
        own = (self.args, self.kwargs)
        self.tree: tuple[Any, ...] = (*own, self.held.values) if self.held.spots else own
        found = leaves(self.tree)
        self.given = [leaf for _, leaf in found]
        self.at = [self.held.keep_at(path) for path, _ in found] if self.held.spots else [None] * len(found)

    def signatures(self) -> tuple[Any, ...]:
        """The facts about each leaf, which objects stand in several places, and which places there are."""
        read = self.keeps.read
        found = [
            type(leaf) if isinstance(leaf, Tensor) and keep is not None and keep not in read else _signature(leaf)
            for leaf, keep in zip(self.given, self.at, strict=True)
        ]
        return *found, *same_objects(self.given, self.at.count(None)), *self.held.spots


P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
M = TypeVar("M", bound=Module)


class Compiler(Protocol):
    """The decorator that :func:`compile` with options returns."""

    @overload
    def __call__(self, function: M) -> M: ...  # type: ignore[overload-overlap]  # a module can be called, too
    @overload
    def __call__(self, function: Callable[P, R]) -> CompiledFunction[P, R]: ...


@overload
def compile(function: M, **options: Any) -> M: ...
@overload
def compile(function: Callable[P, R], **options: Any) -> CompiledFunction[P, R]: ...
@overload
def compile(function: None = None, **options: Any) -> Compiler: ...
def compile(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Compile a training step, a forward function or a module as one program.

    Use bare (``@genesis.compile``) or with options:

    precision: "fp32", "bf16-mixed" or "fp16-mixed"; opens an autocast region round the step.
    loss_scale: "dynamic", or a fixed number: scales the loss, skips steps that overflow.
    clip_grad_norm, clip_grad_value: clip gradients before the optimizer sees them.
    accumulate: run forward and backward over this many micro-batches; the results equal the whole batch's.
    backend: "auto" (C where there is a compiler, else the NumPy interpreter), "c", "interpret" or "cuda".
    keep_grads: make ``.grad`` readable after a call.
    activation_memory: what the temporaries of a call may take: bytes, a text like "512MB" or "1GiB", or a float, the
        part of what they would take. More is computed a second time until it fits; see ``step.memory()``.
    check_numerics: look at the results of every op; a call in which one makes an infinity or a NaN, or leaves the
        range of 16 bits, raises NumericsError with the op, its line and the range of its operands, and updates nothing.
        A step with a loss scale skips such a call as always, and ``step.last.skip_reason`` names the op.

    Modules, optimizers, scalers and values that the function refers to are found by themselves; their state stays
    where it is and is updated in place. Shapes, dtypes and plain Python values are guarded: a call with others compiles
    another program. Hyper-parameters (learning rate, betas, ...) are read at every call and never cause a compilation.

    Results carry their gradients: ``backward()`` outside of a compiled forward function runs a second program. A module
    becomes one with the same parameters, names and attributes (they are shared) that is compiled when it is called;
    ``module.compile()`` does this in place. Raises TypeError for what cannot be called.

    Options of ``torch.compile`` are accepted: ``disable=True`` returns the function as it is, ``mode``, ``dynamic`` and
    ``options`` say once that they change nothing, ``fullgraph`` is always so, ``backend="inductor"`` means "auto".
    """
    if options.pop("disable", False):
        return (lambda f: f) if function is None else function
    options = without_torch(options)
    if function is None:
        return functools.partial(compile, **vars(Options(**options)))
    if isinstance(function, CompiledModule):
        function = function._original
    if isinstance(function, Module):
        call = CompiledFunction(function.__call__, Options(**options))
        return compiled_module(function, call, functools.partial(compile, **options))
    if isinstance(function, CompiledFunction):
        function = function.function
    return CompiledFunction(named(function), Options(**options))


def _compile_in_place(module: Module, **options: Any) -> None:
    """From now on calls of this module run compiled; the options are as for :func:`genesis.compile`."""
    module.__dict__["_compiled_call"] = CompiledFunction(module.__call__, Options(**without_torch(options)))


setattr(Module, "compile", _compile_in_place)  # noqa: B010  # the file of Module cannot know of this one


class CompiledFunction(Inspected, Generic[P, R]):
    """A function and its programs, one per signature."""

    def __init__(self, function: Callable[P, R], options: Options) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.options = options
        self.programs: OrderedDict[Any, Program] = OrderedDict()
        self.compiles = 0
        self._reached: dict[tuple[int, ...], _Reached] = {}
        self._keeps: dict[tuple[int, ...], Keeps] = {}
        self._current: _Reached | None = None
        self._recompiles = Recompiles(getattr(function, "__qualname__", type(function).__name__))
        self._program: Program | None = None
        self._scale: tuple[Cell, Cell] | None = None
        self._last_call: LastCall | None = None
        self._watched: dict[Cell, None] = {}
        self._sharing = Sharing()
        self._array_inputs: dict[int, Any] = {}
        self._computed_on: dict[int, Any] = {}
        self._lock: RLock
        give_lock(self)

    def scale_cells(self) -> tuple[Cell, Cell]:
        """The scale (f32[]) and growth tracker (i32[]) of the ``loss_scale`` option."""
        if self._scale is None:
            start = 65536.0 if self.options.loss_scale == "dynamic" else float(self.options.loss_scale or 1.0)
            scale, tracker = from_array(np.array(start, np.float32)), from_array(np.array(0, np.int32))
            self._scale = scale._cell, tracker._cell
        return self._scale

    def state_dict(self) -> dict[str, Any]:
        """The loss scale and its growth tracker, under the names of ``GradScaler``; empty unless it is dynamic."""
        if self.options.loss_scale != "dynamic":
            return {}
        scale, tracker = (cell.fetched().data.item() for cell in self.scale_cells())
        return {"scale": scale, "_growth_tracker": tracker}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the result of :meth:`state_dict`, here or of a ``GradScaler``; KeyError if it lacks a part."""
        if self.options.loss_scale == "dynamic":
            numbers = state_dict["scale"], state_dict["_growth_tracker"]
            for cell, number in zip(self.scale_cells(), numbers, strict=True):
                cell.write(concrete(np.array(number, cell.type.dtype.numpy), cell.type))

    def __deepcopy__(self, memo: dict[int, Any]) -> CompiledFunction:
        return CompiledFunction(deepcopy(self.function, memo), self.options)

    def __reduce__(self) -> Any:
        return CompiledFunction, (self.function, self.options)

    @overload
    def __get__(self, instance: None, owner: Any = None) -> CompiledFunction[P, R]: ...
    @overload
    def __get__(
        self: CompiledFunction[Concatenate[Any, Q], R], instance: object, owner: Any = None
    ) -> CompiledFunction[Q, R]: ...
    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        name = f"_compiled_{self.function.__name__}"
        bound = instance.__dict__.get(name)
        if bound is None:
            bound = CompiledFunction(self.function.__get__(instance, owner), self.options)
            instance.__dict__[name] = bound
        return bound

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        here = session()
        if here.recording is not None:
            return self.function(*args, **kwargs)
        with self._lock:
            program, last = self._program, self._last_call
            if program is not None and last is not None and last.kinds is None and not kwargs:
                inputs = last.inputs(args, here)
                if inputs is not None and program.takes(args, self._sharing):
                    try:
                        if program.is_due():
                            self._check_call(program, self._call(args, kwargs))
                        return program.run(args, inputs, (args, kwargs))
                    except OtherDecision:
                        pass
            call = self._call(args, kwargs)
            refused: list[Program] = []
            while True:
                program = self._again(call, refused) or self._chosen(call, refused)
                try:
                    if program.is_due():
                        self._check_call(program, call)
                    return program.run(call.given, None, call.tree, call.held)
                except OtherDecision:
                    refused.append(program)

    def _check_call(self, program: Program, call: _Call) -> None:
        """Check this call of ``program``; where it does not pass, the next call is checked as well."""
        try:
            self._check(program, call)
        except BaseException:
            program.calls -= 1
            raise

    # Choosing a program

    def _again(self, call: _Call, refused: list[Program]) -> Program | None:
        """The program of the last call, if this one is like it and finds the same kinds of tensors in its places."""
        program, last = self._program, self._last_call
        if program is None or last is None or last.kinds is None or call.kwargs or program in refused:
            return None
        with call.held.aside():
            like = last.kinds == self._kinds(call) and last.inputs(call.args, session()) is not None
        return program if like and program.takes(call.given, self._sharing) else None

    def _chosen(self, call: _Call, refused: list[Program]) -> Program:
        """A program for this call, other than ``refused``; compiled if need be."""
        while True:
            program = self._find(call, refused)
            if program is None or not self._proves_arrays(program, call):
                program = self._compile(call)
            if program.serves(call.given, self._sharing):
                self._program, self._last_call = program, self._remember(call, program)
                return program
            refused.append(program)

    def _call(self, args: Any, kwargs: Any) -> _Call:
        """This call of the function."""
        roots = self._roots(args, kwargs)
        identities = tuple([id(root) for _, root in roots])
        keeps = self._keeps.pop(identities, None) or Keeps()
        self._keeps[identities] = keeps
        while len(self._keeps) > MAX_PROGRAMS:
            del self._keeps[next(iter(self._keeps))]
        return _Call(args, kwargs, roots, keeps)

    def _kinds(self, call: _Call) -> tuple[Any, ...]:
        """The facts about its arguments, and about the modes it is called in, that a program depends on."""
        here = session()
        modes = here.grad_enabled, here.autocast, defaults.float
        return structure(call.tree), call.signatures(), self._sharing.key(call.given), *modes

    def _remember(self, call: _Call, program: Program) -> LastCall | None:
        """The record that the next call is compared with, if one can be like this one at all."""
        current, effects, args = self._current, program.traced.effects, call.args
        if current is None or call.kwargs or effects.writes or effects.entries or not can_repeat(args):
            return None
        inputs = self._array_inputs if program.arrays.proved else ()
        kinds = self._kinds(call) if call.held.spots else None
        with call.held.aside():
            return LastCall(args, session(), current[:2], current.reachable, inputs, kinds)

    def _roots(self, args: Any, kwargs: Any) -> list[Named]:
        """The objects among the arguments that guards look into, and methods that were replaced."""
        arguments = enumerate(leaves((args, kwargs)))
        return [(self._name(i, path), leaf) for i, (path, leaf) in arguments if _is_root(leaf)] + replacements()

    def _name(self, position: int, path: str, places: Sequence[str] = ()) -> str:
        return argument_name(path, self.function, position, places)

    def _guards(self, call: _Call) -> tuple[HashedKey, tuple[Any, ...]]:
        """The key of what the function and the arguments reach now."""
        times = module_changes.time, optimizer_changes.time
        identities = tuple([id(root) for _, root in call.roots])
        found = self._reached.pop(identities, None)
        with call.held.aside():
            if found is None or found[:2] != times or not found.modules.holds():
                with without_collector():
                    reachable = Reachable(self.function, call.roots)
                    key = HashedKey((tuple(reachable.structure().items()), tuple(reachable.guards)))
                    found = _Reached(*times, key, reachable, reachable.structure_snapshot())
            self._reached[identities] = self._current = found
            while len(self._reached) > MAX_PROGRAMS:
                del self._reached[next(iter(self._reached))]
            owners = call.held.owners
            return found.key, found.reachable.values(self._array_inputs | owners if owners else self._array_inputs)

    def _grad_types(self) -> tuple[TensorType | None, ...]:
        """The types of the gradients that some program looks at."""
        return tuple([grad_type(cell) for cell in self._watched])

    def _find(self, call: _Call, refused: list[Program]) -> Program | None:
        """A program for these arguments and surroundings, other than ``refused``."""
        kinds = self._kinds(call)
        if (kinds, self._guards(call), self._grad_types(), 0) not in self.programs:
            self._reached.clear()  # something may have been exchanged for an object that reaches others
        key = (kinds, self._guards(call), self._grad_types())
        for variant in itertools.count():
            program = self.programs.get((*key, variant))
            if program is None:
                return None
            if program not in refused and program.fits():
                self.programs.move_to_end((*key, variant))
                return program
        return None

    def _compile(self, call: _Call) -> Program:
        if self._current is not None and call.keeps.adopt(self._current.reachable.reaches):
            call.look()
        kinds = self._kinds(call)
        guards = self._guards(call)
        self._recompiles.check(self._by_name(call, kinds, guards) | _variant(self._free_key(kinds, guards)))

        start = perf_counter()
        with without_collector():
            traced = self._record(call)
            program = Program(traced, self.options)
        program.seconds = perf_counter() - start
        self._watched.update(dict.fromkeys(cell for cell, _ in traced.entry_grads))
        self._array_inputs |= {key: a for key, a in program.arrays.owners.items() if key not in self._computed_on}
        self._reached.clear()  # the recording may have made state that the step reaches
        call.keeps.read |= traced.read
        guards, kinds = self._guards(call), self._kinds(call)
        key = self._free_key(kinds, guards)
        program.signature = self._by_name(call, kinds, guards) | _variant(key)
        program.cause = self._recompiles.add(program.signature)
        if key in self.programs:  # a state has another type
            self.programs.pop(key).release()
        self.programs[key] = program
        self.compiles += 1
        while len(self.programs) > MAX_PROGRAMS:
            self.programs.popitem(last=False)[1].release()
        ledger.write_where_asked(program, self._recompiles.function)
        for tell in told:
            tell(self, program)
        return program

    def _record(self, call: _Call) -> Traced:
        """Record a call; once more where that shows new places in which the step keeps tensors."""
        places, name = call.keeps.places, self._recompiles.function
        before = len(places)

        def reach() -> Reachable:
            return Reachable(self.function, call.roots)

        def learn(found: list[Keep]) -> bool:
            if len(places) > before:  # others at every recording
                return False
            places.extend(found)
            return bool(found)

        try:
            with call.held.aside():
                traced = record_audited(name, reach, self._tracing(call), learn)
            if traced is None:
                call.look()
                with muted(), call.held.aside():
                    traced = record_audited(name, reach, self._tracing(call), learn)
            assert traced is not None
            return traced
        except BaseException:
            del places[before:]
            raise

    def _proves_arrays(self, program: Program, call: _Call) -> bool:
        """Whether ``program`` serves arrays whose contents have changed; if not, these guard its successors."""
        if not program.arrays.have_changed():
            return True
        try:
            self._check(program, call)
        except OtherDecision:
            return True  # the call itself finds that out again
        except TraceError:
            self._computed_on |= program.arrays.owners
            for key in program.arrays.owners:
                self._array_inputs.pop(key, None)
            return False
        program.arrays.proved = True
        return True

    def _tracing(self, call: _Call) -> Trace:
        def trace(reachable: Reachable, undo: Callable[[], None]) -> Traced:
            given = call.args, call.kwargs, call.held
            return record(self.function, self.options, reachable, self.scale_cells, self._sharing, undo, *given)

        return trace

    def _free_key(self, kinds: tuple[Any, ...], guards: tuple[Any, ...]) -> tuple[Any, ...]:
        """The slot of a new program. Programs of equal guards took other branches on numbers, and are counted."""
        for variant in itertools.count():
            key = kinds, guards, self._grad_types(), variant
            found = self.programs.get(key)
            if found is None or not found.fits():
                break
        return key

    def _check(self, program: Program, call: _Call) -> None:
        """Record the call again, and raise TraceError unless its graph equals the graph of ``program``."""
        current = self._current
        assert current is not None
        program.rehearse(call.given)
        with without_collector(), call.held.aside():
            trace = self._tracing(call)
            check_again(self._recompiles.function, lambda: current.reachable, trace, program.traced)

    def _by_name(
        self, call: _Call, kinds: tuple[Any, ...], guards: tuple[HashedKey, tuple[Any, ...]]
    ) -> dict[str, Any]:
        """Everything that a program depends on, by name."""
        shape, signatures, sharing, grad_enabled, region, default = kinds
        places = [keep.name for keep in call.held.spots]
        names = [self._name(i, path, places) for i, (path, _) in enumerate(leaves(call.tree))]
        kept = {name: s for name, s, keep in zip(names, signatures, call.at, strict=False) if keep is not None}
        own = {f"argument {name}": s for name, s, keep in zip(names, signatures, call.at, strict=False) if keep is None}
        found = {"structure of the arguments": shape, **own}
        found |= {"shared storage of arguments": sharing, "grad mode": grad_enabled, "autocast": region}
        found["default dtype"] = default
        attributes, guarded = guards[0].items
        found |= {**dict(attributes), **dict(zip(guarded, guards[1], strict=True))}
        return found | kept | {f"{cell.label or 'a tensor'}.grad": grad_type(cell) for cell in self._watched}

    # Inspecting

    def cost(self, *args: Any, device: str | Processor = "cpu", **kwargs: Any) -> CostReport:
        """The time and memory of a call on a processor, without running it; ``print`` it.

        args, kwargs: the arguments of the call, which is recorded and not run. Without them, of the last call.
        device: "cpu", which is this machine, "a100", "h100", "h200", "b200", "mi300x", or a
            :class:`compiler.cost.Processor`. A GPU need not be there; ``triton`` must be installed.

        The report has operations, bytes and the least time of each kernel and module, by the roofline of the device,
        and the memory by what it is for, with the line whose op sets the peak; ``fits`` says whether the step fits.
        """
        with self._lock:
            if args or kwargs:
                call = self._call(args, kwargs)
                with without_collector():
                    traced = self._record(call)
                self._reached.clear()  # the recording may have made state that the step reaches
                reachable = Reachable(self.function, call.roots)
            else:
                traced, reachable = self._latest().traced, self._reachable()
            return cost_of(traced, self.options, device, [name for name, _ in reachable.optimizers])

    def _known(self) -> Collection[Program]:
        return self.programs.values()

    def _exchange(self, old: Program, new: Program) -> None:
        self.programs = OrderedDict((key, new if p is old else p) for key, p in self.programs.items())
        self._program = new

    def _reachable(self) -> Reachable:
        return self._current.reachable if self._current is not None else Reachable(self.function)


def _variant(key: tuple[Any, ...]) -> dict[str, Any]:
    """The facts that tell apart programs of equal guards, by name."""
    return {"branches on numbers, and the state of optimizers": f"case {key[-1] + 1}"} if key[-1] else {}


def _is_root(leaf: Any) -> bool:
    """Whether an argument is an object that guards look into: a module, an optimizer, a function, ..."""
    return not isinstance(leaf, PLAIN) and not is_tensor_like(leaf)


def _signature(leaf: Any) -> Any:
    """An argument as a program depends on it: type and shape of a tensor, a float's being one, any other value."""
    if isinstance(leaf, Tensor):
        kind = leaf._type
        strides = None if leaf.is_contiguous() else leaf.stride()
        found = kind.dtype.short, kind.shape, strides, leaf.requires_grad and (leaf.is_leaf, grad_type(leaf._cell))
        return found if type(leaf) is Tensor else (*found, IdentityKey(type(leaf)), guard_key(vars(leaf)))
    if is_tensor_like(leaf):
        return str(leaf.dtype), tuple(leaf.shape), None, False
    if isinstance(leaf, float | np.floating):
        return float
    return guard_key(leaf)
