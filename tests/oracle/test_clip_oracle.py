"""Clipping, and parameters as a vector, against PyTorch."""

import math
from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn
from tests.oracle.compare import arrays_of, ours, same, theirs

torch = pytest.importorskip("torch")


GRADS = [(3, 4), (5,), ()]


def clipped(t: Any, n: Any, arrays: list[np.ndarray], max_norm: float, **options: Any) -> tuple[Any, list[Any]]:
    parameters = [t.zeros(a.shape, requires_grad=True) for a in arrays]
    for p, a in zip(parameters, arrays, strict=True):
        p.grad = t.tensor(a)
    norm = n.utils.clip_grad_norm_(parameters, max_norm, **options)
    return norm, [p.grad for p in parameters]


@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.0, math.inf, "inf", 0.0, -math.inf])
@pytest.mark.parametrize("max_norm", [0.5, 100.0, 0.0, -1.0])
def test_clip_grad_norm(norm_type: Any, max_norm: float) -> None:
    arrays = arrays_of(*GRADS)
    got, want = (clipped(t, t.nn, arrays, max_norm, norm_type=norm_type) for t in (genesis, torch))
    same(got[0], want[0])
    for a, b in zip(got[1], want[1], strict=True):
        same(a, b)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_clip_grad_norm_of_what_is_not_finite(bad: float) -> None:
    arrays = [np.array([1.0, bad, 2.0], np.float32), np.array([3.0], np.float32)]
    got, want = (clipped(t, t.nn, arrays, 1.0) for t in (genesis, torch))
    same(got[0], want[0])
    for a, b in zip(got[1], want[1], strict=True):
        same(a, b)
    messages = []
    for t in (genesis, torch):
        with pytest.raises(RuntimeError) as raised:
            clipped(t, t.nn, arrays, 1.0, error_if_nonfinite=True)
        messages.append(str(raised.value))
    assert messages[0] == messages[1]


def test_clip_in_two_steps() -> None:
    arrays = arrays_of(*GRADS)
    found = []
    for t in (genesis, torch):
        parameters = [t.zeros(a.shape, requires_grad=True) for a in arrays]
        for p, a in zip(parameters, arrays, strict=True):
            p.grad = t.tensor(a)
        norm = t.nn.utils.get_total_norm([p.grad for p in parameters])
        t.nn.utils.clip_grads_with_norm_(parameters, 0.7, norm)
        found.append([norm, *(p.grad for p in parameters)])
    for a, b in zip(*found, strict=True):
        same(a, b)


def test_clip_grad_value() -> None:
    array = np.array([-3.0, -0.2, 0.4, 7.0, np.inf, -np.inf, np.nan], np.float32)
    found = []
    for t in (genesis, torch):
        p = t.zeros(7, requires_grad=True)
        p.grad = t.tensor(array)
        assert t.nn.utils.clip_grad_value_(p, 0.5) is None
        found.append(p.grad)
    same(*found)


def test_parameters_as_a_vector() -> None:
    arrays = arrays_of((3, 4), (5,))
    mine, other = [ours(a) for a in arrays], [theirs(a) for a in arrays]
    got, want = nn.utils.parameters_to_vector(mine), torch.nn.utils.parameters_to_vector(other)
    same(got, want)
    (got * got).sum().backward()
    (want * want).sum().backward()
    nn.utils.vector_to_parameters(got.detach() + 1, mine)
    torch.nn.utils.vector_to_parameters(want.detach() + 1, other)
    for a, b in zip(mine, other, strict=True):
        same(a, b)
        same(a.grad, b.grad)
