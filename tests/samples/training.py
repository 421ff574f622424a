"""Samples of the ops of a training step: loss scale, clipping, optimizers."""

from __future__ import annotations

from math import inf, nan

import numpy as np

from compiler.ir.types import DType, bf16, f16, f32, f64, i32
from tests.samples.table import Draw, Rows, entry, scalar, special


@entry("scale_loss", halves=False)
def _(op: str, d: Draw) -> Rows:
    scale = scalar(1024, f32)
    yield "f32", [d.floats(), scale]
    yield "f64", [d.floats(to=f64), scale]
    yield "f16", [d.floats(to=f16), scale]
    yield "bf16", [d.floats(to=bf16), scale]
    yield "per-element", [d.floats(3), scale]
    yield "per-element-f16", [d.floats(3, to=f16), scale]


@entry("unscale", halves=False)
def _(op: str, d: Draw) -> Rows:
    scale = scalar(1024, f32)
    yield "two", [d.floats(3, 2), d.floats(4), scale]
    yield "overflow", [d.floats(3), np.array([1, inf], np.float32), scale], {}, False
    yield "nan", [np.array([nan], np.float32), scale], {}, False
    yield "half", [d.floats(3, to=f16), d.floats(2, to=bf16), scale]
    yield "rank0", [d.floats(), d.floats(to=f16), scale]
    yield "empty", [d.floats(0, 2), scale]
    yield "odd", [d.floats(5), scalar(3.0, f32)]


@entry("update_scale", halves=False)
def _(op: str, d: Draw) -> Rows:
    factors = [scalar(2.0), scalar(0.5)]
    for name, scale, tracker, found in (
        ("counting", 1024, 3, 0),
        ("growing", 1024, 4, 0),
        ("overflow", 1024, 4, 1),
        ("too-large", 3e38, 4, 0),
    ):
        inputs = [scalar(scale, f32), scalar(tracker, i32), scalar(found, f32), *factors]
        yield name, inputs, {"interval": 5}


@entry("skip_if", halves=False)
def _(op: str, d: Draw) -> Rows:
    for found in (0, 1):
        yield f"found-{found}", [scalar(found, f32), d.floats(3, 2), d.floats(3, 2)]
    yield "half", [scalar(1, f32), d.floats(3, to=bf16), d.floats(3, to=bf16)]
    yield "count", [scalar(1, f32), scalar(3, f32), scalar(4, f32)]
    yield "lost-nan", [scalar(1, f32), d.floats(2), np.full(2, nan, np.float32)]


@entry("clip_grad_norm", halves=False)
def _(op: str, d: Draw) -> Rows:
    yield "two", [d.floats(3, 2), d.floats(4), scalar(1.0)]
    yield "small", [d.floats(3, low=-0.01, high=0.01), scalar(1.0)]
    for norm_type in (inf, -inf, 0.0, 1.0, 3.0):
        yield f"norm-{norm_type}", [d.floats(3, 2), d.floats(4), scalar(0.5)], {"norm_type": norm_type}
    yield "half", [d.floats(3, to=f16), d.floats(2, to=bf16), scalar(0.5)]
    yield "half-overflow", [np.full(4, 60000, np.float16), scalar(1.0)]
    yield "f64", [d.floats(3, to=f64), d.floats(2), scalar(0.5)]
    yield "infinite", [np.array([1, inf], np.float32), scalar(1.0)]
    yield "rank0", [d.floats(), scalar(0.1)]
    yield "empty", [d.floats(0), d.floats(3), scalar(0.1)]


@entry("clip_grad_value", halves=False)
def _(op: str, d: Draw) -> Rows:
    yield "two", [d.floats(3, 2), d.floats(4), scalar(0.5)]
    yield "half", [d.floats(3, to=f16), d.floats(to=bf16), scalar(0.3)]
    yield "f64", [d.floats(3, to=f64), scalar(0.3)]
    yield "special", [special(), scalar(1.0)]
    yield "empty", [d.floats(0), scalar(0.5)]


def _parameters(d: Draw, count: int, to: DType = f32) -> list[np.ndarray]:
    """Parameter, gradient and moments; the second moments are positive."""
    p, g, *moments = (d.floats(3, 4, to=to) for _ in range(count))
    return [p, g, *moments[:1], *(np.abs(m) for m in moments[1:])]


@entry("sgd_update", halves=False)
def _(op: str, d: Draw) -> Rows:
    scalars = [scalar(0.1), scalar(0.01)]
    yield "matrix", [*_parameters(d, 2), *scalars]
    yield "maximize", [*_parameters(d, 2), *scalars], {"maximize": True}
    yield "bf16", [*_parameters(d, 2, bf16), *scalars]
    yield "f64", [*_parameters(d, 2, f64), *scalars]
    yield "rank0", [d.floats(), d.floats(), *scalars]
    yield "empty", [d.floats(0), d.floats(0), *scalars]


@entry("sgd_momentum_update", halves=False)
def _(op: str, d: Draw) -> Rows:
    scalars = [scalar(0.1), scalar(0.01), scalar(0.9), scalar(0.2)]
    yield "matrix", [*_parameters(d, 3), *scalars]
    for flag in ("nesterov", "first", "maximize"):
        yield flag, [*_parameters(d, 3), *scalars], {flag: True}
    yield "bf16", [*_parameters(d, 3, bf16), *scalars]
    yield "rank0", [d.floats(), d.floats(), d.floats(), *scalars]


@entry("adam_update", halves=False)
def _(op: str, d: Draw) -> Rows:
    step = scalar(3, f32)
    scalars = [scalar(1e-3), scalar(0.9), scalar(0.999), scalar(1e-8), scalar(0.01)]
    yield "matrix", [*_parameters(d, 4), step, *scalars]
    yield "decoupled", [*_parameters(d, 4), step, *scalars], {"decoupled": True}
    yield "maximize", [*_parameters(d, 4), step, *scalars], {"maximize": True}
    yield "amsgrad", [*_parameters(d, 5), step, *scalars], {"amsgrad": True}
    yield "f64", [*_parameters(d, 4, f64), step, *scalars]
    yield "bf16", [*_parameters(d, 4, bf16), step, *scalars]
    yield "rank0", [d.floats(), d.floats(), d.floats(), d.positive(), step, *scalars]
    yield "first", [*_parameters(d, 2), *(np.zeros((3, 4), np.float32) for _ in range(2)), scalar(1, f32), *scalars]


def _rule(d: Draw, moments: int, scalars: list[np.ndarray], **flags: bool) -> Rows:
    """An update that counts its steps, with moments that are all positive."""

    def inputs(step: int, to: DType = f32) -> list[np.ndarray]:
        p, g, *rest = _parameters(d, 2 + moments, to)
        return [p, g, *map(np.abs, rest), scalar(step, f32), *scalars]

    yield "matrix", inputs(3), flags
    yield "first", inputs(1), flags
    yield "late", inputs(40), flags
    yield "maximize", inputs(3), {**flags, "maximize": True}
    yield "f64", inputs(3, f64), flags
    yield "bf16", inputs(3, bf16), flags
    yield "rank0", [*(d.positive() for _ in range(2 + moments)), scalar(3, f32), *scalars], flags
    yield "empty", [*(d.floats(0) for _ in range(2 + moments)), scalar(3, f32), *scalars], flags


@entry("rmsprop_update", halves=False)
def _(op: str, d: Draw) -> Rows:
    scalars = [scalar(0.01), scalar(0.9), scalar(1e-2), scalar(0.01)]
    yield from _rule(d, 1, scalars)
    parameters = [*_parameters(d, 2), np.full((3, 4), 2, np.float32)]
    buffer, mean, step = d.floats(3, 4), d.floats(3, 4), scalar(3, f32)
    yield "momentum", [*parameters, buffer, step, *scalars, scalar(0.9)], {"momentum": True}
    yield "centered", [*parameters, mean, step, *scalars], {"centered": True}
    flags = {"momentum": True, "centered": True}
    yield "both", [*parameters, buffer, mean, step, *scalars, scalar(0.9)], flags


@entry("adagrad_update", halves=False)
def _(op: str, d: Draw) -> Rows:
    yield from _rule(d, 1, [scalar(0.1), scalar(0.1), scalar(1e-10), scalar(0.01)])


@entry("adadelta_update", halves=False)
def _(op: str, d: Draw) -> Rows:
    yield from _rule(d, 2, [scalar(1.0), scalar(0.9), scalar(1e-6), scalar(0.01)])


@entry("adamax_update", halves=False)
def _(op: str, d: Draw) -> Rows:
    yield from _rule(d, 2, [scalar(2e-3), scalar(0.9), scalar(0.999), scalar(1e-8), scalar(0.01)])


@entry("radam_update", halves=False)
def _(op: str, d: Draw) -> Rows:
    scalars = [scalar(1e-3), scalar(0.9), scalar(0.999), scalar(1e-8), scalar(0.01)]
    yield from _rule(d, 2, scalars)
    yield "decoupled", [*_parameters(d, 4), scalar(9, f32), *scalars], {"decoupled": True}


@entry("nadam_update", halves=False)
def _(op: str, d: Draw) -> Rows:
    scalars = [scalar(2e-3), scalar(0.9), scalar(0.999), scalar(1e-8), scalar(0.01), scalar(4e-3), scalar(0.4)]
    yield from _rule(d, 2, scalars)
    yield "decoupled", [*_parameters(d, 4), scalar(9, f32), *scalars], {"decoupled": True}


@entry("nadam_product", halves=False)
def _(op: str, d: Draw) -> Rows:
    yield "third", [scalar(0.2, f32), scalar(3, f32), scalar(0.9), scalar(4e-3)]


@entry("asgd_update", halves=False)
def _(op: str, d: Draw) -> Rows:
    yield from _rule(d, 1, [scalar(1e-4), scalar(0.01), scalar(0.05), scalar(1.0)])
    yield "averaging", [*_parameters(d, 3), scalar(9, f32), scalar(1e-4), scalar(0.01), scalar(0.05), scalar(0.25)]


@entry("asgd_rate", halves=False)
def _(op: str, d: Draw) -> Rows:
    yield "third", [scalar(3, f32), scalar(0.01), scalar(1e-4), scalar(0.75)]


@entry("asgd_share", halves=False)
def _(op: str, d: Draw) -> Rows:
    for step in (3, 9):
        yield f"step-{step}", [scalar(step, f32), scalar(5.0)]


@entry("adafactor_update", halves=False)
def _(op: str, d: Draw) -> Rows:
    scalars = [scalar(0.01), scalar(-0.8), scalar(1.0), scalar(0.01), scalar(1e-7), scalar(1e-3)]
    yield from _rule(d, 1, scalars)
    for name, step, flags in (("rows", 3, {}), ("first", 1, {}), ("up", 3, {"maximize": True})):
        means = [d.positive(2, 3, 1), d.positive(2, 1, 4)]
        yield (
            f"factored-{name}",
            [d.floats(2, 3, 4), d.floats(2, 3, 4), *means, scalar(step, f32), *scalars],
            {
                "factored": True,
                **flags,
            },
        )


@entry("muon_update", halves=False)
def _(op: str, d: Draw) -> Rows:
    scalars = [scalar(0.02), scalar(0.1), scalar(0.95), scalar(1e-7)]
    flags = {"coefficients": (3.4445, -4.775, 2.0315), "steps": 2}
    yield "wide", [*(d.floats(3, 4) for _ in range(3)), *scalars], flags
    yield "bf16", [*(d.floats(3, 4, to=bf16) for _ in range(3)), *scalars], flags
    yield "tall", [*(d.floats(5, 2) for _ in range(3)), *scalars], {**flags, "nesterov": False, "ratio": 1.5}


@entry("rprop_update", halves=False)
def _(op: str, d: Draw) -> Rows:
    yield from _rule(d, 2, [scalar(0.01), scalar(0.5), scalar(1.2), scalar(1e-6), scalar(50.0)])


@entry("count_step", halves=False)
def _(op: str, d: Draw) -> Rows:
    yield "first", [scalar(0, f32)]
    yield "later", [scalar(41, f32)]
