"""Samples of matrix products and of attention."""

from __future__ import annotations

from math import inf

import numpy as np

from compiler.ir.types import bf16, f16, f32, i64
from tests.samples.table import Draw, Rows, entry, scalar


@entry("dot")
def _(op: str, d: Draw) -> Rows:
    yield "matrix", [d.floats(3, 5), d.floats(5, 4)]
    yield "batch", [d.floats(2, 3, 5), d.floats(2, 5, 4)]
    yield "batches", [d.floats(2, 3, 1, 5), d.floats(2, 3, 5, 2)]
    yield "one", [d.floats(1, 1), d.floats(1, 1)]
    yield "no-rows", [d.floats(0, 5), d.floats(5, 4)]
    yield "no-inner", [d.floats(3, 0), d.floats(0, 4)]
    yield "large", [d.floats(33, 70), d.floats(70, 17)]
    yield "f16-f32", [d.floats(3, 5, to=f16), d.floats(5, 4, to=f16)], {"dtype": f32}
    yield "bf16-f32", [d.floats(3, 5, to=bf16), d.floats(5, 4, to=bf16)], {"dtype": f32}
    yield "overflow-f16", [np.full((2, 300), 300, np.float16), np.ones((300, 2), np.float16)]
    yield "ints", [d.ints(2, 3), d.ints(3, 4)]


@entry("matmul")
def _(op: str, d: Draw) -> Rows:
    yield "matrix", [d.floats(3, 5), d.floats(5, 4)]
    yield "vectors", [d.floats(5), d.floats(5)]
    yield "vector-matrix", [d.floats(5), d.floats(5, 4)]
    yield "matrix-vector", [d.floats(3, 5), d.floats(5)]
    yield "batch-matrix", [d.floats(2, 3, 5), d.floats(5, 4)]
    yield "batch-vector", [d.floats(2, 3, 5), d.floats(5)]
    yield "vector-batch", [d.floats(5), d.floats(2, 5, 4)]
    yield "broadcast", [d.floats(2, 1, 3, 5), d.floats(4, 5, 2)]
    yield "matrix-batch", [d.floats(3, 5), d.floats(2, 5, 4)]
    yield "no-rows", [d.floats(0, 5), d.floats(5, 4)]
    yield "no-inner", [d.floats(3, 0), d.floats(0, 4)]
    yield "no-batch", [d.floats(0, 3, 5), d.floats(5, 4)]


@entry("linear")
def _(op: str, d: Draw) -> Rows:
    yield "bias", [d.floats(3, 5), d.floats(4, 5), d.floats(4)]
    yield "plain", [d.floats(3, 5), d.floats(4, 5)]
    yield "vector", [d.floats(5), d.floats(4, 5), d.floats(4)]
    yield "sequence", [d.floats(2, 3, 5), d.floats(4, 5), d.floats(4)]
    yield "one-feature", [d.floats(3, 1), d.floats(1, 1), d.floats(1)]
    yield "no-rows", [d.floats(0, 5), d.floats(4, 5), d.floats(4)]
    yield "no-inner", [d.floats(3, 0), d.floats(4, 0), d.floats(4)]


def _attention(d: Draw, *batch: int, t: int = 4, s: int = 5, head: int = 3, value: int = 3) -> list[np.ndarray]:
    return [d.floats(*batch, t, head), d.floats(*batch, s, head), d.floats(*batch, s, value)]


@entry("scaled_dot_product_attention")
def _(op: str, d: Draw) -> Rows:
    generator = [scalar(7, i64), scalar(3, i64)]
    yield "heads", _attention(d, 2, 2)
    yield "matrix", _attention(d, value=2)
    yield "causal", _attention(d, 2, t=5), {"causal": True}
    yield "causal-short", _attention(d, t=3, s=5), {"causal": True}
    yield "scaled", _attention(d, 2), {"scale": 0.3}
    yield "one", _attention(d, 1, t=1, s=1, head=1, value=1)
    mask = d.bools(4, 5)
    mask[:, 0] = True
    yield "bool-mask", [*_attention(d, 2), mask], {"mask": True}
    yield "float-mask", [*_attention(d, 2), d.floats(2, 1, 5)], {"mask": True}
    yield "dropout", [*_attention(d, 2), *generator], {"dropout": 0.4, "index": 2}
    yield "mask-dropout", [*_attention(d, 2), d.floats(4, 5), *generator], {"mask": True, "dropout": 0.4}
    yield "no-batch", _attention(d, 0)


def _attention_results(q: np.ndarray, k: np.ndarray, v: np.ndarray, causal: bool) -> list[np.ndarray]:
    """The result of attention, from its definition."""
    s = q.astype(np.float64) @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    if causal:
        s = np.where(np.tri(*s.shape[-2:], dtype=bool), s, -inf)
    lse = np.log(np.exp(s).sum(-1))
    out = np.exp(s - lse[..., None]) @ v
    return [out.astype(np.float32), lse.astype(np.float32)]


@entry("attention_backward", halves=False)
def _(op: str, d: Draw) -> Rows:
    for name, batch, causal in (("matrix", (), False), ("heads", (2, 2), False), ("causal", (2,), True)):
        q, k, v = _attention(d, *batch)
        out, lse = _attention_results(q, k, v, causal)
        g = d.floats(*batch, 4, 3)
        yield name, [q, k, v, (out * g).sum(-1, keepdims=True), lse, g], {"causal": causal}
    half = [x.astype(np.float16) for x in _attention(d)]
    out, lse = _attention_results(*half, False)
    g = d.floats(4, 3, to=f16)
    yield "f16", [*half, (out * g).sum(-1, keepdims=True), lse, g]
