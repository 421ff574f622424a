"""Names of PyTorch that Genesis does not have: the advice is there, and it is right."""

import re
from types import ModuleType

import numpy as np
import pytest

import genesis
from genesis import accelerator, amp, autograd, cuda, nn, optim
from genesis.names import INSTEAD
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


def recipe(name: str, pattern: str, **values: object) -> np.ndarray:
    """The value of the expression in the advice for ``name``."""
    found = re.search(pattern, INSTEAD[name])
    assert found, INSTEAD[name]
    return np.array(eval(found[0], {"genesis": genesis, "np": np, "softmax": genesis.softmax, **values}))


@pytest.mark.parametrize("module", [m for m in OWNERS if m is not genesis.Tensor])
def test_a_missing_name_is_an_error_of_genesis(module: object) -> None:
    with pytest.raises(AttributeError, match=r"has no attribute 'wolfram'(.|\n)*test_names\.py") as raised:
        module.wolfram  # type: ignore[attr-defined]  # noqa: B018
    assert isinstance(raised.value, genesis.GenesisError)


def test_no_advice_is_about_a_name_that_is_everywhere() -> None:
    top = [name for name in INSTEAD if hasattr(genesis, name)]
    assert not top
    assert not [name for name in INSTEAD if hasattr(genesis.Tensor, name)]


@pytest.mark.parametrize("name", sorted(INSTEAD)[::10])
def test_a_known_name_gets_advice_and_no_guess(name: str) -> None:
    for owner in (genesis, nn, optim):
        if isinstance(getattr(owner, name, None), ModuleType):  # such as nn.sparse, where Embedding is
            continue
        with pytest.raises(AttributeError, match=re.escape(INSTEAD[name])):
            getattr(owner, name)


def test_sums_and_copies_are_right() -> None:
    counts = recipe("bincount", r"genesis\.zeros.*", x=genesis.tensor([1, 1, 2]), n=4)
    np.testing.assert_array_equal(counts, [0, 2, 1, 0])
    square = genesis.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert recipe("trace", r"\(x \* .*", x=square, n=2) == 5


def test_draws_have_the_probabilities_given() -> None:
    genesis.manual_seed(0)
    probs = genesis.tensor([[0.0, 0.25, 0.75]]).expand(4000, 3)
    drawn = recipe("multinomial", r"\(probs.*", probs=probs)
    np.testing.assert_allclose(np.bincount(drawn, minlength=3) / 4000, [0, 0.25, 0.75], atol=0.03)
    assert abs(recipe("bernoulli", r"\(genesis.*", p=genesis.full((4000,), 0.3)).mean() - 0.3) < 0.03


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
