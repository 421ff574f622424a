"""Embeddings that limit the norms of rows, or divide gradients by how often a row was looked up, against PyTorch."""

from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn
from tests.oracle.compare import agree, both_raise, same

torch = pytest.importorskip("torch")

IDS = np.array([[1, 4, 1], [0, 1, 4]])


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, float("inf")])
@pytest.mark.parametrize("mode", ["rows", "sum", "mean"])
def test_rows_are_scaled_down_in_the_table(norm_type: float, mode: str) -> None:
    def call(t: Any, weight: Any) -> Any:
        table = weight.detach().clone()
        ids = t.tensor(IDS)
        F = t.nn.functional
        if mode == "rows":
            return F.embedding(ids, table, max_norm=0.8, norm_type=norm_type), table
        return F.embedding_bag(ids, table, max_norm=0.8, norm_type=norm_type, mode=mode), table

    agree(call, (6, 3))


CALLS = {
    "rows": lambda t, w: t.nn.functional.embedding(t.tensor(IDS), w, scale_grad_by_freq=True),
    "padding": lambda t, w: t.nn.functional.embedding(t.tensor(IDS), w, padding_idx=4, scale_grad_by_freq=True),
    "one": lambda t, w: t.nn.functional.embedding(t.tensor(3), w, scale_grad_by_freq=True),
}


@pytest.mark.parametrize("name", CALLS)
def test_gradients_are_divided_by_frequency(name: str) -> None:
    agree(CALLS[name], (6, 3))


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_gradients_of_bags_are_divided_by_frequency(mode: str) -> None:
    """Not against PyTorch, whose bags look up the count of another row."""
    grads = []
    for bags in (True, False):
        w = genesis.ones(6, 3, requires_grad=True)
        ids = genesis.tensor(IDS)
        if bags:
            found = nn.functional.embedding_bag(ids, w, scale_grad_by_freq=True, mode=mode)
        else:
            found = getattr(nn.functional.embedding(ids, w, scale_grad_by_freq=True), mode)(1)
        (found * genesis.tensor([[2.0], [3.0]])).sum().backward()
        grads.append(w.grad)
    assert genesis.allclose(*grads)


def test_a_maximum_has_no_frequency() -> None:
    both_raise(
        lambda t, w: t.nn.functional.embedding_bag(t.tensor(IDS), w, scale_grad_by_freq=True, mode="max"), (6, 3)
    )


@pytest.mark.parametrize("compiled", [False, True])
def test_training(compiled: bool) -> None:
    start = np.random.default_rng(1).standard_normal((6, 3)).astype(np.float32)

    def run(t: Any, wrap: Any) -> tuple[list[Any], Any, str]:
        table = t.nn.Embedding(6, 3, max_norm=0.7, norm_type=2.0, scale_grad_by_freq=True)
        with t.no_grad():
            table.weight.copy_(t.tensor(start))
        optimizer = t.optim.SGD(table.parameters(), lr=0.3)

        def step(ids: Any) -> Any:
            optimizer.zero_grad()
            loss = (table(ids) - 1).square().sum()
            loss.backward()
            optimizer.step()
            return loss

        step = wrap(step)
        losses = [step(t.tensor(np.roll(IDS, k))).item() for k in range(4)]
        return losses, table.weight, repr(table)

    got = run(genesis, (lambda f: genesis.compile(f, backend="interpret")) if compiled else lambda f: f)
    want = run(torch, lambda f: f)
    np.testing.assert_allclose(got[0], want[0], rtol=1e-5)
    same(got[1], want[1])
    assert got[2] == want[2]


def test_a_pretrained_table_takes_the_options() -> None:
    table = nn.Embedding.from_pretrained(genesis.ones(3, 2), max_norm=1.0)
    assert table.max_norm == 1.0 and not table.weight.requires_grad
    assert genesis.allclose(table(genesis.tensor([1])).norm(dim=1), genesis.ones(1))
    assert table.weight[0].tolist() == [1, 1]
