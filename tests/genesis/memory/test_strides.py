"""Results of elementwise ops, and copies, keep the order of dimensions in memory of a permuted operand."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import genesis
from genesis import Tensor


def matrix() -> Tensor:
    return genesis.tensor(np.arange(6, dtype=np.float32).reshape(2, 3))


COPIES: dict[str, Callable[[Tensor], Tensor]] = {
    "times one": lambda x: x.t() * 1,
    "clone": lambda x: x.t().clone(),
    "composite": lambda x: genesis.nn.functional.gelu(x.t()),
    "to": lambda x: x.t().to(genesis.float64),
    "like": lambda x: genesis.ones_like(x.t()),
    "tracked": lambda x: x.detach().requires_grad_().t() * 2,
}


@pytest.mark.parametrize("name", COPIES)
@pytest.mark.parametrize("compiled", [False, True])
def test_reshape_of_a_permuted_result_copies(name: str, compiled: bool) -> None:
    def step(x: Tensor) -> Any:
        c = COPIES[name](x)
        before = c.detach().contiguous()
        c.detach().reshape(-1).mul_(100)  # a copy: rows do not follow each other in memory
        untouched = c.detach().contiguous()
        c.detach().t().view(-1).mul_(2)  # a view of the storage
        return before, untouched, c

    run = genesis.compile(step) if compiled else step
    for _ in range(3):
        before, untouched, c = run(matrix())
        assert c.stride() == (1, 3)
        assert untouched.tolist() == before.tolist()
        assert c.tolist() == (before * 2).tolist()
        with pytest.raises(RuntimeError, match=r"Use \.reshape"):
            c.view(-1)


def test_a_permuted_result_is_another_argument() -> None:
    step = genesis.compile(lambda x: x.reshape(-1).mul_(0).sum() + x.sum())
    y = matrix().t() * 1
    assert step(y.contiguous()).item() == 0  # a view: the sum is of what was written
    assert step(y).item() == 15  # a copy
    assert step.compiles == 2


def test_a_permuted_state_stays_permuted() -> None:
    state = matrix().t() * 1

    @genesis.compile
    def step() -> Any:
        state.add_(1)
        state.reshape(-1).zero_()
        state.t().view(-1).mul_(2)
        return state + 0

    for _ in range(4):
        result = step()
        assert result.stride() == state.stride() == (1, 3)
    assert state.t().reshape(-1).tolist() == [(((v + 1) * 2 + 1) * 2 + 1) * 2 * 2 + 2 for v in range(6)]


def test_another_layout_of_a_state_compiles_again() -> None:
    state = genesis.nn.Parameter(matrix())
    step = genesis.compile(lambda: state.detach().reshape(-1).add_(1))
    step()
    assert state.sum().item() == 21
    state.data = matrix().reshape(3, 2).t()
    step()
    assert state.stride() == (1, 2)
    assert state.sum().item() == 15


def test_copies_of_objects_keep_the_layout() -> None:
    y = matrix().t() * 1
    assert copy.deepcopy(y).stride() == pickle.loads(pickle.dumps(y)).stride() == (1, 3)
    assert genesis.nn.Parameter(y).stride() == (1, 3)


def test_gradients_lie_as_their_leaf() -> None:
    leaf = (matrix().t() * 1).requires_grad_()
    (leaf * leaf).sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.stride() == (1, 3)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_reshape_of_what_a_channels_last_image_gives(compiled: bool) -> None:
    """A pooled image lies in memory as its operand, so that its pixels in a row are a view."""

    def step(x: Tensor) -> Any:
        y = genesis.nn.functional.max_pool2d(x, 2)
        y.permute(0, 2, 3, 1).reshape(-1).mul_(2)  # a view
        y.reshape(-1).mul_(100)  # a copy
        return y

    run = genesis.compile(step) if compiled else step
    image = genesis.tensor(np.arange(96, dtype=np.float32).reshape(2, 4, 4, 3)).permute(0, 3, 1, 2)
    wanted = genesis.nn.functional.max_pool2d(image.contiguous(), 2) * 2
    for _ in range(2):
        result = run(image)
        assert result.tolist() == wanted.tolist()
        assert result.stride() == (12, 1, 6, 3)


def test_statistics_of_a_view_in_another_layout() -> None:
    x = genesis.tensor(np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    norm = genesis.nn.BatchNorm1d(4)
    assert norm(x.transpose(1, 2)).tolist() == genesis.nn.BatchNorm1d(4)(x.transpose(1, 2).contiguous()).tolist()
    assert norm.running_var.shape == (4,)
