"""The common type of mixed operands, by PyTorch's rules."""

from itertools import product
from typing import Any

import numpy as np
import pytest

import compiler.ops.all  # noqa: F401
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Value
from compiler.ir.op import OPS, o
from compiler.ir.types import DTYPES, DType, TensorType, bf16, boolean, dtype, f16, f32, f64, i8, i16, i32, i64, u8


def vector(to: DType) -> Value:
    return Value(TensorType(to, (3,)))


def rank0(to: DType) -> Value:
    return Value(TensorType(to, ()))


PROMOTED: list[tuple[Any, Any, DType]] = [
    (vector(f32), vector(f64), f64),
    (vector(f16), vector(f32), f32),
    (vector(f16), vector(bf16), f32),
    (vector(i64), vector(f16), f16),
    (vector(boolean), vector(u8), u8),
    (vector(u8), vector(i8), i16),
    (vector(i32), vector(i64), i64),
    (vector(f16), rank0(f32), f16),
    (vector(f32), rank0(f64), f32),
    (vector(i32), rank0(i64), i32),
    (vector(i32), rank0(f16), f16),
    (vector(boolean), rank0(i8), i8),
    (rank0(f16), rank0(f64), f64),
    (vector(bf16), 0.5, bf16),
    (vector(f64), 0.5, f64),
    (vector(i8), 100, i8),
    (vector(i64), 0.5, f32),
    (vector(boolean), 2, i64),
    (vector(boolean), True, boolean),
    (rank0(i32), 0.5, f32),
    (rank0(f16), 2, f16),
]


@pytest.mark.parametrize(("a", "b", "result"), PROMOTED, ids=str)
def test_operands_take_their_common_type(a: Any, b: Any, result: DType) -> None:
    with using(GraphBuilder()) as builder:
        assert o.add(a, b).dtype is o.add(b, a).dtype is result
    for node in builder.nodes:
        assert node.op.name in ("cast", "constant") or {v.dtype for v in node.inputs} == {result}


@pytest.mark.parametrize(("a", "b"), list(product(DTYPES.values(), DTYPES.values())), ids=lambda d: d.short)
def test_promotion_is_symmetric_and_holds_both(a: DType, b: DType) -> None:
    with using(GraphBuilder()):
        forward, backward = o.mul(vector(a), vector(b)), o.mul(vector(b), vector(a))
    assert forward.dtype is backward.dtype
    order = ["bool", "int", "float"]
    assert order.index(forward.dtype.kind) == max(order.index(a.kind), order.index(b.kind))


@pytest.mark.parametrize("op", ["div", "exp", "log", "sqrt", "tanh", "sigmoid"])
@pytest.mark.parametrize(
    ("given", "result"), [(boolean, f32), (i64, f32), (u8, f32), (f16, f16), (bf16, bf16), (f64, f64)]
)
def test_float_functions_of_integers_are_f32(op: str, given: DType, result: DType) -> None:
    operands = [vector(given)] * (2 if op == "div" else 1)
    with using(GraphBuilder()):
        assert OPS[op](*operands).dtype is result


@pytest.mark.parametrize("op", ["eq", "lt", "logical_and"])
def test_comparisons_promote_and_give_bool(op: str) -> None:
    with using(GraphBuilder()) as builder:
        assert OPS[op](vector(i64), vector(f16)).dtype is boolean
    assert {v.dtype for v in builder.nodes[-1].inputs} == {f16}


def test_a_condition_stays_out_of_promotion() -> None:
    with using(GraphBuilder()) as builder:
        assert o.where(vector(f64), vector(f16), 0).dtype is f16
    assert builder.nodes[-1].inputs[0].dtype is boolean


@pytest.mark.parametrize(("given", "result"), [(boolean, i64), (i8, i64), (i64, i64), (f16, f16), (f64, f64)])
@pytest.mark.parametrize("op", ["sum", "prod"])
def test_sums_of_integers_are_i64(op: str, given: DType, result: DType) -> None:
    with using(GraphBuilder()):
        assert OPS[op](vector(given), axes=(0,)).dtype is result


def test_attributes_are_normalised() -> None:
    """NumPy's numbers become Python's, lists tuples, any spelling of a dtype a DType."""
    with using(GraphBuilder()) as builder:
        o.sum(vector(f32), axes=[np.int64(0)], keepdim=np.bool_(True))
        o.cast(vector(f32), to=np.float16)
        o.cast(vector(f32), to="bfloat16")
        o.constant(value=np.float32(0.5), dtype=np.dtype("int32"))
        o.dot(Value(TensorType(f16, (2, 2))), Value(TensorType(f16, (2, 2))), dtype=None)
    attrs = [n.attrs for n in builder.nodes]
    assert attrs == [
        {"axes": (0,), "keepdim": True},
        {"to": f16},
        {"to": bf16},
        {"value": 0.5, "dtype": i32},
        {"dtype": None},
    ]
    assert [type(attrs[0]["axes"][0]), type(attrs[0]["keepdim"]), type(attrs[3]["value"])] == [int, bool, float]
    assert dtype(np.float16) is f16
