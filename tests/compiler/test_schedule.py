"""Where threads wait for each other."""

from compiler.hazards import Access
from compiler.ir.location import Loc
from compiler.plan import Launch
from compiler.schedule import Call, Repeat, Schedule


def call(reads: str = "", writes: str = "") -> Call:
    return Call(Access(set(reads), set(writes)), Launch("k", "pointwise", (), Loc(), 0, 0))


def test_a_turn_waits_for_what_the_one_before_it_did() -> None:
    turn = [call("c", "a"), call("x", "y"), call("a", "b")]
    assert Schedule(turn, {}, set()).waiting == {turn[2]}
    behind = call("x", "z")
    waiting = Schedule([Repeat(0, 3, turn), behind], {}, set()).waiting
    assert waiting == {turn[0], turn[2]}, "the start waits for the end, which reads what it overwrites"


def test_a_loop_meets_what_came_before_it_and_leaves_something_behind() -> None:
    before, inside, behind = call("", "a"), call("a", "b"), call("b", "c")
    schedule = Schedule([before, Repeat(0, 3, [inside]), behind], {}, set())
    assert schedule.waiting == {inside, behind}


def test_even_shares_wait_in_front_of_a_loop_and_not_in_it() -> None:
    before, behind = call("", "a"), call("b", "c")
    turn = [call("a", "b"), call("b", "a")]
    for inside in turn:
        inside.access.blocks, inside.access.even = {"a": 64, "b": 64}, 4
    loop = Repeat(0, 3, turn)
    schedule = Schedule([before, loop, behind], {}, set())
    assert schedule.waiting == set(turn)
    assert (schedule.even, schedule.waiting_evenly) == (4, {loop, behind})
