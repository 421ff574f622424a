"""The cost of a step, by the roofline of a processor, and its memory by purpose."""

import pytest

from compiler.codegen.c.isa import ISAS
from compiler.cost import Cost, cost
from compiler.pipeline import Stages, c_target, passes_for, triton_target
from compiler.plan import Launch
from compiler.processors import PROCESSORS, Processor
from compiler.text.parser import parse_graph

SLOW = Processor("a slow one", "c", {"f32": 1e6, "bf16": 2e6}, plain=1e5, bandwidth=1e4, memory=5000, launch=1e-3)

STEP = """\
graph @step {
  input  %x: f32[8,3]              "x"
  state  %w: f32[4,3]              "w"
  scalar %lr: f64[]                "lr"
  %0: f32[8,4] = linear(%x, %w)                               # a.py:1 fc
  %1: f32[8,4] = tanh(%0)                                     # a.py:2
  %2: f32[] = mean(%1) {axes=[0,1]}                           # a.py:3
  %3: f32[4,3] = grad(%2, %w)                                 # a.py:4
  return %2
}
"""


def costed(processor: Processor, text: str = STEP) -> Cost:
    target = c_target(ISAS["portable"]) if processor.target == "c" else triton_target(processor.target)
    stages = Stages(parse_graph(text))
    fused = stages.run(passes_for(target))
    return cost(target.emit(fused), fused, processor, ["parameters"])


@pytest.mark.parametrize(
    "flops, nbytes, compute, found",
    [
        (2000, 1, "", (0.02, "compute")),
        (2000, 1, "f32", (2e-3, "compute")),
        (4000, 1, "bf16", (2e-3, "compute")),
        (2000, 1, "f64", (0.02, "compute")),  # no peak is known: the peak of plain operations counts
        (1, 100, "", (0.01, "memory")),
        (0, 0, "", (1e-3, "launch")),
    ],
)
def test_the_longest_limit_counts(flops: int, nbytes: int, compute: str, found: tuple[float, str]) -> None:
    launch = Launch("k", "kind", (), parse_graph(STEP).nodes[0].loc, flops, nbytes, compute=compute)
    seconds, bound = SLOW.seconds(launch)
    assert (seconds, bound) == (pytest.approx(found[0]), found[1])


def test_sums_are_those_of_the_kernels_and_memory_that_of_the_plan() -> None:
    found = costed(SLOW)
    assert found.seconds == pytest.approx(sum(k.seconds for k in found.kernels))
    assert sum(seconds for seconds, _, _ in found.by_module().values()) == pytest.approx(found.seconds)
    assert "fc" in found.by_module()
    memory = found.memory
    assert (memory.parameters, memory.arguments) == (48, 96 + 8)
    assert memory.arena > 0 and memory.peak is not None
    assert found.fits and memory.total < 5000


def test_what_the_forward_pass_leaves_is_saved() -> None:
    found = costed(SLOW, STEP.replace("return %2", "return %2, %3").replace("tanh", "sigmoid"))
    assert found.memory.saved >= 8 * 4 * 4


def test_gpus_need_not_be_there() -> None:
    pytest.importorskip("triton")
    for processor in PROCESSORS.values():
        found = costed(processor)
        assert 0 < found.seconds < 1e-3 and found.fits


def test_a_product_has_the_type_that_it_runs_in() -> None:
    text = STEP.replace("%0: f32[8,4] = linear(%x, %w)", "%0: bf16[8,4] = linear(%x, %w) {autocast=bf16}").replace(
        "%1: f32[8,4] = tanh(%0)", "%1: bf16[8,4] = tanh(%0)"
    )
    text = text.replace("%2: f32[] = mean", "%2: bf16[] = mean")
    found = costed(SLOW, text)
    assert "bf16" in {k.launch.compute for k in found.kernels}
    assert {k.launch.compute for k in costed(SLOW).kernels} <= {"f32", ""}
