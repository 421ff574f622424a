"""A call that raises leaves everything as it was; a program that is no longer needed leaves nothing behind."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any
from weakref import ref

import numpy as np
import pytest

import genesis as t
from compiler.errors import DeviceError
from genesis import nn, optim
from genesis.step.program import MAX_PROGRAMS


def _everything(model: nn.Module, optimizer: optim.Optimizer, *others: Any) -> list[Any]:
    state = [x for p in model.parameters() for x in optimizer.state[p].values()]
    groups = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
    arrays = [x.detach().numpy().tolist() for x in (*model.parameters(), *state)]
    grads = [None if p._cell.grad is None else id(p._cell.grad) for p in model.parameters()]
    return [arrays, groups, grads, t.get_rng_state().tolist(), *[np.array(x).tolist() for x in others]]


@pytest.mark.parametrize("backend", ["auto", "interpret"])
def test_an_index_out_of_range_changes_nothing(backend: str) -> None:
    t.manual_seed(0)
    model = nn.Sequential(nn.Embedding(5, 4), nn.Dropout(0.5), nn.Linear(4, 3))
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    count, array, state = t.zeros(2), np.zeros(2, np.float32), {"h": t.zeros(2)}

    @t.compile(backend=backend)
    def step(index: Any, count: Any, array: Any, state: Any) -> Any:
        optimizer.zero_grad()
        count.add_(1)
        array += 1
        state["h"] = state["h"] + 1
        loss = model(index).sum()
        loss.backward()
        optimizer.step()
        return loss

    step(t.tensor([0, 4]), count, array, state)
    before = _everything(model, optimizer, count, array, state["h"])
    with pytest.raises(IndexError, match=r"5 is out of range \[0, 5\)(.|\n)*nothing was updated by this call"):
        step(t.tensor([0, 5]), count, array, state)
    assert _everything(model, optimizer, count, array, state["h"]) == before
    step(t.tensor([1, 2]), count, array, state)
    assert count.tolist() == [2, 2] and array.tolist() == [2, 2] and state["h"].tolist() == [2, 2]


def test_an_index_that_depends_on_a_new_state_changes_nothing_either() -> None:
    w, moved, table = t.zeros(300), t.zeros(300), t.arange(5.0)

    @t.compile
    def step(add: Any) -> Any:
        w.add_(add)
        found = table[w[:2].long()]
        moved.add_(found.sum())
        return found

    assert step(t.tensor(1.0)).tolist() == [1, 1]
    before = w.tolist(), moved.tolist()
    with pytest.raises(IndexError, match=r"9 is out of range \[0, 5\)(.|\n)*nothing was updated by this call"):
        step(t.tensor(8.0))
    assert (w.tolist(), moved.tolist()) == before
    assert step(t.tensor(1.0)).tolist() == [2, 2]


def _mapped() -> int:
    maps = Path("/proc/self/maps")
    return (
        len({line.split()[-1] for line in maps.read_text().splitlines() if line.endswith(".so")})
        if maps.exists()
        else 0
    )


def test_an_evicted_program_is_closed_and_lets_go_of_its_states() -> None:
    w = t.zeros(1)

    @t.compile
    def step(x: Any) -> Any:
        w.add_(1)
        return x + w

    step(t.ones(1))
    first, executor, before = ref(step._program), step._program.executor, _mapped()
    for size in range(2, MAX_PROGRAMS + 1):
        step.programs[size] = None  # room is taken, without programs being compiled
    assert w._cell.bound == 1
    program = step.programs.pop(next(iter(step.programs)))
    program.release()
    assert w._cell.bound == 0
    if step.plan is not None:
        assert _mapped() == before - 1
        with pytest.raises(DeviceError, match="this program was closed"):
            executor.run([np.ones(1, np.float32)], [])
    step._program = program = None
    gc.collect()
    assert first() is None


def test_a_function_that_dies_takes_its_programs_along() -> None:
    w = t.zeros(1)

    @t.compile
    def step(x: Any) -> Any:
        w.add_(1)
        return x + w

    result = step(t.ones(1))
    gc.collect()  # of tests before this one
    before = _mapped()
    compiled = step.plan is not None
    del step
    gc.collect()
    assert w._cell.bound == 0
    assert _mapped() == before - compiled
    assert result.tolist() == [2] and w.tolist() == [1]
