"""The rules every graph keeps, checked after every pass."""

from __future__ import annotations

from collections.abc import Collection

from compiler.errors import OpError, VerifyError
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import OPS


def verify(graph: Graph, typed: Collection[Node] = ()) -> Graph:
    """Return ``graph`` if it is sound, else raise :class:`VerifyError` naming the node and the broken rule.

    Rules: every input is defined before its use and exactly once; every op is registered; result types are those the
    op's type rule infers; updates write state inputs of the same type, each at most once; body graphs are sound.
    Nodes are not changed once they are made: ``typed`` are those of a sound graph, whose types are right.
    """
    defined: set[Value] = set()
    for param in graph.params:
        if param.kind not in ("state", "scalar", "input"):
            raise VerifyError(f"@{graph.name}: input %{param.value.name} has unknown kind {param.kind!r}")
        if param.value in defined:
            raise _twice(graph, param.value, f"input %{param.value.name}")
        defined.add(param.value)
    for index, node in enumerate(graph.nodes):
        _check_node(graph, index, node, defined)
        if node.body is not None or node not in typed:
            _check_types(graph, index, node)
        for value in node.outputs:
            if value in defined:
                raise _twice(graph, value, f"node {index} ({node.op.name})")
            defined.add(value)
    states = set(graph.inputs("state"))
    for update in graph.updates:
        if update.state not in states:
            raise VerifyError(
                f"@{graph.name}: update of %{update.state.name}, which is not a state (or is updated twice)"
            )
        states.discard(update.state)
        if update.state.type != update.value.type:
            raise VerifyError(f"@{graph.name}: update of {update.state!r} with a value of type {update.value.type}")
    for value in graph.results():
        if value not in defined:
            raise VerifyError(f"@{graph.name}: result {value!r} is not defined in the graph")
    return graph


def _twice(graph: Graph, value: Value, where: str) -> VerifyError:
    return VerifyError(f"@{graph.name}: {where} defines {value!r} a second time")


def _check_node(graph: Graph, index: int, node: Node, defined: set[Value]) -> None:
    if OPS.get(node.op.name) is not node.op:
        raise _unsound(graph, index, "the op is not registered")
    if not defined.issuperset(node.inputs):
        value = next(v for v in node.inputs if v not in defined)
        raise _unsound(graph, index, f"input {value!r} is not defined before its use")


def _check_types(graph: Graph, index: int, node: Node) -> None:
    if node.body is not None:
        verify(node.body)
    try:
        if node.op.infer_body is None:
            node.op.check_operands(len(node.inputs))
        types = node.op.result_types([v.type for v in node.inputs], node.attrs, node.body)
    except OpError as error:
        raise _unsound(graph, index, str(error)) from None
    if types != tuple([v.type for v in node.outputs]):
        shown = ", ".join(str(v.type) for v in node.outputs)
        raise _unsound(graph, index, f"results are typed {shown}, the op gives {', '.join(map(str, types))}")


def _unsound(graph: Graph, index: int, why: str) -> VerifyError:
    node = graph.nodes[index]
    return VerifyError(f"@{graph.name}, node {index}: {node!r}: {why}\n  at {node.loc}")
