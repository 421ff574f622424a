"""Op records: attributes, type rules, the registry, the autocast decision, and calls through a builder."""

import re
from math import inf
from typing import Any

import numpy as np
import pytest

import compiler.ops.all  # noqa: F401
from compiler.errors import OpError, OpTypeError
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder, constant
from compiler.ir.graph import Graph, Value
from compiler.ir.location import Loc
from compiler.ir.op import CHEAP, KINDS, OPS, REQUIRED, Op, autocast_target, o, register
from compiler.ir.types import DType, TensorType, bf16, boolean, f16, f32, f64, i16, i64, u8
from compiler.text.printer import attribute

VECTOR = TensorType(f32, (4,))


def scaled(x: TensorType, axis: int, scale: float) -> TensorType:
    if axis >= x.rank:
        raise OpError(f"no axis {axis}")
    return x


SCALED = Op("scaled", scaled, "pointwise", attrs={"axis": REQUIRED, "scale": 1.0}, autocast={"cpu": "lower"})


def value(dtype: DType, *shape: int) -> Value:
    return Value(TensorType(dtype, shape), "x")


def test_attributes_are_completed_in_the_order_of_the_schema() -> None:
    assert list(SCALED.complete({"scale": 2.0, "axis": 1}).items()) == [("axis", 1), ("scale", 2.0)]
    assert SCALED.complete({"axis": np.int64(1)}) == {"axis": 1, "scale": 1.0}


def test_an_attribute_that_must_be_given_is_missed() -> None:
    with pytest.raises(OpError, match="scaled: attribute 'axis' is missing"):
        SCALED.complete({"scale": 2.0})


def test_an_attribute_that_the_op_lacks_is_refused() -> None:
    with pytest.raises(OpError, match="scaled: unknown attribute dim; it has: axis, scale"):
        SCALED.complete({"axis": 0, "dim": 0})
    with pytest.raises(OpError, match="unknown attribute inplace; it has: none"):
        OPS["relu"].complete({"inplace": True})


def test_result_types_are_a_tuple() -> None:
    assert SCALED.result_types([VECTOR], {"axis": 0, "scale": 1.0}) == (VECTOR,)
    with pytest.raises(OpError, match="no axis 1"):
        SCALED.result_types([VECTOR], {"axis": 1, "scale": 1.0})


def test_a_wrong_number_of_operands_is_an_op_error() -> None:
    with pytest.raises(OpError, match="scaled takes 1 operand, not 2"):
        SCALED.check_operands(2)


def test_a_fault_of_a_type_rule_is_not_an_op_error() -> None:
    def faulty(x: TensorType) -> TensorType:
        return x + 1  # type: ignore[operator,no-any-return]

    with pytest.raises(TypeError, match="unsupported operand") as caught:
        Op("faulty", faulty, "pointwise").result_types([VECTOR], {})
    assert not isinstance(caught.value, OpError)


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("axis", "a", "an integer"),
        ("axis", 1.0, "an integer"),
        ("axis", None, "an integer"),
        ("axes", (1, "a"), "integers"),
        ("axes", 1, "integers"),
        ("shape", (1.5,), "integers"),
        ("keepdim", "yes", "True or False"),
    ],
)
def test_an_attribute_of_the_wrong_kind(name: str, value: object, kind: str) -> None:
    op = Op("op", lambda x, **attrs: x, "pointwise", attrs={name: REQUIRED})
    with pytest.raises(OpTypeError, match=f"op: {name} must be {kind}, not {re.escape(repr(value))}") as caught:
        op.complete({name: value})
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize(("dtype", "result"), [(f32, bf16), (f16, bf16), (f64, f64), (i64, i64), (boolean, boolean)])
def test_autocast_retypes_the_floats_it_may_touch(dtype: DType, result: DType) -> None:
    attrs = {"axis": 0, "scale": 1.0, "autocast": bf16}
    assert SCALED.result_types([TensorType(dtype, (4,))], attrs) == (TensorType(result, (4,)),)


@pytest.mark.parametrize(
    ("rule", "dtypes", "target"),
    [
        ("lower", [f32, f32], bf16),
        ("lower", [bf16, f32], bf16),
        ("lower", [bf16, bf16], None),
        ("lower", [f64, i64], None),
        ("fp32", [bf16, f32], f32),
        ("fp32", [f32, f32], None),
        ("fp32", [f16], f32),
        ("promote", [bf16, f32], f32),
        ("promote", [bf16, bf16], None),
        ("promote", [f32, f32], None),
        (None, [f32], None),
    ],
)
def test_the_autocast_decision(rule: str | None, dtypes: list[DType], target: DType | None) -> None:
    op = Op("op", scaled, "pointwise", autocast={"cpu": rule} if rule else {})
    assert autocast_target(op, [TensorType(d, (4,)) for d in dtypes], bf16, "cpu") is target
    assert autocast_target(op, [TensorType(d, (4,)) for d in dtypes], bf16, "cuda") is None


def test_the_registry_holds_a_name_once() -> None:
    with pytest.raises(ValueError, match="'relu' is registered twice"):
        register(Op("relu", scaled, "pointwise"))
    with pytest.raises(ValueError, match="'other': unknown kind 'magic'"):
        register(Op("other", scaled, "magic"))
    assert "other" not in OPS


def test_the_op_set_names_what_it_lacks() -> None:
    assert o.relu is OPS["relu"]
    with pytest.raises(AttributeError, match="no op named 'rellu'"):
        _ = o.rellu


@pytest.mark.parametrize("op", OPS.values(), ids=lambda op: op.name)
def test_every_record_is_well_formed(op: Op) -> None:
    assert OPS[op.name] is op is getattr(o, op.name)
    assert op.kind in KINDS
    assert set(op.autocast) <= {"cpu", "cuda"} and set(op.autocast.values()) <= {"lower", "fp32", "promote"}
    assert op.reference or op.expand or op.is_structure, "an op has a meaning: a reference or an expansion"
    assert op.kind != "reduce" or (OPS[op.join].kind == "pointwise" if op.join else OPS[op.finds].join)
    assert op.kind == "reduce" or op.anchor in ("scan", "scatter") or not (op.join or op.finds)
    assert op.kind == "view" or not op.keeps
    assert op.cost >= CHEAP
    assert not op.is_cheap or not op.is_costly
    assert op.kind != "composite" or op.expand, "a composite expands"
    assert "autocast" not in op.attrs
    for default in op.attrs.values():
        assert default is REQUIRED or attribute(default)


def test_a_call_appends_a_node_at_the_builder_s_place() -> None:
    x = value(f32, 4)
    with using(GraphBuilder(Loc("/a/train.py", 7))) as builder:
        y = o.relu(x)
    (node,) = builder.nodes
    assert y is node.output and y.producer is node
    assert (node.op, node.inputs, node.loc) == (OPS["relu"], (x,), Loc("/a/train.py", 7))


def test_a_call_without_a_builder_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compiler.ir.ambient._default", [])
    monkeypatch.setattr("compiler.ir.ambient._ambient.builder", None)
    with pytest.raises(RuntimeError, match="no builder"):
        o.relu(value(f32, 4))


def test_builders_nest() -> None:
    x = value(f32, 4)
    with using(GraphBuilder()) as outer:
        with using(GraphBuilder()) as inner:
            o.relu(x)
        o.neg(x)
    assert [n.op.name for n in outer.nodes] == ["neg"]
    assert [n.op.name for n in inner.nodes] == ["relu"]


def test_numbers_become_constants_of_the_promoted_type() -> None:
    with using(GraphBuilder()) as builder:
        y = o.mul(value(f16, 4), 0.5)
        z = constant(1, i64)
    assert y.dtype is f16 and z.type == TensorType(i64, ())
    assert [(n.op.name, n.attrs) for n in builder.nodes] == [
        ("constant", {"value": 0.5, "dtype": f16}),
        ("mul", {}),
        ("constant", {"value": 1, "dtype": i64}),
    ]


def refused_calls() -> list[tuple[Any, str]]:
    x, other = value(f32, 4), value(f32, 3)
    return [
        (
            lambda: o.add(x, other),
            r"add\(f32\[4\], f32\[3\]\): shapes \[4\] and \[3\] do not broadcast.*\n  at train.py:7",
        ),
        (lambda: o.add(x, "1"), r"add\(f32\[4\], '1'\): operand '1' is neither a tensor nor a number"),
        (lambda: o.relu(x, slope=1), r"relu\(f32\[4\]\): relu: unknown attribute slope"),
    ]


@pytest.mark.parametrize(("call", "message"), refused_calls())
def test_a_refused_call_shows_the_call_and_the_line(call: Any, message: str) -> None:
    with using(GraphBuilder(Loc("/a/train.py", 7))) as builder, pytest.raises(OpError, match=message):
        call()
    assert [n.op.name for n in builder.nodes if n.op.name != "constant"] == []


def test_a_region_marks_what_autocast_decides() -> None:
    x, w = value(f32, 2, 4), value(f32, 3, 4)
    with using(GraphBuilder()) as builder:
        builder.autocast = (bf16, "cpu")
        y = o.linear(x, w)
        z = o.relu(y)
    assert y.type == TensorType(bf16, (2, 3)) and z.dtype is bf16
    assert [n.attrs for n in builder.nodes] == [{"autocast": bf16}, {}]


@pytest.mark.parametrize(
    ("op", "dtype", "start"),
    [
        ("sum", f32, 0),
        ("amax", f32, -inf),
        ("amin", i16, 32767),
        ("amax", i64, -(2**63)),
        ("amax", u8, 0),
        ("amin", u8, 255),
        ("prod", i64, 1),
        ("all", boolean, True),
        ("any", boolean, False),
        ("amax", boolean, False),
    ],
)
def test_joined_with_its_start_a_number_stays(op: str, dtype: DType, start: float) -> None:
    record = OPS[op]
    assert record.neutral(dtype) == start
    number = np.array([start], dtype.numpy)
    least, most = (np.array([x], dtype.numpy) for x in ((0, 1) if dtype is boolean else (0, 100)))
    join = OPS[record.join].reference
    assert join is not None
    for x in (least, most):
        assert join(number, x) == x


def test_what_work_a_node_is() -> None:
    graph = Graph("g")
    x, w = (graph.add_param(TensorType(f32, shape), "input", "", "x") for shape in ((8, 3), (3, 4)))
    with using(GraphBuilder()) as builder:
        y = o.exp(o.dot(x, w))
        o.reshape(o.cast(o.sum(y, axes=(0,)), to=f64), shape=(1, 4))
    assert [(n.op.name, n.op.flops(n)) for n in builder.nodes] == [
        ("dot", 2 * 8 * 3 * 4),
        ("exp", 32),
        ("sum", 32),
        ("cast", 0),
        ("reshape", 0),
    ]
