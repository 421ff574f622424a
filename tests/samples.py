"""Sample inputs for every op: one table that drives the tests of the records, the passes and the executors.

A new op without an entry here fails ``tests/compiler/ops/test_samples.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product
from math import inf, nan, prod
from typing import Any
from zlib import crc32

import numpy as np

import compiler.ops.all  # noqa: F401
from compiler.interpret import interpret
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Value
from compiler.ir.op import OPS, o
from compiler.ir.types import (
    DTYPES,
    DType,
    TensorType,
    bf16,
    boolean,
    dtype,
    f16,
    f32,
    f64,
    i8,
    i16,
    i32,
    i64,
    u8,
)
from compiler.ir.verify import verify
from compiler.ops.elementwise import cast_array
from compiler.passes.autodiff import autodiff
from compiler.passes.expand import expand

STRUCTURE = ("fused", "grad", "loop")
"""Ops without samples: what they mean is in their body, or is the work of a pass."""

AUXILIARY = ("layer_norm", "rms_norm", "batch_norm", "group_norm", "cross_entropy", "scaled_dot_product_attention")
"""Ops whose results after the first are kept for the backward pass; no gradient flows through them."""

FIXED = {
    "cross_entropy": (2,),
    "nll_loss": (2,),
    "scale_loss": (1,),
    "unscale": (-1,),
    "batch_norm_inference": (1, 2),
}
"""Operands that are numbers of the recipe rather than of the model: they have no gradient."""


@dataclass(frozen=True)
class Sample:
    """One call of an op.

    ``inputs`` are NumPy arrays and Python numbers. ``smooth`` is False where a finite difference means nothing: at
    kinks, infinities and NaN, and where the result does not depend on the inputs alone.
    """

    op: str
    name: str
    inputs: tuple[Any, ...]
    attrs: dict[str, Any] = field(default_factory=dict)
    smooth: bool = True

    @property
    def id(self) -> str:
        return f"{self.op}-{self.name}"

    @property
    def arrays(self) -> list[np.ndarray]:
        """The inputs that become parameters of the graph."""
        return [x for x in self.inputs if isinstance(x, np.ndarray)]

    def floats_as(self, to: DType) -> Sample:
        """The same call with its f32 arrays (the 16-bit ones too, if ``to`` is f64) in ``to``."""
        narrow = (f32, f16, bf16) if to is f64 else (f32,)

        def converted(x: Any) -> Any:
            return cast_array(x, to) if isinstance(x, np.ndarray) and dtype(x.dtype) in narrow else x

        attrs = {k: to if isinstance(v, DType) and v in narrow else v for k, v in self.attrs.items()}
        return replace(self, name=f"{self.name}-{to.short}", inputs=tuple(map(converted, self.inputs)), attrs=attrs)


class Draw:
    """Arrays for the samples of one op; what it draws depends on the op's name and the order of calls only."""

    def __init__(self, op: str) -> None:
        self.rng = np.random.default_rng(crc32(op.encode()))

    def floats(self, *shape: int, low: float = -2.0, high: float = 2.0, to: DType = f32) -> np.ndarray:
        return self.rng.uniform(low, high, shape).astype(to.numpy)

    def positive(self, *shape: int) -> np.ndarray:
        return self.floats(*shape, low=0.3, high=3.0)

    def distinct(self, *shape: int) -> np.ndarray:
        """Elements far enough apart that no finite difference exchanges two of them."""
        return (
            self.rng.permutation(np.linspace(-2, 2, prod(shape) or 1)[: prod(shape)]).reshape(shape).astype(np.float32)
        )

    def ints(self, *shape: int, low: int = -5, high: int = 6, to: DType = i64) -> np.ndarray:
        return np.asarray(self.rng.integers(low, high, shape), to.numpy)

    def bools(self, *shape: int) -> np.ndarray:
        return np.asarray(self.rng.integers(0, 2, shape), bool)


def special(to: DType = f32) -> np.ndarray:
    """Zeros of both signs, infinities, NaN, the smallest and the largest numbers of a type."""
    limits = np.finfo(np.float32) if to is not f16 else np.finfo(np.float16)
    tiny, small, large = limits.smallest_subnormal, limits.tiny, limits.max
    return np.array([0.0, -0.0, 1.0, -1.0, inf, -inf, nan, tiny, -small, large, -large, 0.5, -2.5]).astype(to.numpy)


def scalar(value: float, to: DType = f64) -> np.ndarray:
    return np.asarray(value, to.numpy)


Rows = Iterator[tuple[Any, ...]]
_TABLE: dict[str, Callable[[str, Draw], Rows]] = {}
_HALVES: set[str] = set()


def entry(*ops: str, halves: bool = True) -> Callable[[Callable[[str, Draw], Rows]], None]:
    """Samples of ``ops``, as rows ``(name, inputs, attrs, smooth)``; the last two may be left out.

    ``halves``: the first row with an f32 array is also taken in f16 and bf16.
    """

    def add(rows: Callable[[str, Draw], Rows]) -> None:
        for op in ops:
            assert op not in _TABLE, op
            _TABLE[op] = rows
            if halves:
                _HALVES.add(op)

    return add


@cache
def samples_of(op: str) -> tuple[Sample, ...]:
    """The samples of one op."""
    found = [Sample(op, name, tuple(inputs), *rest) for name, inputs, *rest in _TABLE[op](op, Draw(op))]
    floating = [s for s in found if any(x.dtype == np.float32 and x.size for x in s.arrays)]
    if op in _HALVES:
        found += [s.floats_as(to) for s in floating[:1] for to in (f16, bf16)]
    return tuple(found)


def samples() -> list[Sample]:
    """Every sample of every op that has an entry."""
    return [s for op in _TABLE for s in samples_of(op)]


def type_of(array: np.ndarray) -> TensorType:
    return TensorType(dtype(array.dtype), array.shape)


def sample_graph(sample: Sample) -> Graph:
    """The call as a graph: one parameter per array, all results returned."""
    graph = Graph(sample.op)
    operands = [
        graph.add_param(type_of(x), "input", "", f"x{i}") if isinstance(x, np.ndarray) else x
        for i, x in enumerate(sample.inputs)
    ]
    with using(GraphBuilder()) as builder:
        result = OPS[sample.op](*operands, **sample.attrs)
    graph.nodes = builder.nodes
    graph.outputs = [result] if isinstance(result, Value) else list(result)
    return graph


def wanted(graph: Graph) -> tuple[list[Value], list[Value]]:
    """The results of a sample's graph that a gradient flows into, and the parameters it flows to."""
    node = graph.nodes[-1]
    if not node.op.differentiable:
        return [], []
    results = graph.outputs[:1] if node.op.name in AUXILIARY else graph.outputs
    fixed = [graph.inputs()[i] for i in FIXED.get(node.op.name, ()) if i < len(graph.params)]
    params = [v for v in graph.inputs() if v not in fixed]
    return [v for v in results if v.dtype.kind == "float"], [v for v in params if v.dtype.kind == "float"]


def with_gradient(graph: Graph) -> Graph:
    """The graph of a sample with a ``grad`` node behind it; the gradients are its outputs after the op's own.

    A parameter ``g<i>`` for each differentiable result holds its cotangent. A graph without a floating result or
    parameter comes back as it is.
    """
    results, params = wanted(graph)
    if not results or not params:
        return graph
    whole = Graph(graph.name, list(graph.params), outputs=list(graph.outputs))
    seeds = [whole.add_param(v.type, "input", "", f"g{i}") for i, v in enumerate(results)]
    with using(GraphBuilder()) as builder:
        builder.nodes = list(graph.nodes)
        if len(results) == 1:
            grads = o.grad(results[0], seeds[0], *params, seed=True)
        else:
            total = None
            for result, seed in zip(results, seeds, strict=True):
                part = o.sum(o.mul(result, seed), axes=tuple(range(result.type.rank)))
                total = part if total is None else o.add(total, part)
            grads = o.grad(total, *params)
    whole.nodes = builder.nodes
    whole.outputs += [grads] if isinstance(grads, Value) else list(grads)
    return whole


def arguments(sample: Sample, graph: Graph) -> list[np.ndarray]:
    """One array per parameter of the sample's graph; cotangents are drawn, the same for every dtype."""
    draw = Draw(sample.op + " cotangents")
    extra = graph.inputs()[len(sample.arrays) :]
    return [*sample.arrays, *(draw.floats(*v.shape, to=f64).astype(v.dtype.numpy) for v in extra)]


def interpreted(sample: Sample) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The sample's results and, through the passes and the interpreter, the gradients of its ``wanted`` parameters."""
    graph = sample_graph(sample)
    whole = with_gradient(graph)
    results, _ = interpret(verify(expand(verify(autodiff(whole)))), arguments(sample, whole))
    return results[: len(graph.outputs)], results[len(graph.outputs) :]


def assert_same(actual: np.ndarray, expected: np.ndarray, rtol: float = 0, atol: float = 0, why: str = "") -> None:
    """Equal up to a tolerance in dtype, shape and elements; NaN equals NaN and 0 equals -0."""
    assert actual.dtype == expected.dtype and actual.shape == expected.shape
    if dtype(actual.dtype).is_half:
        actual, expected = actual.astype(np.float32), expected.astype(np.float32)
    if rtol or atol:
        np.testing.assert_allclose(actual, expected, rtol, atol, err_msg=why)
    else:
        np.testing.assert_array_equal(actual, expected, why)


# Pointwise


def _unary(d: Draw, floats: Callable[..., np.ndarray]) -> Rows:
    yield "matrix", [floats(3, 5)]
    yield "rank0", [floats()]
    yield "ones", [floats(1, 1, 1)]
    yield "empty", [floats(0, 4)]
    yield "special", [special()], {}, False
    yield "special-f16", [special(f16)], {}, False
    yield "special-bf16", [special(bf16)], {}, False


@entry("exp", "expm1", "sin", "cos", "tanh", "erf")
def _(op: str, d: Draw) -> Rows:
    yield from _unary(d, d.floats)
    yield "ints", [d.ints(4, to=i32)]
    yield "bools", [d.bools(4)]
    yield "large", [np.linspace(-30, 30, 9, dtype=np.float32)], {}, False


@entry("log", "log1p", "log2", "sqrt", "rsqrt", "reciprocal")
def _(op: str, d: Draw) -> Rows:
    yield from _unary(d, d.positive)
    yield "ints", [d.ints(4, low=1, high=9)]
    yield "negative", [d.floats(6)], {}, False


@entry("neg", "abs", "sign", "floor", "ceil", "trunc", "round")
def _(op: str, d: Draw) -> Rows:
    yield from _unary(d, d.floats)
    yield "halfway", [np.arange(-7, 8, dtype=np.float32) / 2], {}, False
    for to in (i8, i32, i64):
        yield to.short, [d.ints(2, 3, to=to)]


@entry("isnan", "isinf", "isfinite")
def _(op: str, d: Draw) -> Rows:
    yield from _unary(d, d.floats)
    yield "ints", [d.ints(3)]


@entry("logical_not")
def _(op: str, d: Draw) -> Rows:
    yield "bools", [d.bools(2, 3)]
    yield "rank0", [d.bools()]
    yield "ints", [d.ints(6, low=-1, high=2)]
    yield "special", [special()]


def _pairs(d: Draw, left: Callable[..., np.ndarray], right: Callable[..., np.ndarray]) -> Rows:
    yield "matrix", [left(3, 5), right(3, 5)]
    yield "rows", [left(3, 5), right(5)]
    yield "columns", [left(3, 1), right(3, 5)]
    yield "outer", [left(2, 1, 4), right(3, 1)]
    yield "rank0", [left(), right()]
    yield "rank0-right", [left(4), right()]
    yield "empty", [left(0, 1), right(1, 3)]
    yield "number-right", [left(2, 3), 1.5]
    yield "number-left", [2, right(2, 3)]


def _mixed(d: Draw, low: float = -2.0) -> Rows:
    """Operands of different types, promoted."""
    yield "f16-f32", [d.floats(4, low=low, to=f16), d.floats(4, low=low)]
    yield "f16-bf16", [d.floats(4, low=low, to=f16), d.floats(4, low=low, to=bf16)]
    yield "i64-f16", [d.ints(4, low=1, high=4), d.floats(4, low=low, to=f16)]
    yield "bool-f32", [d.bools(4), d.floats(4, low=low)]
    yield "f16-rank0", [d.floats(4, low=low, to=f16), d.floats(low=low)]


@entry("add", "sub", "mul", "maximum", "minimum")
def _(op: str, d: Draw) -> Rows:
    yield from _pairs(d, d.floats, d.floats)
    yield from _mixed(d)
    yield "special", [special()[:, None], special()], {}, False
    yield "equal", [np.ones(3, np.float32), np.array([1, 2, 1], np.float32)], {}, False
    yield "i8", [d.ints(5, to=i8), d.ints(5, to=i8)]
    yield "u8-i8", [d.ints(5, low=0, to=u8), d.ints(5, to=i8)]
    yield "i32-number", [d.ints(5, to=i32), 3]
    yield "i32-float-number", [d.ints(5, to=i32), 0.5]
    if op != "sub":
        yield "bools", [d.bools(5), d.bools(5)]


@entry("div")
def _(op: str, d: Draw) -> Rows:
    yield from _pairs(d, d.floats, d.positive)
    yield from _mixed(d, low=0.5)
    yield "special", [special()[:, None], special()], {}, False
    yield "ints", [d.ints(5), d.ints(5, low=1)]


@entry("pow")
def _(op: str, d: Draw) -> Rows:
    yield from _pairs(d, d.positive, d.floats)
    yield from _mixed(d, low=0.5)
    yield "square", [d.floats(2, 3), 2]
    yield "cube", [d.floats(2, 3), 3.0]
    yield "zero", [d.floats(3), 0]
    yield "special", [special()[:, None], special()], {}, False
    yield "ints", [d.ints(5), d.ints(5, low=0, high=4)]


@entry("floor_divide", "remainder", "trunc_divide")
def _(op: str, d: Draw) -> Rows:
    yield from _pairs(d, d.floats, d.positive)
    yield "negative", [d.floats(7), d.floats(7, low=-2, high=-0.5)]
    yield "special", [special()[:, None], special()], {}, False
    yield "ints", [np.array([7, -7, 7, -7]), np.array([3, 3, -3, -3])]
    yield "u8", [d.ints(5, low=0, high=200, to=u8), d.ints(5, low=1, to=u8)]


@entry("clamp")
def _(op: str, d: Draw) -> Rows:
    both = {"low": True, "high": True}
    yield "both", [d.floats(3, 5), d.floats(3, 5, high=-1), d.floats(5, low=1)], both
    yield "low", [d.floats(3, 5), d.floats(3, 1)], {"low": True}
    yield "high", [d.floats(3, 5), d.floats()], {"high": True}
    yield "numbers", [d.floats(3, 5), -1, 0.5], both
    yield "crossed", [d.floats(3, 5), 1.0, -1.0], both, False
    yield "special", [special()[:, None], -2.5, 1.0], both, False
    yield "ints", [d.ints(6), -2, 3], both


@entry("lerp")
def _(op: str, d: Draw) -> Rows:
    yield "tensors", [d.floats(3, 5), d.floats(3, 5), d.floats(5)]
    yield "near", [d.floats(3, 5), d.floats(3, 5), 0.25]
    yield "far", [d.floats(3, 5), d.floats(3, 1), 1.0]


@entry("bitwise_and", "bitwise_or", "bitwise_xor")
def _(op: str, d: Draw) -> Rows:
    yield "bools", [d.bools(2, 3), d.bools(3)]
    yield "ints", [d.ints(4), d.ints(4)]
    yield "number", [d.ints(4, to=u8, low=0), 3]
    yield "empty", [d.bools(0), d.bools(1)]


@entry("eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor")
def _(op: str, d: Draw) -> Rows:
    yield from _pairs(d, d.floats, d.floats)
    yield "special", [special()[:, None], special()]
    yield "ints", [d.ints(3, 4, low=-1, high=2), d.ints(4, low=-1, high=2)]
    yield "bools", [d.bools(8), d.bools(8)]
    yield "i64-f32", [d.ints(6, low=-1, high=2), np.round(d.floats(6))]


@entry("where")
def _(op: str, d: Draw) -> Rows:
    yield "matrix", [d.bools(3, 5), d.floats(3, 5), d.floats(3, 5)]
    yield "outer", [d.bools(2, 1, 4), d.floats(3, 1), d.floats(1)]
    yield "rank0", [d.bools(), d.floats(), d.floats()]
    yield "empty", [d.bools(1), d.floats(0), d.floats(0)]
    yield "numbers", [d.bools(4), 1, 0.0]
    yield "masked", [d.bools(4), d.floats(4, to=bf16), -inf]
    yield "float-condition", [special(), d.floats(1), 0]
    yield "ints", [d.bools(4), d.ints(4), d.ints(to=i32)]
    yield (
        "unused-nan",
        [np.array([True, False]), np.array([1, nan], np.float32), np.array([nan, 2], np.float32)],
        {},
        False,
    )


@entry("cast", halves=False)
def _(op: str, d: Draw) -> Rows:
    yield "empty", [d.floats(0, 3)], {"to": bf16}
    yield "rank0", [d.floats()], {"to": f64}
    values = d.floats(7, low=0, high=5)
    for source, target in product(DTYPES.values(), DTYPES.values()):
        yield f"{source.short}-{target.short}", [values.astype(source.numpy)], {"to": target}, target in (f32, f64)
    wide = np.array([0, -0.0, inf, -inf, nan, 65504, 65519.99, 65520, 3.4e38, 1e-45, 6e-8, 2.9e-8, 1.0039, 1.00390625])
    for target in (f16, bf16, f64, boolean):
        yield f"special-{target.short}", [wide.astype(np.float32)], {"to": target}, False
    yield "special-f64-f32", [np.array([1e300, 1e-300, nan, 1 + 2**-24, 1 + 2**-23])], {"to": f32}, False
    yield "large-i64-f16", [np.array([70000, -70000, 2049, 2**40])], {"to": f16}


@entry("detach", "reload")
def _(op: str, d: Draw) -> Rows:
    yield "matrix", [d.floats(2, 3)]
    yield "rank0", [d.ints()]


@entry("constant", halves=False)
def _(op: str, d: Draw) -> Rows:
    for name, value, to in (
        ("float", 0.1, f32),
        ("f64", 0.1, f64),
        ("f16", 0.1, f16),
        ("bf16", 0.1, bf16),
        ("int", -3, i64),
        ("bool", True, boolean),
        ("infinite", -inf, f32),
        ("nan", nan, f16),
    ):
        yield name, [], {"value": value, "dtype": to}


@entry("zeros", "ones", halves=False)
def _(op: str, d: Draw) -> Rows:
    yield "matrix", [], {"shape": (2, 3), "dtype": f32}
    yield "rank0", [], {"shape": (), "dtype": f64}
    yield "empty", [], {"shape": (0, 2), "dtype": bf16}
    yield "ints", [], {"shape": (4,), "dtype": i16}
    yield "bools", [], {"shape": (1, 2), "dtype": boolean}


@entry("iota", halves=False)
def _(op: str, d: Draw) -> Rows:
    yield "line", [], {"shape": (7,), "axis": 0}
    yield "middle", [], {"shape": (2, 3, 4), "axis": 1}
    yield "empty", [], {"shape": (0, 3), "axis": 0}
    yield "ones", [], {"shape": (1, 1), "axis": 1}


# Reductions


@entry("sum", "prod", "amax", "amin", "any", "all")
def _(op: str, d: Draw) -> Rows:
    yield "last", [d.distinct(3, 5)], {"axes": (1,)}
    yield "first", [d.distinct(3, 5)], {"axes": (0,)}
    yield "middle", [d.distinct(2, 3, 4)], {"axes": (1,)}
    yield "outer", [d.distinct(2, 3, 4)], {"axes": (0, 2), "keepdim": True}
    yield "full", [d.distinct(3, 4)], {"axes": (0, 1)}
    yield "full-kept", [d.distinct(3, 4)], {"axes": (0, 1), "keepdim": True}
    yield "none", [d.distinct(3, 4)], {"axes": ()}
    yield "rank0", [d.distinct()], {"axes": ()}
    yield "ones", [d.distinct(1, 3, 1)], {"axes": (0, 2)}
    yield "long", [d.distinct(1000)], {"axes": (0,)}
    yield "no-rows", [d.distinct(0, 3)], {"axes": (1,)}
    yield "special", [special().reshape(1, -1)], {"axes": (1,)}, False
    yield "ties", [np.array([[1, 2, 2], [0, 0, 0]], np.float32)], {"axes": (1,)}, False
    yield "ints", [d.ints(3, 4, to=i32)], {"axes": (1,)}
    yield "bools", [d.bools(3, 4)], {"axes": (0,)}
    if op not in ("amax", "amin"):
        yield "empty", [d.distinct(3, 0)], {"axes": (1,)}


@entry("argmax", "argmin")
def _(op: str, d: Draw) -> Rows:
    yield "last", [d.distinct(3, 5)], {"axes": (1,)}
    yield "first", [d.distinct(3, 5)], {"axes": (0,), "keepdim": True}
    yield "ties", [np.array([[1, 2, 2], [0, 0, 0]], np.float32)], {"axes": (1,)}
    yield "ints", [d.ints(4, 3)], {"axes": (0,)}
    yield "nan", [np.array([1, nan, 2, nan], np.float32)], {"axes": (0,)}
    yield "no-rows", [d.distinct(0, 3)], {"axes": (1,)}


@entry("mean", "logsumexp")
def _(op: str, d: Draw) -> Rows:
    yield "last", [d.floats(3, 5)], {"axes": (1,)}
    yield "first-kept", [d.floats(3, 5)], {"axes": (0,), "keepdim": True}
    yield "outer", [d.floats(2, 3, 4)], {"axes": (0, 2)}
    yield "full", [d.floats(3, 4)], {"axes": (0, 1)}
    yield "rank0", [d.floats()], {"axes": ()}
    yield "ones", [d.floats(1, 2, 1)], {"axes": (0, 2)}
    yield "no-rows", [d.floats(0, 3)], {"axes": (1,)}
    yield "large", [d.floats(2, 3, low=80, high=100)], {"axes": (1,)}
    yield "infinite", [np.array([[1, inf], [-inf, -inf], [-inf, 1], [inf, -inf]], np.float32)], {"axes": (1,)}, False


@entry("var", "std")
def _(op: str, d: Draw) -> Rows:
    yield "last", [d.floats(3, 5)], {"axes": (1,)}
    yield "biased", [d.floats(3, 5)], {"axes": (1,), "correction": 0.0}
    yield "outer", [d.floats(2, 3, 4)], {"axes": (0, 2), "keepdim": True}
    yield "full", [d.floats(4)], {"axes": (0,)}
    yield "single", [d.floats(3, 1)], {"axes": (1,)}, False
    yield "shifted", [d.floats(2, 6, low=1000, high=1001)], {"axes": (1,)}
    if op == "std":
        yield "equal", [np.ones((2, 3), np.float32)], {"axes": (1,)}, False


@entry("vector_norm")
def _(op: str, d: Draw) -> Rows:
    for p in (0.0, 0.5, 1.0, 2.0, 3.0, -1.0, inf, -inf):
        yield f"order {p}", [d.distinct(3, 4) + np.float32(0.1)], {"p": p, "axes": (1,)}, p != 0.0
        yield f"order {p} of zeros", [np.zeros((2, 3), np.float32)], {"p": p, "axes": (0, 1)}, False
    yield "kept", [d.floats(2, 3, 4)], {"axes": (0, 2), "keepdim": True}
    yield "one element", [d.floats(3, 1)], {"p": 3.0, "axes": (1,)}
    yield "rank0", [d.positive()], {"axes": ()}


@entry("softmax", "log_softmax")
def _(op: str, d: Draw) -> Rows:
    yield "last", [d.floats(3, 5)], {"axis": 1}
    yield "first", [d.floats(3, 5)], {"axis": 0}
    yield "middle", [d.floats(2, 3, 4)], {"axis": 1}
    yield "rank0", [d.floats()], {"axis": 0}
    yield "single", [d.floats(3, 1)], {"axis": 1}
    yield "no-rows", [d.floats(0, 3)], {"axis": 1}
    yield "large", [d.floats(2, 4, low=-200, high=200)], {"axis": 1}
    yield "masked", [np.array([[1, -inf, 2], [-inf, -inf, 0]], np.float32)], {"axis": 1}, False


# Views, concatenation


@entry("reshape")
def _(op: str, d: Draw) -> Rows:
    yield "flat", [d.floats(3, 4)], {"shape": (12,)}
    yield "regrouped", [d.floats(4, 6)], {"shape": (2, 12, 1)}
    yield "rank0", [d.floats(1, 1)], {"shape": ()}
    yield "empty", [d.floats(0, 4)], {"shape": (3, 0)}
    yield "ints", [d.ints(6)], {"shape": (2, 3)}


@entry("permute")
def _(op: str, d: Draw) -> Rows:
    yield "transpose", [d.floats(3, 4)], {"dims": (1, 0)}
    yield "cycle", [d.floats(2, 3, 4)], {"dims": (2, 0, 1)}
    yield "rank0", [d.floats()], {"dims": ()}
    yield "empty", [d.floats(0, 2)], {"dims": (1, 0)}
    yield "bools", [d.bools(2, 3)], {"dims": (1, 0)}


@entry("expand")
def _(op: str, d: Draw) -> Rows:
    yield "rows", [d.floats(5)], {"shape": (3, 5)}
    yield "outer", [d.floats(2, 1, 3, 1)], {"shape": (4, 2, 5, 3, 1)}
    yield "rank0", [d.floats()], {"shape": (2, 2)}
    yield "empty", [d.floats(1, 3)], {"shape": (0, 3)}
    yield "same", [d.floats(2, 3)], {"shape": (2, 3)}
    yield "ints", [d.ints(2, 1)], {"shape": (2, 3)}


_SLICES = {
    "part": ((5, 6), (1, 2), (4, 6), (1, 1)),
    "strided": ((5, 6), (0, 1), (5, 6), (2, 3)),
    "backward": ((5, 6), (4, 5), (-1, 0), (-1, -2)),
    "whole": ((2, 3), (0, 0), (2, 3), (1, 1)),
    "rank0": ((), (), (), ()),
    "nothing": ((3, 4), (0, 2), (3, 2), (1, 1)),
    "empty": ((0, 4), (0, 1), (0, 3), (1, 1)),
    "one": ((1, 4), (0, 3), (1, 4), (1, 1)),
}


def _window(start: tuple[int, ...], stop: tuple[int, ...], step: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(len(range(*s)) for s in zip(start, stop, step, strict=True))


@entry("slice")
def _(op: str, d: Draw) -> Rows:
    for name, (shape, *window) in _SLICES.items():
        yield name, [d.floats(*shape)], dict(zip(("start", "stop", "step"), window, strict=True))
    yield "ints", [d.ints(6)], {"start": (5,), "stop": (-1,), "step": (-2,)}


@entry("slice_scatter")
def _(op: str, d: Draw) -> Rows:
    for name, (shape, *window) in _SLICES.items():
        attrs = dict(zip(("start", "stop", "step"), window, strict=True))
        yield name, [d.floats(*shape), d.floats(*_window(*window))], attrs


@entry("concat")
def _(op: str, d: Draw) -> Rows:
    yield "first", [d.floats(2, 3), d.floats(1, 3), d.floats(4, 3)], {"axis": 0}
    yield "last", [d.floats(2, 3), d.floats(2, 2)], {"axis": 1}
    yield "single", [d.floats(2, 3)], {"axis": 0}
    yield "empty", [d.floats(2, 0), d.floats(2, 3)], {"axis": 1}
    yield "mixed", [d.floats(2, to=f16), d.floats(3)], {"axis": 0}
    yield "ints", [d.ints(2), d.ints(2, to=i32)], {"axis": 0}


# Contractions


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
    """What attention returns, from its definition."""
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
        yield name, [q, k, v, *_attention_results(q, k, v, causal), d.floats(*batch, 4, 3)], {"causal": causal}
    half = [x.astype(np.float16) for x in _attention(d)]
    out, lse = _attention_results(*half, False)
    yield "f16", [*half, out.astype(np.float16), lse, d.floats(4, 3, to=f16)]


# Windows of images

_SLIDES = {
    "patches": ((2, 3, 3, 5, 6), (5, 6), (1, 1), (1, 1), (1, 1), (1, 1)),
    "inside": ((2, 2, 5, 6), (4, 5), (1, 1), (1, 1), (0, 0), (1, 1)),
    "strided": ((3, 2, 3, 7, 6), (3, 4), (3, 2), (2, 1), (2, 1), (1, 1)),
    "back": ((2, 2, 3, 4, 3), (7, 6), (1, 1), (-2, -1), (-1, -1), (2, 2)),
    "line": ((3, 4, 5), (9,), (1,), (1,), (2,), (1,)),
    "volume": ((2, 1, 2, 3, 2, 3), (3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 0, 1), (1, 1, 1)),
    "nothing": ((2, 0, 5), (3,), (1,), (1,), (0,), (1,)),
    "outside": ((2, 3), (4,), (1,), (1,), (9,), (1,)),
}


@entry("slide")
def _(op: str, d: Draw) -> Rows:
    for name, (shape, *attrs) in _SLIDES.items():
        names = ("size", "stride", "dilation", "padding", "base")
        yield name, [d.floats(*shape)], dict(zip(names, attrs, strict=True))
    line = {"size": (5,), "stride": (1,), "dilation": (1,), "padding": (1,), "base": (1,)}
    yield "filled", [d.floats(3, 5)], {**line, "fill": -3.5}
    yield "infinite", [d.floats(3, 5)], {**line, "fill": -inf}, False
    yield "ints", [d.ints(3, 5)], {**line, "fill": -7}


def _steps(rank: int, stride: int = 1, dilation: int = 1, padding: int = 0, base: int = 1) -> dict[str, Any]:
    given = {"stride": stride, "dilation": dilation, "padding": padding, "base": base}
    return {name: (value,) * rank for name, value in given.items()}


@entry("convolve")
def _(op: str, d: Draw) -> Rows:
    yield "image", [d.floats(2, 3, 5, 6), d.floats(4, 3, 3, 3)], {"size": (5, 6), **_steps(2, padding=1)}
    yield "one", [d.floats(1, 3, 2, 2), d.floats(2, 3, 1, 1)], {"size": (2, 2), **_steps(2)}
    yield "strided", [d.floats(2, 2, 7, 6), d.floats(3, 2, 3, 2)], {"size": (4, 3), **_steps(2, 2, 1, 1)}
    yield "dilated", [d.floats(1, 2, 7, 7), d.floats(3, 2, 3, 3)], {"size": (3, 3), **_steps(2, dilation=2)}
    yield "based", [d.floats(1, 2, 4, 4), d.floats(3, 2, 3, 3)], {"size": (7, 7), **_steps(2, padding=1, base=2)}
    yield "groups", [d.floats(2, 4, 5), d.floats(6, 2, 3)], {"size": (5,), "groups": 2, **_steps(1, padding=1)}
    yield "depthwise", [d.floats(2, 3, 5, 5), d.floats(3, 1, 3, 3)], {"size": (3, 3), "groups": 3, **_steps(2)}
    yield "wide", [d.floats(2, 4, 9, 20), d.floats(17, 4, 3, 3)], {"size": (9, 20), **_steps(2, padding=1)}
    yield "volume", [d.floats(1, 2, 3, 4, 4), d.floats(2, 2, 2, 2, 2)], {"size": (2, 3, 3), **_steps(3)}
    half = [d.floats(2, 3, 5, to=bf16), d.floats(4, 3, 3, to=bf16)]
    yield "bf16-f32", half, {"size": (3,), "dtype": f32, **_steps(1)}


@entry("convolve_weight")
def _(op: str, d: Draw) -> Rows:
    yield "image", [d.floats(3, 3, 5, 6), d.floats(3, 4, 5, 6)], {"window": (3, 3), **_steps(2, padding=1)}
    yield "one", [d.floats(2, 3, 2, 2), d.floats(2, 2, 2, 2)], {"window": (1, 1), **_steps(2)}
    yield "strided", [d.floats(2, 2, 7, 6), d.floats(2, 3, 4, 3)], {"window": (3, 2), **_steps(2, 2, 1, 1)}
    yield "dilated", [d.floats(1, 2, 7, 7), d.floats(1, 3, 3, 3)], {"window": (3, 3), **_steps(2, dilation=2)}
    yield "groups", [d.floats(2, 4, 5), d.floats(2, 6, 5)], {"window": (3,), "groups": 2, **_steps(1, padding=1)}
    yield "depthwise", [d.floats(2, 3, 5, 5), d.floats(2, 3, 3, 3)], {"window": (3, 3), "groups": 3, **_steps(2)}
    yield "wide", [d.floats(5, 7, 9, 20), d.floats(5, 17, 9, 20)], {"window": (3, 3), **_steps(2, padding=1)}
    half = [d.floats(2, 3, 5, to=bf16), d.floats(2, 4, 3, to=bf16)]
    yield "bf16-f32", half, {"window": (3,), "dtype": f32, **_steps(1)}


def _conv_steps(rank: int, stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1) -> dict[str, Any]:
    steps = {"stride": (stride,) * rank, "padding": (padding,) * (2 * rank), "dilation": (dilation,) * rank}
    return {**steps, "groups": groups}


@entry("conv")
def _(op: str, d: Draw) -> Rows:
    yield "image", [d.floats(2, 3, 5, 6), d.floats(4, 3, 3, 3), d.floats(4)], _conv_steps(2, padding=1)
    yield "plain", [d.floats(2, 3, 5, 6), d.floats(4, 3, 3, 3)], _conv_steps(2)
    yield "pointwise", [d.floats(2, 3, 4, 4), d.floats(5, 3, 1, 1), d.floats(5)], _conv_steps(2)
    yield "strided", [d.floats(2, 3, 7, 6), d.floats(4, 3, 3, 3)], _conv_steps(2, 2, 1)
    yield "dilated", [d.floats(1, 2, 8, 7), d.floats(2, 2, 3, 3)], _conv_steps(2, 1, 2, 2)
    yield "uneven", [d.floats(1, 2, 5), d.floats(2, 2, 4)], {**_conv_steps(1), "padding": (1, 2)}
    yield "line", [d.floats(2, 3, 9), d.floats(4, 3, 3), d.floats(4)], _conv_steps(1, 3)
    yield "volume", [d.floats(1, 2, 4, 3, 4), d.floats(3, 2, 2, 3, 2)], _conv_steps(3, padding=1)
    yield "groups", [d.floats(2, 4, 5, 5), d.floats(6, 2, 3, 3), d.floats(6)], _conv_steps(2, 1, 1, groups=2)
    yield "depthwise", [d.floats(2, 3, 5, 5), d.floats(3, 1, 3, 3)], _conv_steps(2, 2, 1, groups=3)
    yield "no-images", [d.floats(0, 2, 4), d.floats(3, 2, 3)], _conv_steps(1)


@entry("conv_transpose")
def _(op: str, d: Draw) -> Rows:
    yield "image", [d.floats(2, 3, 4, 5), d.floats(3, 4, 3, 3), d.floats(4)], {"size": (4, 5), **_conv_steps(2, 1, 1)}
    yield "strided", [d.floats(2, 3, 3, 4), d.floats(3, 2, 3, 3)], {"size": (6, 8), **_conv_steps(2, 2, 1)}
    yield "cropped", [d.floats(1, 2, 4), d.floats(2, 3, 3)], {"size": (2,), **_conv_steps(1, 1, 2)}
    yield "dilated", [d.floats(1, 2, 4), d.floats(2, 3, 3)], {"size": (11,), **_conv_steps(1, 2, 0, 2)}
    yield "groups", [d.floats(2, 4, 5), d.floats(4, 3, 2), d.floats(6)], {"size": (6,), **_conv_steps(1, groups=2)}


def _pool_steps(rank: int, window: int, stride: int, padding: int = 0) -> dict[str, Any]:
    given = {"window": window, "stride": stride, "padding": padding}
    return {name: (value,) * rank for name, value in given.items()}


@entry("max_pool")
def _(op: str, d: Draw) -> Rows:
    plain, line = {"dilation": (1, 1)}, {"dilation": (1,)}
    yield "tiles", [d.distinct(2, 3, 4, 6)], {"size": (2, 3), **_pool_steps(2, 2, 2), **plain}
    yield "overlapping", [d.distinct(2, 7, 6)], {"size": (4, 3), **_pool_steps(2, 3, 2, 1), **plain}
    yield "rest", [d.distinct(2, 7, 5)], {"size": (3, 2), **_pool_steps(2, 2, 2), **plain}
    yield "dilated", [d.distinct(2, 9)], {"size": (5,), **_pool_steps(1, 3, 1), "dilation": (2,)}
    yield "large", [d.distinct(1, 9, 9)], {"size": (2, 2), **_pool_steps(2, 7, 2), **plain}
    yield "volume", [d.distinct(2, 2, 4, 2)], {"size": (1, 2, 1), **_pool_steps(3, 2, 2), "dilation": (1, 1, 1)}
    yield (
        "ties",
        [np.array([[1, 1, 0, 2], [3, 3, 3, 3]], np.float32)],
        {"size": (2,), **_pool_steps(1, 2, 2), **line},
        False,
    )
    yield "special", [special()[None]], {"size": (6,), **_pool_steps(1, 2, 2), **line}, False
    yield "ints", [d.ints(2, 6)], {"size": (4,), **_pool_steps(1, 2, 2, 1), **line}


@entry("avg_pool")
def _(op: str, d: Draw) -> Rows:
    yield "tiles", [d.floats(2, 3, 4, 6)], {"size": (2, 3), **_pool_steps(2, 2, 2)}
    yield "overlapping", [d.floats(2, 7, 6)], {"size": (4, 3), **_pool_steps(2, 3, 2, 1)}
    yield "counted", [d.floats(2, 7, 6)], {"size": (4, 3), **_pool_steps(2, 3, 2, 1), "include_pad": False}
    yield "beyond", [d.floats(2, 6)], {"size": (3,), **_pool_steps(1, 3, 2)}
    yield "divisor", [d.floats(2, 6)], {"size": (3,), **_pool_steps(1, 2, 2), "divisor": 3}
    yield "large", [d.floats(1, 9, 9)], {"size": (2, 2), **_pool_steps(2, 7, 2)}


# Activations, normalisations, losses


@entry("relu", "silu", "gelu", "sigmoid", "softplus", "leaky_relu", "log_sigmoid")
def _(op: str, d: Draw) -> Rows:
    yield from _unary(d, d.floats)
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
    yield from _unary(d, d.floats)
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


# Index ops and randomness


@entry("bounded", halves=False)
def _(op: str, d: Draw) -> Rows:
    yield "matrix", [d.ints(2, 3, low=0, high=9)], {"size": 9}
    yield "rank0", [scalar(3, i32)], {"size": 4, "what": "class index"}
    yield "empty", [d.ints(0)], {"size": 0}


@entry("divisor", halves=False)
def _(op: str, d: Draw) -> Rows:
    yield "matrix", [d.ints(2, 3, low=1, high=9)], {}
    yield "rank0", [scalar(-3, i32)], {}


@entry("take", "embedding")
def _(op: str, d: Draw) -> Rows:
    yield "matrix", [d.floats(6, 3), d.ints(2, 4, low=0, high=6)]
    yield "rank0", [d.floats(6, 3), scalar(5, i64)]
    yield "vector", [d.floats(6), d.ints(4, low=0, high=6, to=i32)]
    yield "repeated", [d.floats(4, 2), np.array([1, 1, 1, 0])]
    yield "empty", [d.floats(6, 3), d.ints(0, low=0)]
    if op == "embedding":
        yield "padding", [d.floats(4, 2), np.array([[0, 1], [1, 3]])], {"padding_idx": 1}, False
    else:
        yield "ints", [d.ints(5), d.ints(3, low=0, high=5)]


@entry("scatter_rows")
def _(op: str, d: Draw) -> Rows:
    yield "repeated", [np.array([[1, 3], [1, 0]]), d.floats(2, 2, 3)], {"rows": 5}
    yield "rank0", [scalar(2, i64), d.floats(3)], {"rows": 4}
    yield "vector", [d.ints(6, low=0, high=4, to=i32), d.floats(6)], {"rows": 4}
    yield "empty", [d.ints(0), d.floats(0, 2)], {"rows": 3}
    yield "ints", [np.array([0, 0, 2]), d.ints(3)], {"rows": 3}


@entry("gather")
def _(op: str, d: Draw) -> Rows:
    yield "last", [d.floats(3, 5), d.ints(3, 2, low=0, high=5)], {"axis": 1}
    yield "first", [d.floats(3, 5), d.ints(4, 5, low=0, high=3)], {"axis": 0}
    yield "trimmed", [d.floats(3, 4, 5), d.ints(2, 6, 3, low=0, high=4)], {"axis": 1}
    yield "empty", [d.floats(3, 5), d.ints(3, 0)], {"axis": 1}
    yield "ints", [d.ints(4), d.ints(6, low=0, high=4, to=i32)], {"axis": 0}


@entry("scatter_add")
def _(op: str, d: Draw) -> Rows:
    yield "last", [d.floats(3, 5), d.ints(3, 4, low=0, high=5), d.floats(3, 4)], {"axis": 1}
    yield "first", [d.floats(3, 2), np.array([[0, 0], [0, 2], [0, 2], [1, 2]]), d.floats(4, 2)], {"axis": 0}
    yield "smaller", [d.floats(4, 5), d.ints(2, 3, low=0, high=5), d.floats(2, 3)], {"axis": 1}
    yield "empty", [d.floats(3), d.ints(0), d.floats(0)], {"axis": 0}
    yield "ints", [d.ints(3), np.array([1, 1]), d.ints(2)], {"axis": 0}


@entry("uniform", "normal", halves=False)
def _(op: str, d: Draw) -> Rows:
    yield "matrix", [scalar(1, i64), scalar(0, i64)], {"shape": (3, 5), "index": 0}
    yield "rank0", [scalar(2**40 + 7, i64), scalar(2**33, i64)], {"shape": (), "index": 3}
    yield "negative-seed", [scalar(-1, i64), scalar(5, i64)], {"shape": (9,), "index": 1}
    yield "empty", [scalar(1, i64), scalar(0, i64)], {"shape": (0, 2), "index": 0}


@entry("dropout")
def _(op: str, d: Draw) -> Rows:
    generator = [scalar(11, i64), scalar(2, i64)]
    for name, p in (("some", 0.3), ("never", 0.0), ("always", 1.0)):
        yield name, [d.floats(4, 5), *generator], {"p": p, "index": 1}
    yield "rank0", [d.floats(), *generator], {"p": 0.5, "index": 0}
    yield "empty", [d.floats(0, 3), *generator], {"p": 0.5, "index": 0}


# Training


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


@entry("count_step", halves=False)
def _(op: str, d: Draw) -> Rows:
    yield "first", [scalar(0, f32)]
    yield "later", [scalar(41, f32)]
