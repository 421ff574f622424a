"""Rebuilding graphs: the one loop that passes, expansions and inlining share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from compiler.ir import ambient
from compiler.ir.ambient import using
from compiler.ir.builder import Call, GraphBuilder
from compiler.ir.graph import Graph, Node, Update, Value
from compiler.ir.op import Op

Rewrite = Callable[[Node, tuple[Value, ...]], "Sequence[Value] | None"]


Claims = Callable[[Op, Sequence[Value], dict[str, Any]], bool]
"""Whether a target has a kernel of its own for an op on these inputs with these attributes."""


def nothing(op: Op, inputs: Sequence[Value], attrs: dict[str, Any]) -> bool:
    """The claims of a target that has no kernel for any composite."""
    return False


class ExpandingBuilder(GraphBuilder):
    """Records a composite as its expansion, at any depth, unless ``claims`` wants it whole."""

    def __init__(self, claims: Claims = nothing) -> None:
        super().__init__()
        self.claims = claims

    def emit(self, call: Call) -> tuple[Value, ...]:
        if call.op.expand is None or self.claims(call.op, call.inputs, call.attrs):
            return super().emit(call)
        return call.op.expansion(*call.inputs, **call.attrs)


def copy_node(
    builder: GraphBuilder, node: Node, inputs: tuple[Value, ...], body: Graph | None = None
) -> tuple[Value, ...]:
    """Append ``node`` as it is, on other inputs or with another body."""
    return builder.add(node if inputs == node.inputs and body is None else node.copy(inputs, body=body))


def rewrite(
    graph: Graph, rule: Rewrite, builder: GraphBuilder | None = None, new: dict[Value, Value] | None = None
) -> Graph:
    """A graph in which ``rule(node, inputs)`` may replace each node by other values.

    ``rule`` runs inside a builder set to the node's location; it returns the values that stand for the node's outputs,
    or None to keep the node. They get the outputs' names, unless they have some. Inputs are already those of the new
    graph. Unchanged nodes are shared, not copied. A rule that looks back is given the ``builder``, or the table ``new``
    of what stands for the values of the old graph.
    """
    builder = GraphBuilder() if builder is None else builder
    new = {} if new is None else new
    with using(builder):
        replay(builder, graph.nodes, rule, new)
    return with_nodes(graph, builder.nodes, new)


def replay(builder: GraphBuilder, nodes: Iterable[Node], rule: Rewrite, new: dict[Value, Value]) -> None:
    """The loop of :func:`rewrite`: record ``nodes`` with ``builder`` as ``rule`` says, and note it in ``new``."""
    for node in nodes:
        inputs = tuple([new.get(v, v) for v in node.inputs])
        builder.at(node)
        outputs = rule(node, inputs)
        if outputs is None:
            outputs = copy_node(builder, node, inputs)
        if outputs is not node.outputs:
            for old, made in zip(node.outputs, outputs, strict=True):
                if old is not made:
                    new[old] = made
                    hand_on(old.name, made)


def hand_on(name: str, value: Value) -> None:
    """Call ``value`` by the ``name`` of what it stands for, unless it has one: what it repeats, if that is as new."""
    while not value.name and (node := value.producer) is not None and (node.op.converts or node.op.keeps == "order"):
        if node.inputs[0].name or node.inputs[0].type != value.type:
            break
        value = node.inputs[0]
    value.name = value.name or name


@contextmanager
def noted(note: str) -> Iterator[None]:
    """Nodes recorded inside say in their location that ``note`` made them."""
    builder = ambient.builder()
    assert isinstance(builder, GraphBuilder)
    before = builder.loc
    builder.loc = before.noted(note)
    try:
        yield
    finally:
        builder.loc = before


def with_nodes(graph: Graph, nodes: list[Node], new: Mapping[Value, Value]) -> Graph:
    """``graph`` with other nodes, its results renamed by ``new``."""
    return Graph(
        graph.name,
        list(graph.params),
        nodes,
        [Update(u.state, new.get(u.value, u.value)) for u in graph.updates],
        [new.get(v, v) for v in graph.outputs],
    )


def copied(nodes: Iterable[Node], new: dict[Value, Value]) -> list[Node]:
    """Copies of ``nodes`` on what ``new`` has for their operands, which it gets for their results too."""
    found = []
    for node in nodes:
        found.append(node.copy(tuple(new[v] for v in node.inputs)))
        new.update(zip(node.outputs, found[-1].outputs, strict=True))
    return found


def inline(body: Graph, arguments: Sequence[Value]) -> list[Value]:
    """Replay ``body`` on ``arguments`` with the ambient builder; returns its outputs there."""
    env: dict[Value, Value] = dict(zip(body.inputs(), arguments, strict=True))
    for node in body.nodes:
        result = node.op(*[env[v] for v in node.inputs], **node.attrs)
        results = (result,) if isinstance(result, Value) else result
        env.update(zip(node.outputs, results, strict=True))
    return [env[v] for v in body.outputs]


def in_loops(run: Callable[[Graph], Graph]) -> Callable[[Graph], Graph]:
    """The pass ``run``, applied to the bodies of loops as well, innermost first."""

    def everywhere(graph: Graph) -> Graph:
        def enter(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
            if node.op.kind != "loop" or node.body is None:
                return None
            builder = ambient.builder()
            assert isinstance(builder, GraphBuilder)
            return copy_node(builder, node, inputs, everywhere(node.body))

        return run(rewrite(graph, enter) if any(n.op.kind == "loop" for n in graph.nodes) else graph)

    return everywhere


def live_nodes(graph: Graph) -> list[Node]:
    """The nodes that contribute to a result, in order."""
    wanted: set[Value] = set(graph.results())
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if any(v in wanted for v in node.outputs):
            kept.append(node)
            wanted.update(node.inputs)
    kept.reverse()
    return kept
