"""Counter-based randomness: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).

key = seed; counter = (element index >> 2 in two words, offset in two words); lane = index & 3;
uniform = (u32 >> 8) * 2**-24; an f64 one has 53 bits, of three draws. ``index`` numbers the random ops of a program in
recording order and is added to the generator's run-time ``offset``, so no pass can change what an op draws.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Any

import numpy as np

from compiler.errors import OpError
from compiler.ir.graph import Value
from compiler.ir.op import REQUIRED, Op, OpSet, register
from compiler.ir.types import Shape, TensorType, f32, f64, i64
from compiler.ops.composite import floating, rounded

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_MASK = 0xFFFFFFFF
_LOW = np.uint64(_MASK)
_SHIFT = np.uint64(32)


def philox(seed: int, offset: int, count: int) -> np.ndarray:
    """``count`` uint32 words for elements 0..count-1."""
    blocks = np.arange((count + 3) // 4, dtype=np.uint64)
    c0, c1 = blocks & _LOW, blocks >> _SHIFT
    c2 = np.full_like(blocks, offset & _MASK)
    c3 = np.full_like(blocks, (offset >> 32) & _MASK)
    k0, k1 = seed & _MASK, (seed >> 32) & _MASK
    for _ in range(10):
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            (p1 >> _SHIFT) ^ c1 ^ np.uint64(k0),
            p1 & _LOW,
            (p0 >> _SHIFT) ^ c3 ^ np.uint64(k1),
            p0 & _LOW,
        )
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return np.stack([c0, c1, c2, c3], axis=1).reshape(-1)[:count].astype(np.uint32)


def _uniform(seed: np.ndarray, offset: np.ndarray, shape: Shape, index: int) -> np.ndarray:
    count = int(np.prod(shape, dtype=np.int64))
    words = philox(int(seed), int(offset) + index, count)
    return ((words >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)).reshape(shape)


def _infer_draw(seed: TensorType, offset: TensorType, shape: Shape, index: int) -> TensorType:
    if seed != TensorType(i64, ()) or offset != seed:
        raise OpError(f"seed and offset must be i64[], not {seed} and {offset}")
    return TensorType(f32, tuple(shape))


def _infer_double(seed: TensorType, offset: TensorType, shape: Shape, index: int) -> TensorType:
    return _infer_draw(seed, offset, shape, index).with_dtype(f64)


register(
    Op(
        "uniform",
        _infer_draw,
        "random",
        _uniform,
        attrs={"shape": REQUIRED, "index": REQUIRED},
        differentiable=False,
        raw=True,
        cost=8,
        numbered=True,
    )
)


def _expand_double(o: OpSet, seed: Value, offset: Value, shape: Shape, index: int) -> Value:
    """Two draws of 24 bits and 5 bits of a third one; every sum is exact."""
    drawn = [o.cast(o.uniform(seed, offset, shape=shape, index=index + k), to=f64) for k in range(3)]
    last = o.mul(2.0**-53, o.floor(o.mul(32.0, drawn[2])))
    return o.add(drawn[0], o.add(o.mul(2.0**-24, drawn[1]), last))


def _box_muller(uniform: str, draws: int) -> Callable[..., Value]:
    """The expansion of a normal op, from two results of the op ``uniform``, each of ``draws`` draws."""

    def expand(o: OpSet, seed: Value, offset: Value, shape: Shape, index: int) -> Value:
        draw = getattr(o, uniform)
        radius = o.sqrt(o.mul(-2.0, o.log(o.sub(1.0, draw(seed, offset, shape=shape, index=index)))))
        angle = o.mul(2 * pi, draw(seed, offset, shape=shape, index=index + draws))
        return o.mul(radius, o.cos(angle))

    return expand


for _name, _infer, _expand in (
    ("normal", _infer_draw, _box_muller("uniform", 1)),
    ("uniform_f64", _infer_double, _expand_double),
    ("normal_f64", _infer_double, _box_muller("uniform_f64", 3)),
):
    register(
        Op(
            _name,
            _infer,
            "composite",
            expand=_expand,
            attrs={"shape": REQUIRED, "index": REQUIRED},
            differentiable=False,
        )
    )

DRAWS = {"normal": 2, "uniform_f64": 3, "normal_f64": 6}
"""How many offsets an op takes, where it is not one."""


def _infer_dropout(x: TensorType, seed: TensorType, offset: TensorType, p: float, index: int) -> TensorType:
    if not 0 <= p <= 1:
        raise OpError(f"dropout probability has to be between 0 and 1, but got {p}")
    return floating(x)


def _mask(o: OpSet, x: Value, seed: Value, offset: Value, p: float, index: int) -> Value:
    if p == 1:
        return o.mul(x, 0)
    keep = o.ge(o.uniform(seed, offset, shape=x.shape, index=index), p)
    return o.where(keep, o.mul(x, 1 / (1 - p)), 0)


def _dropout_vjp(o: OpSet, node: Any, g: Value) -> tuple[Any, None, None]:
    """The mask is drawn again from the same counter, never stored."""
    return o.dropout(g, *node.inputs[1:], **node.attrs), None, None


register(
    Op(
        "dropout",
        _infer_dropout,
        "composite",
        vjp=_dropout_vjp,
        expand=rounded(_mask),
        attrs={"p": REQUIRED, "index": REQUIRED},
    )
)
