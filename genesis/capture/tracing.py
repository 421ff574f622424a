"""Recording one call of a step: what becomes its graph, and everything about it that does not."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from compiler.errors import GenesisError, TraceError, UnsupportedError
from compiler.ir.ambient import using
from compiler.ir.graph import Graph, Value
from compiler.ir.types import TensorType, f32, f64, i32
from compiler.passes.accumulate import accumulate
from compiler.passes.check_numerics import check_numerics
from compiler.passes.clip import clip_norm, clip_value
from compiler.passes.loss_scale import LossScale, loss_scale
from compiler.pipeline import DIFFERENTIATION, PASSES, Stages
from genesis.amp import autocast
from genesis.capture.arguments import Arguments, Effects, Holder, Read, Sharing
from genesis.capture.border import Border, record_border
from genesis.capture.guards.backup import refusal
from genesis.capture.guards.reachable import Reachable
from genesis.capture.keeping import Held, Keep, keepable
from genesis.capture.output import Output, taken_down
from genesis.capture.outside import staying_inside
from genesis.capture.results import Exit, Leaving, filled, returns_arguments
from genesis.context import grad_mode, session
from genesis.gradients import grad_type
from genesis.host import HostProgram
from genesis.memory.cells import Cell
from genesis.memory.values import TensorValue, held
from genesis.options import PRECISIONS, Options
from genesis.random import advance_recorded
from genesis.recording import LateInput, Recording
from genesis.tensor import Tensor


@dataclass
class Traced:
    """A recorded step and everything about it that is not in its graph."""

    stages: Stages
    states: list[Cell]
    written: list[Cell]
    parted: list[Cell]
    host: HostProgram
    host_results: int
    rate: int | None
    float_arguments: list[int]
    inputs: list[tuple[int, Read]]
    given_grads: dict[Cell, TensorValue]
    late_inputs: list[LateInput]
    result: Callable[..., Any]
    returns_arguments: bool
    keeps: list[Keep]
    read: set[Keep]
    outputs: int
    exits: list[Exit]
    effects: Effects
    output: Output
    consumed: list[Cell]
    dropped: list[Cell]
    entry_grads: list[tuple[Cell, TensorType | None]]
    same_grads: list[tuple[Cell, Tensor]]
    last: dict[str, int]
    border: Border | None


def record(
    function: Callable[..., Any],
    options: Options,
    reachable: Reachable,
    scale: Callable[[], tuple[Cell, Cell]],
    sharing: Sharing,
    undo: Callable[[], None],
    args: Any,
    kwargs: Any,
    held: Held,
) -> Traced:
    """Record one call; once more where the first recording shows that an argument is also a state of the step.

    ``undo`` takes back what the first one changed.
    """
    while True:
        tracer = Tracer(function, options, reachable, scale, sharing, held)
        try:
            traced = tracer.run(args, kwargs)
        except GenesisError:
            if not tracer.arguments.learn():
                raise
        else:
            if not tracer.arguments.learn():
                return traced
        undo()


class Tracer:
    """Records one call."""

    def __init__(
        self,
        function: Callable[..., Any],
        options: Options,
        reachable: Reachable,
        scale: Callable[[], tuple[Cell, Cell]],
        sharing: Sharing,
        held: Held,
    ) -> None:
        self.function, self.options, self.reachable, self.scale = function, options, reachable, scale
        self.recording = Recording(function.__name__, session().grad_enabled)
        self.recording.shared = sharing.states
        self.arguments = Arguments(self.recording, function, sharing, options.accumulate, held)

    def run(self, args: Any, kwargs: Any) -> Traced:
        recording, options, arguments = self.recording, self.options, self.arguments
        self.reachable.label()
        recording.module_names = {m: n for n, m in self.reachable.named_modules()}
        recording.outside_arrays = {key: array for key, (_, array) in self.reachable.arrays.items()}
        recording.builder.autocast = session().autocast
        recording.builder.target = "cuda" if options.backend == "cuda" else "cpu"
        args, kwargs = arguments.enter(args, kwargs)
        low = PRECISIONS[options.precision] if options.precision else None
        with using(recording.builder):
            region = autocast(dtype=low) if low is not None else nullcontext()
            try:
                with region, taken_down() as output, staying_inside(self.function.__name__):
                    result = self.function(*args, **kwargs)
                recording.builder.autocast = None
                nodes = recording.builder.nodes
                recording.builder.place = nodes[-1].loc if nodes else None  # what ends the step stands at its last op
                with grad_mode(False):
                    recording.host.finish()
            finally:
                left = arguments.leave()
                recording.host.take_back()
            self._check_left(left)
            advance_recorded(recording, options.accumulate)
            leaving = Leaving(arguments.origins(), self.reachable.knows, arguments.copies())
            pattern = leaving.result((result, list(left.values())) if left else result)
            effects = arguments.effects(leaving)
            exports = self._exports()
            effects.grads += [(_holder(cell), leaving.add(recording.grads[cell])) for cell in exports]
            outputs, exits = leaving.exits()
            effects.own = leaving.gradients
            count = len(outputs)
            outputs += effects.values
            border, gradients = self._border(outputs[:count])
        if border is not None and any(exits[place].output in border.roots for place, _ in effects.own):
            raise UnsupportedError(
                f"retain_grad() in {self.function.__qualname__}, of a tensor that leaves it: a backward pass outside "
                "does not come by there; call backward() inside of it"
            )
        host_results = len(outputs)
        outputs += recording.host.results
        last: dict[str, int] = {}
        rate = recording.host.scalars.get(recording.last["lr"]) if "lr" in recording.last else None
        if rate is not None:
            del recording.last["lr"]
        for name, value in recording.last.items():
            last[name] = len(outputs)
            outputs.append(value)
        if options.check_numerics and border is not None and border.roots:
            raise UnsupportedError(
                f"{self.function.__qualname__} is compiled with check_numerics=, and its results carry gradients; "
                "call backward() inside of it, or call it under no_grad()"
            )
        stages = Stages(recording.finish(outputs + gradients))
        states = list(recording.state)
        extra = self._insert(stages, last, states)
        consumed = [c for c, g in recording.grads.items() if c not in exports and self._made_inside(c, g)]
        return Traced(
            stages=stages,
            states=states,
            written=list(recording.written) + extra,
            parted=list(recording.parted),
            host=HostProgram(recording.host),
            host_results=host_results,
            rate=rate,
            float_arguments=arguments.floats,
            inputs=arguments.inputs,
            given_grads=recording.given_grads,
            late_inputs=recording.late_inputs,
            result=filled(pattern),
            returns_arguments=returns_arguments(pattern),
            keeps=list(left),
            read=arguments.read,
            outputs=count,
            exits=exits,
            effects=effects,
            output=output,
            consumed=consumed,
            dropped=[c for c, g in recording.grads.items() if g is None],
            entry_grads=[(c, grad_type(c)) for c in recording.entry_grads if c not in recording.cleared],
            same_grads=[(c, c.grad) for c, g in recording.entry_grads.items() if _cell_of(g) in recording.shared],
            last=last,
            border=border,
        )

    def _check_left(self, left: dict[Keep, Any]) -> None:
        """Raise TraceError for what the step left in a place of tensors that no call could leave there."""
        for keep, thing in left.items():
            if not keepable(thing):
                place = self.reachable.names.place(str(keep.key))
                raise TraceError(refusal(self.function.__name__, keep.name, place))

    def _border(self, results: list[Value]) -> tuple[Border | None, list[Value]]:
        """The record of the gradients of ``results``, and these gradients."""
        name, options = self.function.__qualname__, self.options
        setting = next((k for k in ("loss_scale", "clip_grad_norm", "clip_grad_value") if getattr(options, k)), None)
        setting = "accumulate" if options.accumulate > 1 else setting
        refusal = setting and (
            f"a gradient cannot go back into {name} from outside, as it is compiled with {setting}=; "
            "call backward() inside of it"
        )
        return record_border(self.recording, [held(v) for v in results], self.arguments.sources(), refusal or "")

    def _made_inside(self, cell: Cell, grad: Any) -> bool:
        """Whether ``grad``, which the step leaves to ``cell``, is a tensor that it did not find there."""
        if not isinstance(grad, Tensor) or grad is self.recording.traced_grads.get(cell):
            return False
        return grad._cell.home is self.recording

    def _exports(self) -> list[Cell]:
        """Parameters whose gradient leaves the program: it lives into the next call, or was asked for."""
        recording, keep = self.recording, self.options.keep_grads
        return [
            cell
            for cell, grad in recording.grads.items()
            if (self._made_inside(cell, grad) and (keep or cell not in recording.cleared)) or self._moved(cell, grad)
        ]

    def _moved(self, cell: Cell, grad: Any) -> bool:
        """Whether ``grad`` is a tensor that was there before the step, but as something else."""
        return isinstance(grad, Tensor) and grad._cell.home is None and grad is not self.recording.entry_grads.get(cell)

    def _insert(self, stages: Stages, last: dict[str, int], states: list[Cell]) -> list[Cell]:
        """Run the passes that the decorator's options ask for; returns the states they update."""
        options, written = self.options, []
        if options.loss_scale is not None:
            dynamic = options.loss_scale == "dynamic"
            scale, tracker = self.scale()
            states += [scale, tracker] if dynamic else [scale]
            written += [scale, tracker] if dynamic else []
            stages.run([("loss_scale", functools.partial(self._scaled, dynamic=dynamic, last=last))])
        if options.clip_grad_value is not None:
            stages.run([("clip_value", lambda graph: clip_value(*self._number(graph, "clip_grad_value")))])
        if options.clip_grad_norm is not None:
            stages.run([("clip_norm", lambda graph: clip_norm(*self._number(graph, "clip_grad_norm")))])
            last["grad_norm"] = len(stages.latest.outputs) - 1
        if options.accumulate > 1:
            draws = max(self.recording.drawn.values(), default=0)
            repeat = functools.partial(
                accumulate, count=options.accumulate, split=self.arguments.micro_batches, draws=draws
            )
            stages.run([("accumulate", repeat)])
        if options.check_numerics:
            stages.run([(name, PASSES[name]) for name in DIFFERENTIATION])
            last["numerics"] = len(stages.latest.outputs)
            stages.run([("check_numerics", functools.partial(check_numerics, hold="found_inf" not in last))])
        return written

    def _scaled(self, graph: Graph, dynamic: bool, last: dict[str, int]) -> Graph:
        """``graph`` with the loss scaled; its last outputs are whether a gradient overflowed, and the scale."""
        graph = graph.copy()
        scale = graph.add_param(TensorType(f32, ()), "state", "loss_scale.scale", "loss_scale")
        tracker = None
        if dynamic:
            tracker = graph.add_param(TensorType(i32, ()), "state", "loss_scale.growth_tracker", "growth_tracker")
        graph = loss_scale(graph, LossScale(scale, tracker))
        self._report(graph, last, "found_inf", "unscale", -1)
        last["loss_scale"] = len(graph.outputs)
        graph.outputs.append(scale)
        return graph

    @staticmethod
    def _report(graph: Graph, last: dict[str, int], name: str, op: str, output: int) -> None:
        node = next((n for n in reversed(graph.nodes) if n.op.name == op), None)
        if node is not None:
            last[name] = len(graph.outputs)
            graph.outputs.append(node.outputs[output])

    def _number(self, graph: Graph, name: str) -> tuple[Graph, Value]:
        """``graph`` with an option as a run-time scalar."""
        graph = graph.copy()
        value = graph.add_param(TensorType(f64, ()), "scalar", name, name)
        self.recording.host.option(value, float(getattr(self.options, name)))
        return graph, value


def _holder(cell: Cell) -> Holder:
    return lambda _: cell


def _cell_of(grad: Any) -> Cell | None:
    return grad._cell if isinstance(grad, Tensor) else None
