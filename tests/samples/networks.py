"""Samples of activations, normalisations and losses."""

from __future__ import annotations

from math import inf

import numpy as np

from compiler.ir.types import bf16, f16, i32
from tests.samples.pointwise import unary_rows
from tests.samples.table import Draw, Rows, entry


@entry("relu", "silu", "gelu", "sigmoid", "softplus", "leaky_relu", "log_sigmoid")
def _(op: str, d: Draw) -> Rows:
    yield from unary_rows(d, d.floats)
    yield "large", [np.linspace(-100, 100, 9, dtype=np.float32)], {}, op not in ("relu", "leaky_relu")
    if op == "gelu":
        yield "tanh", [d.floats(3, 5)], {"approximate": "tanh"}
        yield "tanh-bf16", [d.floats(3, 5, to=bf16)], {"approximate": "tanh"}
    if op == "softplus":
        yield "sharp", [d.floats(3, 5)], {"beta": 3.0, "threshold": 2.0}
    if op == "leaky_relu":
        yield "steep", [d.floats(3, 5)], {"negative_slope": 0.3}
    if op == "relu":
        yield "ints", [d.ints(4)]
    if op == "sigmoid":
        yield "ints", [d.ints(4)]


@entry("elu", "hardtanh", "hardsigmoid", "hardswish")
def _(op: str, d: Draw) -> Rows:
    yield from unary_rows(d, d.floats)
    yield "kinks", [np.array([-3.0, -1.0, 0.0, 1.0, 3.0, 100.0, -100.0], np.float32)], {}, False
    if op == "elu":
        yield "selu", [d.floats(3, 5)], {"alpha": 1.6732632423543772, "scale": 1.0507009873554805}
        yield "celu", [d.floats(3, 5)], {"alpha": 2.0, "input_scale": 0.5}
    if op == "hardtanh":
        yield "relu6", [d.floats(3, 5, low=-10, high=10)], {"low": 0.0, "high": 6.0}


@entry("glu")
def _(op: str, d: Draw) -> Rows:
    yield "matrix", [d.floats(3, 5), d.floats(3, 5)]
    yield "large", [d.floats(9), np.linspace(-100, 100, 9, dtype=np.float32)]


@entry("layer_norm", "rms_norm")
def _(op: str, d: Draw) -> Rows:
    affine = 2 if op == "layer_norm" else 1
    yield "affine", [d.floats(3, 5), *(d.floats(5) for _ in range(affine))], {"ndim": 1}
    yield "plain", [d.floats(3, 5)], {"ndim": 1}
    yield "weight", [d.floats(2, 3, 5), d.floats(5)], {"ndim": 1, "eps": 0.1}
    yield "two", [d.floats(2, 3, 5), *(d.floats(3, 5) for _ in range(affine))], {"ndim": 2}
    yield "vector", [d.floats(6), d.floats(6)], {"ndim": 1}
    yield "constant", [np.ones((2, 4), np.float32), d.floats(4)], {"ndim": 1}, False
    yield "no-rows", [d.floats(0, 5), d.floats(5)], {"ndim": 1}
    yield "bf16-f32-weight", [d.floats(3, 5, to=bf16), d.floats(5)], {"ndim": 1}


@entry("batch_norm", "group_norm")
def _(op: str, d: Draw) -> Rows:
    grouped = {} if op == "batch_norm" else {"groups": 2}
    yield "image", [d.floats(3, 4, 2, 3), d.floats(4), d.floats(4)], grouped
    yield "features", [d.floats(5, 4), d.floats(4), d.floats(4)], {**grouped, "eps": 0.1}
    yield "plain", [d.floats(3, 4, 5)], {**grouped, "eps": 0.1}
    yield "weight", [d.floats(2, 2, 7), d.floats(2)], grouped
    yield "constant", [np.ones((2, 4, 3), np.float32), d.floats(4)], grouped, False
    yield "bf16-f32-weight", [d.floats(3, 4, 6, to=bf16), d.floats(4), d.floats(4)], grouped
    if op == "group_norm":
        yield "one group", [d.floats(3, 4, 5), d.floats(4)], {"groups": 1}
        yield "no-rows", [d.floats(0, 4, 5), d.floats(4)], grouped


@entry("unbiased")
def _(op: str, d: Draw) -> Rows:
    yield "image", [d.positive(4), d.floats(3, 4, 2)], {}
    yield "one", [d.positive(4), d.floats(1, 4)], {}, False


@entry("batch_norm_inference")
def _(op: str, d: Draw) -> Rows:
    yield "image", [d.floats(3, 4, 2, 3), d.floats(4), d.positive(4), d.floats(4), d.floats(4)]
    yield "features", [d.floats(5, 4), d.floats(4), d.positive(4)], {"eps": 0.1}
    yield "bf16", [d.floats(3, 4, 6, to=bf16), d.floats(4), d.positive(4), d.floats(4)]


_REDUCTIONS = ("mean", "sum", "none")


@entry("mse_loss", "l1_loss")
def _(op: str, d: Draw) -> Rows:
    for reduction in _REDUCTIONS:
        yield reduction, [d.floats(3, 4), d.floats(3, 4)], {"reduction": reduction}
    yield "broadcast", [d.floats(3, 4), d.floats(4)]
    yield "rank0", [d.floats(), d.floats()]
    yield "mixed", [d.floats(3, to=f16), d.floats(3)]


@entry("put_rows")
def _(op: str, d: Draw) -> Rows:
    yield "matrix", [d.floats(5, 3), np.array([4, 0, 4]), d.floats(3, 3)]
    yield "places", [d.floats(6), np.array([1, 2, 2, 5]), d.floats(4)]
    yield "ints", [d.ints(4, 2), np.array([3, 3]), d.ints(2, 2)]


@entry("huber_loss", "smooth_l1_loss")
def _(op: str, d: Draw) -> Rows:
    for reduction in _REDUCTIONS:
        yield reduction, [d.floats(3, 4), d.floats(3, 4)], {"reduction": reduction}
    yield "broadcast", [d.floats(3, 4), d.floats(4)]
    yield "sharp", [d.floats(3, 4), d.floats(3, 4)], {"delta" if op == "huber_loss" else "beta": 0.3}
    if op == "smooth_l1_loss":
        yield "absolute", [d.floats(3, 4), d.floats(3, 4)], {"beta": 0.0}


@entry("kl_div")
def _(op: str, d: Draw) -> Rows:
    for reduction in _REDUCTIONS:
        yield reduction, [d.floats(3, 4), d.positive(3, 4)], {"reduction": reduction}
    yield "logs", [d.floats(3, 4), d.floats(3, 4)], {"log_target": True}


@entry("binary_cross_entropy")
def _(op: str, d: Draw) -> Rows:
    def pair() -> list[np.ndarray]:
        return [d.floats(3, 4, low=0.1, high=0.9), d.floats(3, 4, low=0.1, high=0.9)]

    for reduction in _REDUCTIONS:
        yield reduction, pair(), {"reduction": reduction}
    yield "weight", [*pair(), d.positive(4)], {"weight": True}
    yield "certain", [np.array([0, 1, 0, 1], np.float32), np.array([0, 1, 1, 0], np.float32)], {}, False


@entry("prelu")
def _(op: str, d: Draw) -> Rows:
    yield "one", [d.floats(3, 4), d.floats(1)]
    yield "channels", [d.floats(2, 3, 4), d.floats(3, 1)]


@entry("binary_cross_entropy_with_logits")
def _(op: str, d: Draw) -> Rows:
    def logits_and_target(*shape: int) -> list[np.ndarray]:
        return [d.floats(*shape), d.floats(*shape, low=0, high=1)]

    for reduction in _REDUCTIONS:
        yield reduction, logits_and_target(3, 4), {"reduction": reduction}
    yield "weight", [*logits_and_target(3, 4), d.positive(4)], {"weight": True}
    yield "pos-weight", [*logits_and_target(3, 4), d.positive(4)], {"pos_weight": True}
    yield "weights", [*logits_and_target(3, 4), d.positive(3, 4), d.positive(4)], {"weight": True, "pos_weight": True}
    yield "large", [np.array([-90, 90, -5, 50], np.float32), np.array([0, 1, 1, 0], np.float32)]


@entry("cross_entropy", "nll_loss")
def _(op: str, d: Draw) -> Rows:
    def labels(*shape: int) -> np.ndarray:
        return d.ints(*shape, low=0, high=5)

    ignored = np.array([1, -100, 4, -100])
    for reduction in _REDUCTIONS:
        yield reduction, [d.floats(4, 5), labels(4)], {"reduction": reduction}
        yield f"image-{reduction}", [d.floats(2, 5, 3, 2), labels(2, 3, 2)], {"reduction": reduction}
        yield f"ignored-{reduction}", [d.floats(4, 5), ignored], {"reduction": reduction}
        yield f"weight-{reduction}", [d.floats(4, 5), labels(4), d.positive(5)], {"reduction": reduction}
        yield f"unbatched-{reduction}", [d.floats(5), labels()], {"reduction": reduction}
    yield "ignore-class", [d.floats(4, 5), np.array([0, 1, 2, 0])], {"ignore_index": 0}
    yield "i32", [d.floats(3, 5), d.ints(3, low=0, high=5, to=i32)]
    yield "one-class", [d.floats(3, 1), np.zeros(3, np.int64)]
    yield "all-ignored", [d.floats(2, 5), np.full(2, -100)], {}, False
    if op == "cross_entropy":
        for reduction in _REDUCTIONS:
            yield f"smooth-{reduction}", [d.floats(4, 5), ignored], {"reduction": reduction, "label_smoothing": 0.1}
        smooth = {"label_smoothing": 0.2}
        yield "smooth-weight", [d.floats(4, 5), ignored, d.positive(5)], smooth
        yield "smooth-unbatched", [d.floats(5), labels()], smooth
        yield "large", [d.floats(3, 5, low=-100, high=100), labels(3)]
        yield "masked", [np.array([[1, -inf, 2], [-inf, 0, 0]], np.float32), np.array([0, 2])], {}, False
