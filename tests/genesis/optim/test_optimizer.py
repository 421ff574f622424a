"""Groups, state, errors and saving, which all optimizers share."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import GenesisWarning, TraceError
from genesis.live import changes
from genesis.optim import ASGD, LBFGS, SGD, Adam, Muon, NAdam, SparseAdam
from genesis.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from tests.genesis.recorded import Recorded


def parameter(*shape: int, grad: float | None = None, value: float = 1.0) -> genesis.Tensor:
    p = genesis.full(shape, value, dtype=genesis.float32, requires_grad=True)
    if grad is not None:
        p.grad = genesis.full(shape, grad, dtype=genesis.float32)
    return p


def ticks(action: Callable[[], Any]) -> bool:
    before = changes.time
    action()
    return changes.time > before


def test_groups_take_their_own_values_over_the_defaults() -> None:
    a, b = parameter(2), parameter(3)
    optimizer = SGD([{"params": a}, {"params": (b,), "lr": 0.5}], lr=0.1, momentum=0.9)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.5]
    assert [group["momentum"] for group in optimizer.param_groups] == [0.9, 0.9]
    assert optimizer.param_groups[1]["params"][0] is b


def test_added_groups_are_trained() -> None:
    a, b = parameter(2, grad=1.0), parameter(3, grad=1.0)
    optimizer = SGD([a], lr=0.1)
    assert ticks(lambda: optimizer.add_param_group({"params": [b], "lr": 1.0}))
    optimizer.step()
    assert a.tolist() == pytest.approx([0.9] * 2)
    assert b.tolist() == [0.0] * 3


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ([], ValueError, "optimizer got an empty parameter list"),
        (genesis.ones(2), TypeError, "should be an iterable of Tensors or dicts"),
        ([np.ones(2)], TypeError, "optimizer can only optimize Tensors, but one of the params is ndarray"),
        ([{"params": {genesis.ones(2)}}], TypeError, "the ordering of tensors in sets"),
        ([{"params": [genesis.ones(2)]}, [1]], TypeError, "param_group must be a dict, but got list"),
        ([genesis.ones(2, requires_grad=True) * 2], ValueError, "can't optimize a non-leaf Tensor"),
    ],
)
def test_bad_parameters(params: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        SGD(params)


def test_a_parameter_belongs_to_one_group() -> None:
    p = parameter(2)
    with pytest.raises(ValueError, match="some parameters appear in more than one parameter group"):
        SGD([{"params": [p]}, {"params": [p]}])
    with pytest.warns(GenesisWarning, match="duplicate parameters"):
        SGD([p, p])


@pytest.mark.parametrize("optimizer", [SGD, Adam])
def test_options_that_exclude_each_other_or_are_missing(optimizer: Any) -> None:
    with pytest.raises(RuntimeError, match="`fused` and `foreach` cannot be `True` together"):
        optimizer([parameter(1)], foreach=True, fused=True)
    with pytest.raises(NotImplementedError, match="differentiable=True"):
        optimizer([parameter(1)], differentiable=True)


def test_zero_grad_drops_gradients_or_clears_them() -> None:
    a, b = parameter(2, grad=3.0), parameter(2)
    optimizer = SGD([a, b])
    kept = a.grad
    optimizer.zero_grad(set_to_none=False)
    assert a.grad is kept
    assert kept is not None
    assert kept.tolist() == [0.0, 0.0]
    assert b.grad is None
    optimizer.zero_grad()
    assert a.grad is None


def test_parameters_without_gradient_stay() -> None:
    a, b = parameter(2, grad=1.0), parameter(2)
    optimizer = Adam([a, b], lr=0.1)
    optimizer.step()
    assert b.tolist() == [1.0, 1.0]
    assert b not in optimizer.state


def test_the_closure_runs_with_gradients_and_its_result_is_returned() -> None:
    p = parameter(2)
    optimizer = SGD([p], lr=0.5)

    def closure() -> genesis.Tensor:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with genesis.no_grad():
        assert optimizer.step(closure).item() == 2.0
    assert p.tolist() == [0.0, 0.0]
    assert p.is_leaf


def test_repr_lists_the_groups() -> None:
    text = repr(SGD([parameter(1)], lr=0.25))
    assert text.startswith("SGD (\nParameter Group 0\n    dampening: 0\n")
    assert "    lr: 0.25\n" in text
    assert text.endswith("\n)")


# Step counters


def counters(optimizer: Adam) -> list[float]:
    return [state["step"].item() for state in optimizer.state.values()]


def test_parameters_updated_together_share_a_counter_and_part_when_they_are_not() -> None:
    a, b, c = (parameter(1, grad=1.0) for _ in range(3))
    optimizer = Adam([a, b, c])
    optimizer.step()
    assert len({state["step"] for state in optimizer.state.values()}) == 1
    c.grad = None
    assert ticks(optimizer.step)
    assert counters(optimizer) == [2.0, 2.0, 1.0]
    assert optimizer.state[a]["step"] is optimizer.state[b]["step"]
    assert not ticks(optimizer.step)
    c.grad = genesis.ones(1)
    assert not ticks(optimizer.step)
    assert counters(optimizer) == [4.0, 4.0, 2.0]


def test_a_late_parameter_counts_from_its_own_start() -> None:
    a, b = parameter(1, grad=1.0), parameter(1)
    optimizer = Adam([a, b])
    optimizer.step()
    b.grad = genesis.ones(1)
    optimizer.step()
    assert counters(optimizer) == [2.0, 1.0]


# Compiled steps


def test_a_recorded_step_reads_its_numbers_at_every_call() -> None:
    a, b = parameter(2, grad=1.0), parameter(2, grad=1.0)
    optimizer = SGD([a, b], lr=0.5)
    step = Recorded(optimizer.step)
    assert step.labels("scalar") == ["optimizer.lr[0]", "optimizer.weight_decay[0]"]
    step()
    assert not ticks(lambda: optimizer.param_groups[0].update(lr=0.25, weight_decay=0.0))
    step()
    assert a.tolist() == b.tolist() == [0.25, 0.25]


def test_a_recorded_step_leaves_everything_as_it_was() -> None:
    p = parameter(2, grad=1.0)
    optimizer = Adam([p])
    step = Recorded(optimizer.step)
    assert p.tolist() == [1.0, 1.0]
    assert counters(optimizer) == [0.0]
    assert optimizer._step_count == 0
    step()
    assert counters(optimizer) == [1.0]
    assert optimizer._step_count == 1


def test_state_is_named_after_the_parameters() -> None:
    a, b = parameter(2, grad=1.0), parameter(3, grad=1.0)
    a._cell.label = "model.weight"
    step = Recorded(Adam([a, b]).step)
    assert [label for label in step.labels("state") if label.startswith("optimizer")] == [
        "optimizer.step",
        "optimizer.exp_avg[model.weight]",
        "optimizer.exp_avg_sq[model.weight]",
        "optimizer.exp_avg[1]",
        "optimizer.exp_avg_sq[1]",
    ]


def test_all_parameters_together_count_once() -> None:
    parameters = [parameter(2, grad=1.0) for _ in range(4)]
    groups = [{"params": parameters[:2]}, {"params": parameters[2:], "weight_decay": 0.1}]
    assert Recorded(Adam(groups).step).ops().count("count_step") == 1


def test_a_part_that_leaves_its_counter_inside_a_recording_takes_its_count_along() -> None:
    a, b = parameter(1, grad=1.0), parameter(1, grad=1.0)
    optimizer = Adam([a, b])
    optimizer.step()
    b.grad = None
    step = Recorded(optimizer.step)
    step()
    assert counters(optimizer) == [2.0, 1.0]


def test_writes_to_a_group_inside_a_recording_come_after_every_call() -> None:
    p = parameter(1, grad=1.0)
    optimizer = SGD([p], lr=1.0)

    def body() -> None:
        optimizer.step()
        optimizer.param_groups[0]["lr"] = 0.5
        optimizer.param_groups[0].update(weight_decay=0.0)

    step = Recorded(body)
    assert optimizer.param_groups[0]["lr"] == 1.0
    step()
    assert (p.item(), optimizer.param_groups[0]["lr"]) == (0.0, 0.5)
    optimizer.param_groups[0]["lr"] = 1.0
    step()
    assert (p.item(), optimizer.param_groups[0]["lr"]) == (-1.0, 0.5)


def test_what_a_compiled_step_has_baked_in_moves_the_clock_on() -> None:
    p = parameter(1)
    group = SGD([p], lr=0.0).param_groups[0]
    for key, value in {"lr": 0.1, "weight_decay": 0.2}.items():
        assert not ticks(lambda k=key, v=value: group.__setitem__(k, v))  # type: ignore[misc]
    for key, value in {"momentum": 0.9, "dampening": 0.1, "nesterov": True, "params": [parameter(1)]}.items():
        assert ticks(lambda k=key, v=value: group.__setitem__(k, v))  # type: ignore[misc]
    assert not ticks(lambda: group.__setitem__("momentum", 0.8))


def test_membership_and_state_do_not_change_inside_a_recording() -> None:
    optimizer, other = SGD([parameter(1)]), parameter(1)
    saved = optimizer.state_dict()
    with pytest.raises(TraceError, match=r"optimizer.add_param_group\(\) inside a compiled step"):
        Recorded(lambda: optimizer.add_param_group({"params": [other]}))
    with pytest.raises(TraceError, match=r"optimizer.load_state_dict\(\) inside a compiled step"):
        Recorded(lambda: optimizer.load_state_dict(saved))


# Saving


def test_a_state_dict_brings_another_optimizer_to_the_same_place() -> None:
    def make() -> tuple[list[genesis.Tensor], Adam]:
        params = [parameter(2, grad=1.0), parameter(3, grad=-2.0)]
        return params, Adam([{"params": params[:1], "lr": 0.5}, {"params": params[1:]}], betas=(0.8, 0.9))

    params, optimizer = make()
    optimizer.step()
    saved = optimizer.state_dict()
    assert [group["params"] for group in saved["param_groups"]] == [[0], [1]]
    others, other = make()
    with genesis.no_grad():
        for p, q in zip(params, others):
            q.copy_(p)
    other.param_groups[0]["lr"] = 0.1
    before = other.structure()
    assert ticks(lambda: other.load_state_dict(saved))
    assert other.structure() != before
    assert other.param_groups[0]["lr"] == 0.5
    assert other.state[others[0]]["step"] is other.state[others[1]]["step"]
    assert other.state[others[0]]["exp_avg"] is not saved["state"][0]["exp_avg"]
    optimizer.step()
    other.step()
    assert [p.tolist() for p in params] == [q.tolist() for q in others]


def test_state_of_the_same_form_is_loaded_into_the_same_tensors() -> None:
    p, q = parameter(1, grad=1.0), parameter(1, grad=1.0)
    optimizer = Adam([p, q], lr=0.0)
    step = Recorded(optimizer.step)
    step()
    saved = {**optimizer.state_dict(), "state": {}}
    for i, state in optimizer.state_dict()["state"].items():
        saved["state"][i] = {key: value.clone() for key, value in state.items()}
    step()
    before = optimizer.structure()
    assert not ticks(lambda: optimizer.load_state_dict(saved))
    step()
    assert counters(optimizer) == [2.0, 2.0]
    saved["state"][1]["step"] = genesis.tensor(7.0)
    assert ticks(lambda: optimizer.load_state_dict(saved))
    assert optimizer.structure() != before
    assert counters(optimizer) == [1.0, 7.0]


def test_loading_converts_to_the_dtype_of_the_parameter() -> None:
    p = parameter(2, grad=1.0)
    optimizer = Adam([p])
    optimizer.step()
    saved = optimizer.state_dict()
    saved["state"][0]["exp_avg"] = np.array([1.0, 2.0])
    optimizer.load_state_dict(saved)
    assert optimizer.state[p]["exp_avg"].dtype is genesis.float32


def test_a_state_dict_that_does_not_fit_changes_nothing() -> None:
    optimizer = Adam([parameter(2, grad=1.0)], lr=0.1)
    optimizer.step()
    two = Adam([{"params": [parameter(2)]}, {"params": [parameter(2)]}]).state_dict()
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optimizer.load_state_dict(two)
    with pytest.raises(ValueError, match="doesn't match the size of optimizer's group"):
        optimizer.load_state_dict(Adam([parameter(2), parameter(2)]).state_dict())
    wide = Adam([parameter(3, grad=1.0)], lr=0.2)
    wide.step()
    with pytest.raises(ValueError, match=r"state 'exp_avg' of parameter 0 has shape \[3\], .* has \[2\]"):
        optimizer.load_state_dict(wide.state_dict())
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert counters(optimizer) == [1.0]


def test_hooks_run_around_steps_and_state_dicts() -> None:
    p = parameter(1, grad=1.0)
    optimizer, calls = SGD([p], lr=1.0), []
    note = calls.append
    handles = [
        optimizer.register_step_pre_hook(lambda o, args, kwargs: note("before")),
        optimizer.register_step_post_hook(lambda o, args, kwargs: note("after")),
        register_optimizer_step_pre_hook(lambda o, args, kwargs: note("before all")),
        register_optimizer_step_post_hook(lambda o, args, kwargs: note("after all")),
    ]
    optimizer.step()
    assert calls == ["before all", "before", "after", "after all"]
    for handle in handles:
        handle.remove()
    optimizer.register_state_dict_pre_hook(lambda o: note("saving"))
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "more": 1})
    optimizer.register_load_state_dict_pre_hook(lambda o, state: {k: v for k, v in state.items() if k != "more"})
    optimizer.register_load_state_dict_post_hook(lambda o: note("loaded"))
    state = optimizer.state_dict()
    assert state["more"] == 1
    optimizer.load_state_dict(state)
    assert calls[4:] == ["saving", "loaded"]


def test_a_hook_on_steps_is_part_of_a_compiled_step() -> None:
    p = parameter(2)
    optimizer = SGD([p], lr=1.0)

    @genesis.compile
    def step() -> None:
        p.grad = genesis.ones(2)
        optimizer.step()

    step()

    def triple(o: Any, args: Any, kwargs: Any) -> None:
        p.grad.mul_(3.0)

    handle = optimizer.register_step_pre_hook(triple)
    step()
    assert p.tolist() == [-3.0, -3.0]
    handle.remove()
    step()
    assert p.tolist() == [-4.0, -4.0]
    optimizer.register_step_pre_hook(lambda o, args, kwargs: 1)
    with pytest.raises(RuntimeError, match="must return None or a tuple"):
        optimizer.step()


@pytest.mark.parametrize("kind", [NAdam, ASGD])
def test_numbers_that_parameters_share_stay_as_they_are_in_a_skipped_step(kind: Any) -> None:
    p = parameter(2)
    optimizer, scaler = kind([p], lr=0.1), genesis.amp.GradScaler()

    @genesis.compile
    def step(x: genesis.Tensor) -> None:
        optimizer.zero_grad()
        scaler.scale((p * x).sum()).backward()
        scaler.step(optimizer)
        scaler.update()

    good, bad = genesis.ones(2), genesis.full((2,), float("inf"))
    step(good)
    before = {key: value.tolist() for key, value in optimizer.state[p].items()}
    step(bad)
    assert {key: value.tolist() for key, value in optimizer.state[p].items()} == before
    step(good)
    assert optimizer.state[p]["step"].item() == 2


def test_parameters_of_a_group_share_numbers_until_they_part() -> None:
    a, b, c = (parameter(1, grad=1.0) for _ in range(3))
    optimizer = NAdam([{"params": [a, b]}, {"params": [c], "betas": (0.5, 0.9)}])
    optimizer.step()
    of = optimizer.state
    assert of[a]["mu_product"] is of[b]["mu_product"] and of[a]["step"] is of[c]["step"]
    assert of[a]["mu_product"].item() != of[c]["mu_product"].item()
    b.grad = None
    optimizer.step()
    assert of[a]["mu_product"].item() < of[b]["mu_product"].item()


def test_what_one_graph_cannot_do_says_so() -> None:
    optimizer = LBFGS([parameter(1)])
    with pytest.raises(TraceError, match="outside of compiled steps"):
        genesis.compile(lambda: optimizer.step(lambda: None))()
    with pytest.raises(NotImplementedError, match="use Adam"):
        SparseAdam([parameter(1)])


def test_a_compiled_muon_does_what_an_eager_one_does() -> None:
    start = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    results = []
    for wrapper in (lambda f: f, genesis.compile):
        p = genesis.tensor(start, requires_grad=True)
        optimizer = Muon([p], lr=0.1)

        def step(p: Any = p, optimizer: Any = optimizer) -> None:
            p.grad = p.detach() * 0.5 + 1.0
            optimizer.step()

        run = wrapper(step)
        for _ in range(3):
            run()
        results.append(p.detach().numpy())
    np.testing.assert_allclose(results[1], results[0], atol=3e-3)
