"""Errors of the records about calls that they do not accept. The messages are in golden/ops/errors.txt."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import compiler.ops.all  # noqa: F401
from compiler.errors import OpError
from compiler.interpret import interpret
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Value
from compiler.ir.location import Loc
from compiler.ir.op import OPS, arity, o
from compiler.ir.types import DType, TensorType, bf16, boolean, f16, f32, f64, i32, i64
from tests.samples import op_names, sample_graph, samples_of


def v(to: DType, *shape: int) -> Value:
    return Value(TensorType(to, shape))


def x(*shape: int) -> Value:
    return v(f32, *shape)


LOSS = {"reduction": "mean"}
CALLS: dict[str, Callable[[], Any]] = {
    "one operand of two": lambda: o.add(x(3)),
    "two operands of one": lambda: o.exp(x(3), x(3)),
    "no operand": lambda: o.concat(axis=0),
    "no condition": lambda: o.where(x(3), x(3)),
    "unknown attribute": lambda: o.softmax(x(3), dim=0),
    "missing attribute": lambda: o.softmax(x(3)),
    "operand of another kind": lambda: o.mul(x(3), "2"),
    "shapes that do not broadcast": lambda: o.mul(x(2, 3), x(2, 4)),
    "conditions that do not broadcast": lambda: o.where(v(boolean, 2), x(3), x(3)),
    "minus of bools": lambda: o.sub(v(boolean, 3), v(boolean, 3)),
    "negative bool": lambda: o.neg(v(boolean, 3)),
    "bits of floats": lambda: o.bitwise_and(x(3), v(i64, 3)),
    "unknown dtype": lambda: o.cast(x(3), to="float8"),
    "axis out of range": lambda: o.sum(x(2, 3), axes=(2,)),
    "axis twice": lambda: o.sum(x(2, 3), axes=(1, 1)),
    "maximum of nothing": lambda: o.amax(x(2, 0), axes=(1,)),
    "index along two axes": lambda: o.argmax(x(2, 3), axes=(0, 1)),
    "mean of integers": lambda: o.mean(v(i64, 3), axes=(0,)),
    "axis of a softmax": lambda: o.softmax(x(2, 3), axis=-1),
    "softmax of integers": lambda: o.softmax(v(i64, 3), axis=0),
    "reshape to another size": lambda: o.reshape(x(2, 3), shape=(4, 2)),
    "no permutation": lambda: o.permute(x(2, 3), dims=(0, 0)),
    "expand of a size": lambda: o.expand(x(2, 3), shape=(4, 3)),
    "expand to fewer dimensions": lambda: o.expand(x(2, 3), shape=(3,)),
    "slice of too few dimensions": lambda: o.slice(x(2, 3), start=(0,), stop=(1,), step=(1,)),
    "slice out of range": lambda: o.slice(x(4), start=(2,), stop=(6,), step=(1,)),
    "slice with step 0": lambda: o.slice(x(4), start=(0,), stop=(4,), step=(0,)),
    "scatter of another size": lambda: o.slice_scatter(x(4), x(3), start=(0,), stop=(2,), step=(1,)),
    "concat of other shapes": lambda: o.concat(x(2, 3), x(2, 4), axis=0),
    "concat along no dimension": lambda: o.concat(x(2, 3), x(2, 3), axis=2),
    "dot of other sizes": lambda: o.dot(x(2, 3), x(4, 5)),
    "dot of vectors": lambda: o.dot(x(3), x(3)),
    "dot of two types": lambda: o.dot(x(2, 3), v(f16, 3, 4)),
    "dot of bools": lambda: o.dot(v(boolean, 2, 3), v(boolean, 3, 4)),
    "matmul of other sizes": lambda: o.matmul(x(2, 3), x(4, 5)),
    "matmul of numbers": lambda: o.matmul(x(), x(3)),
    "matmul of other batches": lambda: o.matmul(x(2, 3, 4), x(5, 4, 3)),
    "linear of other sizes": lambda: o.linear(x(2, 3), x(4, 5)),
    "linear with another bias": lambda: o.linear(x(2, 3), x(4, 3), x(3)),
    "linear of a number": lambda: o.linear(x(), x(4, 3)),
    "attention of other heads": lambda: o.scaled_dot_product_attention(x(2, 4, 3), x(2, 5, 4), x(2, 5, 4)),
    "attention with another mask": lambda: o.scaled_dot_product_attention(
        x(4, 3), x(5, 3), x(5, 3), v(boolean, 5, 5), mask=True
    ),
    "attention without its mask": lambda: o.scaled_dot_product_attention(x(4, 3), x(5, 3), x(5, 3), mask=True),
    "approximate gelu": lambda: o.gelu(x(3), approximate="sigmoid"),
    "norm of too many dimensions": lambda: o.layer_norm(x(3), ndim=2),
    "norm with another weight": lambda: o.layer_norm(x(2, 3), x(2), ndim=1),
    "reduction": lambda: o.mse_loss(x(3), x(3), reduction="average"),
    "loss of integers": lambda: o.mse_loss(v(i64, 3), v(i64, 3)),
    "loss of other shapes": lambda: o.l1_loss(x(3), x(4)),
    "logits and probabilities": lambda: o.cross_entropy(x(3, 5), x(3, 5)),
    "targets of another shape": lambda: o.cross_entropy(x(3, 5), v(i64, 5)),
    "weights of other classes": lambda: o.nll_loss(x(3, 5), v(i64, 3), x(3)),
    "float index": lambda: o.take(x(5, 2), x(3)),
    "bounded floats": lambda: o.bounded(x(3), size=3),
    "gather of another rank": lambda: o.gather(x(3, 5), v(i64, 3), axis=1),
    "gather of more rows": lambda: o.gather(x(3, 5), v(i64, 4, 2), axis=1),
    "scatter of another type": lambda: o.scatter_add(x(3), v(i64, 2), v(f64, 2), axis=0),
    "rows of another number": lambda: o.scatter_rows(v(i64, 3), x(2, 4), rows=5),
    "float seed": lambda: o.uniform(x(), v(i64), shape=(3,), index=0),
    "probability": lambda: o.dropout(x(3), v(i64), v(i64), p=1.5, index=0),
    "gradient of a vector": lambda: o.grad(x(3), x(3)),
    "gradient of integers": lambda: o.grad(x(), v(i64, 3)),
    "cotangent of another shape": lambda: o.grad(x(3), x(2), x(3), seed=True),
    "learning rate in f32": lambda: o.adam_update(x(3), x(3), x(3), x(3), *[x()] * 6),
    "update of another shape": lambda: o.sgd_update(x(3), x(4), v(f64), v(f64)),
    "scale in f16": lambda: o.update_scale(v(f16), v(i32), x(), v(f64), v(f64), interval=3),
    "skip of two types": lambda: o.skip_if(x(), x(3), v(bf16, 3)),
    "norm limit in f32": lambda: o.clip_grad_norm(x(3), x()),
    "limit in f32": lambda: o.clip_grad_value(x(3), x()),
}


def message(call: Callable[[], Any]) -> str:
    with using(GraphBuilder(Loc("/home/ada/train.py", 7))), pytest.raises(OpError) as caught:
        call()
    return str(caught.value)


def test_messages(golden: Callable[[str, str], None]) -> None:
    golden("ops/errors.txt", "\n".join(f"== {name}\n{message(call)}\n" for name, call in CALLS.items()))


@pytest.mark.parametrize("name", CALLS)
def test_a_message_names_the_op_and_the_line(name: str) -> None:
    shown = message(CALLS[name])
    assert shown.partition("(")[0] in OPS
    assert shown.endswith("\n  at train.py:7")


@pytest.mark.parametrize("op", op_names())
def test_a_missing_operand_is_an_op_error(op: str) -> None:
    sample = samples_of(op)[0]
    low, high = arity(OPS[op])
    assert low <= len(sample.inputs) <= high
    if low:
        given = sample_graph(sample).inputs()[: low - 1]
        with using(GraphBuilder()), pytest.raises(OpError, match=f"{op} takes .* operand"):
            OPS[op](*given, **sample.attrs)


@pytest.mark.parametrize(
    ("op", "wrong", "message"),
    [
        ("embedding", [2, 7, 1], r"embedding index 7 is out of range \[0, 4\) \(element 1\)"),
        ("embedding", [-1], r"embedding index -1 is out of range \[0, 4\) \(element 0\)"),
        ("cross_entropy", [0, 4], r"class index 4 is out of range \[0, 4\) \(element 1\)"),
        ("nll_loss", [-3], r"class index -3 is out of range \[0, 4\) \(element 0\)"),
    ],
)
def test_an_index_out_of_range_is_an_error_at_run_time(op: str, wrong: list[int], message: str) -> None:
    graph = Graph("f")
    index = np.array(wrong)
    table = graph.add_param(TensorType(f32, (4, 2) if op == "embedding" else (len(wrong), 4)), "input", "", "x")
    where = graph.add_param(TensorType(i64, index.shape), "input", "", "i")
    with using(GraphBuilder()) as builder:
        result = OPS[op](table, where)
    graph.nodes = builder.nodes
    graph.outputs = [result] if isinstance(result, Value) else [result[0]]
    with pytest.raises(IndexError, match=message):
        interpret(graph, [np.zeros(table.shape, np.float32), index])
