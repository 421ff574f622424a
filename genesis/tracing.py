"""Recording one call of a step: what becomes its graph, and everything about it that does not."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np

from compiler.errors import OpError, TraceError
from compiler.ir.ambient import using
from compiler.ir.graph import Graph, Value
from compiler.ir.location import user_location
from compiler.ir.types import TensorType, f32, f64, i32
from compiler.passes.accumulate import accumulate
from compiler.passes.clip import clip_norm, clip_value
from compiler.passes.loss_scale import LossScale, loss_scale
from compiler.pipeline import Stages
from genesis.amp import autocast
from genesis.context import Cell, Recording, session
from genesis.guards.reachable import Reachable
from genesis.options import PRECISIONS, Options
from genesis.random import advance_recorded
from genesis.tensor import Tensor, grad_type, tensor, wrap
from genesis.trees import is_tensor_like, map_leaves


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
    given_grads: dict[Cell, Value]
    result: Callable[[list[Tensor]], Any]
    outputs: int
    exports: list[Cell]
    argument_grads: list[int]
    consumed: list[Cell]
    dropped: list[Cell]
    entry_grads: list[tuple[Cell, TensorType | None]]
    last: dict[str, int]
    host_actions: list[Callable[[], Any]]


class Tracer:
    """Records one call."""

    def __init__(
        self,
        function: Callable[..., Any],
        options: Options,
        reachable: Reachable,
        scale: Callable[[], tuple[Cell, Cell]],
    ) -> None:
        self.function, self.options, self.reachable, self.scale = function, options, reachable, scale
        self.recording = Recording(function.__name__, session().grad_enabled)
        self.inputs: list[int] = []
        self.float_arguments: list[int] = []
        self.float_values: list[Value] = []
        self.micro_batches: list[Value] = []
        self.followed: list[tuple[int, Tensor, str]] = []

    def run(self, args: Any, kwargs: Any) -> Traced:
        recording, options = self.recording, self.options
        self.reachable.label()
        recording.module_names = {m: n for n, m in self.reachable.named_modules()}
        recording.builder.autocast = session().autocast
        recording.builder.target = "cuda" if options.backend == "cuda" else "cpu"
        self.count = 0
        args, kwargs = map_leaves(self._argument, (args, kwargs))
        low = PRECISIONS[options.precision] if options.precision else None
        with using(recording.builder):
            region = autocast(dtype=low) if low is not None else nullcontext()
            with region:
                result = self.function(*args, **kwargs)
            recording.builder.autocast = None
            advance_recorded(recording, options.accumulate)
            outputs, rebuild = self._results(result)
            count = len(outputs)
            exports = self._exports()
            outputs += [recording.grads[c].value for c in exports]
            argument_grads = self._argument_grads()
            outputs += [value for _, value in argument_grads]
        last = {}
        for name, value in recording.last.items():
            last[name] = len(outputs)
            outputs.append(value)
        stages = Stages(recording.finish(outputs))
        states = list(recording.state)
        extra = self._insert(stages, last, states)
        scalars = [read for _, read in recording.scalars.values()]
        consumed = [c for c, g in recording.grads.items() if c not in exports and self._made_inside(c, g)]
        return Traced(
            stages=stages,
            states=states,
            written=list(recording.written) + extra,
            scalars=scalars,
            float_arguments=self.float_arguments,
            argument_scalars=set(self.float_values),
            inputs=self.inputs,
            given_grads=recording.given_grads,
            result=rebuild,
            outputs=count,
            exports=exports,
            argument_grads=[position for position, _ in argument_grads],
            consumed=consumed,
            dropped=[c for c, g in recording.grads.items() if g is None],
            entry_grads=[(c, grad_type(c)) for c in recording.entry_grads if c not in recording.cleared],
            last=last,
            host_actions=recording.host_actions,
        )

    def _argument(self, path: str, leaf: Any) -> Any:
        """A traced tensor for a tensor or a float; other values as they are."""
        position = self.count
        self.count += 1
        name = _argument_name(path, self.function, position)
        if is_tensor_like(leaf):
            given = leaf if isinstance(leaf, Tensor) else tensor(leaf)
            if given._type.size == 0:
                raise OpError(
                    f"argument {name} of {self.function.__qualname__} is empty: shape {list(given.shape)}\n"
                    f"  at {user_location()}"
                )
            value = self.recording.graph.add_param(self._micro_batch(given._type, name), "input", name, name)
            self.micro_batches += [value] if value.type != given._type else []
            self.inputs.append(position)
            with using(self.recording.builder):
                traced = wrap(value)
            if given.requires_grad:
                self._follow(traced, given, position, name)
            return traced
        if isinstance(leaf, float | np.floating):
            value = self.recording.graph.add_param(TensorType(f64, ()), "scalar", name, name)
            self.float_arguments.append(position)
            self.float_values.append(value)
            with using(self.recording.builder):
                return wrap(value)
        return leaf

    def _follow(self, traced: Tensor, given: Tensor, position: int, name: str) -> None:
        """Let an argument collect a gradient, which goes to the caller's tensor after the call."""
        traced._cell.requires_grad = True
        traced._cell._make_leaf()
        self.followed.append((position, traced, name if not given.is_leaf else ""))

    def _argument_grads(self) -> list[tuple[int, Value]]:
        """The positions of arguments that collected a gradient, and the gradient."""
        found = [(position, traced._cell.grad, name) for position, traced, name in self.followed]
        for _, grad, name in found:
            if grad is not None and name:
                raise TraceError(
                    f"backward() reaches argument {name} of {self.function.__qualname__}, which was computed outside "
                    f"the step; pass {name}.detach(), or compute it inside"
                )
        return [(position, grad.value) for position, grad, _ in found if grad is not None]

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
        if isinstance(pattern, _Hole):
            return values, itemgetter(0)

        def rebuild(tensors: list[Tensor]) -> Any:
            return map_leaves(lambda _, leaf: tensors[leaf.index] if isinstance(leaf, _Hole) else leaf, pattern)

        return values, rebuild

    def _made_inside(self, cell: Cell, grad: Any) -> bool:
        """Whether ``grad``, which the step leaves to ``cell``, is a tensor that it did not find there."""
        if not isinstance(grad, Tensor) or grad._cell.home is not self.recording:
            return False
        return grad._cell.value is not self.recording.given_grads.get(cell)

    def _exports(self) -> list[Cell]:
        """Parameters whose gradient leaves the program: it lives into the next call, or was asked for."""
        recording = self.recording
        return [
            cell
            for cell, grad in recording.grads.items()
            if self._made_inside(cell, grad) and (self.options.keep_grads or cell not in recording.cleared)
        ]

    def _insert(self, stages: Stages, last: dict[str, int], states: list[Cell]) -> list[Cell]:
        """Run the passes that the decorator's options ask for; returns the states they update."""
        options, written = self.options, []
        if options.loss_scale is not None:
            dynamic = options.loss_scale == "dynamic"
            scale, tracker = self.scale()
            graph = stages.latest
            place = LossScale(
                graph.add_param(TensorType(f32, ()), "state", "loss_scale.scale", "loss_scale"),
                graph.add_param(TensorType(i32, ()), "state", "loss_scale.growth_tracker", "growth_tracker")
                if dynamic
                else None,
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


@dataclass(frozen=True)
class _Hole:
    """Where a result has a tensor."""

    index: int


def _argument_name(path: str, function: Callable[..., Any], position: int) -> str:
    """How the user calls the leaf at ``path`` of ``(args, kwargs)``: ``x``, ``batch[0]``, ``options['flag']``."""
    code = getattr(function, "__code__", getattr(getattr(function, "__func__", None), "__code__", None))
    names = code.co_varnames[hasattr(function, "__self__") : code.co_argcount] if code is not None else ()
    match = re.fullmatch(r"\[(\d)\]\[(?:(\d+)|'(\w+)')\](.*)", path)
    if match is None:
        return f"argument{position}"
    _, index, keyword, rest = match.groups()
    if keyword is not None:
        return keyword + rest
    return names[int(index)] + rest if int(index) < len(names) else f"argument{position}"
