"""The adaptive softmax against PyTorch."""

from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn
from tests.oracle.compare import agree, both_raise

torch = pytest.importorskip("torch")

LABELS = np.array([0, 3, 4, 9, 10, 18, 19, 2])


@pytest.mark.parametrize("options", [{}, {"div_value": 2.0, "head_bias": True}], ids=["plain", "bias"])
def test_the_adaptive_softmax(options: dict[str, Any]) -> None:
    mine = nn.AdaptiveLogSoftmaxWithLoss(16, 20, [4, 10], **options)
    other = torch.nn.AdaptiveLogSoftmaxWithLoss(16, 20, [4, 10], **options)
    assert repr(mine) == repr(other)
    mine.load_state_dict({k: v.numpy() for k, v in other.state_dict().items()})

    def both(t: Any, x: Any, y: Any) -> Any:
        model = mine if t is genesis else other
        output, loss = model(x, y)
        return output, loss, model.log_prob(x), model.predict(x), model(x[0], y[0]).output

    agree(both, (8, 16), LABELS, rtol=2e-5, atol=5e-6)
    for a, b in zip(mine.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), 1e-4, 1e-5)


ERRORS: dict[str, Any] = {
    "no cutoffs": lambda n, x, y: n.AdaptiveLogSoftmaxWithLoss(16, 20, []),
    "falling cutoffs": lambda n, x, y: n.AdaptiveLogSoftmaxWithLoss(16, 20, [5, 4]),
    "a cutoff too large": lambda n, x, y: n.AdaptiveLogSoftmaxWithLoss(16, 20, [5, 20]),
    "a label too large": lambda n, x, y: n.AdaptiveLogSoftmaxWithLoss(16, 20, [5])(x, y + 1),
    "shapes": lambda n, x, y: n.AdaptiveLogSoftmaxWithLoss(16, 20, [5])(x[:3], y),
}


@pytest.mark.parametrize("name", ERRORS)
def test_it_raises_as_torch_does(name: str) -> None:
    both_raise(lambda t, x, y: ERRORS[name](t.nn, x, y), (8, 16), LABELS)
