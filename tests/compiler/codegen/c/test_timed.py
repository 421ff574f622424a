"""The timed form of a unit: the same text with a mark behind every launch and every barrier."""

import re

import numpy as np

import compiler.ops.all  # noqa: F401
from compiler.codegen.c import unit
from compiler.codegen.c.isa import ISAS
from compiler.features import Features
from compiler.pipeline import Stages, lowering
from compiler.plan import Plan
from compiler.text.parser import parse_graph
from tests.compiler.codegen.c.plans import native, run

TEXT = """\
graph @step {
  input  %x: f32[8,4]
  state  %w: f32[3,4]
  %0: f32[8,3] = linear(%x, %w)
  %1: f32[8,3] = softmax(%0) {axis=1}
  %2: f32[] = sum(%1) {axes=[0,1]}
  return %1, %2
}
"""


def body(plan: Plan) -> list[str]:
    """The lines of the function that runs the kernels."""
    source = plan.source[plan.source.index("static void run(") :]
    return source[: source.index("\n}")].split("\n")


def test_a_plan_is_timed_by_marks_alone() -> None:
    fused = Stages(parse_graph(TEXT, "step.gir")).run(lowering(unit.FEATURES))
    plain, timed = (unit.emit(fused, ISAS["portable"], timed=t) for t in (False, True))
    assert plain.launches == timed.launches and len(plain.launches) > 1
    assert not re.search(r"clock|seconds|MARK", plain.source)
    left = [line for line in body(timed) if not re.search(r"MARK|seconds|spent|waking", line)]
    assert left == [*body(plain), "  BARRIER;"]


def test_every_thread_writes_times_of_its_own() -> None:
    fused = Stages(parse_graph(TEXT, "step.gir")).run(lowering(Features(unit.claims)))
    plain, timed = (unit.emit(fused, native(), timed=t) for t in (False, True))
    x, w = np.arange(32, dtype=np.float32).reshape(8, 4), np.ones((3, 4), np.float32)
    spent = np.zeros((4, len(timed.launches), 2))
    results, status = run(timed, [x, w], threads=3, spent=spent)
    for got, want in zip(results, run(plain, [x, w], threads=3)[0], strict=True):
        np.testing.assert_array_equal(got, want)
    assert status == [0, 0, 0, 0]
    assert (spent[:3, :, 0] > 0).all() and (spent[:3, -1, 1] > 0).all()
    assert not spent[3].any(), "there is no fourth thread"


def test_every_launch_is_marked_and_every_wait() -> None:
    plan = unit.emit(
        Stages(parse_graph(TEXT, "step.gir")).run(lowering(unit.FEATURES)),
        ISAS["portable"],
        timed=True,
    )
    text = "\n".join(body(plan))
    assert [int(n) for n in re.findall(r"MARK\((\d+), 0\);", text)] == list(range(len(plan.launches)))
    waits = [int(n) for n in re.findall(r"BARRIER;\n  MARK\((\d+), 1\);", text)]
    assert len(waits) == text.count("BARRIER") - 1, "the first waits for threads to wake"
    assert waits == sorted(set(waits)) and waits[-1] == len(plan.launches) - 1
