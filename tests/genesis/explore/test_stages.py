"""Stages as rows."""

from compiler.text.parser import parse_graph
from compiler.text.printer import print_graph
from genesis.explore.places import Places
from genesis.explore.stages import Lines, row_numbers, rows, stage_records
from tests.genesis.explore.recorded import trained

GRAPH = """\
graph @g {
  input  %x: f32[4]
  state  %s: f32[4]
  %0: f32[4] = mul(%x, %s)  # a.py:3 net
  %1: f32[4] = fused(%0, %x) {kind="pointwise", rows=1, columns=4} @pointwise {  # a.py:4 net
    input  %a: f32[4]
    input  %b: f32[4]
    %0: f32[4] = add(%a, %b)  # a.py:4 net
    return %0
  }
  update %s = %1
  return %0
}
"""


def test_rows_are_those_of_the_text_with_what_they_read() -> None:
    graph = parse_graph(GRAPH)
    found = rows(graph)
    kinds = "graph input input op kernel input input op return end update return end"
    assert [row.kind for row in found] == kinds.split()
    assert [row.reads for row in found] == [[], [], [], [1, 2], [3, 1], [], [], [5, 6], [7], [], [2, 4], [3], []]
    assert [row.names for row in found if row.names] == [["x"], ["s"], ["0"], ["1"]]
    assert len(print_graph(graph).splitlines()) == len(found)
    assert sorted(row_numbers(graph).values()) == [3, 4, 7]


def test_every_stage_reads_as_its_text_and_equal_ones_are_kept_once() -> None:
    stages = trained(precision="bf16-mixed").program.stages()
    places = Places()
    lines = Lines(places)
    records = list(stage_records(stages.graphs, stages.seconds, lines))
    table, located = lines.table(), places.table()
    for record, (stage, graph) in zip(records, stages.graphs.items(), strict=True):
        stored = records[record["same"]] if "same" in record else record
        assert record["name"] == stage
        text = print_graph(graph, located=False)
        assert [table["text"][line] for line in stored["lines"]] == text.splitlines()
    assert records[[r["name"] for r in records].index("last_steps")]["same"] == 1
    linear = [i for i in records[0]["lines"] if table["op"][i] == "linear"]
    assert [located[table["place"][i]][2] for i in linear] == ["model.0", "model.2"]
    assert len(table["text"]) < sum(len(r["lines"]) for r in records)
