"""Optimizers that users write with PyTorch's idioms: eager and compiled, several calls, with a schedule."""

from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn, optim
from genesis.amp import GradScaler
from genesis.optim import lr_scheduler as schedules

pytestmark = pytest.mark.filterwarnings("ignore:Detected call of")

DATA = genesis.tensor(np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32))


class Plain(optim.Optimizer):
    def __init__(self, params: Any, lr: float = 0.1, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @genesis.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = None
        if closure is not None:
            with genesis.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                grad = p.grad
                if group["weight_decay"] != 0:
                    grad = grad.add(p, alpha=group["weight_decay"])
                p.add_(grad, alpha=-group["lr"])
        return loss


class Data(Plain):
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                p.data.add_(p.grad.data, alpha=-group["lr"])


class Momentum(optim.Optimizer):
    """State that is made lazily, tensors that are replaced."""

    def __init__(self, params: Any, lr: float = 0.1, momentum: float = 0.9) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @genesis.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if "buffer" not in state:
                    state["buffer"] = genesis.zeros_like(p)
                state["buffer"] = state["buffer"] * group["momentum"] + p.grad
                p -= group["lr"] * state["buffer"]


class HandAdam(optim.Optimizer):
    """Python step counts, bias correction, moments in place."""

    def __init__(self, params: Any, lr: float = 0.01, betas: Any = (0.9, 0.999), eps: float = 1e-8) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    @genesis.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if len(state) == 0:
                    state["step"] = 0
                    state["exp_avg"] = genesis.zeros_like(p)
                    state["exp_avg_sq"] = genesis.zeros_like(p)
                state["step"] += 1
                m, v = state["exp_avg"], state["exp_avg_sq"]
                m.mul_(beta1).add_(p.grad, alpha=1 - beta1)
                v.mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
                first, second = 1 - beta1 ** state["step"], 1 - beta2 ** state["step"]
                p.addcdiv_(m, (v.sqrt() / second**0.5).add_(group["eps"]), value=-group["lr"] / first)


class Lookahead(optim.Optimizer):
    """A count in the group, a dict of its own in the state, numbers that decide."""

    def __init__(self, params: Any, lr: float = 0.1, every: int = 3) -> None:
        super().__init__(params, {"lr": lr, "every": every, "count": 0})

    @genesis.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            group["count"] += 1
            for p in group["params"]:
                if p not in self.state:
                    self.state[p] = {"slow": p.clone(), "seen": 0.0}
                state = self.state[p]
                state["seen"] = state["seen"] + group["lr"]
                p.add_(p.grad, alpha=-group["lr"])
                if group["count"] % group["every"] == 0:
                    state["slow"].lerp_(p, 0.5)
                    p.copy_(state["slow"])


KINDS = [Plain, Data, Momentum, HandAdam, Lookahead]
COMPILES = {"Momentum": 2, "HandAdam": 2, "Lookahead": 3}
"""The first call makes the state, and is a program of its own; Lookahead's branch is another."""


def contents(optimizer: Any) -> list[Any]:
    """State and hyper-parameters as plain values."""
    found: list[Any] = []
    for group in optimizer.param_groups:
        found += [(key, type(value), value) for key, value in group.items() if key != "params"]
        for p in group["params"]:
            for key, value in sorted(optimizer.state.get(p, {}).items()):
                shown = value.tolist() if isinstance(value, genesis.Tensor) else value
                found.append((key, type(value), np.asarray(shown).ravel().tolist()))
    return found


def train(kind: Any, compiled: bool, scaler: Any = None, calls: int = 8) -> Any:
    genesis.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = kind(model.parameters())
    scheduler = schedules.ExponentialLR(optimizer, 0.9)

    def step(x: Any) -> Any:
        scheduler.step()
        optimizer.zero_grad()
        loss = (model(x) ** 2).mean()
        if scaler is None:
            loss.backward()
            optimizer.step()
        else:
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        return loss

    run: Any = genesis.compile(step) if compiled else step
    found = []
    for i in range(calls):
        x = DATA * (float("inf") if scaler is not None and i in (0, 4) else 1.0)
        loss = run(x).item()
        weights = [p.detach().numpy().copy() for p in model.parameters()]
        found.append((loss, weights, contents(optimizer), optimizer._step_count))
        optimizer.param_groups[0]["lr"] *= 0.99
    return found, run.compiles if compiled else 0


def same(found: Any, expected: Any) -> None:
    for i, (f, e) in enumerate(zip(found, expected, strict=True)):
        np.testing.assert_allclose(f[0], e[0], rtol=1e-5)
        for a, b in zip(f[1], e[1], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6, err_msg=f"weights after call {i}")
        assert [x[:2] for x in f[2]] == [x[:2] for x in e[2]], f"state after call {i}"
        for x, y in zip(f[2], e[2], strict=True):
            np.testing.assert_allclose(x[2], y[2], rtol=1e-4, atol=1e-6, err_msg=f"{x[0]} after call {i}")
        assert f[3] == e[3], f"steps after call {i}"


@pytest.mark.parametrize("kind", KINDS)
def test_compiled_is_eager(kind: Any) -> None:
    expected, _ = train(kind, False)
    found, compiles = train(kind, True)
    same(found, expected)
    assert compiles == COMPILES.get(kind.__name__, 1)


@pytest.mark.parametrize("kind", [*KINDS, optim.SGD, optim.Adam])
def test_steps_that_a_scaler_skips_change_nothing(kind: Any) -> None:
    expected, _ = train(kind, False, GradScaler(init_scale=8.0))
    found, _ = train(kind, True, GradScaler(init_scale=8.0))
    for (_, weights, _, steps), (_, others, _, counted) in zip(found, expected, strict=True):
        assert steps == counted
        for a, b in zip(weights, others, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_own_state_is_saved_and_loaded() -> None:
    genesis.manual_seed(0)
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    optimizers = [HandAdam(model.parameters()), HandAdam(other.parameters())]
    for m, optimizer in zip((model, other), optimizers, strict=True):
        (m(DATA) ** 2).mean().backward()
        optimizer.step()
    optimizers[0].step()
    optimizers[1].load_state_dict(optimizers[0].state_dict())
    assert contents(optimizers[1]) == contents(optimizers[0])
    assert [type(state["step"]) for state in optimizers[1].state.values()] == [int, int]
