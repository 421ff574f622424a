"""Compiled training is eager training: losses, gradients, states, random numbers and skipped steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from math import sqrt
from typing import Any

import numpy as np
import pytest

import genesis
from tests.end_to_end.training import Run, digits_run, gpt_run

pytestmark = pytest.mark.usefixtures("optimized")

STEPS = 50


@dataclass(frozen=True)
class Case:
    """A training run and how far compiled may be from eager, both from one state.

    ``loss`` is relative to the loss, ``gradient`` to the norm of each parameter's gradient. 16-bit types have a unit
    roundoff u (2**-11 for f16, 2**-8 for bf16). Both sides round the same results to 16 bits, but add up products in
    another order first, so that now and then a result falls on the other side: it moves by 2u. The loss is a mean over
    rows of differences of such results, where these moves cancel: u. A gradient is a product of factors of which
    ``rounded`` are 16-bit; their moves are independent: 2u sqrt(rounded).
    """

    make: Callable[..., Run]
    precision: Any = None
    rounded: int = 0

    @property
    def loss(self) -> float:
        return 1e-5 if self.precision is None else _roundoff(self.precision)

    @property
    def gradient(self) -> float:
        return 1e-4 if self.precision is None else 2 * _roundoff(self.precision) * sqrt(self.rounded)

    @property
    def free(self) -> float:
        """The limit for losses of runs left alone: the moves of every step stay in the parameters and add up."""
        return 1e-3 if self.precision is None else 2 * _roundoff(self.precision) * sqrt(STEPS)


def _roundoff(precision: Any) -> float:
    return 2.0**-11 if precision is genesis.float16 else 2.0**-8


CASES = {
    "digits": Case(digits_run),
    "gpt": Case(gpt_run),
    "digits-f16": Case(digits_run, genesis.float16, rounded=2 * 3),  # three layers, forward and backward
    "gpt-bf16": Case(gpt_run, genesis.bfloat16, rounded=2 * (2 * 6 + 1)),  # six products or GELUs a block, and the head
}


@dataclass
class Compared:
    """What 50 steps of both did; the compiled run starts every step from the eager state."""

    case: Case
    compiled: Run
    start: dict[str, Any]
    losses: list[tuple[float, float]] = field(default_factory=list)
    gradients: list[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]] = field(default_factory=list)
    states: list[tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=list)


def _compare(case: Case) -> Compared:
    eager = case.make(count=STEPS, precision=case.precision)
    start = eager.save()
    compiled = case.make(partial(genesis.compile, keep_grads=True), count=STEPS, precision=case.precision)
    result = Compared(case, compiled, start)
    for batch in eager.batches:
        state = eager.save()
        expected, wanted = eager.step(*batch).item(), eager.gradients()
        after = eager.save()
        compiled.load(state)
        result.losses.append((compiled.step(*batch).item(), expected))
        result.gradients.append((compiled.gradients(), wanted))
        result.states.append((compiled.save(), after))
    return result


@pytest.fixture(scope="module")
def runs() -> Iterator[Callable[[str], Compared]]:
    """Each case, run when first asked for."""
    done: dict[str, Compared] = {}

    def get(name: str) -> Compared:
        if name not in done:
            done[name] = _compare(CASES[name])
        return done[name]

    yield get


def relative(a: np.ndarray, b: np.ndarray) -> float:
    """The norm of the difference over the norm of ``b``."""
    return float(np.linalg.norm(a.astype(np.float64) - b) / np.linalg.norm(b.astype(np.float64)))


def bits(state: dict[str, Any]) -> dict[str, bytes]:
    return {k: v.tobytes() for part in ("model", "optimizer") for k, v in state[part].items()}


@pytest.mark.parametrize("name", CASES)
def test_each_step_from_the_eager_state_gives_the_eager_loss(runs: Any, name: str) -> None:
    compared = runs(name)
    assert max(abs(a - b) / b for a, b in compared.losses) <= compared.case.loss


@pytest.mark.parametrize("name", CASES)
def test_each_step_from_the_eager_state_gives_the_eager_gradients(runs: Any, name: str) -> None:
    compared = runs(name)
    for got, expected in compared.gradients:
        assert got.keys() == expected.keys()
        for parameter, gradient in expected.items():
            assert relative(got[parameter], gradient) <= compared.case.gradient, parameter


@pytest.mark.parametrize("name", CASES)
def test_random_numbers_scale_and_step_counts_are_the_eager_ones(runs: Any, name: str) -> None:
    for got, expected in runs(name).states:
        assert got["rng"].tolist() == expected["rng"].tolist()
        assert got["scaler"] == expected["scaler"]
        for key, value in expected["optimizer"].items():
            if key.endswith("step"):
                assert got["optimizer"][key] == value


@pytest.mark.parametrize("name", ["digits", "gpt"])
def test_optimizer_moments_are_the_eager_ones(runs: Any, name: str) -> None:
    for got, expected in runs(name).states:
        for key, value in expected["optimizer"].items():
            assert relative(got["optimizer"][key], value) <= 1e-4, key


@pytest.mark.parametrize("name", CASES)
def test_one_program_for_all_steps(runs: Any, name: str) -> None:
    assert runs(name).compiled.step.compiles == 1


@pytest.mark.parametrize("name", CASES)
def test_left_alone_losses_stay_together_and_fall(runs: Any, name: str) -> None:
    compared = runs(name)
    run = compared.compiled
    run.load(compared.start)
    losses = [run.step(*batch).item() for batch in run.batches]
    eager = [b for _, b in compared.losses]
    assert max(abs(a - b) / b for a, b in zip(losses, eager, strict=True)) <= compared.case.free
    assert np.mean(losses[-5:]) < 0.95 * np.mean(losses[:5])


@pytest.mark.parametrize("name", ["digits-f16", "gpt"])
def test_runs_are_equal_bit_for_bit_at_any_number_of_threads(
    runs: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = runs(name)
    run, executor = compared.compiled, compared.compiled.step._program.executor
    monkeypatch.setattr(executor, "plan", replace(executor.plan, threads=0))  # small steps use one thread otherwise
    threads = genesis.get_num_threads()
    results = []
    try:
        for count in (1, 2, 3, 1):
            genesis.set_num_threads(count)
            run.load(compared.start)
            losses = [run.step(*batch).detach().numpy().tobytes() for batch in run.batches[:8]]
            assert executor.threads == count
            results.append((losses, bits(run.save())))
    finally:
        genesis.set_num_threads(threads)
    assert results[1:] == results[:-1]


@pytest.mark.parametrize("name", ["digits-f16", "gpt"])
def test_the_interpreter_backend_is_eager_to_the_last_bits(name: str) -> None:
    case = CASES[name]
    eager = case.make(count=4, precision=case.precision)
    compiled = case.make(partial(genesis.compile, backend="interpret"), count=4, precision=case.precision)
    for batch in eager.batches:
        state = eager.save()
        expected = eager.step(*batch).item()
        compiled.load(state)
        assert compiled.step(*batch).item() == pytest.approx(expected, rel=1e-6)
        got, after = compiled.save(), eager.save()
        assert got["rng"].tolist() == after["rng"].tolist()
        for key, value in after["model"].items():
            np.testing.assert_allclose(got["model"][key], value, rtol=2e-6, atol=2e-6)
    assert compiled.step.plan is None
