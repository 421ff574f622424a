"""Every line of tests/calls.txt against PyTorch: results, dtypes, shapes, what requires a gradient, types of errors."""

import re
import warnings
from typing import Any

import numpy as np
import pytest

import genesis
from tests.calls import CALLS, called
from tests.oracle.compare import name_of

torch = pytest.importorskip("torch")

LOOKS = re.compile(
    r"one_hot\(t.tensor\(\[0,1\]\)\)|view\(t\.|view\(dtype|nn\.[A-Z]|binary_cross_entropy\(|requires_grad|\[t\.tensor\("
    r"|0,4,t\.tensor|0,0\), [2']|bincount|binomial"
)
"""Calls that need contents, make parameters or reinterpret bits: refused in a step."""

OTHER_ERRORS = {
    "t.nn.functional.mse_loss(t.ones(2),[1,2])": "torch stumbles over the list: AttributeError",
    "t.nn.functional.gelu(t.ones(2).long())": "NotImplementedError, which is a RuntimeError as well",
    "t.nn.functional.softmax(t.ones(2).long(),0)": "NotImplementedError, which is a RuntimeError as well",
    "t.tensor([1,2]).softmax(0)": "NotImplementedError, which is a RuntimeError as well",
    "t.ones(2).to(5)": "torch takes 5 for an accelerator",
    "t.tensor([1,[2]])": "TypeError for one order of the lengths, ValueError for the other",
    "t.tensor({})": "RuntimeError; other wrong types are a TypeError there, too",
    "t.tensor(None)": "RuntimeError; other wrong types are a TypeError there, too",
    "t.tensor(2**70)": "ValueError, for a type that no tensor has",
    "t.ones(2,3).gather(0,t.tensor([[5]]))": "RuntimeError here, IndexError in every other function of torch",
}
"""Calls that both refuse, Genesis with an error of another built-in type."""


def _plain(result: Any) -> Any:
    """A result in a form that is the same for both libraries."""
    if isinstance(result, tuple | list):
        return [_plain(part) for part in result]
    if not hasattr(result, "requires_grad") or isinstance(result, type):
        return result
    contents = np.round(result.detach().float().numpy().astype(np.float64), 4).tolist()
    return name_of(repr(result.dtype)), list(result.shape), str(contents), result.requires_grad


@pytest.mark.parametrize("source", CALLS)
def test_a_call_gives_what_torch_gives(source: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got, want = called(source, genesis), called(source, torch)
    if isinstance(want, Exception):
        assert isinstance(got, genesis.GenesisError), got
        assert source in OTHER_ERRORS or isinstance(got, type(want)), (got, want)
        return
    assert not isinstance(got, Exception), got
    assert _plain(got) == _plain(want)


def test_calls_in_a_step_give_what_they_give_at_once() -> None:
    """All lines that make a tensor and do not look at contents, in one step."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = {source: called(source, torch) for source in CALLS}
        sources = [s for s, want in wanted.items() if isinstance(want, torch.Tensor) and not LOOKS.search(s)]

        @genesis.compile(backend="interpret")
        def step() -> Any:
            return [called(source, genesis) for source in sources]

        for source, got in zip(sources, step(), strict=True):
            assert not isinstance(got, Exception), (source, got)
            assert _plain(got)[:3] == _plain(wanted[source])[:3], source
