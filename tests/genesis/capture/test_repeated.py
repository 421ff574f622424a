"""Whether a call is known to be like the last one, without a key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import genesis
from genesis.capture.guards.reachable import Reachable
from genesis.capture.guards.repeated import LastCall, can_repeat
from genesis.capture.guards.snapshot import Snapshot
from genesis.context import session
from genesis.live import changes as optimizer_changes
from genesis.memory.cells import changes as module_changes

X = genesis.ones(2)


def last_call(*args: Any) -> LastCall:
    from_now = module_changes.time, optimizer_changes.time
    return LastCall(args, session(), from_now, Reachable(lambda: None), ())


def test_other_tensors_of_the_type_and_other_floats_are_like_the_last() -> None:
    inputs = last_call(X, 1.5, "mean").inputs((genesis.zeros(2), 2.5, "mean"), session())
    assert inputs is not None
    np.testing.assert_array_equal(inputs, [[0, 0]])


def test_arrays_count_by_dtype_and_shape() -> None:
    last, other = last_call(np.ones((2, 3), np.float32)), np.zeros((2, 3), np.float32)
    inputs = last.inputs((other,), session())
    assert inputs is not None and inputs[0] is other
    for array in (np.ones((3, 2), np.float32), np.ones((2, 3)), genesis.ones(2, 3), [[1.0] * 3] * 2):
        assert last.inputs((array,), session()) is None


def test_a_step_on_other_arrays_builds_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    step = genesis.compile(lambda x, by: x * by, backend="interpret")
    for call in range(3):  # the second call is recorded again
        assert float(step(np.full(2, call, np.float32), 2.0)[0]) == 2 * call
    monkeypatch.setattr(type(step), "_kinds", None)
    np.testing.assert_array_equal(step(np.float32([3, 4]), 0.5).numpy(), [1.5, 2])
    with pytest.raises(TypeError, match="not callable"):
        step(genesis.ones(2), 0.5)


@pytest.mark.parametrize(
    "args",
    [
        (X, 2, "mean"),
        (X, "1.5", "mean"),
        (X, 1.5, "sum"),
        (X, 1.5),
        (1.5, X, "mean"),
        (genesis.ones(3), 1.5, "mean"),
        (genesis.ones(2, dtype=genesis.int64), 1.5, "mean"),
        (genesis.ones(2, requires_grad=True), 1.5, "mean"),
        (genesis.ones(4)[:2], 1.5, "mean"),
        (np.ones(2, np.float32), 1.5, "mean"),
    ],
    ids=str,
)
def test_what_is_other(args: tuple[Any, ...]) -> None:
    assert last_call(X, 1.5, "mean").inputs(args, session()) is None


def test_modes_count() -> None:
    last = last_call(X)
    with genesis.no_grad():
        assert last.inputs((X,), session()) is None
    with genesis.autocast("cpu", dtype=genesis.bfloat16):
        assert last.inputs((X,), session()) is None
    assert last.inputs((X,), session()) is not None


def test_arguments_that_are_not_told_apart() -> None:
    assert can_repeat((X, np.ones(2), 1.0, 2, None, print))
    assert not any(can_repeat((x,)) for x in ([X], {"x": X}, X[:1], genesis.ones(2, requires_grad=True)))


@pytest.mark.parametrize(
    "change",
    [
        lambda a, b: (a.append(b[0]), b.pop(0)),
        lambda a, b: (b.insert(0, a[-1]), a.pop()),
        lambda a, b: b.append(7),
        lambda a, b: b.clear(),
    ],
)
def test_items_that_move_from_one_container_to_the_next(change: Callable[[list[int], list[int]], Any]) -> None:
    first, second = [1, 2], [3, 4]
    snapshot = Snapshot([lambda: first, lambda: second])
    assert snapshot.holds()
    change(first, second)
    assert not snapshot.holds()
