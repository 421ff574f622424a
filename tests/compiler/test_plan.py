"""Plans as data."""

from compiler.ir.location import Loc
from compiler.plan import Check, Launch, Plan, Slot

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
    launches=(
        Launch("k0_dot", "contract", ("dot", "add"), Loc("/home/train.py", 3, "net.fc", "grad"), 24, 96, "backward"),
    ),
    checks=(Check("class index", 10, "train.py:4"), Check("embedding index", 7, "train.py:5")),
)


def test_a_plan_is_text_and_back() -> None:
    assert Plan.from_json(PLAN.to_json()) == PLAN
    assert hash(Plan.from_json(PLAN.to_json())) == hash(PLAN)


def test_a_launch_has_a_place_for_people() -> None:
    assert PLAN.launches[0].place == "train.py:3 net.fc [grad]"


def test_scratch_grows_with_threads() -> None:
    assert [PLAN.scratch_bytes(n) for n in (1, 2, 4)] == [74, 84, 160]
    assert Plan("empty", "c", "", (), 0, (), 1, ()).scratch_bytes(8) == 0


def test_a_finding_says_what_where_and_what_became_of_the_states() -> None:
    assert PLAN.checks[0].finding(12, 3) == (
        "class index 12 is out of range [0, 10) (element 3)\n  at train.py:4\n  nothing was updated by this call"
    )
