"""SGD against the formulas, and the first step of its momentum buffer."""

from typing import Any

import numpy as np
import pytest

import genesis
from genesis.optim import SGD
from tests.genesis.recorded import Recorded

GRADS = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)


def reference(p: np.ndarray, lr: float, momentum: float = 0, dampening: float = 0, weight_decay: float = 0,
              nesterov: bool = False, maximize: bool = False) -> np.ndarray:  # fmt: skip
    buffer = None
    for grad in GRADS.astype(np.float64):
        d = (-grad if maximize else grad) + weight_decay * p
        if momentum:
            buffer = d if buffer is None else momentum * buffer + (1 - dampening) * d
            d = d + momentum * buffer if nesterov else buffer
        p = p - lr * d
    return p


CASES = [
    {},
    {"weight_decay": 0.1},
    {"momentum": 0.9},
    {"momentum": 0.9, "weight_decay": 0.1, "maximize": True},
    {"momentum": 0.9, "dampening": 0.4},
    {"momentum": 0.9, "nesterov": True},
]


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("options", CASES)
def test_steps_follow_the_formula(options: dict[str, Any], recorded: bool) -> None:
    p = genesis.ones(3, requires_grad=True)
    p.grad = genesis.zeros(3)
    optimizer = SGD([p], lr=0.1, **options)
    step = Recorded(optimizer.step) if recorded else optimizer.step
    for grad in GRADS:
        p.grad.copy_(genesis.tensor(grad))
        step()
    np.testing.assert_allclose(p.detach().numpy(), reference(np.ones(3), 0.1, **options), rtol=1e-5, atol=1e-6)


def test_without_momentum_there_is_no_state() -> None:
    p = genesis.ones(3, requires_grad=True)
    p.grad = genesis.ones(3)
    optimizer = SGD([p])
    optimizer.step()
    assert optimizer.state_dict()["state"] == {}


def test_the_first_buffer_is_the_gradient_bit_for_bit() -> None:
    p = genesis.ones(3, requires_grad=True)
    p.grad = genesis.tensor(GRADS[0])
    optimizer = SGD([p], momentum=0.9, dampening=0.5)
    assert optimizer.state_dict()["state"] == {}
    optimizer.step()
    np.testing.assert_array_equal(optimizer.state[p]["momentum_buffer"].numpy(), GRADS[0])


def test_dampening_that_begins_later_finds_a_buffer_that_has_begun() -> None:
    p = genesis.zeros(1, requires_grad=True)
    p.grad = genesis.ones(1)
    optimizer = SGD([p], lr=1.0, momentum=0.5)
    optimizer.step()
    optimizer.param_groups[0]["dampening"] = 0.5
    optimizer.step()
    assert optimizer.state[p]["momentum_buffer"].item() == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, "Invalid learning rate: -1.0"),
        ({"momentum": -1.0}, "Invalid momentum value: -1.0"),
        ({"weight_decay": -1.0}, "Invalid weight_decay value: -1.0"),
        ({"nesterov": True}, "Nesterov momentum requires a momentum and zero dampening"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SGD([genesis.ones(1)], **options)
