"""The executor: what it hands to a program, and what it makes of the answer. The program is Python."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from compiler.plan import Check, Plan, Slot
from runtime.device import Status
from runtime.devices.cpu import CpuDevice
from runtime.devices.pool import num_threads, set_num_threads
from runtime.executor import PERIOD, SMALL_INPUT, Arenas, Executor

Body = Callable[[list[np.ndarray], int], Status | None]


class Scripted:
    """A device whose programs run ``body(arrays in slot order, threads)``."""

    name = "scripted"

    def __init__(self, plan: Plan, body: Body) -> None:
        self.plan, self.body = plan, body
        self.status = Status(0, 0, 0, 0)
        self.allocated: list[int] = []

    def load(self, source: str) -> Any:
        assert source == self.plan.source
        return self

    def alloc(self, nbytes: int) -> np.ndarray:
        self.allocated.append(nbytes)
        return np.zeros(nbytes + 1, np.uint8)[:nbytes]

    def __call__(self, args: Any, threads: int) -> int:
        arrays = []
        for address, slot in zip(args, self.plan.slots, strict=False):
            kind = {"f32": ctypes.c_float, "f64": ctypes.c_double, "i64": ctypes.c_int64}[slot.dtype]
            flat = np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(kind)), (int(np.prod(slot.shape)),))
            arrays.append(flat.reshape(slot.shape))
        assert args[len(self.plan.slots)] and args[len(self.plan.slots) + 1], "arena and scratch"
        self.status = self.body(arrays, threads) or Status(0, 0, 0, 0)
        return self.status.code


def plan(threads: int = 1, size: int = 3, **changes: Any) -> Plan:
    slots = (
        Slot("state", "w", "f32", (size,)),
        Slot("input", "x", "f32", (size,)),
        Slot("scalar", "lr", "f64", ()),
        Slot("state", "n", "i64", ()),
        Slot("scalar", "decay", "f64", ()),
        Slot("output", "loss", "f32", ()),
        Slot("output", "norm", "f32", ()),
    )
    checks = (Check("class index", 4, "a.py:1"), Check("embedding index", 9, "b.py:2"))
    return Plan("step", "c/portable", "source", slots, 256, ((100, 10),), threads, (), checks, **changes)


def step(arrays: list[np.ndarray], threads: int) -> None:
    w, x, lr, n, decay, loss, norm = arrays
    w -= lr * x + decay
    n += 1
    loss[...] = (w * x).sum()
    norm[...] = threads


def made(body: Body = step, **options: Any) -> tuple[Executor, Scripted]:
    fresh = options.pop("fresh", None)
    the_plan = plan(**options)
    device = Scripted(the_plan, body)
    return Executor(the_plan, device, fresh), device


X = np.array([1.0, 2.0, 3.0], np.float32)


def test_states_are_updated_in_place_and_scalars_read_at_every_call() -> None:
    executor, _ = made()
    w, n = np.zeros(3, np.float32), np.array(0)
    executor.bind([w, n])
    executor.run([X], [0.5, 0.0])
    np.testing.assert_array_equal(w, -0.5 * X)
    executor.run([X * 2], [0.25, 1.0])
    np.testing.assert_array_equal(w, -X - 1)
    assert n == 2


@pytest.mark.parametrize("kind", [list, tuple])
def test_scalars_are_those_of_the_call_after_runs_with_the_same_object(kind: type) -> None:
    executor, _ = made()
    w = np.zeros(3, np.float32)
    executor.bind([w, np.array(0)])
    scalars = kind([1.0, 0.0])
    executor.run([X], scalars)
    executor.run([X], scalars)
    np.testing.assert_array_equal(w, -2 * X)
    if kind is list:
        scalars[:] = 0.0, 1.0
    else:
        scalars = 0.0, 1.0
    executor.run([X], scalars)
    np.testing.assert_array_equal(w, -2 * X - 1)
    executor.run([X], kind([1.0, 0.0]))
    np.testing.assert_array_equal(w, -3 * X - 1)


def test_states_may_be_bound_anew() -> None:
    executor, _ = made()
    first, second = np.zeros(3, np.float32), np.zeros(3, np.float32)
    executor.bind([first, np.array(0)])
    executor.run([X], [1.0, 0.0])
    executor.bind([second, np.array(0)])
    executor.run([X], [1.0, 0.0])
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, -X)


def test_bound_states_are_kept_alive() -> None:
    executor, _ = made()
    executor.bind([np.zeros(3, np.float32), np.array(0)])
    junk = [np.full(3, 7.0, np.float32) for _ in range(100)]
    loss, _ = executor.run([X], [1.0, 0.0])
    assert loss == -14.0 and len(junk) == 100


def test_results_are_fresh_unless_they_need_not_be() -> None:
    executor, _ = made()
    executor.bind([np.zeros(3, np.float32), np.array(0)])
    first, second = executor.run([X], [1.0, 0.0]), executor.run([X], [1.0, 0.0])
    assert not any(np.shares_memory(a, b) for a, b in zip(first, second, strict=True))
    assert first[0] == -14.0 and second[0] == -28.0
    kept, _ = made(fresh=1)
    kept.bind([np.zeros(3, np.float32), np.array(0)])
    first, second = kept.run([X], [1.0, 0.0]), kept.run([X], [1.0, 0.0])
    assert not np.shares_memory(first[0], second[0]) and np.shares_memory(first[1], second[1])


@pytest.mark.parametrize("start", [0, 5, SMALL_INPUT - 3])
def test_an_input_in_the_memory_of_a_state_is_read_as_it_was_before(start: int) -> None:
    def write_first(arrays: list[np.ndarray], threads: int) -> None:
        w, x, *_, loss, _ = arrays
        w[...] = 100
        loss[...] = x.sum()

    size = SMALL_INPUT
    memory = np.zeros(3 * size, np.float32)
    w, n = memory[size : 2 * size], np.array(0)
    for x in (memory[size + start :][:size], memory[start + 1 :][:size], memory[2 * size :], memory[:size]):
        executor, _ = made(write_first, size=size)
        executor.bind([w, n])
        for fill in (1, 2):
            memory[...] = fill
            assert executor.run([x], [1.0, 0.0])[0] == fill * size
        executor.bind([np.zeros(size, np.float32), n])
        memory[...] = 3
        assert executor.run([x], [1.0, 0.0])[0] == 3 * size


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [3, SMALL_INPUT])
def test_an_array_given_again_is_read_again(size: int, stride: int) -> None:
    executor, _ = made(size=size)
    w = np.zeros(size, np.float32)
    executor.bind([w, np.array(0)])
    x = np.arange(size * stride, dtype=np.float32)[::stride]
    executor.run([x], [1.0, 0.0])
    x *= 10
    executor.run([x], [1.0, 0.0])
    np.testing.assert_array_equal(w, -1.1 * x)


FINDINGS = [
    (Status(1, 0, 2, 4), "class index 4 is out of range [0, 4) (element 2)\n  at a.py:1"),
    (Status(1, 1, 0, -3), "embedding index -3 is out of range [0, 9) (element 0)\n  at b.py:2"),
]


@pytest.mark.parametrize(("found", "message"), FINDINGS)
def test_a_finding_is_an_index_error_with_its_place(found: Status, message: str) -> None:
    executor, _ = made(lambda arrays, threads: found)
    executor.bind([np.zeros(3, np.float32), np.array(0)])
    with pytest.raises(IndexError) as raised:
        executor.run([X], [1.0, 0.0])
    assert str(raised.value) == f"{message}\n  nothing was updated by this call"


def test_threads_are_the_plans_or_all_that_may_be_used() -> None:
    seen = []

    def record(arrays: list[np.ndarray], threads: int) -> None:
        seen.append(threads)

    before = num_threads()
    try:
        for threads in (1, 0):
            executor, device = made(record, threads=threads)
            executor.bind([np.zeros(3, np.float32), np.array(0)])
            for count in (2, 5, 5):
                set_num_threads(count)
                executor.run([X], [1.0, 0.0])
            scratch = [110] if threads else [120, 150]
            assert device.allocated == [X.nbytes, 256, *scratch], "room for x, the arena, and scratch when it grows"
    finally:
        set_num_threads(before)
    assert seen == [1, 1, 1, 2, 5, 5]


def test_a_wrong_number_of_states_is_refused() -> None:
    executor, _ = made()
    with pytest.raises(ValueError):
        executor.bind([np.zeros(3, np.float32)])


def test_memory_that_no_program_needs_any_more_is_given_back() -> None:
    arenas = Arenas(CpuDevice())
    for nbytes in (1 << 20, 100):
        arenas.address(nbytes)
    assert arenas._block.nbytes == 1 << 20
    for _ in range(2 * PERIOD):
        arenas.address(100)
    assert arenas._block.nbytes == 100
