"""Names of PyTorch that Genesis does not have: the advice is there, and it is right."""

import re
from types import ModuleType

import numpy as np
import pytest

import genesis
from genesis import accelerator, amp, autograd, cuda, nn, optim
from genesis.absent import INSTEAD, OUT_OF_SCOPE
from genesis.nn import functional, init
from genesis.optim import lr_scheduler
from genesis.utils import data

OWNERS = (
    genesis,
    genesis.Tensor,
    nn,
    functional,
    nn.utils,
    init,
    optim,
    lr_scheduler,
    data,
    amp,
    autograd,
    cuda,
    cuda.amp,
    accelerator,
)


@pytest.mark.parametrize("module", [m for m in OWNERS if m is not genesis.Tensor])
def test_a_missing_name_is_an_error_of_genesis(module: object) -> None:
    with pytest.raises(AttributeError, match=r"has no attribute 'wolfram'(.|\n)*test_names\.py") as raised:
        module.wolfram  # type: ignore[attr-defined]  # noqa: B018
    assert isinstance(raised.value, genesis.GenesisError)


def test_no_advice_is_about_a_name_that_is_everywhere() -> None:
    everywhere = [name for name in (*INSTEAD, *OUT_OF_SCOPE) if "." not in name]
    assert not [name for name in everywhere if hasattr(genesis, name) or hasattr(genesis.Tensor, name)]


@pytest.mark.parametrize("name", ["clip_grad_norm", "onnx", "sparse", "coalesce", "quint8"])
def test_a_known_name_gets_advice_and_no_guess(name: str) -> None:
    for owner in (genesis, nn, optim):
        if isinstance(getattr(owner, name, None), ModuleType):  # such as nn.sparse, where Embedding is
            continue
        with pytest.raises(AttributeError, match=re.escape({**INSTEAD, **OUT_OF_SCOPE}[name])):
            getattr(owner, name)


def test_new_tensors_take_the_dtype_of_another() -> None:
    like = genesis.zeros(1, dtype=genesis.float64)
    assert like.new_zeros(2, 3).dtype is genesis.float64
    assert like.new_zeros((2, 3)).shape == like.new_empty(2, 3).shape == (2, 3)
    assert like.new_ones(2).tolist() == [1, 1]
    assert like.new_full((2,), 7).tolist() == [7, 7]
    assert like.new_full((), 7, dtype=genesis.int64).dtype is genesis.int64
    assert like.new_tensor([1, 2]).dtype is genesis.float64


def test_as_tensor_copies_only_where_it_must() -> None:
    x = genesis.ones(2)
    assert genesis.as_tensor(x) is x
    assert genesis.as_tensor(x, genesis.float64).dtype is genesis.float64
    array = np.zeros(2, np.float32)
    shared = genesis.as_tensor(array)
    array[0] = 5
    assert shared[0] == 5
    assert genesis.as_tensor([1.5]).tolist() == [1.5]
