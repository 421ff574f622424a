"""Graphs with loops, for the tests of everything that meets one."""

from collections.abc import Sequence

from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import o
from compiler.ir.types import f32
from compiler.ops.loop import Parts
from compiler.ops.structure import is_constant
from tests.compiler.passes.graphs import read

RECURRENT = """
  state %w: f32[3,3]
  state %u: f32[4,3]
  state %b: f32[3]
  input %xs: f32[5,2,4]
  input %h0: f32[2,3]
  %h: f32[2,3], %ys: f32[5,2,3] = loop(%h0, %xs, %w, %u, %b) {length=5, carries=1, sequences=1} @body {  # net.py:7
    input %h: f32[2,3]
    input %x: f32[2,4]
    input %w: f32[3,3]
    input %u: f32[4,3]
    input %b: f32[3]
    %0: f32[2,3] = dot(%x, %u)              # net.py:5
    %1: f32[2,3] = linear(%h, %w, %b)       # net.py:5
    %2: f32[2,3] = add(%0, %1)              # net.py:5
    %3: f32[2,3] = tanh(%2)                 # net.py:6
    return %3, %3
  }
"""
"""An Elman network."""

LOOK_UPS = """
  state %s: f32[3]
  input %table: f32[4,3]
  input %ids: i64[5]
  %0: f32[3] = loop(%s, %ids, %table) {length=5, carries=1, sequences=1} @body {
    input %s: f32[3]
    input %id: i64[]
    input %table: f32[4,3]
    %0: f32[3] = embedding(%table, %id)
    %1: f32[3] = add(%s, %0)
    return %1
  }
  update %s = %0
"""
"""A state that adds up rows of a table, which may have no such row."""

CELL = """
  state %w: f32[2,12]
  input %xs: f32[4,3,12]
  input %h0: f32[3,2]
  input %c0: f32[3,2]
  %h: f32[3,2], %c: f32[3,2], %ys: f32[4,3,2] = loop(%h0, %c0, %xs, %w) {length=4, carries=2, sequences=1} @cell {
    input %h: f32[3,2]
    input %c: f32[3,2]
    input %x: f32[3,12]
    input %w: f32[2,12]
    %0: f32[3,12] = dot(%h, %w)
    %1: f32[3,12] = add(%0, %x)
    %2: f32[3,2] = slice(%1) {start=[0,0], stop=[3,2], step=[1,1]}
    %3: f32[3,2] = slice(%1) {start=[0,4], stop=[3,6], step=[1,1]}
    %4: f32[3,2] = sigmoid(%2)
    %5: f32[3,2] = tanh(%3)
    %6: f32[3,2] = mul(%4, %c)
    %7: f32[3,2] = add(%6, %5)
    %8: f32[3,2] = tanh(%7)
    %9: f32[3,2] = abs(%c)
    %10: f32[3,2] = add(%8, %9)
    return %10, %7, %10
  }
"""
"""A cell with a state that is no output, and one output that is a carry."""

SWAP = """
  input %a: f32[3]
  input %b: f32[3]
  input %i: i64[]
  input %xs: f32[3,3]
  %0: f32[3], %1: f32[3], %2: i64[], %3: f32[3,3], %4: f32[3,3] = loop(%a, %b, %i, %xs)
  {length=3, carries=3, sequences=1} @swap {
    input %a: f32[3]
    input %b: f32[3]
    input %i: i64[]
    input %x: f32[3]
    %0: i64[] = constant() {value=2, dtype=i64}
    %1: i64[] = add(%i, %0)
    %2: f32[] = cast(%i) {to=f32}
    %3: f32[3] = mul(%a, %2)
    %4: f32[3] = sub(%3, %x)
    return %b, %a, %1, %4, %a
  }
"""
"""Carries that change places."""

NESTED = """
  input %xs: f32[3,2,4]
  input %h0: f32[4]
  state %w: f32[4]
  %h: f32[4], %all: f32[3,2,4] = loop(%h0, %xs, %w) {length=3, carries=1, sequences=1} @outer {
    input %h: f32[4]
    input %x: f32[2,4]
    input %w: f32[4]
    %g: f32[4], %ys: f32[2,4] = loop(%h, %x, %w) {length=2, carries=1, sequences=1} @inner {
      input %g: f32[4]
      input %s: f32[4]
      input %w: f32[4]
      %0: f32[4] = mul(%g, %w)
      %1: f32[4] = add(%0, %s)
      %2: f32[4] = sin(%1)
      return %2, %1
    }
    %5: f32[4] = exp(%g)
    return %5, %ys
  }
"""
"""A loop in a loop."""

LOOPS = {"recurrent": RECURRENT, "cell": CELL, "swap": SWAP, "nested": NESTED}


def loop_graph(name: str, reverse: bool = False, results: str = "") -> Graph:
    """One of ``LOOPS``, returning everything its loop does."""
    first = "sequences=1"
    graph = read(LOOPS[name].replace(first, f"{first}, reverse=true" if reverse else first, 1) + results)
    if not results:
        graph.outputs = list(graph.nodes[-1].outputs)
    return graph


def with_gradients(graph: Graph) -> Graph:
    """``graph`` and the gradients of the sum of squares of its floating outputs."""
    inputs = [v for v in graph.inputs() if v.dtype.kind == "float"]
    with using(GraphBuilder()) as builder:
        builder.nodes = list(graph.nodes)
        total: Value | None = None
        for value in graph.outputs:
            if value.dtype.kind == "float":
                part = o.sum(o.mul(value, value), axes=tuple(range(value.type.rank)))
                total = part if total is None else o.add(total, part)
        grads = o.grad(total, *inputs)
    assert total is not None and total.dtype is f32 and not is_constant(total)
    outputs = [grads] if isinstance(grads, Value) else list(grads)
    return Graph(graph.name, list(graph.params), builder.nodes, [], graph.outputs + outputs)


def unrolled(graph: Graph) -> Graph:
    """``graph`` without loops: every iteration written out."""
    with using(GraphBuilder()) as builder:
        env: dict[Value, Value] = {v: v for v in graph.inputs()}
        _replay(graph, env)
    return Graph(graph.name, list(graph.params), builder.nodes, [], [env[v] for v in graph.outputs])


def _replay(graph: Graph, env: dict[Value, Value]) -> None:
    for node in graph.nodes:
        inputs = [env[v] for v in node.inputs]
        results = _iterations(node, inputs) if node.body is not None else node.op(*inputs, **node.attrs)
        env.update(zip(node.outputs, (results,) if isinstance(results, Value) else results, strict=True))


def _iterations(node: Node, inputs: Sequence[Value]) -> list[Value]:
    parts = Parts.of(node)
    carried, sequences, fixed = parts.split(inputs)
    length = node.attrs["length"]
    slices: list[list[Value]] = [[] for _ in parts.slices]
    for t in reversed(range(length)) if node.attrs["reverse"] else range(length):
        pieces = [_slice(s, t) for s in sequences]
        env = dict(zip(parts.body.inputs(), (*carried, *pieces, *fixed), strict=True))
        _replay(parts.body, env)
        carried = [env[v] for v in parts.next]
        for found, value in zip(slices, parts.slices, strict=True):
            found.append(o.reshape(env[value], shape=(1, *value.shape)))
    if node.attrs["reverse"]:
        slices = [found[::-1] for found in slices]
    return [*carried, *(o.concat(*found, axis=0) for found in slices)]


def _slice(stack: Value, t: int) -> Value:
    rest = stack.shape[1:]
    zeros = tuple(0 for _ in rest)
    piece = o.slice(stack, start=(t, *zeros), stop=(t + 1, *rest), step=(1,) * stack.type.rank)
    return o.reshape(piece, shape=rest)
