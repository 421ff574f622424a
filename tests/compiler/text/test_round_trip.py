"""parse(print(g)) is g, and every print of g is the same text."""

import copy
from collections.abc import Callable
from contextlib import suppress
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.errors import OpError, ParseError
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Param, Update, Value
from compiler.ir.location import Loc, Phase
from compiler.ir.op import o
from compiler.ir.types import TensorType, bf16, boolean, f16, f32
from compiler.text.compare import difference, structurally_equal
from compiler.text.parser import parse_graph
from compiler.text.printer import file_keys, print_graph, value_names
from tests.compiler.text.graphs import graphs, train_step

Golden = Callable[[str, str], None]
VECTOR = TensorType(f32, (4,))


def constant_graph(value: Any, loc: Loc | None = None) -> Graph:
    with using(GraphBuilder(loc or Loc())) as builder:
        result = o.constant(value=value, dtype=f32)
    return Graph("g", nodes=builder.nodes, outputs=[result])


def read_back(graph: Graph) -> Graph:
    again = parse_graph(print_graph(graph))
    assert difference(graph, again) is None
    return again


def test_the_text_of_a_training_step(golden: Golden) -> None:
    golden("text/train_step.gir", print_graph(train_step()))


def test_a_training_step_comes_back() -> None:
    graph = read_back(train_step())
    assert [p.label for p in graph.params][:2] == ["model.fc.weight", "optimizer.lr[0]"]
    assert graph.nodes[0].body is not None
    assert graph.nodes[0].body.nodes[0].loc == Loc("/home/ada/nets/model.py", 7, "act")
    assert graph.nodes[1].attrs == {"autocast": bf16}
    assert graph.outputs[0].name == "loss"
    assert graph.nodes[-1].loc == Loc("/lib/train.py", 5, "", "update")


@settings(max_examples=150)
@given(graphs())
def test_every_graph_comes_back(graph: Graph) -> None:
    text = print_graph(graph)
    again = parse_graph(text)
    assert difference(graph, again) is None
    assert print_graph(again) == text == print_graph(graph)


@settings(max_examples=100)
@given(graphs(), st.data())
def test_a_damaged_text_is_an_error_or_another_graph(graph: Graph, data: st.DataObject) -> None:
    text = print_graph(graph)
    start = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 8))
    damaged = text[:start] + data.draw(st.text('%@{}[]()=,:#" \n0a', max_size=3)) + text[start + cut :]
    with suppress(ParseError):
        print_graph(parse_graph(damaged))


EXACT = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**70,
    0.0,
    -0.0,
    1.0,
    0.1,
    1e-05,
    1e16,
    5e-324,
    inf,
    -inf,
    nan,
    "",
    "f16",
    'a"\\\n\u2028é',
]
EXACT += [f16, boolean, (), (1,), (1, (2.0, (True, None), "x"), f32)]


@pytest.mark.parametrize("value", EXACT, ids=repr)
def test_attributes_keep_value_and_type(value: Any) -> None:
    again = read_back(constant_graph(value)).nodes[0].attrs["value"]
    assert repr(again) == repr(value)


def test_an_attribute_that_has_no_spelling_is_named() -> None:
    with pytest.raises(OpError, match=r"constant: attribute 'value'.*complex.*\n  at a\.py:3"):
        print_graph(constant_graph(1j, Loc("/x/a.py", 3)))


def test_defaults_are_left_out_and_filled_in() -> None:
    graph = Graph("g")
    x = graph.add_param(VECTOR, "input", "", "x")
    with using(GraphBuilder()) as builder:
        graph.outputs = [o.softplus(x, beta=1.0, threshold=20)]
    graph.nodes = builder.nodes
    assert "softplus(%x) {threshold=20}\n" in print_graph(graph)
    assert read_back(graph).nodes[0].attrs == {"beta": 1.0, "threshold": 20}


@pytest.mark.parametrize(
    ("loc", "text"),
    [
        (Loc("train.py", 31), "# train.py:31"),
        (Loc("/a/train.py", 31, "blocks.0", "grad cast"), "# train.py:31 blocks.0 [grad cast]"),
        (Loc("", 0, "fc", "grad"), "# ? fc [grad]"),
        (Loc("", 0, "", "grad"), "# ? [grad]"),
        (Loc("", 5), '# "":5'),
        (Loc("?", 0), '# "?":0'),
        (Loc("/my files/a: b.py", 2), '# "a: b.py":2'),
        (Loc("<stdin>", 1, "a b", "x]y"), '# <stdin>:1 "a b" ["x]y"]'),
        (Loc("a\n\u2028\udcff.py", 1), '# "a\\n\\u2028\\udcff.py":1'),
    ],
)
def test_locations(loc: Loc, text: str) -> None:
    graph = constant_graph(1.0, loc)
    assert print_graph(graph).splitlines()[-3].endswith(f"  {text}")
    assert read_back(graph).nodes[0].loc == loc


@pytest.mark.parametrize(
    ("phase", "text"),
    [("forward", "= const"), ("backward", "= backward const"), ("recomputed", "= recomputed c")],
)
def test_phases(phase: Phase, text: str) -> None:
    graph = constant_graph(1.0)
    graph.nodes[0].phase = phase
    assert text in print_graph(graph)
    assert read_back(graph).nodes[0].phase == phase
    assert difference(graph, constant_graph(1.0)) == (
        None if phase == "forward" else f"node 0 (constant): phase: {phase!r} is not 'forward'"
    )


def test_files_go_by_the_shortest_end_of_their_path() -> None:
    assert file_keys(["/a/train.py", "/b/train.py", "/b/model.py", "model.py", "C:\\x\\run.py", "/d/", ""]) == {
        "/a/train.py": "a/train.py",
        "/b/train.py": "b/train.py",
        "/b/model.py": "b/model.py",
        "model.py": "model.py",
        "C:\\x\\run.py": "run.py",
        "/d/": "d/",
        "": "",
    }


def test_values_go_by_their_names_made_unique_or_by_number() -> None:
    graph = Graph("g", params=[Param(Value(VECTOR, name), "input") for name in ("0", "x", "", "x")])
    with using(GraphBuilder()) as builder:
        results = [o.relu(graph.params[0].value) for _ in range(3)]
    for value, name in zip(results, ("x", "9", "y"), strict=True):
        value.name = name
    graph.nodes = builder.nodes
    assert list(value_names(graph).values()) == ["0", "x", "x_1", "x_2", "9", "y", "1"]
    read_back(graph)


def test_an_unsound_graph_still_prints() -> None:
    with using(GraphBuilder()) as builder:
        result = o.relu(Value(VECTOR, "gone"))
    assert "relu(%?)" in print_graph(Graph("g", nodes=builder.nodes, outputs=[result]))


def test_people_may_write_comments_and_their_own_names() -> None:
    text = """# after fuse, 3.1 ms
    file train.py = "/home/ada/train.py"  # where
    graph @"my step" { # begin
      # the input
      input %x: f32[4]  # a vector
      %five: f32[4] = relu(%x)
      # no location above; one below
      %"odd name": f32[4] = relu( %five ) # train.py:3

      return %"odd name", %x
    }
    # end
    """
    for given_text in (text, text.replace("\n", "\r\n")):
        graph = parse_graph(given_text)
        assert graph.name == "my step"
        assert [n.output.name for n in graph.nodes] == ["five", "odd name"]
        assert [n.loc for n in graph.nodes] == [Loc(), Loc("/home/ada/train.py", 3)]
        read_back(graph)


def test_a_parsed_graph_is_as_a_built_one() -> None:
    built, parsed = train_step(), parse_graph(print_graph(train_step()))
    for a, b in zip(built.nodes, parsed.nodes, strict=True):
        assert b.op is a.op
        assert list(b.attrs.items()) == list(a.attrs.items())
        assert all(v.producer is b for v in b.outputs)


def changed(graph: Graph, change: Callable[[Graph], None]) -> Graph:
    change(graph)
    return graph


CHANGES: dict[str, Callable[[Graph], Any]] = {
    "name": lambda g: setattr(g, "name", "other"),
    "number of inputs": lambda g: g.params.pop(),
    "input 0": lambda g: setattr(g.params[0], "kind", "input"),
    "input 1": lambda g: setattr(g.params[1], "label", ""),
    "input 2": lambda g: setattr(g.params[2].value, "name", "other"),
    "number of nodes": lambda g: g.nodes.pop(),
    "node 0 (fused): attributes": lambda g: g.nodes[0].attrs.update(kind="row"),
    "node 0 (fused): has a body": lambda g: setattr(g.nodes[0], "body", None),
    "node 0 (fused): name": lambda g: setattr(g.nodes[0].body, "name", "other"),
    "node 1 (linear): operands": lambda g: setattr(g.nodes[1], "inputs", g.nodes[1].inputs[::-1]),
    "node 1 (linear): attributes": lambda g: g.nodes[1].attrs.clear(),
    "node 1 (linear): location": lambda g: setattr(g.nodes[1], "loc", Loc("/home/ada/train.py", 31)),
    "node 3 (cross_entropy): results": lambda g: setattr(g.outputs[0], "name", "cost"),
    "updates": lambda g: g.updates.clear(),
    "outputs": lambda g: g.outputs.append(g.outputs[0]),
}


@pytest.mark.parametrize("where", CHANGES)
def test_a_difference_is_found_and_named(where: str) -> None:
    found = difference(train_step(), changed(train_step(), CHANGES[where]))
    assert found is not None and found.startswith(f"{where}: ")


@pytest.mark.parametrize(("x", "y"), [(1, 1.0), (1, True), (0.0, -0.0), ((1,), (True,)), ("f16", f16), (None, False)])
def test_a_difference_of_type_alone_counts(x: Any, y: Any) -> None:
    assert not structurally_equal(constant_graph(x), constant_graph(y))
    assert structurally_equal(constant_graph(x), constant_graph(copy.copy(x)))


def test_nan_equals_itself() -> None:
    assert structurally_equal(constant_graph((nan, 1)), constant_graph((float("nan"), 1)))


def test_an_update_of_two_states_keeps_its_order() -> None:
    graph = Graph("swap")
    a, b = (graph.add_param(VECTOR, "state", "", name) for name in "ab")
    graph.updates = [Update(b, a), Update(a, b)]
    assert [(u.state.name, u.value.name) for u in read_back(graph).updates] == [("b", "a"), ("a", "b")]
