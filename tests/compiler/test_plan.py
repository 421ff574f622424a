"""Plans as data."""

import pytest

from compiler.ir.location import Loc
from compiler.places import Place, sliced
from compiler.plan import Buffer, Check, Kernel, Launch, Plan, Repeat, Slot, read_word

PLAN = Plan(
    name="step",
    target="c/portable",
    source='void step(void) { /* "quoted", ünïcode */ }',
    slots=(
        Slot("state", "model.weight", "f32", (3, 4)),
        Slot("scalar", "lr", "f64", ()),
        Slot("output", "", "bf16", (2,)),
    ),
    arena_bytes=128,
    scratch=((64, 10), (0, 40)),
    threads=0,
    steps=(
        Launch("k0_dot", "contract", ("dot", "add"), Loc("/home/train.py", 3, "net.fc", "grad"), 24, 96, "backward"),
    ),
    checks=(Check("class index", 10, "train.py:4"), Check("embedding index", 7, "train.py:5")),
)


def test_a_plan_is_text_and_back() -> None:
    assert Plan.from_json(PLAN.to_json()) == PLAN
    assert hash(Plan.from_json(PLAN.to_json())) == hash(PLAN)


GPU = Plan(
    name="step",
    target="sm_80",
    source="@triton.jit",
    slots=(),
    arena_bytes=64,
    scratch=(),
    threads=0,
    steps=(
        Launch("k", "row", ("add",), Loc("a.py", 1), 0, 8, others=(Loc("b.py", 2),), grid=(4, 1, 1)),
        Repeat(0, 3, (Launch("k", "row", (), Loc(), 0, 0, arguments=(Place(1, 4), sliced(Place(0), 0, 3, 8, True))),)),
    ),
    buffers=(Buffer("temporary", 0, "f32", (6,)), Buffer("table", 0, "i64", (2,))),
    tables=((3, Place(0, 4)),),
    kernels=(Kernel("k", (("a", "*fp32"),), ("a",), 4, 3),),
)


def test_a_plan_for_a_gpu_is_text_and_back() -> None:
    assert Plan.from_json(GPU.to_json()) == GPU
    assert GPU.launches[0].places == ("a.py:1", "b.py:2")


def test_a_loop_is_launched_in_every_iteration() -> None:
    places = [[a.at(where) for a in launch.arguments] for launch, where in GPU.unrolled()]
    assert places == [[], *([Place(1, 4), Place(0, offset)] for offset in (16, 8, 0))]


@pytest.mark.parametrize(
    "index, text", [(-3, "-3"), (2**31 - 1, "2147483647 (or more)"), (-(2**31), "-2147483648 (or less)")]
)
def test_a_word_holds_element_and_index(index: int, text: str) -> None:
    assert read_word(7 << 32 | index & 0xFFFFFFFF) == (text, 7)


def test_a_launch_has_a_place_for_people() -> None:
    assert PLAN.launches[0].place == "train.py:3 net.fc [grad]"


def test_scratch_grows_with_threads() -> None:
    assert [PLAN.scratch_bytes(n) for n in (1, 2, 4)] == [74, 84, 160]
    assert Plan("empty", "c", "", (), 0, (), 1, ()).scratch_bytes(8) == 0


def test_a_finding_says_what_where_and_what_became_of_the_states() -> None:
    assert PLAN.checks[0].finding(12, 3) == (
        "class index 12 is out of range [0, 10) (element 3)\n  at train.py:4\n  nothing was updated by this call"
    )
