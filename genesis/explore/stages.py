"""The stages of a step as rows of text: each with its op, its place in the program, and the rows that it reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from compiler.ir.graph import Graph, Node, Value
from compiler.ir.location import Loc
from compiler.peak import peak
from compiler.text.printer import print_graph, value_names
from genesis.explore.places import Places


@dataclass
class Row:
    """A line of a stage's text.

    kind: "graph", "input", "op", "constant", "kernel", "loop", "end", "update" or "return".
    names: the values that it defines. reads: the rows that define what it reads.
    """

    kind: str
    node: Node | None = None
    names: list[str] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)
    inside: bool = False


def rows(graph: Graph) -> list[Row]:
    """The rows of ``graph`` in the order of its text; values in kernels and loops have no names here."""
    found, names = [Row("graph")], value_names(graph)
    made: dict[Value, int] = {}

    def block(graph: Graph, inside: bool) -> None:
        for param in graph.params:
            made[param.value] = len(found)
            found.append(Row("input", None, [] if inside else [names[param.value]], inside=inside))
        for node in graph.nodes:
            defined = [] if inside else [names[v] for v in node.outputs]
            row = Row(_kind(node), node, defined, _rows_of(node.inputs, made), inside)
            made.update(dict.fromkeys(node.outputs, len(found)))
            found.append(row)
            if node.body is not None:
                block(node.body, True)
                found.append(Row("end", inside=True))
        for update in graph.updates:
            found.append(Row("update", None, reads=_rows_of((update.state, update.value), made), inside=inside))
        if graph.outputs:
            found.append(Row("return", None, reads=_rows_of(graph.outputs, made), inside=inside))

    block(graph, False)
    found.append(Row("end"))
    return found


def _kind(node: Node) -> str:
    if node.body is not None:
        return "loop" if node.op.kind == "loop" else "kernel"
    return "constant" if node.op.is_free and node.op.kind != "view" else "op"


def _rows_of(values: tuple[Value, ...] | list[Value], made: Mapping[Value, int]) -> list[int]:
    return list(dict.fromkeys(made[v] for v in values))


class Lines:
    """Each line once, whatever stages it stands in: text, kind, op, place and phase."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self._numbers: dict[tuple[Any, ...], int] = {}

    def number(self, text: str, row: Row) -> int:
        node = row.node
        loc, op, phase = (node.loc, node.op.name, node.phase) if node is not None else (None, "", "forward")
        place = -1 if loc is None else self.places.number(loc)
        line = text, row.kind, op, place, phase, row.inside, tuple(row.names)
        return self._numbers.setdefault(line, len(self._numbers))

    def table(self) -> dict[str, list[Any]]:
        """The columns."""
        columns = list(zip(*self._numbers, strict=True)) or [()] * 7
        return dict(zip(("text", "kind", "op", "place", "phase", "inside", "names"), map(list, columns), strict=True))


def stage_records(graphs: Mapping[str, Graph], seconds: Mapping[str, float], lines: Lines) -> Iterator[dict[str, Any]]:
    """A record per stage: its name, what it took, and its rows; ``same``: the number of an earlier stage of equal rows.

    ``reads`` counts back from the row that reads.
    """
    known: dict[str, int] = {}
    for number, (stage, graph) in enumerate(graphs.items()):
        found = rows(graph)
        texts = print_graph(graph, located=False).splitlines()
        most = peak(graph)
        record: dict[str, Any] = {
            "name": stage,
            "seconds": seconds.get(stage),
            "ops": len(graph.nodes),
            "peak": most.nbytes,
            "peakPlace": lines.places.number(most.node.loc) if most.node is not None else -1,
            "lines": [lines.number(text, row) for text, row in zip(texts, found, strict=True)],
            "reads": [[i - j for j in row.reads] for i, row in enumerate(found)],
        }
        same = known.setdefault(str((record["lines"], record["reads"])), number)
        if same != number:
            record |= {"same": same, "lines": [], "reads": []}
        yield record


def row_numbers(graph: Graph) -> dict[Node, int]:
    """The row of each node, in bodies too."""
    return {row.node: i for i, row in enumerate(rows(graph)) if row.node is not None}


def located(graph: Graph) -> Iterator[Loc]:
    """The places of the ops of ``graph``, in bodies too; constants, which ops of several places share, are left out."""
    for node in graph.nodes:
        if _kind(node) != "constant":
            yield node.loc
        if node.body is not None:
            yield from located(node.body)
