"""Threads wait for each other at the right places, and the status is looked at in time."""

import pytest

from compiler.hazards import Access
from compiler.ir.types import TensorType, f32
from compiler.placement import Buffer
from compiler.schedule import Call, Repeat, Schedule, counted

KIND = TensorType(f32, (4,))


def call(reads: str = "", writes: str = "", checked: bool = False) -> Call:
    """A call that touches buffers named by letters."""
    return Call(Access(set(map(ord, reads)), set(map(ord, writes))), checked=checked)


def test_a_turn_waits_for_what_the_one_before_it_did() -> None:
    turn = [call("c", "a"), call("x", "y"), call("a", "b")]
    assert Schedule(turn, []).waiting == {turn[2]}
    behind = call("x", "z")
    waiting = Schedule([Repeat(0, 3, turn), behind], []).waiting
    assert waiting == {turn[0], turn[2]}, "the start waits for the end, which reads what it overwrites"


def test_a_loop_meets_what_came_before_it_and_leaves_something_behind() -> None:
    before, inside, behind = call("", "a"), call("a", "b"), call("b", "c")
    schedule = Schedule([before, Repeat(0, 3, [inside]), behind], [])
    assert schedule.waiting == {inside, behind}


def test_even_shares_wait_in_front_of_a_loop_and_not_in_it() -> None:
    before, behind = call("", "a"), call("b", "c")
    turn = [call("a", "b"), call("b", "a")]
    for inside in turn:
        inside.access.blocks, inside.access.even = {ord("a"): 64, ord("b"): 64}, 4
    loop = Repeat(0, 3, turn)
    schedule = Schedule([before, loop, behind], [])
    assert schedule.waiting == set(turn)
    assert (schedule.even, schedule.waiting_evenly) == (4, {loop, behind})


@pytest.mark.parametrize("kind", ["state", "shadow"])
def test_the_first_write_to_a_state_behind_a_check_looks_for_all_threads(kind: str) -> None:
    buffers = [Buffer(kind, 0, KIND), Buffer(kind, 1, KIND), Buffer("output", 2, KIND)]
    early, check, result = (Call(Access(set(), {n}), checked=n == 2) for n in (0, 2, 2))
    writes = [Call(Access(set(), {n})) for n in (0, 1)]
    schedule = Schedule([early, check, result, *writes], buffers)
    assert schedule.looking == {writes[0]}
    assert writes[0] in schedule.waiting, "all threads have checked by then"


def test_calls_in_strict_order_do_not_wait_and_look_each_for_itself() -> None:
    buffers = [Buffer("state", 0, KIND), Buffer("state", 1, KIND)]
    check, writes = call("", "", checked=True), [Call(Access({0, 1}, {n})) for n in (0, 1)]
    schedule = Schedule([Repeat(0, 2, [check]), *writes], buffers, ordered=True)
    assert schedule.looking == set(writes)
    assert not schedule.waiting and not schedule.waiting_evenly


def test_a_call_in_two_loops_is_made_once_for_each_pair_of_iterations() -> None:
    inner, outer = call("a", "b"), call("b", "c")
    assert list(counted([Repeat(0, 3, [Repeat(1, 5, [inner]), outer])])) == [(inner, 15), (outer, 3)]
