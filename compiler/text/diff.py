"""What a pass changed, as a unified diff of two texts in which a value keeps its name."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable, Iterable, Iterator
from difflib import unified_diff
from itertools import count

from compiler.ir.graph import Graph, Node, Value
from compiler.text.printer import print_graph, value_names

Names = dict[Value, str]


def diff_graphs(before: Graph, after: Graph, files: tuple[str, str] = ("before", "after")) -> str:
    """A unified diff of the texts of two graphs, with the names of :func:`aligned_names`; "" where they are the same.

    ``files``: what the diff calls the two.
    """
    old, new = stage_texts([before, after])
    return diff_texts(old, new, files)


def diff_texts(before: str, after: str, files: tuple[str, str]) -> str:
    """A unified diff of two texts."""
    lines = unified_diff(before.splitlines(), after.splitlines(), *files, lineterm="")
    return "".join(f"{line}\n" for line in lines)


def stage_texts(graphs: Iterable[Graph]) -> list[str]:
    """The texts of the stages of a step, in each of which a value has the name that it had in the one before.

    A name that has been used for one value is not used for another in a later stage.
    """
    graphs = list(graphs)
    return [print_graph(graph, names=names) for graph, names in zip(graphs, stage_names(graphs), strict=True)]


def stage_names(graphs: Iterable[Graph]) -> Iterator[Names]:
    """The names of :func:`stage_texts`, of the values of each stage."""
    before: Graph | None = None
    names: Names = {}
    taken: set[str] = set()
    for graph in graphs:
        names = value_names(graph) if before is None else _aligned(before, graph, names, taken)
        taken.update(names.values())
        yield names
        before = graph


def _aligned(before: Graph, after: Graph, names: Names, taken: set[str]) -> Names:
    """Names for the values of ``after``, given the ``names`` of those of ``before``; new ones are not in ``taken``.

    A number in the text of a graph only counts its values, so one more op would rename all that follow. Here inputs
    keep their names. So does the result of an op with the same operands as before, and of each of its kind where both
    graphs have as many of a kind: ops of one name, phase and result type on one line of one module.
    """
    own = value_names(after)
    aligned = {param.value: own[param.value] for param in after.params}
    taken = taken | set(aligned.values())
    numbers = (str(n) for n in count() if str(n) not in taken)
    kinds, exact = _queues(map(_kind, before.nodes), before), _queues((_exact(n, names) for n in before.nodes), before)
    as_many = {kind for kind, n in Counter(map(_kind, after.nodes)).items() if len(kinds.get(kind, ())) == n}
    for node in after.nodes:
        kind = _kind(node)
        twins = kinds[kind] if kind in as_many else exact.get(_exact(node, aligned))
        if twins:
            twin = twins.popleft()
            aligned |= {new: names[old] for old, new in zip(twin.outputs, node.outputs, strict=True)}
            continue
        for value in node.outputs:
            fresh = own[value].isdecimal() or own[value] in taken
            aligned[value] = next(numbers) if fresh else own[value]
            taken.add(aligned[value])
    return aligned


def _queues(keys: Iterable[Hashable], graph: Graph) -> dict[Hashable, deque[Node]]:
    """The nodes of each key, in order."""
    queues: dict[Hashable, deque[Node]] = {}
    for key, node in zip(keys, graph.nodes, strict=True):
        queues.setdefault(key, deque()).append(node)
    return queues


def _kind(node: Node) -> Hashable:
    loc = node.loc
    return node.op, node.phase, tuple(v.type for v in node.outputs), loc.file, loc.line, loc.scope


def _exact(node: Node, names: Names) -> Hashable:
    attrs = tuple((key, repr(value)) for key, value in sorted(node.attrs.items()))
    return _kind(node), attrs, tuple(names[v] for v in node.inputs)
