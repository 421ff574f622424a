"""A compiled function is one native call on states kept in place: plan, memory, arguments, gradients, inspection."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import AutogradError, GenesisWarning, TraceError
from compiler.plan import Plan
from genesis import nn, optim
from genesis.nn import functional as F
from runtime.executor import Executor
from tests.end_to_end.training import Run, digits_run, gpt_run

needs_compiler = pytest.mark.filterwarnings("error::compiler.errors.GenesisWarning")


@pytest.fixture(scope="module", params=[digits_run, gpt_run], ids=["digits", "gpt"])
def run(request: pytest.FixtureRequest) -> Run:
    """A compiled training run that has made two steps."""
    made = request.param(genesis.compile, count=8)
    for batch in made.batches[:2]:
        made.step(*batch)
    if made.step.plan is None:
        pytest.skip("no C compiler")
    return made


# One native entry


def test_a_call_is_one_native_entry_and_nothing_else_computes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = []

    class Counting:
        def __init__(self, program: Any) -> None:
            self.program = program

        def __call__(self, *args: Any) -> int:
            entries.append(args)
            return self.program(*args)

    def never(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("something besides the compiled program computes")

    executor = run.step._program.executor
    assert isinstance(executor, Executor)
    monkeypatch.setattr(executor, "program", Counting(executor.program))
    monkeypatch.setattr("compiler.interpret.evaluate", never)
    monkeypatch.setattr("compiler.interpret.interpret", never)
    monkeypatch.setattr("compiler.ir.builder.Builder.call", never)
    for name in ("matmul", "dot", "einsum", "add", "exp"):
        monkeypatch.setattr(np, name, never)
    loss = run.step(*run.batches[2])
    assert len(entries) == 1
    monkeypatch.undo()
    assert np.isfinite(loss.item())


def test_the_plan_is_one_entry_with_all_kernels_and_no_python_between(run: Run) -> None:
    plan = run.step.plan
    assert plan.source.count("\nvoid step(gen_pool *pool, int threads, void *const *args, long long *status) {") == 1
    assert "Python.h" not in plan.source
    ops = {op for launch in plan.launches for op in launch.ops}
    assert {"dot", "uniform"} <= ops, "forward, backward and dropout are in it"
    assert sum(launch.flops for launch in plan.launches) > 0
    kernels = {launch.kernel for launch in plan.launches}
    assert all(f"{kernel}(" in plan.source for kernel in kernels)


def test_states_scalars_inputs_and_outputs_are_the_slots_of_the_plan(run: Run) -> None:
    slots = run.step.plan.slots
    labels = {slot.label for slot in slots if slot.kind == "state"}
    assert {f"model.{name}" for name, _ in run.model.named_parameters()} <= labels
    assert {"rng.seed", "rng.offset", "optimizer.step"} <= labels
    assert sum("exp_avg[" in label for label in labels) == len(list(run.model.parameters()))
    assert "optimizer.lr[0]" in {slot.label for slot in slots if slot.kind == "scalar"}
    assert [slot.kind for slot in slots].count("input") == 2
    assert [slot.kind for slot in slots].count("output") == 2, "the loss, and the norm for step.last"


def test_a_plan_survives_being_stored_as_text(run: Run) -> None:
    assert Plan.from_json(run.step.plan.to_json()) == run.step.plan


def test_small_steps_use_one_thread(run: Run) -> None:
    assert run.step.plan.threads == 1


# Memory


def test_states_stay_where_they_are(run: Run) -> None:
    def addresses() -> list[int]:
        states = run.optimizer.state_dict()["state"].values()
        held = [v for state in states for key, v in state.items() if key != "step"]  # one counter serves all
        return [t.detach().numpy().ctypes.data for t in (*run.model.parameters(), *held)]

    before, contents = addresses(), run.save()
    run.step(*run.batches[3])
    assert addresses() == before
    changed = run.save()
    assert all((changed["model"][k] != v).any() for k, v in contents["model"].items())


def test_results_are_fresh_and_no_view_of_a_state(run: Run) -> None:
    first = run.step(*run.batches[4])
    kept = first.detach().numpy().copy()
    second = run.step(*run.batches[5])
    assert not np.shares_memory(first.detach().numpy(), second.detach().numpy())
    assert first.item() == kept, "the second call did not write the first one's result"
    assert first.requires_grad and not first.is_leaf, "as in eager mode, where its history is freed"


def test_returned_states_and_arguments_are_the_tensors_themselves() -> None:
    weight = genesis.ones(3)

    @genesis.compile
    def step(x: Any) -> Any:
        weight.add_(1.0)
        return weight, x, weight[1:], x * 1.0

    x = genesis.tensor([1.0, 2.0, 3.0])
    whole, argument, part, product = step(x)
    assert whole is weight and argument is x
    assert not np.shares_memory(product.numpy(), x.numpy())
    step(x)
    assert whole.tolist() == [3.0, 3.0, 3.0] and part.tolist() == [3.0, 3.0]
    part.zero_()
    assert weight.tolist() == [3.0, 0.0, 0.0]


def test_states_that_exchange_their_contents() -> None:
    a, b = genesis.tensor([1.0, 2.0]), genesis.tensor([3.0, 4.0])

    @genesis.compile
    def swap() -> None:
        old = a.clone()
        a.copy_(b)
        b.copy_(old * 2)

    swap()
    assert (a.tolist(), b.tolist()) == ([3.0, 4.0], [2.0, 4.0])
    swap()
    assert (a.tolist(), b.tolist()) == ([2.0, 4.0], [6.0, 8.0])


# Arguments and results

Point = namedtuple("Point", "x y")


def interpreted(function: Any) -> Any:
    return genesis.compile(function, backend="interpret")


def test_nested_arguments_and_results() -> None:
    @interpreted
    def step(point: Any, options: Any, *more: Any, flag: bool, scale: float = 2.0) -> Any:
        total = (point.x + point.y["a"][0]) * scale
        return {"total": total, "parts": [point.x, (more[0], None, "text", 3)], "flag": flag, "point": Point(total, 1)}

    x = genesis.ones(2)
    out = step(Point(x, {"a": [x * 3]}), None, x * 5, flag=True)
    assert out["total"].tolist() == [8.0, 8.0]
    assert out["parts"][1][0].tolist() == [5.0, 5.0] and out["parts"][1][1:] == (None, "text", 3)
    assert out["flag"] is True and isinstance(out["point"], Point) and out["point"].y == 1
    assert step(Point(x, {"a": [x]}), None, x, flag=True, scale=0.5)["total"].tolist() == [1.0, 1.0]


def test_arrays_and_tensors_of_other_libraries_are_arguments() -> None:
    @interpreted
    def double(x: Any) -> Any:
        return x + x

    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert double(array).tolist() == (array * 2).tolist()
    assert double(array.T).tolist() == (array.T * 2).tolist(), "strided arrays are read in their own order"
    torch = pytest.importorskip("torch")
    assert double(torch.tensor(array)).tolist() == (array * 2).tolist()


def test_views_are_arguments() -> None:
    @genesis.compile
    def double(x: Any) -> Any:
        return x + x

    base = genesis.arange(12).reshape(3, 4)
    assert double(base.t()[1:]).tolist() == (base.numpy().T[1:] * 2).tolist()


def test_floats_are_read_at_every_call() -> None:
    @genesis.compile
    def scaled(x: Any, by: float, power: float) -> Any:
        return x * by + power

    x = genesis.ones(3)
    for by, power in ((1.0, 0.0), (0.25, 3.0), (-2.5, float("inf"))):
        assert scaled(x, by, power).tolist() == [by + power] * 3
    assert scaled(x, by=1e-3, power=0.0).tolist() == [np.float32(1e-3)] * 3
    assert scaled.compiles <= 2, "keywords are another signature, values are not"


def test_methods_compile_for_each_object() -> None:
    class Trainer:
        def __init__(self, rate: float) -> None:
            self.model = nn.Linear(2, 1)
            self.optimizer = optim.SGD(self.model.parameters(), lr=rate)

        @genesis.compile(backend="interpret")
        def step(self, x: Any) -> Any:
            """One step."""
            self.optimizer.zero_grad()
            loss = self.model(x).square().mean()
            loss.backward()
            self.optimizer.step()
            return loss

    x = genesis.ones(4, 2)
    one, two = Trainer(0.0), Trainer(0.1)
    start = two.model.weight.tolist()
    assert one.step(x).item() == one.step(x).item()
    assert two.step(x).item() > two.step(x).item()
    assert two.model.weight.tolist() != start
    assert one.step is not two.step and one.step is one.step
    assert one.step.compiles == two.step.compiles == 1
    assert Trainer.step.__doc__ == "One step."


def test_a_compiled_function_inside_another_is_part_of_it() -> None:
    @interpreted
    def inner(x: Any) -> Any:
        return x * 2

    @interpreted
    def outer(x: Any) -> Any:
        return inner(x) + 1

    assert outer(genesis.ones(2)).tolist() == [3.0, 3.0]
    assert outer.compiles == 1 and inner.compiles == 0


# State that others write


class Pair:
    """One parameter under SGD, a training step and an evaluation that share it."""

    def __init__(self) -> None:
        self.weight = weight = nn.Parameter(genesis.tensor([1.0, 2.0]))
        self.optimizer = optimizer = optim.SGD([weight], lr=0.5, momentum=0.5)

        @genesis.compile
        def step(x: Any) -> Any:
            optimizer.zero_grad()
            loss = (weight * x).sum()
            loss.backward()
            optimizer.step()
            return loss

        @genesis.compile
        def evaluate(x: Any) -> Any:
            with genesis.no_grad():
                return (weight * x).sum()

        self.step, self.evaluate = step, evaluate


@pytest.fixture(scope="module")
def pair() -> Pair:
    return Pair()


ONES = genesis.ones(2)


def test_evaluation_sees_what_training_did(pair: Pair) -> None:
    for _ in range(3):
        pair.step(ONES)
        assert pair.evaluate(ONES).item() == pair.weight.detach().sum().item()
    assert pair.step.compiles == pair.evaluate.compiles == 1


def test_writes_between_calls_are_seen(pair: Pair) -> None:
    weight = pair.weight
    writes = [
        lambda: weight.data.fill_(3.0),
        lambda: setattr(weight, "data", genesis.tensor([5.0, 6.0])),
        lambda: weight.data.copy_(genesis.tensor([7.0, 8.0])),
        lambda: weight.data[1:].mul_(2.0),
    ]
    for write in writes:
        write()
        expected = weight.detach().sum().item()
        assert pair.evaluate(ONES).item() == expected
        assert pair.step(ONES).item() == expected
        assert pair.evaluate(ONES).item() != expected, "the step wrote into the new storage"
    assert pair.step.compiles == pair.evaluate.compiles == 1


def test_loaded_state_is_seen(pair: Pair) -> None:
    model = nn.Module()
    model.weight = pair.weight
    pair.step(ONES)
    saved = {k: v.clone() for k, v in model.state_dict().items()}
    remembered = {**pair.optimizer.state_dict()}
    remembered["state"] = {i: {k: v.clone() for k, v in s.items()} for i, s in remembered["state"].items()}
    first = [pair.step(ONES).item() for _ in range(3)]
    model.load_state_dict(saved)
    pair.optimizer.load_state_dict(remembered)
    assert [pair.step(ONES).item() for _ in range(3)] == first
    assert pair.step.compiles == 1


def test_an_eager_step_between_compiled_ones(pair: Pair) -> None:
    pair.step(ONES)
    before = pair.weight.detach().clone()
    buffer = pair.optimizer.state[pair.weight]["momentum_buffer"].clone()
    pair.optimizer.zero_grad()
    (pair.weight * ONES).sum().backward()
    pair.optimizer.step()
    buffer = buffer * 0.5 + 1
    assert pair.weight.tolist() == (before - 0.5 * buffer).tolist()
    pair.optimizer.zero_grad()
    assert pair.step(ONES).item() == pair.weight.detach().sum().item() + (0.5 * (buffer * 0.5 + 1)).sum().item()
    assert pair.step.compiles == 1


def test_a_backward_pass_over_values_that_a_step_has_overwritten_is_an_error(pair: Pair) -> None:
    pair.step(ONES)  # the first moves the weight to memory of its own, and overwrites nothing
    loss = (pair.weight * pair.weight).sum()
    pair.step(ONES)
    pair.optimizer.zero_grad()
    with pytest.raises(AutogradError, match="modified by an inplace operation"):
        loss.backward()


# Gradients after a call


@pytest.fixture
def learner() -> Iterator[Any]:
    weight = nn.Parameter(genesis.tensor([1.0, 2.0]))
    yield weight, optim.SGD([weight], lr=0.5)


def test_reading_a_gradient_that_stayed_inside_is_an_error(learner: Any) -> None:
    weight, optimizer = learner

    @interpreted
    def step(x: Any) -> None:
        optimizer.zero_grad()
        (weight * x).sum().backward()
        optimizer.step()

    step(ONES)
    with pytest.raises(AutogradError, match=r"@genesis\.compile\(keep_grads=True\)"):
        _ = weight.grad
    optimizer.zero_grad()
    assert weight.grad is None
    step(ONES)
    assert step.compiles == 1


def test_a_step_goes_back_through_weights_whose_gradients_another_step_clears(learner: Any) -> None:
    """The generator's step of a GAN, which adds to the gradients that the discriminator's step has used up."""
    judge, optimizer = learner
    code = nn.Parameter(genesis.tensor([3.0, -1.0]))
    other = optim.SGD([code], lr=0.5)

    def judge_step(x: Any) -> None:
        optimizer.zero_grad()
        (judge * x).square().sum().backward()
        optimizer.step()

    def code_step(x: Any) -> None:
        other.zero_grad()
        (judge * code * x).sum().backward()
        other.step()

    def trained(compile: Any) -> list[list[float]]:
        judge.data, code.data = genesis.tensor([1.0, 2.0]), genesis.tensor([3.0, -1.0])
        steps = compile(judge_step), compile(code_step)
        for scale in (0.25, 0.5, 0.75):
            for each in steps:
                each(ONES * scale)
        return [judge.tolist(), code.tolist()]

    assert trained(interpreted) == trained(lambda step: step)
    interpreted(judge_step)(ONES)
    (judge * code).sum().backward()
    with pytest.raises(AutogradError, match=r"call zero_grad\(\) before backward\(\)"):
        optimizer.step()


def test_kept_gradients_are_those_the_optimizer_saw(learner: Any) -> None:
    weight, optimizer = learner

    @genesis.compile(keep_grads=True)
    def step(x: Any) -> None:
        optimizer.zero_grad()
        (weight * x).sum().backward()
        nn.utils.clip_grad_value_([weight], 0.75)
        optimizer.step()

    for _ in range(2):
        step(ONES * 2)
        assert weight.grad.tolist() == [0.75, 0.75]
    assert weight.tolist() == [0.25, 1.25]
    assert step.compiles == 1


def test_gradients_add_up_within_a_call_and_across_calls(learner: Any) -> None:
    weight, optimizer = learner

    @genesis.compile
    def accumulate(x: Any) -> None:
        (weight * x).sum().backward()
        (weight * x).sum().backward()

    accumulate(ONES)
    assert weight.grad.tolist() == [2.0, 2.0]
    accumulate(ONES)
    assert weight.grad.tolist() == [4.0, 4.0]
    accumulate(ONES * 0.5)
    assert weight.grad.tolist() == [5.0, 5.0]
    assert accumulate.compiles == 2, "no gradient yet, and one to add to"
    optimizer.step()
    assert weight.tolist() == [-1.5, -0.5]
    optimizer.zero_grad()
    accumulate(ONES)
    assert weight.grad.tolist() == [2.0, 2.0]
    assert accumulate.compiles == 2


def test_a_step_that_uses_gradients_from_outside(learner: Any) -> None:
    weight, optimizer = learner

    @interpreted
    def apply() -> None:
        optimizer.step()
        optimizer.zero_grad()

    (weight * 2).sum().backward()
    apply()
    assert weight.tolist() == [0.0, 1.0] and weight.grad is None
    (weight * 4).sum().backward()
    apply()
    assert weight.tolist() == [-2.0, -1.0]
    assert apply.compiles == 1


def test_arguments_collect_gradients() -> None:
    weight = nn.Parameter(genesis.tensor([2.0, 3.0]))

    @interpreted
    def step(x: Any) -> Any:
        loss = (weight * x * x).sum()
        loss.backward()
        return genesis.autograd.grad((x * 5.0).sum(), x)[0]

    x = genesis.tensor([1.0, 10.0], requires_grad=True)
    assert step(x).tolist() == [5.0, 5.0]
    assert x.grad.tolist() == [4.0, 60.0] and weight.grad.tolist() == [1.0, 100.0]
    step(x)
    assert x.grad.tolist() == [8.0, 120.0] and weight.grad.tolist() == [2.0, 200.0]
    step(x * 1.0)  # the way back goes on through what was computed outside
    assert x.grad.tolist() == [12.0, 180.0]


def test_zeroed_gradients_stay_zero_tensors(learner: Any) -> None:
    weight, optimizer = learner

    @interpreted
    def step(x: Any) -> None:
        (weight * x).sum().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)

    step(ONES)
    assert weight.grad.tolist() == [0.0, 0.0]
    step(ONES)
    assert weight.tolist() == [0.0, 1.0]


# Forward functions, host actions, inspection


def test_functions_without_gradients_share_the_state_and_take_any_number_of_shapes() -> None:
    genesis.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2))

    @genesis.compile
    def predict(x: Any) -> Any:
        with genesis.no_grad():
            return model(x).argmax(1)

    model.eval()
    for rows in (1, 2, 5, 2, 1):
        x = genesis.randn(rows, 3)
        with genesis.no_grad():
            expected = model(x).argmax(1).tolist()
        assert predict(x).tolist() == expected
    assert predict.compiles == 3


def test_a_scheduler_inside_the_step_steps_after_every_call() -> None:
    weight = nn.Parameter(genesis.ones(2))
    optimizer = optim.SGD([weight], lr=1.0)
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    rates = []

    @genesis.compile
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = (weight * x).sum()
        loss.backward()
        optimizer.step()
        scheduler.step()
        return loss

    for expected in (1.0, 0.5, 0.25, 0.125):
        before = weight.detach()[0].item()
        assert optimizer.param_groups[0]["lr"] == expected
        step(ONES)
        assert before - weight.detach()[0].item() == expected
        rates.append(step.last.lr)
    assert step.compiles == 1
    assert scheduler.last_epoch == 4
    assert rates == [1.0, 0.5, 0.25, 0.125], "the rate that the step ran with"


def test_vector_loops_keep_what_is_not_a_number() -> None:
    """An optimiser that takes infinity times zero for zero would hide an overflow from the gradient scaler."""

    @genesis.compile
    def activations(x: Any) -> Any:
        return F.silu(x), F.gelu(x), x * genesis.sigmoid(x), F.softplus(x), x.tanh()

    for value in (float("-inf"), float("inf"), float("nan"), -0.0):
        x = genesis.full((37,), value)
        eager = (F.silu(x), F.gelu(x), x * genesis.sigmoid(x), F.softplus(x), x.tanh())
        for got, expected in zip(activations(x), eager, strict=True):
            np.testing.assert_array_equal(got.numpy(), expected.numpy())
    assert activations.compiles == 1


def test_random_numbers_move_on_as_in_eager_mode() -> None:
    def noisy() -> Any:
        return genesis.rand(4), genesis.randn(3), F.dropout(genesis.ones(8), 0.5)

    compiled = genesis.compile(noisy)
    genesis.manual_seed(5)
    eager = [[t.tolist() for t in noisy()] for _ in range(2)]
    genesis.manual_seed(5)
    got = [[t.tolist() for t in compiled()] for _ in range(2)]
    assert got[0][0] == eager[0][0] and got[1][0] == eager[1][0] and got[0][0] != got[1][0]
    assert got[0][2] == eager[0][2] and got[1][2] == eager[1][2]
    np.testing.assert_allclose(got[0][1] + got[1][1], eager[0][1] + eager[1][1], rtol=1e-5, atol=1e-6)
    state = genesis.get_rng_state()
    third = compiled()[0].tolist()
    genesis.set_rng_state(state)
    assert compiled()[0].tolist() == third


def test_the_stages_of_a_step_can_be_looked_at(run: Run, tmp_path: Any) -> None:
    traced, fused = run.step.graph(), run.step.graph("fused")
    names = [node.op.name for node in traced.nodes]
    assert "grad" in names and "clip_grad_norm" in names and "adam_update" in names
    assert all(node.op.name == "fused" for node in fused.nodes)
    with pytest.raises(KeyError, match=r"no stage 'nothing'; there are: traced, .*autodiff.*fuse"):
        run.step.graph("nothing")
    assert run.step.source() == run.step.source("c") == run.step.plan.source
    files = run.step.dump(tmp_path / "deep" / "folder")
    assert [file.name for file in files[:2]] == ["SUMMARY.txt", "00_traced.gir"]
    assert (tmp_path / "deep" / "folder" / "step.c").read_text() == run.step.plan.source
    assert all(f.stat().st_size for f in files)


def test_a_dump_says_why_there_are_no_triton_kernels(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(graph: Any, target: str) -> None:
        raise NotImplementedError("a kernel that Triton does not have")

    monkeypatch.setattr("compiler.codegen.triton.module.emit", missing)
    step = genesis.compile(lambda x: x + 1)
    step(genesis.ones(3, 2))
    text = {p.name: p for p in step.dump(tmp_path)}["step_triton.py"].read_text()
    assert text.startswith("# a kernel that Triton does not have")


def test_nothing_to_look_at_before_the_first_call() -> None:
    @interpreted
    def untouched() -> None:
        pass

    for look in (lambda: untouched.plan, lambda: untouched.graph(), lambda: untouched.last, lambda: untouched.source()):
        with pytest.raises(TraceError, match="untouched has not been called yet; call it once, then look"):
            look()


def test_without_a_compiler_steps_are_interpreted_after_one_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_CC", "none")

    @genesis.compile
    def double(x: Any) -> Any:
        return x * 2

    with pytest.warns(GenesisWarning, match="no C compiler found"):
        assert double(ONES).tolist() == [2.0, 2.0]
    assert double.plan is None
    assert double(ONES).tolist() == [2.0, 2.0], "no second notice"


def test_the_plan_of_a_run_on_many_threads_is_the_same(run: Run) -> None:
    plan = run.step.plan
    assert replace(plan, threads=0).scratch_bytes(3) >= plan.scratch_bytes(1)
