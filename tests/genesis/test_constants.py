"""Ops on nothing but constants have kernels without operands, on every target."""

import numpy as np
import pytest

import genesis
from genesis.nn import functional as F


def zeros(*shape: int) -> genesis.Tensor:
    return genesis.zeros(*shape)


def places(*shape: int) -> genesis.Tensor:
    return genesis.zeros(*shape, dtype=genesis.int64)


CALLS = {
    "argsort": lambda: zeros(2, 3).argsort(1),
    "argsort of a range": lambda: genesis.arange(6).reshape(2, 3).argsort(1, descending=True),
    "topk": lambda: zeros(2, 3).topk(2)[1],
    "cumsum": lambda: zeros(2, 3).cumsum(1),
    "cummax": lambda: zeros(2, 3).cummax(1)[1],
    "searchsorted": lambda: genesis.searchsorted(zeros(3), zeros(2)),
    "gather": lambda: zeros(2, 3).gather(1, places(2, 1)),
    "scatter_add": lambda: zeros(2, 3).scatter_add(1, places(2, 3), zeros(2, 3)),
    "conv2d": lambda: F.conv2d(zeros(1, 1, 4, 4), zeros(1, 1, 3, 3)),
    "max_pool2d": lambda: F.max_pool2d(zeros(1, 1, 4, 4), 2),
    "matmul": lambda: zeros(2, 3) @ zeros(3, 4),
    "attention": lambda: F.scaled_dot_product_attention(*[zeros(1, 1, 4, 8)] * 3),
    "cat": lambda: genesis.cat([zeros(2), zeros(3)]),
    "softmax": lambda: zeros(2, 3).softmax(1),
    "sum": lambda: zeros(2, 3).sum(),
    "cross_entropy": lambda: F.cross_entropy(zeros(2, 3), places(2)),
}


@pytest.mark.parametrize("name", CALLS)
def test_they_compile(name: str) -> None:
    function = genesis.compile(lambda: CALLS[name]())
    np.testing.assert_array_equal(function().numpy(), CALLS[name]().numpy())
    pytest.importorskip("triton")
    compile(function.source("triton"), "step_triton.py", "exec")
