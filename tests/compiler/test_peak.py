"""The peak of a graph: the bytes that are alive at once, views for nothing."""

from compiler.peak import Peak, lifetimes, peak
from compiler.text.parser import parse_graph


def test_what_is_read_later_is_alive() -> None:
    graph = parse_graph("""\
graph @g {
  input  %x: f32[100]
  %0: f32[100] = sin(%x)
  %1: f32[10,10] = reshape(%0) {shape=[10,10]}
  %2: f32[] = sum(%0) {axes=[0]}
  %3: f32[10,10] = mul(%1, %2)
  %4: f32[10,10] = exp(%3)
  return %4
}
""")
    found = peak(graph)
    assert found.node is graph.nodes[3]  # sin through its view, the sum, and the product
    assert found.nbytes == 400 + 4 + 400
    assert found.alive == tuple(graph.nodes[i].output for i in (0, 2, 3))


def test_what_leaves_the_graph_stands_elsewhere() -> None:
    graph = parse_graph("""\
graph @g {
  input  %x: f32[100]
  state  %w: f32[100]              "w"
  %0: f32[100] = sin(%x)
  %1: f32[100] = mul(%0, %w)
  update %w = %1
  return %0
}
""")
    assert peak(graph).nbytes == 0


def test_an_empty_graph_has_none() -> None:
    assert peak(parse_graph("graph @g {\n  input  %x: f32[4]\n  return %x\n}\n")) == Peak(0, None)


def test_lifetimes_go_from_the_op_that_makes_a_value_to_the_last_that_reads_it_or_a_view() -> None:
    graph = parse_graph("""\
graph @g {
  input  %x: f32[100]
  %0: f32[100] = sin(%x)
  %1: f32[10,10] = reshape(%0) {shape=[10,10]}
  %2: f32[] = sum(%0) {axes=[0]}
  %3: f32[10,10] = mul(%1, %2)
  %4: f32[10,10] = exp(%3)
  return %4
}
""")
    assert [(life.value.producer, life.first, life.last) for life in lifetimes(graph)] == [
        (graph.nodes[0], 0, 3),
        (graph.nodes[2], 2, 3),
        (graph.nodes[3], 3, 4),
    ]
