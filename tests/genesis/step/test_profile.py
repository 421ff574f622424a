"""``step.profile(n)``: measures the step that the user runs, and leaves training as it was."""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import DeviceError, TraceError
from genesis import gpu, nn, optim
from runtime.devices.pool import num_threads, set_num_threads
from runtime.executor import Executor
from runtime.profile import Profile
from runtime.toolchain import find_compiler
from tests.end_to_end import training
from tests.end_to_end.training import Run, digits_run, gpt_run
from tests.runtime.devices.conftest import driver, library

__all__ = ["driver", "library"]  # fixtures
needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="no C compiler")


@pytest.fixture(scope="module", params=[digits_run, gpt_run], ids=["digits", "gpt"])
def run(request: pytest.FixtureRequest) -> Run:
    """A compiled training run that has made two steps."""
    made = request.param(genesis.compile, count=8)
    for batch in made.batches[:2]:
        made.step(*batch)
    if made.step.plan is None:
        pytest.skip("no C compiler")
    return made


@pytest.fixture(scope="module")
def profile(run: Run) -> Profile:
    return run.step.profile(3)


def equal(a: Any, b: Any) -> bool:
    """Bit for bit."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.tobytes() == b.tobytes()
    return bool(np.all(np.asarray(a) == np.asarray(b)))


def test_every_launch_of_the_plan_is_there_with_its_time(run: Run, profile: Profile) -> None:
    assert [x for timing in profile.launches for x in timing.launches] == list(run.step.plan.launches)
    assert all(timing.seconds > 0 for timing in profile.launches)
    assert all(0 <= timing.waiting <= timing.seconds for timing in profile.launches)
    assert (profile.runs, profile.threads, profile.target) == (3, run.step.plan.threads, run.step.plan.target)


def test_the_parts_make_the_whole(profile: Profile) -> None:
    for rows in (profile.kernels, profile.by_module, profile.by_line):
        assert sum(row.seconds for row in rows) == pytest.approx(profile.total, rel=1e-9)
    assert 0 < profile.total < profile.seconds


def test_the_time_belongs_to_lines_and_modules_of_the_model(run: Run, profile: Profile) -> None:
    own = {x.loc.line for x in run.step.plan.launches if x.loc.file == training.__file__}
    assert own and all(linecache.getline(training.__file__, line).strip() for line in own)
    assert {f"training.py:{line}" for line in own} <= {row.name for row in profile.by_line}
    modules = {f"model.{name}" for name, _ in run.model.named_modules() if name}
    found = {row.name for row in profile.by_module}
    assert found & modules and found <= modules | {"model", "criterion", ""}
    assert any(row.backward for row in profile.by_line)


def test_profiling_leaves_training_as_it_was(run: Run) -> None:
    before, last = run.save(), run.step.last
    run.step.profile(2)
    assert equal(run.save(), before) and run.step.last == last
    losses = [run.step(*run.batches[2]).item(), run.step(*run.batches[3]).item()]
    run.load(before)
    run.step.profile(1)
    assert [run.step(*run.batches[2]).item(), run.step(*run.batches[3]).item()] == losses


def test_the_normal_step_stays_clean(run: Run, profile: Profile) -> None:
    assert "clock_gettime" not in run.step.source("c")
    assert run.step.compiles == 1


def test_it_is_the_last_call_that_runs_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.step(*run.batches[4])
    executor = run.step._program.executor
    assert isinstance(executor, Executor)
    seen = []
    plain = executor.run

    def spy(inputs: Any, scalars: Any) -> Any:
        seen.append(([np.array(x) for x in inputs], list(scalars)))
        return plain(inputs, scalars)

    monkeypatch.setattr(executor, "run", spy)
    run.step.profile(1)
    inputs, scalars = seen[-1]
    assert all(equal(a, np.asarray(b.numpy())) for a, b in zip(inputs, run.batches[4], strict=True))
    assert scalars == list(run.step._program.scalars)


@needs_compiler
def test_every_thread_is_measured() -> None:
    model = nn.Linear(256, 256)

    @genesis.compile
    def forward(x: genesis.Tensor) -> genesis.Tensor:
        with genesis.no_grad():
            return model(x)

    before = num_threads()
    try:
        set_num_threads(3)
        forward(genesis.ones(64, 256))
        set_num_threads(2)
        assert forward.profile(1).threads == 2
    finally:
        set_num_threads(before)


@needs_compiler
def test_states_are_put_back_when_a_run_fails() -> None:
    table = nn.Embedding(4, 3)
    optimizer = optim.SGD(table.parameters(), lr=0.1)

    @genesis.compile
    def step(i: genesis.Tensor) -> genesis.Tensor:
        optimizer.zero_grad()
        loss = table(i).sum()
        loss.backward()
        optimizer.step()
        return loss

    index = np.array([1, 2])
    step(index)
    before = table.weight.detach().numpy().copy()
    index[0] = 9
    with pytest.raises(IndexError, match="9 is out of range"):
        step.profile(2)
    np.testing.assert_array_equal(table.weight.detach().numpy(), before)
    index[0] = 1
    assert step.profile(2).total > 0


# Errors


@genesis.compile(backend="interpret")
def double(x: genesis.Tensor) -> genesis.Tensor:
    return x * 2


def test_a_step_is_called_before_it_is_profiled() -> None:
    with pytest.raises(TraceError, match="double has not been called yet"):
        double.profile(2)


def test_the_interpreter_has_no_kernels() -> None:
    double(genesis.ones(2))
    with pytest.raises(DeviceError, match='compile it with backend="c"'):
        double.profile(2)


def test_at_least_one_run() -> None:
    with pytest.raises(ValueError, match=r"profile\(0\): the number of runs must be 1 or more"):
        double.profile(0)


@pytest.fixture
def no_gpu_left() -> Iterator[None]:
    gpu.gpu.cache_clear()
    yield
    gpu.gpu.cache_clear()


def test_a_gpu_is_not_profiled_yet(driver: Any, no_gpu_left: None) -> None:
    pytest.importorskip("triton", minversion="3.9")

    @genesis.compile(backend="cuda")
    def twice(x: genesis.Tensor) -> genesis.Tensor:
        return x * 2

    twice(np.ones(4, np.float32))
    with pytest.raises(NotImplementedError, match='Profile it with backend="c"'):
        twice.profile(2)
