"""Changes of an optimizer between two calls of a compiled step: groups, their parameters, the state."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn, optim

DATA = genesis.ones(4, 3)


def settings(group: Any) -> dict[str, Any]:
    return {key: value for key, value in group.items() if key != "params"}


CHANGES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "parameter appended": lambda o, m, extra: o.param_groups[0]["params"].append(m.bias),
    "parameters cleared": lambda o, m, extra: o.param_groups[0]["params"].clear(),
    "parameters replaced": lambda o, m, extra: o.param_groups[0].update(params=[m.bias]),
    "group added": lambda o, m, extra: o.add_param_group({"params": extra.parameters(), "lr": 0.05}),
    "group appended": lambda o, m, extra: o.param_groups.append({**settings(o.param_groups[0]), "params": [m.bias]}),
    "groups replaced": lambda o, m, extra: setattr(o, "param_groups", [{**o.param_groups[0], "lr": 0.5}]),
    "groups cleared": lambda o, m, extra: o.param_groups.clear(),
    "state cleared": lambda o, m, extra: o.state.clear(),
    "state loaded": lambda o, m, extra: o.load_state_dict(copy.deepcopy(o.state_dict())),
}


def run(compiled: bool, change: Any, kind: Any, **options: Any) -> list[float]:
    genesis.manual_seed(0)
    model, extra = nn.Linear(3, 2), nn.Linear(3, 2)
    optimizer = kind([model.weight], lr=0.1, **options)

    def step(x: Any) -> Any:
        for part in (model, extra):
            part.zero_grad()
        loss = (model(x) ** 2).mean() + (extra(x) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    call: Any = genesis.compile(step) if compiled else step
    found = []
    for i in range(5):
        found.append(call(DATA).item())
        if i == 1:
            change(optimizer, model, extra)
    return [*found, extra.weight.sum().item(), model.bias.sum().item()]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(("kind", "options"), [(optim.SGD, {"momentum": 0.9}), (optim.Adam, {})])
def test_a_compiled_step_sees_the_change(change: str, kind: Any, options: dict[str, Any]) -> None:
    expected = run(False, CHANGES[change], kind, **options)
    np.testing.assert_allclose(run(True, CHANGES[change], kind, **options), expected, rtol=1e-5)


def test_a_group_given_as_an_argument_is_read_at_every_call() -> None:
    model = nn.Linear(3, 2)
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    @genesis.compile
    def step(x: Any, group: Any, other: Any) -> Any:
        return x.sum() * group["lr"], other.param_groups[0]["lr"] * 1.0

    for i in range(4):
        optimizer.param_groups[0]["lr"] = 0.25 * i
        first, second = step(DATA, optimizer.param_groups[0], optimizer)
        assert (first.item(), second) == pytest.approx((12 * 0.25 * i, 0.25 * i))
    assert step.compiles == 1


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_stand_alone(duplicate: Any) -> None:
    p = genesis.ones(2, requires_grad=True)
    optimizer = optim.Adam([p], lr=0.5)
    p.grad = genesis.ones(2)
    optimizer.step()
    other = duplicate(optimizer)
    other.param_groups[0]["lr"] = 0.25
    assert optimizer.param_groups[0]["lr"] == 0.5
    q = other.param_groups[0]["params"][0]
    assert q is not p
    assert other.param_groups[0].label("lr") == "optimizer.lr[0]"
    q.grad = genesis.ones(2)
    other.step()
    assert p.tolist() == pytest.approx([0.5, 0.5])
    assert q.tolist() == pytest.approx([0.25, 0.25])
