"""``accumulate=``: several micro-batches give what the whole batch gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import genesis as t
from compiler.errors import TraceError
from genesis import nn, optim
from genesis.nn import functional as F


def _trained(loss: Callable[[Any, Any], Any], **options: Any) -> tuple[list[Any], list[Any]]:
    """The results of three steps, and the weights after them."""
    t.manual_seed(0)
    model = nn.Linear(3, 4)
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    @t.compile(backend="interpret", **options)
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        logits = model(x)
        value = loss(logits, y)
        value.backward()
        optimizer.step()
        correct = (logits.argmax(1) == y).sum()
        return value, logits, correct, logits.argmax(1), (logits * logits).sum(), logits.mean() * 2

    t.manual_seed(1)
    x, y, results = t.randn(8, 3), t.tensor([0, 1, 2, 3, 3, 2, 1, 0]), []
    for _ in range(3):
        results += [part.float().reshape(-1).tolist() for part in step(x, y)]
    return results, [p.detach().reshape(-1).tolist() for p in model.parameters()]


LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "mean": F.cross_entropy,
    "sum": lambda logits, y: F.cross_entropy(logits, y, reduction="sum"),
    "scaled sum": lambda logits, y: F.cross_entropy(logits, y, reduction="sum") * 0.125,
    "mean and penalty": lambda logits, y: F.cross_entropy(logits, y) + 0.1 * (logits * logits).mean(),
}


@pytest.mark.parametrize("name", LOSSES)
def test_micro_batches_give_what_the_whole_batch_gives(name: str) -> None:
    whole, parts = _trained(LOSSES[name]), _trained(LOSSES[name], accumulate=4)
    for a, b in zip([*whole[0], *whole[1]], [*parts[0], *parts[1]], strict=True):
        assert a == pytest.approx(b, rel=1e-4, abs=1e-5)


def test_a_value_that_cannot_be_joined_is_an_error() -> None:
    model = nn.Linear(3, 4)

    @t.compile(backend="interpret", accumulate=2)
    def step(x: Any) -> Any:
        loss = (model(x) ** 2).mean()
        loss.backward()
        return loss.sqrt()

    with pytest.raises(TraceError, match=r"accumulate= cannot tell how a f32\[\], made by sqrt at .*, is joined"):
        step(t.randn(4, 3))
