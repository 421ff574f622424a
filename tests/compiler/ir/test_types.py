"""Element types, promotion and tensor types."""

import copy
import pickle

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    promote,
    u8,
    wider,
)

dtypes = st.sampled_from(list(DTYPES.values()))
operands = st.lists(st.tuples(dtypes, st.none() | st.integers(0, 3)), min_size=1, max_size=4)

# PyTorch's promotion table for tensors with dimensions: row by column, in the order of DTYPES.
TABLE = """
bool u8  i8  i16 i32 i64 f16  bf16 f32 f64
u8   u8  i16 i16 i32 i64 f16  bf16 f32 f64
i8   i16 i8  i16 i32 i64 f16  bf16 f32 f64
i16  i16 i16 i16 i32 i64 f16  bf16 f32 f64
i32  i32 i32 i32 i32 i64 f16  bf16 f32 f64
i64  i64 i64 i64 i64 i64 f16  bf16 f32 f64
f16  f16 f16 f16 f16 f16 f16  f32  f32 f64
bf16 bf16 bf16 bf16 bf16 bf16 f32 bf16 f32 f64
f32  f32 f32 f32 f32 f32 f32  f32  f32 f64
f64  f64 f64 f64 f64 f64 f64  f64  f64 f64
"""


@pytest.mark.parametrize("d", DTYPES.values(), ids=str)
def test_a_dtype_is_found_by_each_of_its_spellings(d: DType) -> None:
    assert dtype(d) is dtype(d.short) is dtype(d.name) is dtype(d.numpy) is d
    assert repr(d) == f"genesis.{d.name}"
    assert d.bits == 8 * d.numpy.itemsize


@pytest.mark.parametrize("spec", ["float8", "", np.complex64, np.uint32])
def test_an_unknown_dtype_is_an_error_that_lists_the_known(spec: object) -> None:
    with pytest.raises(TypeError, match=r"no Genesis dtype for .*; known: bool, uint8"):
        dtype(spec)


def test_there_is_one_instance_per_dtype() -> None:
    for d in DTYPES.values():
        assert copy.deepcopy(d) is copy.copy(d) is pickle.loads(pickle.dumps(d)) is d


def test_classes_of_dtypes() -> None:
    assert [d.short for d in DTYPES.values() if d.is_floating_point] == ["f16", "bf16", "f32", "f64"]
    assert [d.short for d in DTYPES.values() if d.is_half] == ["f16", "bf16"]
    assert bf16.numpy == np.dtype(ml_dtypes.bfloat16)


def test_wider_is_pytorch_s_table() -> None:
    rows = [[wider(a, b).short for b in DTYPES.values()] for a in DTYPES.values()]
    assert rows == [row.split() for row in TABLE.strip().splitlines()]


@pytest.mark.parametrize(
    ("given", "result"),
    [
        ([(f16, 1), (f32, None)], f16),  # x.half() * 0.5
        ([(f16, 1), (f32, 0)], f16),  # x.half() * tensor(0.5)
        ([(f16, 0), (f32, None)], f16),  # tensor(0.5).half() * 0.5
        ([(f16, 0), (f32, 0)], f32),
        ([(f16, 1), (bf16, 1)], f32),
        ([(i32, 2), (i64, None)], i32),
        ([(i64, 2), (f32, None)], f32),
        ([(i64, 2), (f64, 0)], f64),
        ([(boolean, 1), (i64, None)], i64),
        ([(boolean, 1), (boolean, None)], boolean),
        ([(i8, 1), (u8, 1)], i16),
        ([(i16, 1), (i64, 0)], i16),
        ([(boolean, 1), (u8, 0), (f16, None)], f16),
        ([(i64, None), (f32, None)], f32),
    ],
)
def test_promotion_by_tiers(given: list[tuple[DType, int | None]], result: DType) -> None:
    assert promote(given) is result


@given(operands, st.randoms())
def test_promotion_does_not_depend_on_the_order(given: list[tuple[DType, int | None]], random: object) -> None:
    shuffled = list(given)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert promote(shuffled) is promote(given)


@given(dtypes, dtypes)
def test_wider_is_symmetric_and_idempotent(a: DType, b: DType) -> None:
    c = wider(a, b)
    assert wider(b, a) is c and wider(a, c) is c and wider(b, c) is c


def test_tensor_types_are_values() -> None:
    t = TensorType(f32, (2, 3))
    assert t == TensorType(f32, (2, 3)) and hash(t) == hash(TensorType(f32, (2, 3)))
    assert t != TensorType(f16, (2, 3)) and t != TensorType(f32, (3, 2))
    assert (t.rank, t.size, t.nbytes, str(t)) == (2, 6, 24, "f32[2,3]")
    assert t.with_dtype(f32) is t and t.with_dtype(f64) == TensorType(f64, (2, 3))


def test_a_scalar_has_one_element_and_an_empty_tensor_none() -> None:
    scalar, empty = TensorType(f16, ()), TensorType(f16, (3, 0))
    assert (scalar.size, scalar.nbytes, str(scalar)) == (1, 2, "f16[]")
    assert (empty.size, empty.nbytes, str(empty)) == (0, 0, "f16[3,0]")
