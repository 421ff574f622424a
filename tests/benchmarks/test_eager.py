import importlib.util
from multiprocessing import Pipe

import pytest

import genesis
from benchmarks import eager, machine
from benchmarks.eager import DIGITS, OPERATIONS, PROGRAMS, operation, training

NEEDS_TORCH = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch")
SIDES = ["genesis", pytest.param("torch", marks=NEEDS_TORCH)]


@pytest.mark.parametrize("name", SIDES)
def test_operations_run(name: str) -> None:
    side = importlib.import_module(name)
    for call in OPERATIONS.values():
        operation(call)(side)()


@pytest.mark.parametrize("name", SIDES)
def test_a_program_trains(name: str) -> None:
    run = training(DIGITS)(importlib.import_module(name))
    losses = [run() for _ in range(12)]
    assert losses[-1] < losses[0]


def test_text_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eager, "TOKENS", 5)
    text = PROGRAMS["generation"](genesis)()
    assert text.shape == (1, eager.TOKENS + 1)
    assert 0 <= text.min().item() <= text.max().item() < eager.WRITER.vocabulary


def test_a_side_answers_with_times(monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = Pipe()
    for message in (("x + x", 2), ("x + x", 1), None):
        here.send(message)
    monkeypatch.setattr(eager.os, "sched_setaffinity", lambda *args: None, raising=False)
    monkeypatch.setattr(genesis, "set_num_threads", lambda count: None)
    eager.serve("genesis", machine.processors()[0], there)
    assert here.recv() >= 0
    assert here.recv() >= 0
