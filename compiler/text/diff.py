"""The changes of a pass, as a unified diff of two texts in which a value keeps its name."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable, Iterable
from difflib import unified_diff
from itertools import count

from compiler.ir.graph import Graph, Node, Value
from compiler.text.printer import print_graph, value_names

Names = dict[Value, str]


def diff_graphs(before: Graph, after: Graph, files: tuple[str, str] = ("before", "after")) -> str:
    """A unified diff of the texts of two graphs, in which what both have has one name; "" where they are the same.

    ``files``: what the diff calls the two.
    """
    names = value_names(before)
    old, new = print_graph(before, names=names), print_graph(after, names=_aligned(before, after, names))
    return diff_texts(old, new, files)


def diff_texts(before: str, after: str, files: tuple[str, str]) -> str:
    """A unified diff of two texts."""
    lines = unified_diff(before.splitlines(), after.splitlines(), *files, lineterm="")
    return "".join(f"{line}\n" for line in lines)


def _aligned(before: Graph, after: Graph, names: Names) -> Names:
    """Names for the values of ``after``, given the ``names`` of those of ``before``.

    A number in the text of a graph only counts its values, so one more op would rename all that follow. Here inputs
    keep their names. So does the result of an op with the same operands as before, and of each of its kind where both
    graphs have as many of a kind: ops of one name, phase and result type on one line of one module. What is made at
    the same place in place of an op that is gone, and has its name, keeps it too.
    """
    own, taken = value_names(after), set(names.values())
    aligned = {param.value: own[param.value] for param in after.params}
    taken.update(aligned.values())
    numbers = (str(n) for n in count() if str(n) not in taken)
    kinds, exact = _queues(map(_kind, before.nodes), before), _queues((_exact(n, names) for n in before.nodes), before)
    counts = Counter(map(_kind, after.nodes))
    as_many = {kind for kind, n in counts.items() if len(kinds.get(kind, ())) == n}
    gone = {names[v]: v for node in before.nodes if _kind(node) not in counts for v in node.outputs}
    for node in after.nodes:
        kind = _kind(node)
        twins = kinds[kind] if kind in as_many else exact.get(_exact(node, aligned))
        if twins:
            called = [own[v] for v in node.outputs]
            twin = next((n for n in twins if [names[v] for v in n.outputs] == called), twins[0])
            twins.remove(twin)
            aligned |= {new: names[old] for old, new in zip(twin.outputs, node.outputs, strict=True)}
            continue
        for value in node.outputs:
            old = gone.pop(own[value], None)
            if old is not None and _stands_for(value, old):
                aligned[value] = own[value]
                continue
            fresh = own[value].isdecimal() or own[value] in taken
            aligned[value] = next(numbers) if fresh else own[value]
            taken.add(aligned[value])
    return aligned


def _stands_for(new: Value, old: Value) -> bool:
    """Whether both have one type and come from one known place."""
    places = [(v.producer.loc.file, v.producer.loc.line, v.producer.loc.scope) for v in (new, old) if v.producer]
    return new.type == old.type and len(places) == 2 and places[0] == places[1] and places[0][0] != ""


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
