"""The interpreter computes what a GPU would, bfloat16 included, on the caller's own arrays."""

import ml_dtypes
import numpy as np
import pytest
import triton

from runtime.triton.aot import load_module
from runtime.triton.interpreter import run_kernel

BF16 = ml_dtypes.bfloat16

HEADER = "import triton\nimport triton.language as tl\n\n\n"

BINARY = (
    HEADER
    + """
@triton.jit
def binary(x, y, out, less, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    a = tl.load(x + i, mask=i < n, other=0.0)
    b = tl.load(y + i, mask=i < n, other=1.0)
    tl.store(out + i, {expression}, mask=i < n)
    tl.store(less + i, a < b, mask=i < n)
"""
)

CAST = (
    HEADER
    + """
@triton.jit
def cast(x, out, n, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    tl.store(out + i, tl.load(x + i, mask=i < n).to(out.dtype.element_ty), mask=i < n)
"""
)

DOT = (
    HEADER
    + """
@triton.jit
def dot(a, b, c, S: tl.constexpr):
    i = tl.arange(0, S)[:, None]
    j = tl.arange(0, S)[None, :]
    acc = tl.dot(tl.load(a + i * S + j), tl.load(b + i * S + j), input_precision="ieee")
    tl.store(c + i * S + j, acc)
"""
)

REDUCE = (
    HEADER
    + """
@triton.jit
def reduce(x, out, n, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    v = tl.load(x + i, mask=i < n, other=0.0)
    tl.store(out, tl.sum(v.to(tl.float32), 0))
    tl.store(out + 1, tl.max(v, 0))
"""
)

OVERRUN = (
    HEADER
    + """
@triton.jit
def overrun(x, out, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    tl.store(out + i, tl.load(x + i))
"""
)

TABLE = (
    HEADER
    + """
@triton.jit
def table(addresses, out):
    x = tl.load(addresses + tl.program_id(0)).to(tl.pointer_type(tl.float32))
    tl.store(out + tl.program_id(0), tl.load(x) * 2)
"""
)


@pytest.mark.parametrize(
    "expression, reference",
    [
        ("a + b", lambda a, b: a + b),
        ("a - b", lambda a, b: a - b),
        ("a * b", lambda a, b: a * b),
        ("-a", lambda a, b: -a),
        ("tl.maximum(a, b)", np.maximum),
        ("tl.minimum(a, b)", np.minimum),
        ("tl.where(a < b, a, b)", lambda a, b: np.where(a < b, a, b)),
        ("tl.abs(a)", lambda a, b: np.abs(a)),
        ("tl.exp(a.to(tl.float32))", lambda a, b: np.exp(a)),
    ],
)
@pytest.mark.parametrize("dtype", [BF16, np.float16, np.float32])
def test_arithmetic_computes_in_float32_and_rounds_once(interpret, dtype, expression, reference):
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal(300).astype(dtype) for _ in range(2))
    source = BINARY.format(expression=expression)
    arguments = [x, y, np.zeros(300, dtype), np.zeros(300, bool), 300]
    _, _, out, less, _ = interpret(source, "binary", (3,), arguments, BLOCK=128)
    expected = reference(x.astype(np.float32), y.astype(np.float32)).astype(dtype)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(less, x < y)


@pytest.mark.parametrize("target", [BF16, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("source", [BF16, np.float16, np.float32, np.float64])
def test_casts_round_to_nearest_even_and_keep_special_values(interpret, source, target):
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1 + 2**-8, 1 + 3 * 2**-8, 3.3e38, 1e-40, 65504.0, 65520.0, 6e-8]
    x = np.concatenate([special, np.random.default_rng(1).standard_normal(200)])
    with np.errstate(over="ignore"):
        x = x.astype(source)
        expected = x.astype(target)
    _, out, _ = interpret(CAST, "cast", (1,), [x, np.zeros(x.size, target), x.size], BLOCK=256)
    np.testing.assert_array_equal(out.astype(np.float64), expected.astype(np.float64))
    np.testing.assert_array_equal(np.signbit(out), np.signbit(expected))


@pytest.mark.parametrize("dtype", [BF16, np.float16, np.float32])
def test_dot_accumulates_in_float32(interpret, dtype):
    rng = np.random.default_rng(2)
    a, b = (rng.standard_normal((32, 32)).astype(dtype) for _ in range(2))
    _, _, c = interpret(DOT, "dot", (1,), [a, b, np.zeros((32, 32), np.float32)], S=32)
    np.testing.assert_allclose(c, a.astype(np.float64) @ b.astype(np.float64), atol=1e-5)


def test_reductions_of_bfloat16(interpret):
    x = np.random.default_rng(3).standard_normal(200).astype(BF16)
    _, out, _ = interpret(REDUCE, "reduce", (1,), [x, np.zeros(2, np.float32), 200], BLOCK=256)
    np.testing.assert_allclose(out, [x.astype(np.float64).sum(), x.max()], rtol=1e-5)


def test_views_are_read_and_written_in_place(interpret):
    base = np.arange(64, dtype=BF16)
    _, out, _ = interpret(CAST, "cast", (1,), [base[16:32], np.zeros(16, np.float32), 16], BLOCK=16)
    np.testing.assert_array_equal(out, np.arange(16, 32))


@pytest.mark.parametrize("x, out", [(24, 32), (32, 24)])
def test_access_outside_an_array_is_an_error(interpret, x, out):
    with pytest.raises(triton.runtime.errors.InterpreterError, match="leaves its array"):
        interpret(OVERRUN, "overrun", (1,), [np.zeros(x, BF16), np.zeros(out, BF16)], BLOCK=32)


def double_through_table(reachable):
    arrays = [np.full(1, value, np.float32) for value in (1, 2, 3)]
    addresses = np.array([array.ctypes.data for array in arrays])
    out = np.zeros(3, np.float32)
    run_kernel(load_module(TABLE).table, (3,), [addresses, out], reachable=arrays[:reachable])
    return out


def test_table_of_addresses(worker):
    np.testing.assert_array_equal(worker.submit(double_through_table, 3).result(), [2, 4, 6])
    with pytest.raises(triton.runtime.errors.InterpreterError, match="leaves its array"):
        worker.submit(double_through_table, 2).result()


def test_compiled_kernels_are_refused():
    with pytest.raises(TypeError, match="TRITON_INTERPRET=1"):
        run_kernel(load_module(OVERRUN).overrun, (1,), [])
