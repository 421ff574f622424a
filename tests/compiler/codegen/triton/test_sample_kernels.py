"""Every op on its samples, forward and backward, compiles to machine code that fits and does not spill.

One kernel of each template is compiled for one GPU by default, all for all of them by ``pytest -m machine_code``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from compiler.codegen.triton.features import FEATURES
from compiler.codegen.triton.module import emit
from compiler.pipeline import Stages, lowering
from compiler.plan import Plan
from compiler.processors import GPUS
from runtime.triton.aot import CompiledKernel, compile_numbered
from runtime.triton.machine_code import opcodes, resources
from tests.compiler.codegen.triton.targets import DEFAULT, OTHERS, TARGETS
from tests.samples import op_names, sample_graph, samples_of, with_gradient

OPS = op_names()

TEMPLATES = {
    "attention": "scaled_dot_product_attention",
    "column": "add",
    "combine": "avg_pool",
    "concat": "concat",
    "convolution": "conv",
    "dot": "matmul",
    "fill": "embedding",
    "flat": "exp",
    "full": "where",
    "pointwise": "permute",
    "row": "softmax",
    "scan": "cumsum",
    "scatter": "embedding",
    "sort": "argsort",
    "sum": "sum",
    "weight": "conv",
}
"""Templates, and an op whose samples have a kernel of each."""

SPILLING = {"normal_f64"}
"""Ops that may spill: the cosine of a large float64 keeps a table in local memory."""


def plans(op: str, target: str) -> Iterator[tuple[str, Plan]]:
    """The identity and the plan of each sample of an op."""
    for sample in samples_of(op):
        yield sample.id, emit(Stages(with_gradient(sample_graph(sample))).run(lowering(FEATURES)), target)


def template(plan: Plan, number: int) -> str:
    """The kind of a kernel named after its op, else what its name begins with."""
    name = plan.kernels[number].name
    kind = next(launch.kind for launch in plan.launches if launch.kernel == name)
    return kind if kind in ("scan", "sort") else name.partition("_")[0]


def spills(kernel: CompiledKernel) -> bool:
    """Whether it keeps anything in local memory; a stack that nothing reads or writes is none."""
    if not resources(kernel).spill_bytes:
        return False
    return kernel.target == "gfx942" or any(code.startswith(("LDL", "STL")) for code in opcodes(kernel))


def check(plan: Plan, number: int, op: str, identity: str) -> None:
    """Compile a kernel."""
    kernel = compile_numbered(plan, number)
    name = f"{identity}: {kernel.name}"
    assert kernel.shared <= GPUS[plan.target].shared, name
    assert op in SPILLING or not spills(kernel), name


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", TEMPLATES)
def test_a_kernel_of_each_template(name: str, target: str) -> None:
    for identity, plan in plans(TEMPLATES[name], target):
        numbers = [i for i in range(len(plan.kernels)) if template(plan, i) == name]
        if numbers:
            check(plan, numbers[0], TEMPLATES[name], identity)
            return
    pytest.fail(f"no sample of {TEMPLATES[name]} has a kernel {name!r}")


@pytest.mark.machine_code
@pytest.mark.parametrize("target", (DEFAULT, *OTHERS))
@pytest.mark.parametrize("op", OPS)
def test_all_kernels(op: str, target: str) -> None:
    for identity, plan in plans(op, target):
        for number in range(len(plan.kernels)):
            assert template(plan, number) in TEMPLATES, "compile one of these by default, too"
            check(plan, number, op, identity)
