"""Each rule of the verifier, broken."""

from collections.abc import Callable
from typing import Any

import pytest

import compiler.ops.all  # noqa: F401
from compiler.errors import VerifyError
from compiler.ir.ambient import using
from compiler.ir.builder import Call, GraphBuilder
from compiler.ir.graph import Graph, Node, Param, Update, Value
from compiler.ir.location import Loc
from compiler.ir.op import OPS, Op, o
from compiler.ir.types import TensorType, f16, f32
from compiler.ir.verify import Typed, verify

VECTOR = TensorType(f32, (4,))


def sound() -> Graph:
    """A state, an input, two ops, one of them with a body, an update and an output."""
    graph = Graph("g")
    w = graph.add_param(VECTOR, "state", "", "w")
    x = graph.add_param(VECTOR, "input", "", "x")
    body = Graph("k")
    y = body.add_param(VECTOR, "input", "", "y")
    with using(GraphBuilder()) as inner:
        body.outputs = [o.relu(y)]
    body.nodes = inner.nodes
    with using(GraphBuilder(Loc("/a/train.py", 3, "fc"))) as builder:
        total = o.add(w, x)
        (result,) = builder.emit(Call(OPS["fused"], (total,), (VECTOR,), {"kind": "pointwise"}, body))
    graph.nodes = builder.nodes
    graph.updates = [Update(w, total)]
    graph.outputs = [result]
    return graph


def body(graph: Graph) -> Graph:
    assert graph.nodes[1].body is not None
    return graph.nodes[1].body


def retyped(graph: Graph) -> None:
    graph.nodes[0].output.type = TensorType(f16, (4,))


def unregistered(graph: Graph) -> None:
    relu = Op("relu", lambda x: x, "pointwise")
    graph.nodes.append(Node(relu, (graph.params[0].value,), (VECTOR,), {}))


def refused(graph: Graph) -> None:
    graph.nodes.append(Node(OPS["softmax"], (graph.params[0].value,), (VECTOR,), {"axis": 1}))


def foreign_update(graph: Graph) -> None:
    graph.updates[0].state = Value(VECTOR, "elsewhere")


BROKEN: dict[str, tuple[Callable[[Graph], object], str]] = {
    "unknown kind": (lambda g: setattr(g.params[0], "kind", "output"), r"@g: input %w has unknown kind 'output'"),
    "input twice": (lambda g: g.params.append(g.params[1]), r"input %x defines %x: f32\[4\] a second time"),
    "node twice": (lambda g: g.nodes.append(g.nodes[0]), r"node 2 \(add\) defines .* a second time"),
    "order": (
        lambda g: g.nodes.reverse(),
        r"node 0: <fused f32\[4\]>: input .* is not defined before its use\n  at train.py:3 fc",
    ),
    "input missing": (lambda g: g.params.pop(), r"node 0: <add .*>: input %x: f32\[4\] is not defined"),
    "unregistered": (unregistered, r"node 2: <relu f32\[4\]>: the op is not registered"),
    "result type": (retyped, r"results are typed f16\[4\], the op gives f32\[4\]\n  at train.py:3 fc"),
    "refused": (refused, r"node 2: <softmax f32\[4\]>: Dimension out of range .*\n  at <unknown>"),
    "update of an input": (
        lambda g: setattr(g.updates[0], "state", g.params[1].value),
        r"update of %x, which is not a state",
    ),
    "update of another": (foreign_update, r"update of %elsewhere, which is not a state"),
    "update twice": (lambda g: g.updates.append(g.updates[0]), r"update of %w, .*updated twice"),
    "result missing": (
        lambda g: g.outputs.append(Value(VECTOR, "gone")),
        r"result %gone: f32\[4\] is not defined in the graph",
    ),
    "unsound body": (
        lambda g: body(g).params.clear(),
        r"@k, node 0: <relu f32\[4\]>: input %y: f32\[4\] is not defined",
    ),
    "body's inputs": (
        lambda g: body(g).params.append(Param(Value(VECTOR, "z"), "input")),
        r"the body's inputs have other types than the node's",
    ),
    "body's outputs": (
        lambda g: body(g).outputs.append(body(g).outputs[0]),
        r"results are typed f32\[4\], the op gives f32\[4\], f32\[4\]",
    ),
}


def test_a_sound_graph_is_returned() -> None:
    graph = sound()
    assert verify(graph) is graph
    assert verify(Graph("empty")).nodes == []


def test_types_that_were_right_are_not_inferred_again(monkeypatch: pytest.MonkeyPatch) -> None:
    inferred: list[str] = []
    for op in (OPS["relu"], OPS["cast"]):

        def infer(*types: Any, _op: str = op.name, _rule: Any = op.infer, **attrs: Any) -> Any:
            inferred.append(_op)
            return _rule(*types, **attrs)

        monkeypatch.setattr(op, "infer", infer)
    x, typed = Value(VECTOR, "x"), Typed()
    first = Node(OPS["relu"], (x,), (VECTOR,), {})
    second = Node(OPS["relu"], (first.output,), (VECTOR,), {})
    third = Node(OPS["cast"], (second.output,), (TensorType(f16, (4,)),), {"to": f16})
    verify(Graph("g", [Param(x, "input")], [first, second, third]), typed)
    assert inferred == ["relu", "cast"], "the second relu is like the first"
    verify(Graph("g", [Param(x, "input")], [first, third.copy((first.output,))]), typed)
    assert inferred == ["relu", "cast"], "a copy is like what it was made from"


@pytest.mark.parametrize("change", ["results", "operands", "attributes"])
def test_an_application_that_differs_from_all_that_were_right_is_inferred(change: str) -> None:
    x = Value(VECTOR, "x")
    half = TensorType(f16, (4,))
    right = Node(OPS["cast"], (x,), (half,), {"to": f16})
    typed = Typed()
    verify(Graph("g", [Param(x, "input")], [right], outputs=[right.output]), typed)
    if change == "results":
        wrong = right.copy((x,), types=(VECTOR,))
    elif change == "operands":
        x = Value(TensorType(f32, (5,)), "x")
        wrong = right.copy((x,))
    else:
        wrong = right.copy((x,), attrs={"to": f32})
    with pytest.raises(VerifyError, match="results are typed"):
        verify(Graph("g", [Param(x, "input")], [wrong], outputs=[wrong.output]), typed)


def test_nodes_whose_types_are_known_are_still_checked_for_their_operands() -> None:
    graph = sound()
    typed = Typed()
    verify(graph, typed)
    graph.params.pop(0)
    with pytest.raises(VerifyError, match="not defined before its use"):
        verify(graph, typed)


@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_rule_is_named(rule: str) -> None:
    breaks, message = BROKEN[rule]
    graph = sound()
    breaks(graph)
    with pytest.raises(VerifyError, match=message):
        verify(graph)


def test_an_update_keeps_the_type_of_its_state() -> None:
    graph = sound()
    with using(GraphBuilder()) as builder:
        half = o.cast(graph.params[1].value, to=f16)
    graph.nodes += builder.nodes
    graph.updates = [Update(graph.params[0].value, half)]
    with pytest.raises(VerifyError, match=r"update of %w: f32\[4\] with a value of type f16\[4\]"):
        verify(graph)


def test_the_type_rule_sees_what_autocast_decided() -> None:
    x = Value(VECTOR, "x")
    node = Node(OPS["relu"], (x,), (TensorType(f16, (4,)),), {"autocast": f16})
    graph = Graph("g", [Param(x, "input")], [node], outputs=[node.output])
    assert verify(graph) is graph
    del node.attrs["autocast"]
    with pytest.raises(VerifyError, match=r"typed f16\[4\], the op gives f32\[4\]"):
        verify(graph)
