"""Loops that stay loops when a step is compiled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from compiler.errors import OpError, UnsupportedError
from compiler.ir.ambient import using
from compiler.ir.graph import Value
from compiler.ir.location import user_location
from compiler.ir.op import o
from compiler.ir.types import TensorType
from compiler.ops.loop import loop
from compiler.pipeline import differentiated
from genesis.context import current_recording
from genesis.functions.table import function_only
from genesis.loop_body import BodyTrace
from genesis.memory.values import TensorValue, held
from genesis.pytree import map_leaves, structure
from genesis.random import advance_by
from genesis.tensor import Tensor, tensor, wrap

__all__ = ["scan"]


@function_only
def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """``carry, y = f(carry, x)`` for each slice ``x`` of ``xs`` along dimension 0; returns the last carry, stacked ys.

    ``init``, ``xs`` and what ``f`` returns are tensors or nested lists, tuples and dicts of tensors; None is no tensor.
    ``f`` runs once, on tensors without values, and is one loop in eager mode and in a compiled step. Tensors of the
    outside may be read in it, gradients reach them; nothing of the outside may be written. The carry keeps its shapes
    and dtypes. Without ``xs``, ``length`` is the number of iterations. ``reverse`` goes from the last slice to the
    first; y number t still belongs to x number t. The same as ``jax.lax.scan``.
    """
    first, start = _flat(init)
    whole, sequences = _flat(xs)
    length = _length(sequences, length)
    recording = BodyTrace(getattr(f, "__name__", "body"))
    graph, builder = recording.graph, recording.builder
    inputs = [graph.add_input(TensorValue(v.type, "carry"), "input", "") for v in start]
    slices = [TensorType(v.dtype, v.shape[1:]) for v in sequences]
    inputs += [graph.add_input(TensorValue(kind, "x"), "input", "") for kind in slices]
    for i, (inner, outer) in enumerate(zip(inputs, (*start, *sequences), strict=True)):
        carried = i < len(start) and builder.grad_enabled and inner.dtype.is_floating_point
        inner.requires_grad = carried or outer.requires_grad
    with using(builder):
        tensors = [wrap(v) for v in inputs]
        result = f(_filled(first, tensors[: len(start)]), _filled(whole, tensors[len(start) :]))
        recording.check_memory()
        if not isinstance(result, tuple) or len(result) != 2:
            raise OpError(
                f"scan: the body returns a pair (carry, y), not a {type(result).__name__}\n  at {user_location()}"
            )
        last, after = _flat(result[0])
        pattern, ys = _flat(result[1])
        ends = [held(o.detach(v)) if v.cut else v for v in (*after, *ys)]
    _check_carry(first, start, last, after)
    if recording.customs or recording.hooks:
        raise UnsupportedError(f"scan: custom autograd functions and hooks in the body\n  at {user_location()}")
    draws = _draws(recording, length, reverse)
    captured = {inner: recording.outside[cell] for cell, inner in recording.state.items() if inner not in draws}
    order = {p.value: p for p in graph.params}
    graph.params = [order[v] for v in (*inputs, *draws, *captured)]
    graph.nodes, graph.outputs = builder.nodes, [*ends]
    eager = current_recording() is None
    results = loop(
        [*start, *sequences, *draws.values(), *captured.values()],
        differentiated(graph) if eager else graph,
        length,
        len(start),
        len(sequences) + len(draws),
        reverse,
    )
    for value, end in zip(map(held, results), ends, strict=True):
        if value.requires_grad and not end.requires_grad:
            value.requires_grad, value.cut = False, True
    made = [wrap(v) for v in results]
    return _filled(first, made[: len(start)]), _filled(pattern, made[len(start) :])


def _flat(tree: Any) -> tuple[Any, list[TensorValue]]:
    """``tree`` with numbers for its tensors, and their values."""
    values: list[TensorValue] = []

    def number(path: str, leaf: Any) -> int | None:
        if leaf is None:
            return None
        values.append((leaf if isinstance(leaf, Tensor) else tensor(leaf)).value)
        return len(values) - 1

    return map_leaves(number, tree), values


def _filled(pattern: Any, tensors: Sequence[Tensor]) -> Any:
    return map_leaves(lambda path, leaf: None if leaf is None else tensors[leaf], pattern)


def _length(sequences: Sequence[Value], length: int | None) -> int:
    sizes = {v.shape[0] if v.shape else 0 for v in sequences} | ({length} if length is not None else set())
    if len(sizes) != 1 or sizes == {0}:
        shapes = ", ".join(str(v.type) for v in sequences) or "no xs"
        raise OpError(
            f"scan needs one number of iterations, at least 1: {shapes}, length={length}\n  at {user_location()}"
        )
    (found,) = sizes
    return found


def _check_carry(first: Any, start: Sequence[Value], last: Any, after: Sequence[Value]) -> None:
    before, now = [v.type for v in start], [v.type for v in after]
    if structure(first) != structure(last) or before != now:
        raise OpError(
            f"scan: the carry enters the body as ({', '.join(map(str, before))}) and leaves it as "
            f"({', '.join(map(str, now))}); it must keep its structure, shapes and dtypes: "
            f"cast or reshape it in the body, or start from another one\n  at {user_location()}"
        )


def _draws(recording: BodyTrace, length: int, reverse: bool) -> dict[Value, Value]:
    """Offsets of random generators: inputs of the body -> one offset per iteration, moved on by what the body draws."""
    found: dict[Value, Value] = {}
    for generator, count in recording.drawn.items():
        inner = recording.state[generator.offset_cell]
        start = advance_by(generator, length * count)
        steps = o.mul(o.iota(shape=(length,), axis=0), -count if reverse else count)
        found[inner] = o.add(steps, o.add(start, (length - 1) * count if reverse else 0))
    return found
