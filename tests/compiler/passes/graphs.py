"""Graphs for the tests of passes: texts, random programs, and what it means that a pass keeps a graph's meaning."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from hypothesis import strategies as st

import compiler.ops.all  # noqa: F401
from compiler.interpret import interpret
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Update, Value
from compiler.ir.op import o
from compiler.ir.types import TensorType, bf16, f16, f32, f64, i64
from compiler.ir.verify import verify
from compiler.naming import Names
from compiler.text.parser import parse_graph
from compiler.text.printer import print_graph
from tests.samples import assert_same

BLAS = ("linear", "matmul")
"""NumPy's products of a batch and of its flattened rows add in orders that BLAS chooses."""

Results = tuple[list[np.ndarray], list[np.ndarray]]
"""The results of ``interpret``: outputs and updates."""


def read(body: str) -> Graph:
    """The graph of a text without its frame."""
    return parse_graph(f"graph @step {{\n{body}\n}}\n", "step.gir")


def before_and_after(before: Graph, name: str, after: Graph) -> str:
    """The text of a golden file."""
    verify(after)
    names = Names()
    names.settle(before)
    names.settle(after)
    return f"# before\n{print_graph(before)}\n# after {name}\n{print_graph(after)}"


def ops(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes]


def draw_inputs(graph: Graph, seed: int = 0) -> list[np.ndarray]:
    """Arguments for any graph of these tests; integers are valid indices of any dimension."""
    rng = np.random.default_rng(seed)

    def array(t: TensorType) -> np.ndarray:
        if t.dtype.kind == "float":
            return rng.uniform(-2, 2, t.shape).astype(t.dtype.numpy)
        return np.asarray(rng.integers(0, 2, t.shape), t.dtype.numpy)

    return [array(v.type) for v in graph.inputs()]


def assert_same_meaning(
    before: Graph, after: Graph, inputs: Sequence[np.ndarray], rtol: float = 0, atol: float = 0
) -> None:
    """``after`` is sound and gives the same outputs and updates."""
    verify(after)
    assert_same_results(interpret(before, inputs), interpret(after, inputs), (before, after), rtol, atol)


def assert_same_results(
    expected: Results, actual: Results, graphs: Sequence[Graph], rtol: float = 0, atol: float = 0
) -> None:
    """The outputs and updates of ``interpret`` are equal; an error shows the ``graphs``."""
    try:
        for wanted, found in zip(expected, actual, strict=True):
            for e, a in zip(wanted, found, strict=True):
                assert_same(a, e, rtol, atol)
    except AssertionError as error:
        raise AssertionError("\n".join([str(error), *map(print_graph, graphs)])) from None


def assert_fused(graph: Graph) -> None:
    """Only kernels at the top; none inside."""
    assert set(ops(graph)) <= {"fused"}
    for node in graph.nodes:
        assert node.body is not None and "fused" not in ops(node.body)
        assert node.body.outputs and len(set(node.inputs)) == len(node.inputs)


UNARY = ["exp", "neg", "abs", "tanh", "sin", "sign", "relu", "gelu", "sigmoid", "silu", "erf", "detach"]
BINARY = ["add", "sub", "mul", "maximum", "minimum"]
COMPARISONS = ["lt", "ge", "eq"]
NUMBERS = [0, 1, 0.0, -0.0, 1.0, 2.0, -0.5]
FLOATS = [f32, f32, f32, f16, bf16, f64]
SIZES = st.sampled_from([1, 1, 2, 3, 4])


def fits(a: Value, b: Value) -> bool:
    return all(m == n or 1 in (m, n) for m, n in zip(reversed(a.shape), reversed(b.shape), strict=False))


class Program:
    """A random program in the making."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.graph = Graph("program")
        self.values: list[Value] = []

    def pick(self, items: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(items))

    def param(self, *shape: int, kind: str = "input", to: Any = f32) -> Value:
        return self.graph.add_param(TensorType(to, shape), kind, "", "x")

    def any(self, rank: int = 0, kinds: str = "float") -> Value:
        """A value of at least ``rank`` dimensions."""
        found = [v for v in self.values if v.type.rank >= rank and v.dtype.kind in kinds and v.type.size <= 400]
        return self.pick(found) if found else self.param(*self.draw(st.tuples(*[SIZES] * max(rank, 1))))

    def axes(self, x: Value) -> tuple[int, ...]:
        return tuple(sorted(self.draw(st.sets(st.integers(0, x.type.rank - 1)) if x.type.rank else st.just(set()))))

    # One method per step

    def unary(self) -> Value:
        return getattr(o, self.pick(UNARY))(self.any())

    def binary(self) -> Value:
        x = self.any()
        others = [v for v in self.values if v.dtype.kind == "float" and fits(x, v)] or [x]
        y = self.pick(others)
        if self.draw(st.integers(0, 4)) == 0:
            return o.where(getattr(o, self.pick(COMPARISONS))(x, y), x, self.pick([y, 0, x]))
        return getattr(o, self.pick(BINARY))(*self.draw(st.permutations([x, y])))

    def number(self) -> Value:
        x, number = self.any(), self.pick(NUMBERS)
        if self.draw(st.booleans()):
            number = o.expand(o.constant(value=float(number), dtype=x.dtype), shape=x.shape)
        return getattr(o, self.pick([*BINARY, "div", "pow"]))(x, number)

    def reduce(self) -> Value:
        x = self.any()
        name = self.pick(["sum", "sum", "amax", "amin", "mean"])
        return getattr(o, name)(x, axes=self.axes(x), keepdim=self.draw(st.booleans()))

    def row(self) -> Value:
        x = self.any(1)
        last = x.type.rank - 1
        name = self.pick(["softmax", "log_softmax", "layer_norm", "rms_norm", "by hand", "column sum"])
        if name in ("softmax", "log_softmax"):
            return getattr(o, name)(x, axis=last)
        if name == "layer_norm":
            affine = [self.param(x.shape[-1], kind="state", to=x.dtype) for _ in range(self.draw(st.integers(0, 2)))]
            return o.layer_norm(x, *affine, ndim=1)[0]
        if name == "rms_norm":
            return o.rms_norm(x, ndim=1)[0]
        if name == "column sum":
            return o.sum(x, axes=tuple(range(last)))
        e = o.exp(o.sub(x, o.amax(x, axes=(last,), keepdim=True)))
        return o.div(e, o.sum(e, axes=(last,), keepdim=True))

    def view(self) -> Value:
        x = self.any()
        name = self.pick(["permute", "reshape", "flatten", "unit", "expand", "slice", "slice"])
        if name == "permute":
            return o.permute(x, dims=tuple(self.draw(st.permutations(range(x.type.rank)))))
        if name == "reshape":
            return o.reshape(x, shape=tuple(self.draw(st.permutations(x.shape))))
        if name == "flatten":
            return o.reshape(x, shape=(x.type.size,))
        if name == "unit":
            at = self.draw(st.integers(0, x.type.rank))
            return o.reshape(x, shape=(*x.shape[:at], 1, *x.shape[at:]))
        if name == "expand":
            lead = self.draw(st.lists(st.integers(1, 3), max_size=1))
            return o.expand(x, shape=(*lead, *(self.draw(SIZES) if n == 1 else n for n in x.shape)))
        windows = [self.window(n) for n in x.shape]
        return o.slice(x, **{k: tuple(w[i] for w in windows) for i, k in enumerate(("start", "stop", "step"))})

    def window(self, size: int) -> tuple[int, int, int]:
        start = self.draw(st.integers(0, size - 1))
        stop = self.draw(st.integers(start + 1, size))
        if self.draw(st.integers(0, 3)) == 0:
            return stop - 1, start - 1, -1
        return start, stop, self.pick([1, 1, 2])

    def concat(self) -> Value:
        x = self.any(1)
        axis = self.draw(st.integers(0, x.type.rank - 1))
        same = [
            v
            for v in self.values
            if v.type.rank == x.type.rank
            and v.dtype is x.dtype
            and all(a == axis or v.shape[a] == n for a, n in enumerate(x.shape))
        ]
        return o.concat(x, *(self.pick(same) for _ in range(self.draw(st.integers(0, 2))) if same), axis=axis)

    def product(self) -> Value:
        x = self.any(2)
        if self.draw(st.booleans()):
            weight = self.param(self.draw(SIZES), x.shape[-1], kind="state", to=x.dtype)
            bias = [self.param(weight.shape[0], kind="state", to=x.dtype)] if self.draw(st.booleans()) else []
            return o.linear(x, weight, *bias)
        batch = tuple(range(x.type.rank - 2))
        return o.matmul(x, o.permute(x, dims=(*batch, x.type.rank - 1, x.type.rank - 2)))

    def cast(self) -> Value:
        return o.cast(self.any(), to=self.pick(FLOATS))

    def lookup(self) -> Value:
        table = self.any(1)
        if table.shape[0] < 2:
            table = o.concat(table, table, axis=0)
        return o.embedding(table, self.param(*self.draw(st.lists(st.integers(1, 3), max_size=2)), to=i64))

    def scatter(self) -> Value:
        x = self.any(1)
        start = self.draw(st.integers(0, x.shape[0] - 1))
        window = {
            "start": (start, *(0 for _ in x.shape[1:])),
            "stop": x.shape,
            "step": (1,) * x.type.rank,
        }
        piece = o.neg(o.slice(x, **window))
        base = x if self.draw(st.booleans()) else o.zeros(shape=x.shape, dtype=x.dtype)
        return o.slice_scatter(base, piece, **window)

    def dropout(self) -> Value:
        seed = o.constant(value=3, dtype=i64)
        return o.dropout(self.any(), seed, seed, p=0.5, index=len(self.values))

    def again(self) -> Value:
        """A value computed a second time, on the same inputs."""
        nodes = [v.producer for v in self.values if v.producer is not None and len(v.producer.outputs) == 1]
        if not nodes:
            return self.unary()
        node = self.pick(nodes)
        return node.op(*node.inputs, **node.attrs)


STEPS = [
    "unary", "binary", "binary", "number", "reduce", "reduce", "row", "view", "view", "concat", "product", "cast",
    "lookup", "scatter", "dropout", "again",
]  # fmt: skip


@st.composite
def programs(draw: st.DrawFn, steps: int = 10, products: bool = True) -> Graph:
    """Sound graphs of up to ``steps`` calls, of which any values, views and inputs may be results."""
    kinds = [name for name in STEPS if products or name != "product"]
    program = Program(draw)
    rank = draw(st.integers(0, 3))
    for _ in range(draw(st.integers(1, 2))):
        program.values.append(program.param(*draw(st.tuples(*[SIZES] * rank)), to=draw(st.sampled_from(FLOATS))))
    with using(GraphBuilder()) as builder:
        for _ in range(draw(st.integers(1, steps))):
            value = getattr(program, draw(st.sampled_from(kinds)))()
            if prod(value.shape) <= 2000:
                program.values.append(value)
    graph = program.graph
    graph.nodes = builder.nodes
    graph.outputs = draw(st.lists(st.sampled_from(program.values), min_size=1, max_size=3))
    for param in graph.params:
        same = [v for v in program.values if v.type == param.value.type]
        if param.kind == "state" and same:
            graph.updates.append(Update(param.value, draw(st.sampled_from(same))))
    return graph


def with_gradients(graph: Graph) -> Graph:
    """``graph`` and the gradients of the sum of its floating outputs with respect to its floating inputs."""
    inputs = [v for v in graph.inputs() if v.dtype.kind == "float"]
    with using(GraphBuilder()) as builder:
        builder.nodes = list(graph.nodes)
        total = None
        for value in dict.fromkeys(v for v in graph.outputs if v.dtype.kind == "float"):
            part = o.cast(o.sum(value, axes=tuple(range(value.type.rank))), to=f32)
            total = part if total is None else o.add(total, part)
        assert total is not None
        grads = o.grad(total, *inputs)
    outputs = [grads] if isinstance(grads, Value) else list(grads)
    return Graph(graph.name, list(graph.params), builder.nodes, graph.updates, graph.outputs + outputs)
