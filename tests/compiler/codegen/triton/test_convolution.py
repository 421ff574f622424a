"""Convolutions as products that load windows of images: every geometry, nothing but images and results in memory."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import prod
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.codegen.triton.convolution import phases
from compiler.codegen.triton.features import FEATURES
from compiler.codegen.triton.module import emit
from compiler.interpret import interpret
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph
from compiler.ir.op import o
from compiler.ir.types import DType, TensorType, bf16, f16, f32, f64
from compiler.pipeline import Stages, compile_for, lowering, triton_target
from compiler.plan import Plan
from genesis import nn
from genesis.amp import autocast
from genesis.nn import functional as F
from runtime.triton.interpreter import run_program
from runtime.triton.machine_code import opcodes, resources, uses_matrix_units
from runtime.triton.parallel import compile_program
from tests.compiler.codegen.c.test_convolution import CASES, Case
from tests.compiler.codegen.triton.steps import Step, record
from tests.compiler.codegen.triton.targets import DEFAULT, OTHERS, on_request

TOLERANCE = {f64: 1e-12, f32: 3e-6, bf16: 2.0**-7, f16: 2.0**-10}

MORE = {
    "a window of one": Case(3, 5, 20, (5, 7), (1, 1)),
    "a window of one, whole vectors": Case(2, 32, 16, (8, 8), (1, 1), dtype=bf16),
    "single filters": Case(2, 1, 1, (6, 6), (3, 3), padding=1, groups=3),
    "one of everything": Case(1, 1, 1, (1,), (1,)),
    "doubles": Case(2, 3, 4, (5, 5), (3, 3), padding=1, dtype=f64),
}


def kernels(graph: Graph) -> Graph:
    return Stages(graph).run([step for step in lowering(FEATURES) if step[0] != "autodiff"])


def check(worker: Any, graph: Graph, arrays: list[np.ndarray], dtype: DType) -> Plan:
    program = emit(kernels(graph))
    results = worker.submit(run_program, program, arrays).result()
    for got, want in zip(results, interpret(graph, arrays)[0], strict=True):
        bound = TOLERANCE[f32 if want.dtype == np.float32 else dtype]
        got, want = got.astype(np.float64), want.astype(np.float64)
        np.testing.assert_allclose(got, want, bound, bound * np.abs(want).max(), err_msg=program.source)
    return program


@pytest.mark.parametrize("name", [*CASES, *MORE])
def test_a_convolution_and_its_weight_gradient(worker, name: str) -> None:
    case = CASES[name] if name in CASES else MORE[name]
    graph = case.graph()
    if case.dtype is f64:
        graph = doubles(case)
    program = check(worker, graph, case.arrays(), case.dtype)
    inside = max(v.type.size for v in graph.inputs())
    assert all(prod(b.shape) <= max(inside, 4096) for b in program.buffers if b.kind == "temporary")


def doubles(case: Case) -> Graph:
    """The convolution and the gradient of its weights in float64 throughout."""
    graph = Graph("doubles")
    types = [TensorType(f64, v.shape) for v in case.graph().inputs()]
    x, w, g = (graph.add_param(t, "input", "", name) for t, name in zip(types, "xwg", strict=True))
    with using(GraphBuilder()) as builder:
        y = o.convolve(x, w, size=case.size, **case.steps())
        dw = o.convolve_weight(x, g, window=case.window, **case.steps())
    graph.nodes, graph.outputs = builder.nodes, [y, dw]
    return graph


BACK = {
    "steps of two": Case(2, 5, 3, (7, 6), (3, 3), stride=2, padding=1),
    "steps beyond the window": Case(2, 3, 4, (10,), (2,), stride=4),
    "a window of one, steps of three": Case(1, 3, 2, (7, 7), (1, 1), stride=3),
    "steps and dilation": Case(1, 2, 3, (13, 11), (3, 2), stride=2, padding=2, dilation=3),
    "steps that divide the dilation": Case(1, 2, 3, (15,), (3,), stride=2, dilation=2),
    "groups": Case(2, 2, 3, (7, 7), (3, 3), stride=2, padding=1, groups=2),
    "single filters": Case(2, 1, 1, (7, 7), (3, 3), stride=2, padding=1, groups=4),
    "bf16": Case(2, 8, 16, (8, 8), (3, 3), stride=2, padding=1, dtype=bf16),
    "volume": Case(1, 2, 2, (4, 5, 4), (2, 2, 2), stride=2),
    "one step for each window": Case(2, 3, 4, (15, 10), (5, 5), stride=5),
}


def back(case: Case) -> Graph:
    """The gradient of the input of a convolution: one of an image with zeros between its elements."""
    graph = Graph("back")
    g = graph.add_param(TensorType(case.dtype, (case.n, case.groups * case.m, *case.size)), "input", "", "g")
    w = graph.add_param(TensorType(case.dtype, (case.groups * case.c, case.m, *case.window)), "input", "", "w")
    rank = len(case.image)
    reach = tuple(case.dilation * (n - 1) - case.padding for n in case.window)
    steps = {"stride": 1, "dilation": case.dilation, "base": case.stride}
    geometry = {name: (value,) * rank for name, value in steps.items()}
    with using(GraphBuilder()) as builder:
        y = o.convolve(g, w, size=case.image, padding=reach, groups=case.groups, dtype=f32, **geometry)
        graph.outputs = [o.mul(y, 2.0)]
    graph.nodes = builder.nodes
    return graph


@pytest.mark.parametrize("name", BACK)
def test_zeros_between_the_elements_of_an_image_are_never_multiplied(worker, name: str) -> None:
    case = BACK[name]
    graph = back(case)
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(-1, 1, v.shape).astype(v.dtype.numpy) for v in graph.inputs()]
    program = check(worker, graph, arrays, case.dtype)
    count = min(case.stride, max(case.image)) ** len(case.image)
    if count <= 16:
        assert len(program.launches) <= count
        assert not [b for b in program.buffers if b.kind == "temporary"]
        read = len(program.launches) * sum(v.type.nbytes for v in graph.inputs())
        assert sum(x.nbytes for x in program.launches) <= read + graph.outputs[0].type.nbytes


@pytest.mark.parametrize("base, stride, dilation", [*product((1, 2, 3, 4), (1, 2, 3), (-2, 1, 2, 3))])
def test_phases_see_what_a_slide_sees(base: int, stride: int, dilation: int) -> None:
    for window, padding, size in product((1, 2, 3, 5), (-1, 0, 2), (1, 4, 7)):
        seen = {}
        for phase in phases(size, window, stride, dilation, padding, base):
            for at, w in product(range(phase.size), range(phase.taps)):
                place = at * phase.stride + w * phase.dilation + phase.shift
                key = phase.first + at * phase.step, phase.tap + w * phase.tap_step
                assert seen.setdefault(key, place) == place
        wanted = {}
        for at, w in product(range(size), range(window)):
            place, rest = divmod(at * stride + w * dilation - padding, base)
            if rest == 0:
                wanted[at, w] = place
        assert seen == wanted


def network(batch: int = 16, channels: tuple[int, ...] = (8, 16, 32), size: int = 16) -> Step:
    """Convolutions that keep the size, halve it and see one place, with batch norm."""
    genesis.manual_seed(0)
    first, second, third = channels
    model = nn.Sequential(
        nn.Conv2d(3, first, 3, padding=1), nn.BatchNorm2d(first), nn.ReLU(),
        nn.Conv2d(first, second, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(second, third, 1), nn.ReLU(),
        nn.ConvTranspose2d(third, first, 2, stride=2), nn.Flatten(), nn.Linear(first * size**2, 10),
    )  # fmt: skip
    optimizer = genesis.optim.SGD(model.parameters(), lr=0.1)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        with autocast(device_type="cuda", dtype=genesis.bfloat16):
            loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    rng = np.random.default_rng(0)
    return step, [rng.standard_normal((batch, 3, size, size)).astype(np.float32), rng.integers(0, 10, batch)]


def test_a_training_step_has_no_patches_in_memory() -> None:
    batch, channels, size = 16, (8, 16, 32), 16
    program = compile_for(Stages(record(*network(batch, channels, size))[0]), triton_target("sm_90"))
    largest = batch * max(channels[0] * size**2, channels[2] * size**2 // 4)
    parts = [b.shape for b in program.buffers if b.kind == "temporary" and prod(b.shape) > largest]
    assert not parts
    names = [x.kernel for x in program.launches]
    assert sum(name.startswith("dot") for name in names) == 3, "the linear layer and its gradients"


@pytest.mark.parametrize(("target", "least"), [(DEFAULT, 1), *(on_request(target, 6) for target in (DEFAULT, *OTHERS))])
def test_machine_code(target: str, least: int) -> None:
    """By default one kernel of each kind, on request all of the network's."""
    program = compile_for(Stages(record(*network(64, (32, 64, 128), 16))[0]), triton_target(target))
    kinds = ("convolution", "weight_gradient")
    found = [[k for k in program.kernels if k.name.startswith(kind)] for kind in kinds]
    assert sum(map(len, found)) >= 6 and all(found)
    some = replace(program, kernels=tuple(k for of_kind in found for k in (of_kind if least > 1 else of_kind[:1])))
    for compiled in compile_program(some):
        assert resources(compiled).spill_bytes == 0, compiled.name
        assert uses_matrix_units(opcodes(compiled)), compiled.name


def test_the_text_reads_well(golden) -> None:
    case = Case(4, 8, 16, (8, 8), (3, 3), padding=1, dtype=bf16)
    golden("triton/convolution.txt", emit(kernels(case.graph())).source)
