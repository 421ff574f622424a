"""Gradients of decompositions where PyTorch's depend on the rounding of the processor."""

import numpy as np
import pytest

import genesis


@pytest.mark.parametrize("dtype", [genesis.float32, genesis.float64])
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e3, 0.3])
def test_the_gradient_of_a_determinant_is_its_cofactors_where_no_inverse_exists(
    scale: float, dtype: genesis.dtype
) -> None:
    """``scale`` moves the roundings, so that the computed determinant is zero, or just not."""
    a = genesis.tensor([[1.0, 2, 3], [2, 4, 6], [1, 0, 1]], dtype=dtype).mul(scale).requires_grad_()
    genesis.linalg.det(a).backward()
    cofactors = np.array([[4.0, 4, -4], [-2, -2, 2], [0, 0, 0]]) * scale**2
    np.testing.assert_allclose(a.grad.numpy(), cofactors, atol=1e-4 * scale**2)


def test_the_gradient_of_a_determinant_of_rank_one_is_zero() -> None:
    a = genesis.ones(3, 3, requires_grad=True)
    genesis.linalg.det(a).backward()
    np.testing.assert_allclose(a.grad.numpy(), np.zeros((3, 3)), atol=1e-5)
