"""Convolutions as users call them: shapes, padding by name, gradients, errors."""

import numpy as np
import pytest

import genesis
import genesis.nn.functional as F
from compiler.errors import OpError
from genesis.tensor import Tensor


def ones(*shape: int) -> Tensor:
    return genesis.tensor(np.ones(shape, np.float32))


def numbers(*shape: int) -> Tensor:
    return genesis.tensor(np.arange(np.prod(shape), dtype=np.float32).reshape(shape))


def test_a_convolution_adds_up_its_window() -> None:
    x = numbers(1, 1, 3, 3)
    np.testing.assert_array_equal(F.conv2d(x, ones(1, 1, 2, 2)).numpy()[0, 0], [[8, 12], [20, 24]])
    np.testing.assert_array_equal(
        F.conv2d(x, ones(1, 1, 3, 3), padding="same").numpy()[0, 0], [[8, 15, 12], [21, 36, 27], [20, 33, 24]]
    )


def test_without_a_batch() -> None:
    x, w = numbers(2, 5), ones(3, 2, 2)
    np.testing.assert_array_equal(F.conv1d(x, w).numpy(), F.conv1d(x.unsqueeze(0), w).numpy()[0])
    assert F.conv_transpose1d(x, ones(2, 3, 2)).shape == (3, 6)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_transposed_sizes(rank: int) -> None:
    x, w = ones(2, 3, *(4,) * rank), ones(3, 2, *(3,) * rank)
    transpose = getattr(F, f"conv_transpose{rank}d")
    assert transpose(x, w, stride=2, padding=1, output_padding=1).shape == (2, 2, *(8,) * rank)
    assert transpose(x, w, groups=3).shape == (2, 6, *(6,) * rank)


def test_fold_undoes_unfold_where_windows_tile() -> None:
    x = numbers(2, 3, 4, 6)
    columns = F.unfold(x, 2, stride=2)
    assert columns.shape == (2, 12, 6)
    np.testing.assert_array_equal(F.fold(columns, (4, 6), 2, stride=2).numpy(), x.numpy())


def test_a_gradient_of_a_gradient() -> None:
    x, w = numbers(1, 1, 4).requires_grad_(), numbers(1, 1, 2).requires_grad_()
    (g,) = genesis.autograd.grad(F.conv1d(x, w).square().sum(), [x], create_graph=True)
    g.sum().backward()
    # y = w0 x_i + w1 x_{i+1}; the sum of the gradients of y^2 is 2 (w0 + w1) sum(y).
    assert w.grad is not None
    total = 6.0  # sum of y for w = [0, 1]
    np.testing.assert_allclose(w.grad.numpy()[0, 0], [2 * total + 2 * 3, 2 * total + 2 * 6])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.conv2d(ones(1, 4, 5, 5), ones(8, 3, 3, 3)), "expected input.* to have 3 channels, but got 4"),
        (lambda: F.conv2d(ones(1, 3, 2, 2), ones(8, 3, 3, 3)), r"\(2 x 2\). Kernel size: \(3 x 3\)"),
        (lambda: F.conv2d(ones(5, 5), ones(8, 3, 3, 3)), "Expected 3D .* or 4D .* input to conv2d"),
        (lambda: F.conv1d(ones(1, 4, 5), ones(3, 2, 3), groups=2), "divisible by 2 at dimension 0"),
        (lambda: F.conv1d(ones(1, 2, 5), ones(3, 2, 3), ones(4)), "bias to be 1-dimensional with 3 elements"),
        (lambda: F.conv1d(ones(1, 2, 5), ones(3, 2, 3), stride=0), "non-positive stride"),
        (lambda: F.conv1d(ones(1, 2, 5), ones(3, 2, 3), padding=-1), "negative padding"),
        (lambda: F.conv1d(ones(1, 2, 5), ones(3, 2, 3), stride=2, padding="same"), "not supported for strided"),
        (lambda: F.conv1d(ones(1, 2, 5), ones(3, 2, 3), padding="some"), "Invalid padding string: 'some'"),
        (lambda: F.conv2d(ones(1, 2, 5, 5), ones(3, 2, 3, 3), stride=(1, 1, 1)), "a list of 2 values"),
        (lambda: F.conv_transpose1d(ones(1, 2, 5), ones(3, 2, 3)), "to have 3 channels, but got 2"),
        (lambda: F.conv_transpose1d(ones(1, 2, 5), ones(2, 2, 3), output_padding=1), "output padding must be smaller"),
        (lambda: F.conv1d(ones(1, 2, 5), ones(3, 2, 3).double()), "should be the same"),
        (lambda: F.fold(ones(1, 5, 4), 4, 2), "divisible by the product of kernel_size"),
        (lambda: F.fold(ones(1, 4, 5), 4, 2), "calculated number of sliding blocks 3 . 3 = 9"),
        (lambda: F.unfold(ones(1, 1, 2, 2), 3), "at least one"),
    ],
)
def test_errors(call: object, message: str) -> None:
    with pytest.raises(OpError, match=message):
        call()  # type: ignore[operator]
