"""The order of steps, and which kernels share one."""

from collections.abc import Sequence

from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import OPS
from compiler.ir.types import TensorType, f32
from compiler.placement import Step, loop_of
from compiler.sharing import Run, Shareable, runs, shared

KIND = TensorType(f32, (4,))


def reading(*values: Value) -> Node:
    """A kernel of one result."""
    return Node(OPS["fused"], values, (KIND,), {"kind": "pointwise", "rows": 1, "columns": 4}, Graph("body"))


def sharing(node: Node, key: str) -> Shareable:
    return Shareable(key, node.inputs, node.outputs, [node])


def ordered(kernels: Sequence[Step | Shareable], patient: bool) -> list[list[Node]]:
    return [list(step.nodes) for step in shared(kernels, patient)]


def test_neighbours_of_one_key_share_a_step() -> None:
    a, b, c, d, e = (reading() for _ in range(5))
    kernels = [sharing(a, "x"), sharing(b, "x"), sharing(c, "y"), Run([d]), sharing(e, "y")]
    assert ordered(kernels, patient=False) == [[a, b], [c], [d], [e]]


def test_patient_kernels_wait_until_somebody_needs_one_of_them() -> None:
    a, b, c = (reading() for _ in range(3))
    reader, other = reading(a.output), reading()
    kernels = [sharing(a, "x"), Run([other]), sharing(b, "y"), sharing(c, "x"), Run([reader])]
    assert ordered(kernels, patient=True) == [[other], [a, c], [reader], [b]]


def test_a_kernel_never_shares_a_step_with_what_it_reads() -> None:
    a = reading()
    b = reading(a.output)
    c = reading(b.output)
    kernels = [sharing(a, "x"), sharing(b, "x"), Run([c])]
    assert ordered(kernels, patient=True) == ordered(kernels, patient=False) == [[a], [b], [c]]


def test_a_loop_has_the_steps_of_its_body() -> None:
    graph = _loop()
    (step,) = runs(graph)
    loop = loop_of(step)
    assert loop is not None and loop.body is not None
    assert [list(inner.nodes) for inner in step.steps] == [[node] for node in loop.body.nodes]


def _loop() -> Graph:
    body = Graph("body")
    x = body.add_param(KIND, "input", "", "x")
    body.nodes = [reading(x)]
    body.nodes.append(reading(body.nodes[0].output))
    body.outputs = [body.nodes[1].output]
    graph = Graph("step")
    start = graph.add_param(KIND, "input", "", "start")
    attrs = {"length": 3, "carries": 1, "sequences": 0, "reverse": False}
    graph.nodes = [Node(OPS["loop"], (start,), (KIND,), attrs, body)]
    graph.outputs = [graph.nodes[0].output]
    return graph


def test_kernels_that_are_ready_together_run_beside_each_other() -> None:
    a, b, c = (reading() for _ in range(3))
    reader = reading(c.output)
    kernels = [sharing(a, "x"), sharing(b, "y"), sharing(c, "z"), sharing(reader, "x")]
    rounds: list[list[Node]] = []

    def beside(made: Sequence[Step]) -> Sequence[Step]:
        rounds.append([n for step in made for n in step.nodes])
        return made

    shared(kernels, True, beside)
    assert rounds == [[a, b, c], [reader]]
