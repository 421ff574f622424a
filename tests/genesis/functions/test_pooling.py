"""Pooling as users call it: places of maxima, rounding of sizes, what a mean counts, adaptive windows, errors."""

import numpy as np
import pytest

import genesis
import genesis.nn.functional as F
from compiler.errors import OpError
from genesis.tensor import Tensor


def line(*numbers: float) -> Tensor:
    return genesis.tensor(np.array(numbers, np.float32).reshape(1, 1, -1))


def test_the_maximum_and_where_it_stands() -> None:
    x = genesis.tensor(np.array([[1, 5, 2, 0], [3, 4, 8, 7]], np.float32).reshape(1, 1, 2, 4))
    best, index = F.max_pool2d(x, 2, return_indices=True)
    assert best.numpy().tolist() == [[[[5, 8]]]] and index.numpy().tolist() == [[[[1, 6]]]]
    assert index.dtype is genesis.int64


def test_the_first_of_equal_maxima_takes_the_gradient() -> None:
    x = line(2, 2, 1, 3, 3, 3).requires_grad_()
    F.max_pool1d(x, 3, stride=1).sum().backward()
    assert x.grad is not None
    assert x.grad.numpy().tolist() == [[[1, 0, 0, 3, 0, 0]]]


def test_a_nan_is_a_maximum() -> None:
    assert np.isnan(F.max_pool1d(line(1, float("nan"), 3), 3).item())


def test_padding_never_wins() -> None:
    assert F.max_pool1d(line(-5, -6, -7), 3, stride=2, padding=1).numpy().tolist() == [[[-5, -6]]]


def test_sizes_are_rounded_down_or_up() -> None:
    x = line(1, 2, 3, 4, 5, 6)
    assert F.avg_pool1d(x, 4, stride=4).shape == (1, 1, 1)
    assert F.avg_pool1d(x, 4, stride=4, ceil_mode=True).numpy().tolist() == [[[2.5, 5.5]]]
    assert F.max_pool1d(line(1, 2, 3), 2, stride=3, padding=1, ceil_mode=True).shape == (1, 1, 2)


def test_a_mean_counts_padding_or_not_or_something_else() -> None:
    x = genesis.tensor(np.ones((1, 2, 2, 2), np.float32))
    assert F.avg_pool2d(x, 2, padding=1).numpy().ravel().tolist() == [0.25] * 8
    assert F.avg_pool2d(x, 2, padding=1, count_include_pad=False).numpy().ravel().tolist() == [1] * 8
    assert F.avg_pool2d(x, 2, divisor_override=2).numpy().ravel().tolist() == [2, 2]


def test_adaptive_windows_overlap_where_sizes_do_not_divide() -> None:
    x = line(1, 2, 3, 4, 5)
    assert F.adaptive_avg_pool1d(x, 3).numpy().tolist() == [[[1.5, 3, 4.5]]]
    best, index = F.adaptive_max_pool1d(x, 3, return_indices=True)
    assert best.numpy().tolist() == [[[2, 4, 5]]] and index.numpy().tolist() == [[[1, 3, 4]]]
    assert F.adaptive_avg_pool2d(genesis.tensor(np.ones((2, 3, 6, 5), np.float32)), (None, 1)).shape == (2, 3, 6, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.max_pool1d(line(1, 2, 3), 2, padding=2), "pad should be at most half of effective kernel size"),
        (lambda: F.max_pool1d(line(1, 2), 3), "Output size is too small"),
        (lambda: F.max_pool2d(line(1, 2).squeeze(0), 1), "Expected 3D .* or 4D .* input to max_pool2d"),
        (lambda: F.max_pool1d(line(1, 2), 0), "should be positive"),
        (lambda: F.avg_pool2d(line(1, 2), 1, divisor_override=0), "divisor must be not zero"),
        (lambda: F.avg_pool1d(line(1, 2).long(), 1), "not defined for int64"),
        (lambda: F.adaptive_avg_pool2d(line(1, 2), (1, 1, 1)), "output_size must have 2 values"),
        (lambda: F.adaptive_max_pool1d(line(1, 2), 0), "expected positive sizes"),
    ],
)
def test_errors(call: object, message: str) -> None:
    with pytest.raises(OpError, match=message):
        call()  # type: ignore[operator]
