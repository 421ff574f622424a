"""Every op, alone and with its gradient, as C: all samples in one translation unit, against the interpreter."""

import re
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from compiler.codegen.c import unit
from compiler.codegen.c.isa import Isa
from compiler.features import Features
from compiler.interpret import interpret
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph
from compiler.ir.op import o
from compiler.ir.types import DType, TensorType, bf16, dtype, f32
from compiler.passes.autodiff import autodiff
from compiler.pipeline import Stages, lowering
from compiler.plan import Plan
from runtime.device import Program
from runtime.devices.cpu import CpuProgram
from tests.compiler.codegen.c.plans import native, run
from tests.compiler.passes.graphs import draw_inputs, read
from tests.samples import Sample, arguments, op_names, sample_graph, samples, with_gradient

# A product over a few elements, elementary functions of a few ulp, and what a gradient makes of them.
# 16-bit types: a gradient of several ops is rounded after each in the interpreter and once in a kernel of all.
TOLERANCE = {"f32": 1e-5, "f64": 1e-13, "bf16": 2**-7, "f16": 2**-10}


def assert_close(got: np.ndarray, want: np.ndarray, what: str) -> None:
    """Equal types; elements equal to a tolerance of themselves and of the largest one, which sums cancel against."""
    assert got.dtype == want.dtype and got.shape == want.shape, what
    kind = dtype(want.dtype)
    if kind.kind != "float":
        np.testing.assert_array_equal(got, want, what)
        return
    got, want = got.astype(np.float64), want.astype(np.float64)
    tolerance = TOLERANCE[kind.short]
    largest = np.abs(want, where=np.isfinite(want), out=np.zeros_like(want)).max(initial=1.0)
    np.testing.assert_allclose(got, want, tolerance, tolerance * largest, err_msg=what)


class Table:
    """The samples as one graph of fused nodes; samples of one op are next to each other."""

    def __init__(self, isa: Isa, load: Callable[[Plan], Program | None] = lambda plan: None) -> None:
        self.entries: list[tuple[Sample, Graph, list[np.ndarray]]] = []
        whole = Graph("samples")
        arrays: list[np.ndarray] = []
        for sample in samples():
            graph = with_gradient(sample_graph(sample))
            given = arguments(sample, graph)
            fused = Stages(graph).run(lowering(unit.FEATURES))
            whole.params += fused.params
            whole.nodes += fused.nodes
            whole.outputs += fused.outputs
            arrays += given
            self.entries.append((sample, graph, given))
        self.plan = unit.emit(whole, isa)
        results, self.status = run(self.plan, arrays, threads=2, program=load(self.plan))
        self.results: Iterator[np.ndarray] = iter(results[len(arrays) :])
        self.by_op: dict[str, list[tuple[Sample, Graph, list[np.ndarray], list[np.ndarray]]]] = {}
        for sample, graph, given in self.entries:
            outputs = [next(self.results) for _ in graph.outputs]
            self.by_op.setdefault(sample.op, []).append((sample, graph, given, outputs))


@pytest.fixture(scope="module")
def table() -> Table:
    return Table(native())


def check(table: Table, op: str) -> None:
    """Compare with the interpreter."""
    for sample, graph, given, outputs in table.by_op[op]:
        expected, _ = interpret(autodiff(graph), given)
        for i, (got, want) in enumerate(zip(outputs, expected, strict=True)):
            assert_close(got, want, f"result {i} of {sample.id}")


@pytest.mark.parametrize("op", op_names())
def test_op_and_gradient_equal_the_interpreter(table: Table, op: str) -> None:
    check(table, op)


def test_no_sample_has_an_index_out_of_range(table: Table) -> None:
    assert table.status == [0, 0, 0, 0]


def test_a_chain_of_ops_may_be_longer_than_pythons_stack() -> None:
    graph = Graph("chain")
    x = graph.add_param(TensorType(f32, (8,)), "input", "", "x")
    with using(GraphBuilder()) as builder:
        y = x
        for _ in range(1200):
            y = o.add(o.mul(y, 0.5), x)
    graph.nodes, graph.outputs = builder.nodes, [y]
    given = [np.linspace(-1, 1, 8, dtype=np.float32)]
    plan = unit.emit(Stages(graph).run(lowering(Features(unit.claims))), native())
    (_, got), _ = run(plan, given, threads=1)
    np.testing.assert_allclose(got, interpret(graph, given)[0][0], rtol=1e-6)


def test_the_list_of_kernels_is_optimised_only_while_it_is_short() -> None:
    def source(kernels: int) -> str:
        graph = Graph("many")
        with using(GraphBuilder()) as builder:
            for n in range(kernels):
                x = graph.add_param(TensorType(f32, (n + 3, n + 2)), "input", "", f"x{n}")
                graph.outputs.append(o.sum(x, axes=(1,)))
        graph.nodes = builder.nodes
        return unit.emit(Stages(graph).run(lowering(Features(unit.claims))), native()).source

    assert "PLAIN static void run(" not in source(5)
    assert "PLAIN static void run(" in source(120)


def test_long_kernels_are_compiled_in_two_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = read("""
      input %h: f32[6,96]
      input %w: f32[96,96]
      %0: f32[6,96] = loop(%h, %w) {length=4, carries=1, sequences=0} @body {
        input %h: f32[6,96]
        input %w: f32[96,96]
        %0: bf16[6,96] = cast(%h) {to=bf16}
        %1: bf16[96,96] = cast(%w) {to=bf16}
        %2: f32[6,96] = dot(%0, %1) {dtype=f32}
        %3: f32[6,96] = tanh(%2)
        return %3
      }
      %1: f32[6] = sum(%0) {axes=[1]}
      return %1
    """)
    fused = Stages(graph).run(lowering(Features(unit.claims)))
    assert "PART" not in unit.emit(fused, native()).source
    monkeypatch.setattr(unit, "HALVED", 0)
    plan = unit.emit(fused, native())
    assert "\n#define PARTS 2\n" in plan.source
    texts = re.split("^#if PART != 2$|^#else$|^#if PART != 1$", plan.source, flags=re.M)[-3:]
    first, prototypes, rest = (re.findall(r"^KERNEL void (\w+)", text, re.M) for text in texts)
    assert first == prototypes and any(name.endswith("_pack") for name in first)
    assert rest and not {*first} & {*rest}
    arrays = draw_inputs(graph)
    for program in (None, CpuProgram.build(plan.source)):  # whole, and in parts
        results, _ = run(plan, arrays, threads=2, program=program)
        np.testing.assert_allclose(results[-1], interpret(graph, arrays)[0][0], 1e-2, 1e-2)


def test_vectors_are_short_in_loops_that_write_several_arrays() -> None:
    def source(results: int, kind: DType = f32) -> str:
        graph = Graph("step")
        x = graph.add_param(TensorType(kind, (100,)), "input", "", "x")
        with using(GraphBuilder()) as builder:
            y = o.exp(o.cast(x, to=f32))
            graph.outputs = [y, o.tanh(y)][:results]
        graph.nodes = builder.nodes
        return unit.emit(Stages(graph).run(lowering(Features(unit.claims))), native()).source

    assert "#pragma omp simd\n" in source(1)
    assert "#pragma omp simd simdlen(8)\n" in source(2)
    assert "#pragma omp simd\n" in source(2, bf16)


def kernels(table: Table) -> Iterator[str]:
    """The functions of the samples' kernels."""
    return iter(re.findall(r"^KERNEL [^;{]*\{\n.*?^\}", table.plan.source, re.M | re.S))


def doubled(text: str) -> list[str]:
    """The text in two pairs of brackets."""
    opened: list[int] = []
    pairs: set[tuple[int, int]] = set()
    for i, letter in enumerate(text):
        if letter == "(":
            opened.append(i)
        elif letter == ")":
            pairs.add((opened.pop(), i))
    found = [text[a : b + 1] for a, b in pairs if (a + 1, b - 1) in pairs]
    return [f for f in found if not f.startswith(("((aligned", "((unused"))]


def test_kernels_have_no_doubled_brackets_no_loop_of_one_iteration_and_no_dead_array(table: Table) -> None:
    count = 0
    for text in kernels(table):
        count += 1
        assert not doubled(text), text
        assert not re.search(r"for \(\w+ (\w+) = 0; \1 < 1;", text), text
        arrays = re.findall(r"^ *\w+ (\w+)(?:\[\w+\])+;", text, re.M)
        assert all(len(re.findall(rf"\b{array}\b", text)) > 1 for array in arrays), text
    assert count > 100
