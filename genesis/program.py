"""``@genesis.compile``: a training step, or a forward function, as one program."""

from __future__ import annotations

import functools
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any
from weakref import WeakSet

import numpy as np

from compiler import pipeline
from compiler.codegen.c import unit
from compiler.codegen.c.isa import isa_for
from compiler.errors import DeviceError, GenesisWarning, OpError, RecompileError, TraceError
from compiler.interpret import concrete, interpret
from compiler.ir.ambient import using
from compiler.ir.graph import Graph, Value
from compiler.ir.location import user_location
from compiler.ir.types import TensorType, bf16, f16, f32, f64, i32
from compiler.passes.accumulate import accumulate
from compiler.passes.clip import clip_norm, clip_value
from compiler.passes.loss_scale import LossScale, loss_scale
from compiler.pipeline import Stages
from compiler.plan import Plan
from compiler.text.printer import print_graph
from genesis.amp import autocast
from genesis.context import Cell, Clock, Recording, current_recording, rebound, session
from genesis.context import changes as module_changes
from genesis.optim.optimizer import changes as optimizer_changes
from genesis.random import advance_recorded
from genesis.surroundings import Fixed, Surroundings, described, token
from genesis.tensor import GradientStaysInside, Tensor, from_array, tensor, wrap
from genesis.trees import is_tensor_like, leaves, map_leaves
from runtime.cache import cached_bytes
from runtime.devices.cpu import CpuDevice, aligned_empty
from runtime.executor import Executor
from runtime.toolchain import find_compiler

PRECISIONS = {"fp32": None, "bf16-mixed": bf16, "fp16-mixed": f16}
BACKENDS = ("auto", "c", "interpret", "cuda")
MAX_PROGRAMS = 32
MAX_RECOMPILES = 8


@dataclass(frozen=True)
class Options:
    """The arguments of :func:`compile`."""

    precision: str | None = None
    loss_scale: str | float | None = None
    clip_grad_norm: float | None = None
    clip_grad_value: float | None = None
    accumulate: int = 1
    backend: str = "auto"
    keep_grads: bool = False

    def __post_init__(self) -> None:
        if self.precision is not None and self.precision not in PRECISIONS:
            raise ValueError(f"precision={self.precision!r}; choose one of {', '.join(map(repr, PRECISIONS))}")
        if self.backend not in BACKENDS:
            raise ValueError(f"backend={self.backend!r}; choose one of {', '.join(map(repr, BACKENDS))}")
        if isinstance(self.loss_scale, str) and self.loss_scale != "dynamic":
            raise ValueError(f"loss_scale={self.loss_scale!r}; it is 'dynamic' or a number")
        if self.accumulate < 1:
            raise ValueError(f"accumulate={self.accumulate}; it is the number of micro-batches, at least 1")


@dataclass(frozen=True)
class Last:
    """What the last call did. ``applied``: False when the step was skipped because a gradient overflowed.

    ``loss_scale``: the scale the step ran with, ``grad_norm``: the norm before clipping, ``lr``: the learning rate of the
    first parameter group; None where the step has no such thing.
    """

    applied: bool
    loss_scale: float | None
    grad_norm: float | None
    lr: float | None


def compile(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Compile a training step, or a function without gradients, as one program.

    Use bare (``@genesis.compile``) or with options:

    precision: "fp32", "bf16-mixed" or "fp16-mixed"; opens an autocast region round the step.
    loss_scale: "dynamic", or a fixed number: scales the loss, skips steps that overflow.
    clip_grad_norm, clip_grad_value: clip gradients before the optimizer sees them.
    accumulate: split the batch into this many micro-batches and add up their gradients.
    backend: "auto" (C where there is a compiler, else the NumPy interpreter), "c", "interpret" or "cuda".
    keep_grads: make ``.grad`` readable after a call.

    Modules, optimizers, scalers and values that the function refers to are found by themselves; their state stays where
    it is and is updated in place. Shapes, dtypes and plain Python values are guarded: a call with others compiles another
    program. Hyper-parameters (learning rate, betas, ...) are read at every call and never cause a compilation.
    """
    if function is None:
        return lambda f: compile(f, **options)
    return CompiledFunction(function, Options(**options))


class CompiledFunction:
    """A function and its programs, one per signature."""

    def __init__(self, function: Callable[..., Any], options: Options) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.options = options
        self.programs: OrderedDict[Any, Program] = OrderedDict()
        self.compiles = 0
        self._surroundings: Surroundings | None = None
        self._structure: tuple[int, int, Fixed] | None = None
        self._program: Program | None = None
        self._changes: dict[str, int] = {}
        self._scale: tuple[Cell, Cell] | None = None
        self._before: tuple[Any, ...] | None = None
        self._lock = RLock()

    def scale_cells(self) -> tuple[Cell, Cell]:
        """The scale (f32[]) and growth tracker (i32[]) of the ``loss_scale`` option."""
        if self._scale is None:
            start = 65536.0 if self.options.loss_scale == "dynamic" else float(self.options.loss_scale or 1.0)
            scale, tracker = from_array(np.array(start, np.float32)), from_array(np.array(0, np.int32))
            self._scale = scale._cell, tracker._cell
        return self._scale

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        name = f"_compiled_{self.function.__name__}"
        bound = instance.__dict__.get(name)
        if bound is None:
            bound = CompiledFunction(self.function.__get__(instance, owner), self.options)
            instance.__dict__[name] = bound
        return bound

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if current_recording() is not None:
            return self.function(*args, **kwargs)
        with self._lock:
            program = self._program
            if program is not None and not kwargs and self._as_before(args) and program.grads_as_recorded():
                return program.run(args)
            arguments = leaves((args, kwargs))
            program = self._find(arguments)
            if program is None:
                program = self._compile(args, kwargs, arguments)
            self._program = program
            self._before = self._now(args) if not kwargs else None
            return program.run([leaf for _, leaf in arguments])

    # Choosing a program

    def _now(self, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """What the next call is compared with, to find that nothing changed without building a key."""
        if self._structure is None or self._surroundings is None or not all(map(_is_plain_tensor, args)):
            return None
        here = session()
        kinds = [x._cell.value.type for x in args]
        return kinds, here.grad_enabled, here.autocast, *self._structure[:2], self._surroundings.snapshot()

    def _as_before(self, args: tuple[Any, ...]) -> bool:
        before = self._before
        if before is None or len(args) != len(before[0]):
            return False
        for x, kind in zip(args, before[0], strict=True):
            if not _is_plain_tensor(x):
                return False
            found = x._cell.value.type
            if found is not kind and (found.dtype is not kind.dtype or found.shape != kind.shape):
                return False
        here = session()
        assert self._surroundings is not None
        return (
            before[3] == module_changes.time
            and before[4] == optimizer_changes.time
            and before[1] is here.grad_enabled
            and before[2] == here.autocast
            and self._surroundings.unchanged(before[5])
        )

    def _key(self, arguments: list[tuple[str, Any]]) -> tuple[Any, ...]:
        here = session()
        return (tuple([_signature(leaf) for _, leaf in arguments]), here.grad_enabled, here.autocast)

    def _guards(self) -> tuple[Any, ...]:
        times = module_changes.time, optimizer_changes.time
        if self._surroundings is None or self._structure is None or self._structure[:2] != times:
            self._surroundings = Surroundings(self.function)
            fixed = tuple(self._surroundings.structure().items()), tuple(self._surroundings.plain)
            self._structure = (*times, Fixed(fixed))
        return self._structure[2], self._surroundings.values()

    def _find(self, arguments: list[tuple[str, Any]]) -> Program | None:
        kinds = self._key(arguments)
        program = self.programs.get((kinds, self._guards()))
        if program is None:
            self._surroundings = None  # something may have been exchanged for an object with surroundings of its own
        key = (kinds, self._guards())
        program = self.programs.get(key)
        if program is None or not program.grads_as_recorded():
            return None
        self.programs.move_to_end(key)
        return program

    def _compile(self, args: Any, kwargs: Any, arguments: list[tuple[str, Any]]) -> Program:
        key = (self._key(arguments), self._guards())
        self._count_recompile(key)
        assert self._surroundings is not None
        traced = _Trace(self, self._surroundings).run(args, kwargs)
        program = Program(traced, self.options.backend)
        self.programs[key] = program
        self.compiles += 1
        while len(self.programs) > MAX_PROGRAMS:
            self.programs.popitem(last=False)[1].release()
        return program

    def _count_recompile(self, key: tuple[Any, ...]) -> None:
        """Blame what changed since a program of the same argument types; too often is an error."""
        earlier = next((k for k in reversed(self.programs) if k[0] == key[0]), None)
        if earlier is None or earlier == key:
            return
        before, after = _by_name(earlier[1]), _by_name(key[1])
        for name in {**before, **after}:
            if before.get(name, before) == after.get(name, after):
                continue
            self._changes[name] = self._changes.get(name, 0) + 1
            if self._changes[name] > MAX_RECOMPILES:
                raise RecompileError(
                    f"{self.function.__qualname__} was compiled anew {MAX_RECOMPILES} times because {name} changed "
                    f"(now {described(after.get(name))}).\n"
                    "  Pass a value that changes as a float or tensor argument of the step; keep it out of the closure."
                )

    # Inspecting

    def _latest(self) -> Program:
        if self._program is None:
            raise TraceError(f"{self.function.__qualname__} has not been called yet; call it once, then look")
        return self._program

    @property
    def last(self) -> Last:
        """What the last call did; see :class:`Last`."""
        return self._latest().last()

    @property
    def plan(self) -> Plan | None:
        """The plan of the last program; None when the interpreter runs it."""
        return self._latest().plan

    def graph(self, stage: str = "traced") -> Graph:
        """The graph of the last call's program: "traced", after a pass by name, or "fused" after the last."""
        stages = self._latest().stages()
        name = {"fused": "horizontal"}.get(stage, stage)
        if name not in stages.graphs:
            raise KeyError(f"no stage {stage!r}; there are: {', '.join(stages.graphs)}, fused")
        return stages.graphs[name]

    def source(self, language: str = "c") -> str:
        """The generated text of the last call's program: "c" or "triton"."""
        return self._latest().source(language)

    def dump(self, directory: str | Path) -> list[Path]:
        """Write the IR of every stage and the generated code into ``directory``; returns the files."""
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        program = self._latest()
        texts = {f"{i:02d}_{n}.gir": print_graph(g) for i, (n, g) in enumerate(program.stages().graphs.items())}
        texts |= program.sources()
        for name, text in texts.items():
            (folder / name).write_text(text)
        return [folder / name for name in texts]


def _is_plain_tensor(x: Any) -> bool:
    """A tensor that is no view, needs no gradient and has its contents at hand."""
    return type(x) is Tensor and not x._views and x._cell.home is None and not x._cell.value.requires_grad


def _by_name(guards: tuple[Fixed, tuple[Any, ...]]) -> dict[str, Any]:
    """Every guarded thing with its token."""
    structure, names = guards[0].items
    return {**dict(structure), **dict(zip(names, guards[1], strict=True))}


def _signature(leaf: Any) -> Any:
    """What a program depends on of an argument: type and shape of a tensor, a float's being one, any other value."""
    if isinstance(leaf, Tensor):
        kind = leaf._type
        return kind.dtype.short, kind.shape, leaf.requires_grad
    if is_tensor_like(leaf):
        return str(leaf.dtype), tuple(leaf.shape), False
    if isinstance(leaf, float):
        return float
    return token(leaf)


@dataclass
class Traced:
    """A recorded step and everything about it that is not in its graph."""

    stages: Stages
    states: list[Cell]
    written: list[Cell]
    scalars: list[Callable[[], float]]
    float_arguments: list[int]
    argument_scalars: set[Value]
    inputs: list[int]
    result: Callable[[list[Tensor]], Any]
    outputs: int
    exports: list[Cell]
    consumed: list[Cell]
    dropped: list[Cell]
    entry_grads: list[tuple[Cell, bool]]
    last: dict[str, int]
    learning_rate: Callable[[], float] | None
    host_actions: list[Callable[[], Any]]


class _Trace:
    """Records one call."""

    def __init__(self, owner: CompiledFunction, surroundings: Surroundings) -> None:
        self.owner, self.options, self.surroundings = owner, owner.options, surroundings
        self.recording = Recording(owner.function.__name__, session().grad_enabled)
        self.inputs: list[int] = []
        self.float_arguments: list[int] = []
        self.float_values: list[Value] = []
        self.micro_batches: list[Value] = []

    def run(self, args: Any, kwargs: Any) -> Traced:
        recording, options = self.recording, self.options
        self.surroundings.label()
        recording.module_names = {m: n for n, m in self.surroundings.named_modules()}
        recording.builder.autocast = session().autocast
        recording.builder.target = "cuda" if options.backend == "cuda" else "cpu"  # type: ignore[attr-defined]
        self.count = 0
        args, kwargs = map_leaves(self._argument, (args, kwargs))
        low = PRECISIONS[options.precision] if options.precision else None
        with using(recording.builder):
            region = autocast(dtype=low) if low is not None else nullcontext()
            with region:
                result = self.owner.function(*args, **kwargs)
            recording.builder.autocast = None
            advance_recorded(recording, options.accumulate)
            outputs, rebuild = self._results(result)
            count = len(outputs)
            exports = self._exports()
            outputs += [recording.grads[c].value for c in exports]
        last = {}
        for name, value in recording.last.items():
            last[name] = len(outputs)
            outputs.append(value)
        stages = Stages(recording.finish(outputs))
        states = list(recording.state)
        extra = self._insert(stages, last, states)
        scalars = [read for _, read in recording.scalars.values()]
        consumed = [c for c, g in recording.grads.items() if isinstance(g, Tensor) and c not in exports and self._inside(g)]
        return Traced(
            stages=stages,
            states=states,
            written=list(recording.written) + extra,
            scalars=scalars,
            float_arguments=self.float_arguments,
            argument_scalars=set(self.float_values),
            inputs=self.inputs,
            result=rebuild,
            outputs=count,
            exports=exports,
            consumed=consumed,
            dropped=[c for c, g in recording.grads.items() if g is None],
            entry_grads=[(c, g is None) for c, g in recording.entry_grads.items() if c not in recording.cleared],
            last=last,
            learning_rate=self._learning_rate(),
            host_actions=recording.host_actions,
        )

    def _argument(self, path: str, leaf: Any) -> Any:
        """A traced tensor for a tensor or a float; other values as they are."""
        position = self.count
        self.count += 1
        name = _argument_name(path, self.owner.function, position)
        if is_tensor_like(leaf):
            given = leaf if isinstance(leaf, Tensor) else tensor(leaf)
            if given._type.size == 0:
                raise OpError(f"argument {name} of {self.owner.function.__qualname__} is empty: shape {list(given.shape)}\n  at {user_location()}")
            value = self.recording.graph.add_param(self._micro_batch(given._type, name), "input", name, name)
            self.micro_batches += [value] if value.type != given._type else []
            self.inputs.append(position)
            with using(self.recording.builder):
                return wrap(value)
        if isinstance(leaf, float):
            value = self.recording.graph.add_param(TensorType(f64, ()), "scalar", name, name)
            self.float_arguments.append(position)
            self.float_values.append(value)
            with using(self.recording.builder):
                return wrap(value)
        return leaf

    def _micro_batch(self, kind: TensorType, name: str) -> TensorType:
        """The type of one micro-batch of an argument; arguments without dimensions are not cut."""
        count = self.options.accumulate
        if count == 1 or not kind.rank:
            return kind
        if kind.shape[0] % count:
            raise OpError(f"accumulate={count} does not divide the batch of argument {name}: shape {list(kind.shape)}")
        return TensorType(kind.dtype, (kind.shape[0] // count, *kind.shape[1:]))

    def _results(self, result: Any) -> tuple[list[Value], Callable[[list[Tensor]], Any]]:
        values: list[Value] = []

        def collect(path: str, leaf: Any) -> Any:
            if isinstance(leaf, Tensor):
                values.append(leaf.value)
                return _Hole(len(values) - 1)
            return leaf

        pattern = map_leaves(collect, result)

        def rebuild(tensors: list[Tensor]) -> Any:
            return map_leaves(lambda _, leaf: tensors[leaf.index] if isinstance(leaf, _Hole) else leaf, pattern)

        return values, rebuild

    def _inside(self, grad: Tensor) -> bool:
        return grad._cell.home is self.recording

    def _exports(self) -> list[Cell]:
        """Parameters whose gradient leaves the program: it lives into the next call, or was asked for."""
        recording = self.recording
        return [
            cell
            for cell, grad in recording.grads.items()
            if isinstance(grad, Tensor) and self._inside(grad) and (self.options.keep_grads or cell not in recording.cleared)
        ]

    def _insert(self, stages: Stages, last: dict[str, int], states: list[Cell]) -> list[Cell]:
        """Run the passes that the decorator's options ask for; returns the states they update."""
        options, written = self.options, []
        if options.loss_scale is not None:
            dynamic = options.loss_scale == "dynamic"
            scale, tracker = self.owner.scale_cells()
            graph = stages.latest
            place = LossScale(
                graph.add_param(TensorType(f32, ()), "state", "loss_scale.scale", "loss_scale"),
                graph.add_param(TensorType(i32, ()), "state", "loss_scale.growth_tracker", "growth_tracker") if dynamic else None,
            )
            states += [scale, tracker] if dynamic else [scale]
            written += [scale, tracker] if dynamic else []
            stages.run([("loss_scale", functools.partial(loss_scale, setting=place))])
            self._report(stages.latest, last, "found_inf", "unscale", -1)
            last["loss_scale"] = len(stages.latest.outputs)
            stages.latest.outputs.append(place.scale)
        if options.accumulate > 1:
            draws = max(self.recording.drawn.values(), default=0)
            repeat = functools.partial(accumulate, count=options.accumulate, split=self.micro_batches, draws=draws)
            stages.run([("accumulate", repeat)])
        if options.clip_grad_value is not None:
            stages.run([("clip_value", functools.partial(clip_value, limit=self._number(stages, "clip_grad_value")))])
        if options.clip_grad_norm is not None:
            stages.run([("clip_norm", functools.partial(clip_norm, max_norm=self._number(stages, "clip_grad_norm")))])
            last["grad_norm"] = len(stages.latest.outputs) - 1
        return written

    @staticmethod
    def _report(graph: Graph, last: dict[str, int], name: str, op: str, output: int) -> None:
        node = next((n for n in reversed(graph.nodes) if n.op.name == op), None)
        if node is not None:
            last[name] = len(graph.outputs)
            graph.outputs.append(node.outputs[output])

    def _number(self, stages: Stages, name: str) -> Value:
        """An option as a run-time scalar."""
        value = stages.latest.add_param(TensorType(f64, ()), "scalar", name, name)
        self.recording.scalars[name] = (value, lambda: getattr(self.options, name))
        return value

    def _learning_rate(self) -> Callable[[], float] | None:
        for _, optimizer in self.surroundings.optimizers:
            return lambda: float(optimizer.param_groups[0]["lr"])
        return None


@dataclass(frozen=True)
class _Hole:
    """Where a result has a tensor."""

    index: int


def _argument_name(path: str, function: Callable[..., Any], position: int) -> str:
    code = getattr(function, "__code__", getattr(getattr(function, "__func__", None), "__code__", None))
    names = list(code.co_varnames[: code.co_argcount]) if code is not None else []
    if hasattr(function, "__self__"):
        names = names[1:]
    if path.startswith("[0][") and path.count("[") == 2:
        index = int(path[4:-1])
        if index < len(names):
            return names[index]
    if path.startswith("[1]['") and path.count("[") == 2:
        return path[5:-2]
    return f"argument{position}"


class Program:
    """One traced signature, compiled for one backend, bound to its states."""

    def __init__(self, traced: Traced, backend: str) -> None:
        self.traced = traced
        self.plan: Plan | None = None
        self._stages: Stages | None = None
        self._scalars = self._scalar_order()
        self.clock = Clock()
        self.executor: Executor | _Interpreted = self._executor(backend)
        self.bound: list[Value] = []
        self.time = -1
        self.outputs: list[np.ndarray] = []
        self.result_types = [v.type for v in traced.stages.latest.outputs[: traced.outputs]]
        for cell in traced.written:
            if cell.clock is None:
                cell.clock = self.clock
        self.clocks = {cell.clock for cell in traced.written if cell.clock is not None}
        for cell in traced.states:
            cell.bound += 1

    def _scalar_order(self) -> list[Callable[[Sequence[Any]], float]]:
        """How to read each scalar input of the graph, in the graph's order."""
        traced = self.traced
        arguments, numbers = iter(traced.float_arguments), iter(traced.scalars)
        order: list[Callable[[Sequence[Any]], float]] = []
        for param in traced.stages.latest.params:
            if param.kind != "scalar":
                continue
            if param.value in traced.argument_scalars:
                order.append(_argument_reader(next(arguments)))
            else:
                order.append(_outside_reader(next(numbers)))
        return order

    def _executor(self, backend: str) -> Executor | _Interpreted:
        if backend == "cuda":
            raise NotImplementedError("backend='cuda' from the decorator")
        compiler = find_compiler() if backend in ("auto", "c") else None
        if compiler is None:
            if backend == "c":
                raise DeviceError("backend='c' needs a C compiler; install gcc or clang, or `pip install genesis[zig]`")
            if backend == "auto":
                warnings.warn("no C compiler found: steps run in the NumPy interpreter, slowly", GenesisWarning, stacklevel=5)
            return _Interpreted(self.traced.stages.latest)
        isa = isa_for(compiler.features)
        start = self.traced.stages.latest
        key = ("plan", _compiler_version(), isa.name, print_graph(start))

        def make() -> bytes:
            self._stages = Stages(start)
            return pipeline.compile_c(self._stages, isa).to_json().encode()

        self.plan = Plan.from_json(cached_bytes(key, make).decode())
        fresh = self.traced.outputs + len(self.traced.exports)
        return Executor(self.plan, CpuDevice(), fresh)

    # Running

    def grads_as_recorded(self) -> bool:
        """Whether the ``.grad`` that the step reads before it clears them are there, or missing, as when recorded."""
        return all((cell.grad is None) == missing for cell, missing in self.traced.entry_grads)

    def run(self, arguments: Sequence[Any]) -> Any:
        """One call on the leaves of the arguments."""
        traced = self.traced
        if self.time != rebound.time:
            self._bind()
        inputs = [_array(arguments[i]) for i in traced.inputs]
        scalars = [read(arguments) for read in self._scalars]
        results = self.executor.run(inputs, scalars)
        for clock in self.clocks:
            clock.time += 1
        self.outputs = results
        for cell, array in zip(traced.exports, results[traced.outputs :], strict=False):
            cell.grad = from_array(array)
        for cell in traced.consumed:
            cell.grad = _CONSUMED
        for cell in traced.dropped:
            cell.grad = None
        for action in traced.host_actions:
            action()
        return traced.result([_result(a, t) for a, t in zip(results, self.result_types, strict=False)])

    def _bind(self) -> None:
        """Hand the states' memory to the executor; written states get memory of their own the first time."""
        written = set(self.traced.written)
        values = []
        for cell in self.traced.states:
            value = cell.value
            if cell in written and value not in _OWNED:
                _own(cell)
                value = cell.value
            elif not value.data.flags.c_contiguous:
                value.data = np.ascontiguousarray(value.data)
            values.append(value)
        self.bound = values
        self.executor.bind([v.data for v in values])
        self.time = rebound.time

    def release(self) -> None:
        """Let go of the states."""
        for cell in self.traced.states:
            cell.bound -= 1

    def last(self) -> Last:
        def number(name: str) -> float | None:
            place = self.traced.last.get(name)
            return None if place is None else float(self.outputs[place])

        rate = self.traced.learning_rate
        return Last(not number("found_inf"), number("loss_scale"), number("grad_norm"), rate() if rate is not None else None)

    # Inspecting

    def stages(self) -> Stages:
        """Every stage; passes are run again if the plan came from the cache."""
        before = dict(self.traced.stages.graphs)
        if self._stages is None:
            self._stages = Stages(self.traced.stages.latest)
            self._stages.run(pipeline.lowering(unit.claims))
        stages = Stages(self.traced.stages.graphs["traced"])
        stages.graphs = {**before, **{k: g for k, g in self._stages.graphs.items() if k != "traced"}}
        return stages

    def source(self, language: str) -> str:
        if language == "c":
            if self.plan is not None:
                return self.plan.source
            return pipeline.emit(self.traced.stages.latest, "c")
        return pipeline.emit(self.traced.stages.latest, language)

    def sources(self) -> dict[str, str]:
        """File name -> text of the generated code."""
        return {"step.c": self.source("c"), "step_triton.py": self.source("triton")}


def _argument_reader(position: int) -> Callable[[Sequence[Any]], float]:
    return lambda arguments: float(arguments[position])


def _outside_reader(read: Callable[[], float]) -> Callable[[Sequence[Any]], float]:
    return lambda arguments: float(read())


@functools.cache
def _compiler_version() -> str:
    """Changes whenever a file of the compiler does."""
    root = Path(pipeline.__file__).parent
    files = sorted(f for pattern in ("*.py", "*.lark") for f in root.rglob(pattern))
    return repr([(str(f.relative_to(root)), f.stat().st_size, f.stat().st_mtime_ns) for f in files])


class _Interpreted:
    """The interpreter as an executor: for machines without a C compiler, and as the reference."""

    def __init__(self, graph: Graph) -> None:
        stages = Stages(graph)
        self.graph = stages.run([(n, p) for n, p in pipeline.PASSES.items() if n in ("autocast", "autodiff", "cse")])
        self.states: list[np.ndarray] = []

    def bind(self, states: Sequence[np.ndarray]) -> None:
        self.states = list(states)

    def run(self, inputs: Sequence[np.ndarray], scalars: Sequence[float]) -> list[np.ndarray]:
        """The same contract as :meth:`runtime.executor.Executor.run`."""
        sources = {"state": iter(self.states), "input": iter(inputs), "scalar": iter(np.float64(s) for s in scalars)}
        arguments = [np.asarray(next(sources[p.kind])) for p in self.graph.params]
        outputs, updates = interpret(self.graph, arguments)
        results = [np.array(a) for a in outputs]
        places = {v: i for i, v in enumerate(self.graph.inputs("state"))}
        for update, array in zip(self.graph.updates, [np.array(u) for u in updates], strict=True):
            np.copyto(self.states[places[update.state]], array)
        return results


_CONSUMED = GradientStaysInside()
_OWNED: WeakSet[Value] = WeakSet()
"""Values whose memory belongs to their cell alone, so that programs may write it."""


def _array(leaf: Any) -> np.ndarray:
    array = leaf.value.data if isinstance(leaf, Tensor) else leaf if isinstance(leaf, np.ndarray) else tensor(leaf).value.data
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def _result(array: np.ndarray, kind: TensorType) -> Tensor:
    result = Tensor.__new__(Tensor)
    result._start(Cell(concrete(array, kind)), ())
    return result


def _own(cell: Cell) -> None:
    """Move a state into aligned memory that nothing else refers to."""
    old = cell.value
    kind = old.type
    memory = aligned_empty(kind.nbytes).view(kind.dtype.numpy).reshape(kind.shape)
    memory[...] = old.data
    fresh = concrete(memory, kind)
    fresh.leaf, fresh.requires_grad = old.leaf, old.requires_grad
    cell.value = fresh
    _OWNED.add(fresh)
