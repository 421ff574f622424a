"""The helpers of a generated module agree with NumPy."""

import numpy as np
import pytest

from compiler.codegen.triton.prelude import HELPERS, IMPORTS, prelude
from compiler.halves import HALVES, joined, split
from compiler.ir.types import dtype, i32
from compiler.ops.elementwise import cast_array
from runtime.triton.aot import compile_kernel, load_module
from runtime.triton.machine_code import opcodes

UNARY = """

@triton.jit
def apply(x, out, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    tl.store(out + i, {name}(tl.load(x + i)))
"""

BINARY = """

@triton.jit
def apply(x, y, out, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    tl.store(out + i, {name}(tl.load(x + i), tl.load(y + i)))
"""

TRUNCATED = """

@triton.jit
def apply(x, out, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    tl.store(out + i, truncated(tl.load(x + i), tl.int32))
"""

CHAINED = """

@triton.jit
def apply(x, out, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    _, y = tl.associative_scan((tl.load(x + i), tl.load(x + i)), 0, chained)
    tl.store(out + i, y)
"""

DRAW = """

@triton.jit
def draw(state, start, out, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    seed, offset, first = tl.load(state), tl.load(state + 1), tl.load(start)
    tl.store(out + i, uniform(seed, offset, first + i))
"""

REPORT = """

@triton.jit
def apply(status, x, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    report(status, tl.load(x + i), i.to(tl.int64), i < 200)
"""


def module(body: str) -> str:
    return prelude(body) + body


def ulps(actual: np.ndarray, exact: np.ndarray) -> float:
    """The largest error in units of the last place of the rounded exact result; both must agree on inf and NaN."""
    rounded = exact.astype(np.float32)
    np.testing.assert_array_equal(np.isfinite(actual), np.isfinite(rounded))
    np.testing.assert_array_equal(actual[~np.isfinite(rounded)], rounded[~np.isfinite(rounded)])
    finite = np.isfinite(rounded)
    spacing = np.spacing(np.abs(rounded[finite]))
    return float(np.max(np.abs(actual[finite].astype(np.float64) - exact[finite]) / spacing))


def grid(count: int, low: float) -> np.ndarray:
    """`count` float32 over all magnitudes, both signs, with zero, infinities and NaN."""
    half = np.geomspace(1e-40, 80, count // 2 - 2)
    x = np.concatenate([half, np.maximum(-half, low), [0.0, np.inf, low, np.nan]])
    return x.astype(np.float32)


@pytest.mark.parametrize(
    "name, reference, low, bound",
    [
        ("tanh", np.tanh, -np.inf, 2),
        ("expm1", np.expm1, -np.inf, 4),
        ("log1p", np.log1p, -1.0, 4),
        ("sign", lambda x: np.nan_to_num(np.sign(x)), -np.inf, 0),
        ("trunc", np.trunc, -np.inf, 0),
        ("round_half_even", np.rint, -np.inf, 0),
    ],
)
def test_functions_of_one_argument(interpret, name, reference, low, bound):
    x = np.concatenate([grid(1024, low), np.linspace(max(low, -8), 8, 1025)[1:].astype(np.float32)])
    _, out = interpret(module(UNARY.format(name=name)), "apply", (1,), [x, np.zeros_like(x)], BLOCK=2048)
    with np.errstate(divide="ignore"):
        assert ulps(out, reference(x.astype(np.float64))) <= bound


@pytest.mark.parametrize(
    "name, reference, bound",
    [("power", np.power, 1), ("remainder", np.remainder, 0), ("floor_divide", np.floor_divide, 0)],
)
def test_functions_of_two_floats(interpret, name, reference, bound):
    rng = np.random.default_rng(0)
    x, y = (rng.uniform(-8, 8, 2048).astype(np.float32) for _ in range(2))
    y[:1024] = np.rint(y[:1024]) + (0 if name == "power" else 9)
    if name == "power":
        x[:12] = [0, 0, 0, 1, -1, -1, -1, -2, np.inf, np.inf, 2, np.nan]
        y[:12] = [0, 2, -1, np.inf, np.inf, 3, 2, 0.5, -1, 2, 200, 0]
    _, _, out = interpret(module(BINARY.format(name=name)), "apply", (1,), [x, y, np.zeros_like(x)], BLOCK=2048)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        exact = reference(x.astype(np.float64), y.astype(np.float64)) if name == "power" else reference(x, y)
        assert ulps(out, exact) <= bound


@pytest.mark.parametrize("name, reference", [("remainder", np.remainder), ("floor_divide", np.floor_divide)])
def test_functions_of_two_integers(interpret, name, reference):
    rng = np.random.default_rng(0)
    x = rng.integers(-100, 100, 256, np.int64)
    y = rng.choice(np.array([-7, -3, -1, 0, 1, 2, 5]), 256)
    _, _, out = interpret(module(BINARY.format(name=name)), "apply", (1,), [x, y, np.zeros_like(x)], BLOCK=256)
    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(out, reference(x, y))


def test_a_float_without_an_integer_becomes_the_least(interpret):
    x = np.array([1.9, -1.9, 3e9, -3e9, np.inf, -np.inf, np.nan, 2.0**31], np.float32)
    _, out = interpret(module(TRUNCATED), "apply", (1,), [x, np.zeros(8, np.int64)], BLOCK=8)
    np.testing.assert_array_equal(out, cast_array(x, i32))


def test_negative_powers_of_integers(interpret):
    x, y = np.array([2, 1, -1, -1, 0, 3, 5, -2]), np.array([-1, -5, -2, -3, -1, 2, 0, 3])
    _, _, out = interpret(module(BINARY.format(name="whole_power")), "apply", (1,), [x, y, np.zeros_like(x)], BLOCK=8)
    assert out.tolist() == [0, 1, 1, -1, 0, 9, 1, -8]


def philox(key: tuple[int, int], counter: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Philox4x32-10 in Python integers."""
    (k0, k1), (a, b, c, d) = key, counter
    for _ in range(10):
        first, second = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (second >> 32) ^ b ^ k0, second & 0xFFFFFFFF, (first >> 32) ^ d ^ k1, first & 0xFFFFFFFF
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return a, b, c, d


def test_philox_reference_gives_the_published_words():
    """Known answers from the Random123 distribution."""
    assert philox((0, 0), (0, 0, 0, 0)) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    ones = 0xFFFFFFFF
    assert philox((ones, ones), (ones,) * 4) == (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)


@pytest.mark.parametrize(
    "seed, offset, start",
    [(0, 0, 0), (1234567890123, 7, 8), (-5, 2**40 + 3, 2**34 - 8), (2**63 - 1, 2**62, 2**35 + 4)],
)
def test_uniforms_are_bit_exact(interpret, seed, offset, start):
    arguments = [np.array([seed, offset]), np.array([start]), np.zeros(32, np.float32)]
    *_, out = interpret(module(DRAW), "draw", (1,), arguments, BLOCK=32)

    def words(value: int) -> tuple[int, int]:
        return value & 0xFFFFFFFF, (value >> 32) & 0xFFFFFFFF

    expected = [
        (philox(words(seed), (*words(e >> 2), *words(offset)))[e & 3] >> 8) * 2.0**-24 for e in range(start, start + 32)
    ]
    np.testing.assert_array_equal(out, expected)


def test_a_module_carries_what_it_calls_and_no_more():
    assert prelude("y = tl.exp(x)") == IMPORTS
    text = prelude("y = expm1(x)")
    assert "def tanh(" in text and text.index("def tanh(") < text.index("def expm1(")
    assert "def log1p(" not in text


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_whole_powers_wrap_around(interpret, kind):
    rng = np.random.default_rng(0)
    x, y = rng.integers(-9, 10, 256).astype(kind), rng.integers(0, 40, 256).astype(kind)
    _, _, out = interpret(module(BINARY.format(name="whole_power")), "apply", (1,), [x, y, np.zeros_like(x)], BLOCK=256)
    np.testing.assert_array_equal(out, x**y)


@pytest.mark.parametrize("name, reference", [("larger", np.maximum), ("smaller", np.minimum)])
def test_nan_wins(interpret, name, reference):
    x = np.array([1, np.nan, 2, np.nan, -np.inf, 0, 5, np.inf], np.float32)
    y = np.array([2, 1, np.nan, np.nan, np.nan, -0.0, 5, 1], np.float32)
    _, _, out = interpret(module(BINARY.format(name=name)), "apply", (1,), [x, y, np.zeros_like(x)], BLOCK=8)
    np.testing.assert_array_equal(out, reference(x, y))


@pytest.mark.parametrize("name, reference", [("tanh", np.tanh), ("expm1", np.expm1), ("round_half_even", np.rint)])
def test_functions_of_float64(interpret, name, reference):
    x = np.array([0.0, 1e-300, -1e-9, 0.1, -0.5, 2.5, 1.5, -3.0, 30.0, -800.0, np.inf, -np.inf, 1e16, -2.5, 0.7, 9.0])
    _, out = interpret(module(UNARY.format(name=name)), "apply", (1,), [x, np.zeros_like(x)], BLOCK=16)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(out, reference(x), rtol=1e-14)


SPLIT = """

@triton.jit
def apply(x, high, low, out, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    y = tl.load(x + i)
    tl.store(high + i, high_half(y))
    tl.store(low + i, low_half(y))
    tl.store(out + i, join_halves(tl.load(high + i).to(tl.float32), tl.load(low + i)))
"""


def test_halves_are_those_of_numpy(interpret):
    """Of every first half, with last bits on both sides of all that rounds."""
    ends = np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
    x = (np.arange(2**16, dtype=np.uint32) << 16 | ends[:, None]).reshape(-1).view(np.float32)
    halves = [np.zeros(x.size, dtype(name).numpy) for name in HALVES]
    _, high, low, out = interpret(module(SPLIT), "apply", (6,), [x, *halves, np.zeros_like(x)], BLOCK=2**16)
    expected = split(x)
    np.testing.assert_array_equal(low, expected["i16"])
    np.testing.assert_array_equal(high.astype(np.float32), expected["bf16"].astype(np.float32))
    np.testing.assert_array_equal(out, joined(expected))
    np.testing.assert_array_equal(out[~np.isnan(x)].view(np.int32), x[~np.isnan(x)].view(np.int32))


REDUCE = """

@triton.jit
def apply(x, out, BLOCK: tl.constexpr):
    tl.store(out, tl.reduce(tl.load(x + tl.arange(0, BLOCK)), 0, {name}))
"""

NOTE = """

@triton.jit
def apply(x, status, shift, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    value = tl.load(x + i)
    report(status, value, i.to(tl.int64) << shift, (i < 6) & ((value < 0) | (value >= 10)))
"""


def test_the_first_bad_index_is_reported(interpret):
    """Numbers beyond 32 bits stand as the next one within."""
    for x, shift, expected in (
        ([9, 1, 0, 3, 4, 5, 99, -1], 0, None),
        ([9, 1, -5, 3, 10, 5, 0, 0], 0, (2 << 32) | 0xFFFFFFFB),
        ([9, 1, 5_000_000_000, 3, 4, 5, 0, 0], 40, ((2**31 - 2) << 32) | 0x7FFFFFFF),
    ):
        untouched = 2**63 - 1
        arguments = [np.array(x, np.int64), np.array([untouched])]
        _, status, _ = interpret(module(NOTE), "apply", (1,), [*arguments, shift], BLOCK=8)
        assert status[0] == (untouched if expected is None else expected)


@pytest.mark.parametrize("name", HELPERS)
def test_every_helper_compiles(name):
    kernel = "apply"
    if name == "uniform":
        body, signature = DRAW, {"state": "*i64", "start": "*i64", "out": "*fp32"}
        kernel = "draw"
    elif name == "report":
        body, signature = NOTE, {"x": "*i64", "status": "*i64", "shift": "i32"}
    elif name == "truncated":
        body, signature = TRUNCATED, {"x": "*fp32", "out": "*i64"}
    elif name == "product":
        body, signature = REDUCE.format(name=name), {"x": "*fp32", "out": "*fp32"}
    elif name == "chained":
        body, signature = CHAINED, {"x": "*fp32", "out": "*fp32"}
    elif name == "join_halves":
        body, signature = BINARY.format(name=name), {"x": "*fp32", "y": "*i16", "out": "*fp32"}
    else:
        whole = name in ("whole_power", "shift_left", "shift_right")
        pair = whole or name in ("power", "remainder", "floor_divide", "larger", "smaller")
        body = (BINARY if pair else UNARY).format(name=name)
        kind = "*i64" if whole else "*fp32"
        signature = dict.fromkeys(["x", "y", "out"] if pair else ["x", "out"], kind)
    fn = getattr(load_module(module(body)), kernel)
    assert opcodes(compile_kernel(fn, signature, {"BLOCK": 256}, target="sm_80"))["EXIT"]
