"""Graphs for the tests of the text form: one training step by hand, and strategies for arbitrary ones."""

from typing import Any, get_args

from hypothesis import strategies as st

import compiler.ops.all  # noqa: F401
from compiler.ir.ambient import using
from compiler.ir.builder import Call, GraphBuilder
from compiler.ir.graph import Graph, Update, Value
from compiler.ir.location import Loc, Phase
from compiler.ir.op import OPS, o
from compiler.ir.types import DTYPES, TensorType, bf16, f16, f32, f64, i64


def fused(builder: GraphBuilder, body: Graph, *inputs: Value) -> Value:
    attrs = OPS["fused"].complete({"kind": "pointwise"})
    (result,) = builder.emit(Call(OPS["fused"], inputs, (body.outputs[0].type,), attrs, body))
    return result


def body_of(name: str, type: TensorType, loc: Loc) -> Graph:
    """``relu(x) * 2``, as a kernel."""
    body = Graph(name)
    x = body.add_param(type, "input", "", "x")
    with using(GraphBuilder(loc)) as builder:
        body.outputs = [o.mul(o.relu(x), 2.0)]
    body.nodes = builder.nodes
    return body


def train_step() -> Graph:
    """One step of a linear classifier, with a named loss, an autocast mark, a kernel and two files of one name."""
    graph = Graph("train_step")
    w = graph.add_param(TensorType(f32, (10, 64)), "state", "model.fc.weight", "w")
    lr = graph.add_param(TensorType(f64, ()), "scalar", "optimizer.lr[0]", "lr")
    decay = graph.add_param(TensorType(f64, ()), "scalar", "optimizer.weight_decay[0]", "decay")
    x = graph.add_param(TensorType(f32, (32, 64)), "input", "", "x")
    y = graph.add_param(TensorType(i64, (32,)), "input", "", "y")
    with using(GraphBuilder()) as builder:
        builder.loc = Loc("/home/ada/train.py", 30)
        hidden = fused(builder, body_of("act", x.type, Loc("/home/ada/nets/model.py", 7, "act")), x)
        builder.autocast = (bf16, "cpu")
        builder.loc = Loc("/home/ada/train.py", 31, "fc")
        scores = o.linear(hidden, w)
        builder.autocast = None
        builder.loc = Loc("/home/ada/train.py", 32)
        loss, _ = o.cross_entropy(o.cast(scores, to=f32), y, label_smoothing=0.1)
        loss.name = "loss"
        builder.loc, builder.phase = builder.loc.noted("grad"), "backward"
        (gradient,) = builder.emit(Call(OPS["grad"], (loss, w), (w.type,), {"seed": False}))
        builder.loc, builder.phase = Loc("/lib/train.py", 5, "", "update"), "forward"
        new = o.sgd_update(w, gradient, lr, decay)
    graph.nodes = builder.nodes
    graph.updates = [Update(w, new)]
    graph.outputs = [loss]
    return graph


names = st.sampled_from(["", "x", "y", "loss", "0", "7", "a.b", "two words", 'quo"te', "größe"]) | st.text(max_size=6)
files = st.sampled_from(
    ["", "train.py", "/a/train.py", "/b/train.py", "C:\\a\\train.py", "<stdin>", "?", "/", "a b.py"]
)
locations = st.builds(
    Loc,
    files | st.text(max_size=8),
    st.integers(0, 9999),
    st.sampled_from(["", "blocks.0.attn", "list[0]", "[0]"]) | st.text(max_size=6),
    st.sampled_from(["", "grad", "grad cast", "a]b", "[x]"]) | st.text(max_size=6),
)
phases: st.SearchStrategy[Phase] = st.sampled_from(get_args(Phase))
shapes = st.lists(st.integers(0, 3), max_size=3).map(tuple)
scalars: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(list(DTYPES.values()))
)
attributes = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6)


@st.composite
def graphs(draw: st.DrawFn, depth: int = 1) -> Graph:
    """Sound graphs of a few ops under any names, attributes and locations, with kernels to ``depth``."""
    graph = Graph(draw(names))
    values = []
    for _ in range(draw(st.integers(1, 3))):
        value = Value(TensorType(draw(st.sampled_from([f32, f16, f64])), draw(shapes)))
        value = graph.add_param(
            value.type, draw(st.sampled_from(["state", "scalar", "input"])), draw(names), draw(names)
        )
        values.append(value)
    with using(GraphBuilder()) as builder:
        for _ in range(draw(st.integers(0, 5))):
            builder.loc, builder.phase = draw(locations), draw(phases)
            x = draw(st.sampled_from(values))
            made = draw(st.sampled_from(["relu", "softplus", "constant", "attention", "kernel", "autocast"]))
            if made == "relu":
                values.append(o.relu(x))
            elif made == "softplus":
                values.append(o.softplus(x, beta=draw(attributes), threshold=draw(attributes)))
            elif made == "constant":
                values.append(o.constant(value=draw(attributes), dtype=f32))
            elif made == "attention":
                q = o.constant(value=0.0, dtype=f32)
                q = o.expand(o.reshape(q, shape=(1, 1)), shape=(2, 3))
                values.extend(o.scaled_dot_product_attention(q, q, q, scale=draw(attributes)))
            elif made == "autocast":
                values.extend(
                    builder.emit(Call(OPS["relu"], (x,), (x.type.with_dtype(f16),), {"autocast": f16}))
                    if x.dtype is f32
                    else ()
                )
            elif depth:
                body = draw(graphs(depth=depth - 1))
                inputs = [o.zeros(shape=p.value.shape, dtype=p.value.dtype) for p in body.params]
                types = tuple(v.type for v in body.outputs)
                values.extend(
                    builder.emit(
                        Call(OPS["fused"], tuple(inputs), types, OPS["fused"].complete({"kind": draw(names)}), body)
                    )
                )
            for value in values[-1:]:
                if value.producer is not None:
                    value.name = draw(names)
    graph.nodes = builder.nodes
    for param in graph.params:
        if param.kind == "state":
            same = [v for v in values if v.type == param.value.type]
            graph.updates.append(Update(param.value, draw(st.sampled_from(same))))
    graph.outputs = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))
    return graph
