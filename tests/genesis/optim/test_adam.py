"""Adam and AdamW against the formulas."""

from typing import Any

import numpy as np
import pytest

import genesis
from genesis.optim import Adam, AdamW
from tests.genesis.recorded import Recorded

GRADS = np.random.default_rng(1).standard_normal((6, 4)).astype(np.float32)


def reference(p: np.ndarray, lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
              weight_decay: float = 0, amsgrad: bool = False, maximize: bool = False,
              decoupled: bool = False) -> np.ndarray:  # fmt: skip
    m = v = largest = np.zeros_like(p)
    for t, grad in enumerate(GRADS.astype(np.float64), 1):
        g = -grad if maximize else grad
        if decoupled:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        largest = np.maximum(largest, v)
        root = np.sqrt((largest if amsgrad else v) / (1 - betas[1] ** t))
        p = p - lr * m / (1 - betas[0] ** t) / (root + eps)
    return p


CASES = [
    {},
    {"betas": (0.5, 0.9), "eps": 1e-2},
    {"weight_decay": 0.1},
    {"amsgrad": True},
    {"maximize": True, "weight_decay": 0.1},
]


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("options", CASES)
@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_steps_follow_the_formula(kind: type[Adam], options: dict[str, Any], recorded: bool) -> None:
    options = {"weight_decay": 0.0, **options}
    p = genesis.ones(4, requires_grad=True)
    p.grad = genesis.zeros(4)
    optimizer = kind([p], lr=0.1, **options)
    step = Recorded(optimizer.step) if recorded else optimizer.step
    for grad in GRADS:
        p.grad.copy_(genesis.tensor(grad))
        step()
    expected = reference(np.ones(4), 0.1, **options, decoupled=kind is AdamW)
    np.testing.assert_allclose(p.detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_adamw_is_adam_with_decoupled_decay() -> None:
    assert AdamW([genesis.ones(1)]).param_groups[0]["weight_decay"] == 0.01
    adam = Adam([genesis.ones(1)], weight_decay=0.01, decoupled_weight_decay=True)
    assert adam.state_dict() == AdamW([genesis.ones(1)]).state_dict()


def test_state_has_the_names_of_pytorch() -> None:
    p = genesis.ones(2, 3, requires_grad=True)
    p.grad = genesis.ones(2, 3)
    optimizer = Adam([p], amsgrad=True)
    optimizer.step()
    state = optimizer.state_dict()["state"][0]
    assert {key: (value.dtype, tuple(value.shape)) for key, value in state.items()} == {
        "step": (genesis.float32, ()),
        "exp_avg": (genesis.float32, (2, 3)),
        "exp_avg_sq": (genesis.float32, (2, 3)),
        "max_exp_avg_sq": (genesis.float32, (2, 3)),
    }


def test_amsgrad_switched_on_later_starts_from_what_it_sees() -> None:
    p = genesis.ones(2, requires_grad=True)
    p.grad = genesis.ones(2)
    optimizer = Adam([p])
    optimizer.step()
    optimizer.param_groups[0]["amsgrad"] = True
    optimizer.step()
    assert optimizer.state[p]["max_exp_avg_sq"].tolist() == optimizer.state[p]["exp_avg_sq"].tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, "Invalid learning rate: -1.0"),
        ({"eps": -1.0}, "Invalid epsilon value: -1.0"),
        ({"betas": (1.0, 0.9)}, "Invalid beta parameter at index 0: 1.0"),
        ({"betas": (0.9, -0.1)}, "Invalid beta parameter at index 1: -0.1"),
        ({"weight_decay": -1.0}, "Invalid weight_decay value: -1.0"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Adam([genesis.ones(1)], **options)
