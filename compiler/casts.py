"""The decisions of autocast for each op of a step, and the fate of the casts that it asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass

from compiler.errors import UnsupportedError
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.location import Loc
from compiler.ir.op import castable
from compiler.ir.types import DType
from compiler.text.printer import value_names

RULES = {
    "lower": "listed to run in 16 bits",
    "fp32": "listed to run in float32",
    "promote": "listed to run in the widest type of its operands",
    "": "not listed: runs in the type of its operands",
}
"""The classes of autocast's lists, in words."""

REASONS = {
    "simplify": "the type it casts to is what the value had before, or nothing reads it",
    "narrow": "what reads it needs no more",
    "cse": "the same cast of the same value is there already",
    "hoist": "it is the same in every iteration, and stands before the loop",
}
"""Why a pass takes a cast away."""


@dataclass(frozen=True)
class Cast:
    """A cast that autocast asks for.

    value: the name of the operand: a parameter or argument, or the op that computes it.
    fate: "inserted", "merged" (one cast serves several ops), or "removed".
    why: what became of it, in words.
    """

    value: str
    source: DType
    to: DType
    fate: str
    why: str


@dataclass(frozen=True)
class Decision:
    """The decision of autocast for an op.

    rule: a key of :data:`RULES`. compute: the type that its floating operands are cast to; without a cast, the type
    that they have.
    """

    op: str
    loc: Loc
    rule: str
    inputs: tuple[DType, ...]
    compute: DType
    outputs: tuple[DType, ...]
    casts: tuple[Cast, ...]


def decisions(graphs: Mapping[str, Graph]) -> list[Decision]:
    """The decisions for the ops of a step that compute on floats and carry a gradient, in order.

    ``graphs``: its stages in order, of which "autocast" is one. Raises UnsupportedError where it is none.
    """
    names = list(graphs)
    if "autocast" not in graphs:
        raise UnsupportedError(
            "autocast decided nothing on this graph, which was edited behind that pass: its casts are those of the "
            "text; read the decisions of the step before the edit, or edit an earlier stage"
        )
    here = names.index("autocast")
    recorded, later = graphs[names[here - 1]], {name: _casts(graphs[name]) for name in names[here:]}
    called = _names(recorded)
    made: dict[tuple[Value, DType], str] = {}
    found = []
    for node in _nodes(recorded):
        floats = [v for v in node.inputs if castable(v.dtype)]
        if node.op.is_structure or node.op.kind == "view" or not node.op.differentiable or not floats:
            continue
        target: DType | None = node.attrs.get("autocast")
        casts = []
        for value in dict.fromkeys(floats):
            if target is None or value.dtype is target:
                continue
            name, other = called(value), made.setdefault((value, target), str(node.loc))
            if other != str(node.loc):
                casts.append(Cast(name, value.dtype, target, "merged", f"cast once, for {other}"))
            else:
                casts.append(Cast(name, value.dtype, target, *_fate(_key(node.loc, value, target), later)))
        rule = "" if not node.op.autocast else _rule(node, target)
        compute = target or max((v.dtype for v in floats), key=lambda d: d.bits)
        types = tuple(v.dtype for v in node.inputs), tuple(v.dtype for v in node.outputs)
        found.append(Decision(node.op.name, node.loc, rule, types[0], compute, types[1], tuple(casts)))
    return found


def _rule(node: Node, target: DType | None) -> str:
    """The class that gave ``target``; without one, the op was outside of a region or needed no cast."""
    if target is None:
        return ""
    if target.is_half:
        return "lower"
    return "promote" if "promote" in node.op.autocast.values() else "fp32"


def _nodes(graph: Graph) -> Iterator[Node]:
    for node in graph.nodes:
        yield node
        if node.body is not None:
            yield from _nodes(node.body)


def _names(graph: Graph) -> Callable[[Value], str]:
    """The name of a value of ``graph`` for people."""
    labels = {p.value: p.label or p.value.name for p in graph.params}
    numbers = value_names(graph)

    def name(value: Value) -> str:
        if value in labels:
            return labels[value]
        made = f"{value.producer.op.name} " if value.producer is not None else ""
        return f"{made}%{numbers[value]}" if value in numbers else f"{made}%{value.name or '?'}"

    return name


Fates = Mapping[str, tuple[Counter[Hashable], Counter[Hashable]]]
"""For each stage the casts of autocast, by :func:`_key`, and the casts that a kernel does for itself alone."""


def _casts(graph: Graph) -> tuple[Counter[Hashable], Counter[Hashable]]:
    all_casts: Counter[Hashable] = Counter()
    alone: Counter[Hashable] = Counter()
    for node in _nodes(graph):
        if node.body is not None and node.op.kind == "fused":
            work = [n for n in node.body.nodes if not n.op.is_free]
            if all(n.op.converts for n in work):
                alone.update(_key(n.loc, n.inputs[0], n.output.dtype) for n in work if _is_own(n))
        if _is_own(node):
            all_casts[_key(node.loc, node.inputs[0], node.output.dtype)] += 1
    return all_casts, alone


def _is_own(node: Node) -> bool:
    """Whether autocast inserted this cast, in the forward pass."""
    return node.op.converts and node.phase == "forward" and "autocast" in node.loc.note.split()


def _key(loc: Loc, value: Value, to: DType) -> Hashable:
    return loc.file, loc.line, loc.scope, value.type, to


def _fate(key: Hashable, later: Fates) -> tuple[str, str]:
    """The fate of the cast ``key`` in the stages after ``autocast``, and why."""
    for name, (casts, _) in later.items():
        if not casts[key]:
            return "removed", f"{name}: {REASONS.get(name, 'another op takes its place')}"
    name, (_, alone) = [*later.items()][-1]
    if name not in ("fuse", "horizontal"):
        return "inserted", ""
    return "inserted", "a kernel of its own stores it" if alone[key] else "inside the kernel that needs it"
