"""Methods that give a tensor another shape in place against PyTorch: values, aliases, gradients, errors."""

from typing import Any

import pytest

from tests.oracle.compare import agree, both_raise

torch = pytest.importorskip("torch")


def through_an_alias(x: Any) -> Any:
    """The numbers in the first tensor after its view, reshaped in place, was written."""
    view = x[0]
    view.unsqueeze_(1).mul_(2)
    return x


def written_then_turned(x: Any) -> Any:
    y = x * 1
    alias = y.view(-1)
    y.t_().add_(1)
    return y, alias


CASES: dict[str, Any] = {
    "unsqueeze_": lambda t, x: ((x * 1).unsqueeze_(0), (x * 1).unsqueeze_(-1).exp()),
    "squeeze_": lambda t, x: ((x * 1).unsqueeze(1).squeeze_(1), (x * 1)[None, :, None].squeeze_()),
    "transpose_": lambda t, x: (x * 1).transpose_(0, 1) * 2,
    "swapaxes_ swapdims_": lambda t, x: ((x * 1).swapaxes_(0, 1) * 2, (x * 1).swapdims_(-1, 0)),
    "t_": lambda t, x: (x * 1).t_(),
    "an alias": lambda t, x: through_an_alias(x * 1),
    "a write behind it": lambda t, x: written_then_turned(x),
    "resize_": lambda t, x: (x.detach().clone().resize_(2, 6), x.detach().clone().resize_((5,))),
    "H": lambda t, x: (x.H, t.adjoint(x), x.mH),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_what_torch_computes(name: str) -> None:
    agree(CASES[name], (3, 4))


ERRORS: dict[str, Any] = {
    "unsqueeze_ of a leaf": lambda t, x: x.unsqueeze_(0),
    "resize_ of a leaf": lambda t, x: x.resize_(2),
    "H of a cube": lambda t, x: x[None].H,
}


@pytest.mark.parametrize("name", ERRORS)
def test_it_raises_as_torch_does(name: str) -> None:
    both_raise(ERRORS[name], (3, 4))
