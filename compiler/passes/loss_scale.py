"""Inserts loss scaling: scaled backward, unscale with overflow check, skip-step, scale update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compiler.errors import TraceError
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder, constant
from compiler.ir.graph import Graph, Node, Update, Value
from compiler.ir.op import o
from compiler.ir.replay import copy_node, rewrite
from compiler.ir.types import f64


@dataclass(frozen=True)
class LossScale:
    """The state that holds the scale, and how it moves. ``tracker`` None: the scale is static."""

    scale: Value
    tracker: Value | None = None
    growth_factor: float = 2.0
    backoff_factor: float = 0.5
    growth_interval: int = 2000


def loss_scale(graph: Graph, setting: LossScale) -> Graph:
    """Scale the loss of every ``grad`` node and undo it on the gradients; on overflow keep parameters and moments.

    before::

        %1: f32[4] = grad(%loss, %w)
        %2: f32[4] = sgd_update(%w, %1, %lr, %wd)
        update %w = %2

    after::

        %1: f32[] = scale_loss(%loss, %scale)
        %2: f32[4] = grad(%1, %w)
        %3: f32[4], %4: f32[] = unscale(%2, %scale)
        %5: f32[4] = sgd_update(%w, %3, %lr, %wd)
        %6: f32[4] = skip_if(%4, %w, %5)
        %7: f32[], %8: i32[] = update_scale(%scale, %tracker, %4, %growth, %backoff) {interval=2000}
        update %w = %6
        update %scale = %7
        update %tracker = %8

    The same nodes that ``GradScaler`` records. An optimizer's results are kept or thrown away by the overflows seen
    before it, so a value computed from a skipped parameter is computed from the old one.
    """
    if any(n.op.name == "scale_loss" for n in graph.nodes):
        raise TraceError(
            "the step already scales its loss with a GradScaler; drop one of the two: GradScaler or loss_scale="
        )
    builder = GraphBuilder()
    overflow: Value | None = None

    def rule(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        nonlocal overflow
        if node.op.kind == "grad":
            builder.at(node, "loss_scale")
            outputs, found = _scaled_gradients(node, inputs, setting)
            overflow = found if overflow is None else o.maximum(overflow, found)
            return outputs
        if overflow is None or not node.op.updates:
            return None
        outputs = copy_node(builder, node, inputs)
        builder.at(node, "loss_scale")
        return [o.skip_if(overflow, a, b) for a, b in zip((inputs[0], *inputs[2:]), outputs, strict=False)]

    result = rewrite(graph, rule, builder)
    if overflow is not None and setting.tracker is not None:
        with using(builder):
            builder.at(next(n for n in reversed(graph.nodes) if n.op.updates or n.op.kind == "grad"), "loss_scale")
            result.updates += _moved(setting.scale, setting.tracker, overflow, setting)
    return result


def _scaled_gradients(node: Node, inputs: tuple[Value, ...], setting: LossScale) -> tuple[tuple[Value, ...], Value]:
    """The gradients, and whether one overflowed (f32[], 0 or 1)."""
    loss, *rest = inputs
    scaled = o.scale_loss(loss, setting.scale)
    grads = o.grad.many(scaled, *rest, **node.attrs)
    *unscaled, found = o.unscale(*grads, setting.scale)
    return tuple(unscaled), found


def _moved(scale: Value, tracker: Value, overflow: Value, setting: LossScale) -> list[Update]:
    factors = constant(setting.growth_factor, f64), constant(setting.backoff_factor, f64)
    moved = o.update_scale(scale, tracker, overflow, *factors, interval=setting.growth_interval)
    return [Update(state, value) for state, value in zip((scale, tracker), moved, strict=True)]
