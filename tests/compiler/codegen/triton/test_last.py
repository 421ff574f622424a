"""Weight gradients that are computed twice: for the norm that clips them, and where the optimizer reads them."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.codegen.triton.module import emit
from compiler.interpret import interpret
from compiler.ir.graph import Graph, Node
from compiler.plan import Plan
from genesis import nn, optim
from genesis.amp import GradScaler, autocast
from genesis.nn import functional as F
from genesis.tensor import Tensor
from runtime.triton.aot import compile_numbered
from runtime.triton.interpreter import run_program
from runtime.triton.machine_code import resources
from tests.compiler.codegen.triton.steps import lowered, record
from tests.compiler.codegen.triton.targets import DEFAULT, on_request
from tests.compiler.codegen.triton.test_narrow_states import states_of_shadows

Arrays = list[np.ndarray]


def run(plan: Plan, arrays: Arrays) -> tuple[Arrays, Arrays, Arrays]:
    """The results, the parameters afterwards, and the shadows."""
    shadows: Arrays = []
    return run_program(plan, arrays, shadows), arrays, shadows


@cache
def trained(amp: Any, clip: bool, scale: float, rows: int = 5, width: int = 34) -> tuple[Graph, Arrays]:
    """A step of three layers, two of them alike; no size is a multiple of a tile. ``scale`` 0: without a scaler."""
    genesis.manual_seed(0)
    sizes = (40, width, width, width)
    model = nn.Sequential(*(nn.Linear(a, b) for a, b in pairwise(sizes)))
    optimizer = optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1, eps=1e-3)
    scaler = GradScaler(init_scale=scale or 1.0, enabled=scale > 0)

    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        with autocast(device_type="cuda", dtype=amp, enabled=amp is not None):
            loss = F.mse_loss(model(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), 1e-2)
        scaler.step(optimizer)
        scaler.update()
        return loss

    rng = np.random.default_rng(0)
    return record(step, [rng.standard_normal((rows, n)).astype(np.float32) for n in (40, width)])


def repeated(fused: Graph) -> list[Node]:
    return [n for n in fused.nodes if n.attrs["kind"] == "contract" and n.phase == "recomputed"]


WAYS = {
    "fp32": (None, True, 0),
    "fp32, scaler alone": (None, False, 8.0),
    "bf16": (genesis.bfloat16, True, 0),
    "fp16, scaler": (genesis.float16, True, 8.0),
    "fp16, overflow": (genesis.float16, True, 2.0**24),
}
TOLERANCE = {"fp32": 1e-5, "bf16": 4e-3, "fp16": 1e-3}


@pytest.mark.parametrize("way", WAYS)
def test_states_are_renewed_as_the_interpreter_does(worker, way: str) -> None:
    """Clipped, the step is small: states differ by the rounding of the gradients, if at all."""
    graph, arrays = trained(*WAYS[way])
    fused = lowered(graph)
    assert len(repeated(fused)) == 3
    states = {u.state: u.value for u in fused.updates}
    for node in repeated(fused):
        assert set(node.outputs) <= set(states.values()) and len(node.outputs) == 3
    plan = emit(fused)
    expected, new = interpret(fused, arrays)
    results, after, shadows = worker.submit(run, plan, [a.copy() for a in arrays]).result()
    tolerance = TOLERANCE[way.split(",")[0]]
    np.testing.assert_allclose(results[0], expected[0], rtol=tolerance)
    for update, wanted in zip(fused.updates, new, strict=True):
        number = fused.inputs().index(update.state)
        np.testing.assert_allclose(after[number], wanted, tolerance, tolerance * np.abs(wanted).max())
        assert (after[number] == arrays[number]).all() == (wanted == arrays[number]).all()
        if "overflow" in way and wanted.ndim:
            np.testing.assert_array_equal(after[number], arrays[number])
    assert len(plan.halved) == (3 if "bf16" in way else 0) and len(shadows) == (3 if "fp16" in way else 0)
    for shadow, number in zip(shadows, states_of_shadows(plan), strict=True):
        np.testing.assert_array_equal(shadow, after[number].astype(shadow.dtype))


def test_gradients_are_not_stored() -> None:
    """The first products leave sums, the second ones run at the end: those of equal layers are one part of a launch."""
    fused = lowered(trained(*WAYS["bf16"])[0])
    again = {n.inputs[:2] for n in repeated(fused)}
    first = [n for n in fused.nodes if n.inputs[:2] in again and n.phase == "backward"]
    assert len(first) == 3 and all(v.type.size == 1 for n in first for v in n.outputs)
    plan = emit(fused)
    updates = [x for x in plan.launches if {"dot", "sqrt"} <= set(x.ops)]
    assert len(updates) == 1 and updates[0] is plan.launches[-1], "and nothing is copied to the states behind it"
    assert '"""2 products: [34, 5] bf16 @ [5, 34] bf16' in plan.source


def test_both_products_go_along_k_in_the_same_steps() -> None:
    """So they add in one order, and what is clipped is what the norm is of."""
    source = emit(lowered(trained(*WAYS["bf16"], rows=24, width=130)[0])).source
    found = re.findall(r'"""(?:2 products: )?(\[.*\] bf16 @ .*), tiles of (\d+) x (\d+) x (\d+)\."""', source)
    steps: dict[str, list[str]] = {}
    for product, _, _, step in found:
        steps.setdefault(product, []).append(step)
    twice = [both for both in steps.values() if len(both) > 1]
    assert len(twice) >= 2 and all(len(set(both)) == 1 for both in twice)


def test_what_is_read_and_written_at_the_end() -> None:
    """Factors once, states in their places, gradients of biases: the numbers aside, and no gradient of a weight."""
    rows, width = 5, 34
    launch = emit(lowered(trained(*WAYS["bf16"])[0])).launches[-1]
    weights, biases = 40 * width + 2 * width**2, 3 * width
    factors = 2 * rows * (3 * width + 2 * width) + 4 * rows * 40
    least = 6 * 4 * weights + 7 * 4 * biases + factors
    assert least <= launch.nbytes < least + 100


def test_an_update_in_the_only_product_is_in_place() -> None:
    """Without a norm nothing waits: one product a layer, whose kernel writes both halves of a parameter and moments."""
    fused = lowered(trained(genesis.bfloat16, False, 0)[0])
    assert not repeated(fused)
    plan = emit(fused)
    assert len(plan.halved) == 3
    updates = [x for x in plan.launches if {"dot", "sqrt"} <= set(x.ops)]
    assert len(updates) == 3 and not any(x.kind == "copy" or not x.ops for x in plan.launches)


def test_products_of_many_rows_are_not_repeated() -> None:
    assert not repeated(lowered(trained(genesis.bfloat16, True, 0, rows=64)[0]))


@pytest.mark.parametrize("target", [DEFAULT, on_request("sm_80")])
def test_machine_code(target: str) -> None:
    """Of tiles that are whole, and a table of two products; the scaler's check selects among more values."""
    plan = emit(lowered(trained(*WAYS["fp16, scaler"], rows=64, width=1024)[0]), target)
    number = next(i for i, kernel in enumerate(plan.kernels) if kernel.name == plan.launches[-1].kernel)
    assert plan.kernels[number].name.startswith("dot")
    assert resources(compile_numbered(plan, number)).spill_bytes == 0
