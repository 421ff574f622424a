"""Convolution and pooling against PyTorch, compiled and eager: results and gradients over geometries and dimensions.

Sums of products in another order: within 2e-5 of the largest element.
"""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

import genesis
import genesis.nn.functional as F
from genesis.tensor import Tensor

torch = pytest.importorskip("torch")
TF = torch.nn.functional

BOUND = 2e-5
SPACE = {1: (11,), 2: (9, 7), 3: (6, 5, 7)}
STEPS: list[dict[str, Any]] = [
    {},
    {"padding": 1},
    {"stride": 2, "padding": 1},
    {"padding": 2, "dilation": 2},
    {"stride": 3, "padding": 2, "groups": 2},
    {"padding": 1, "groups": 4},
    {"stride": 2, "groups": 4},
]
POOLS: list[dict[str, Any]] = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": 3, "stride": 1, "padding": 1},
    {"kernel_size": 3, "stride": 2, "ceil_mode": True},
]


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def compare(name: str, arrays: list[np.ndarray], steps: dict[str, Any], compiled: bool) -> None:
    """The function of that name in both libraries: the result, and the gradients of a weighted sum of it."""
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    expected = getattr(TF, name)(*theirs, **steps)
    weight = draw(*expected.shape)
    (expected * torch.tensor(weight)).sum().backward()
    ours = [genesis.tensor(a).requires_grad_() for a in arrays]

    def step(weight: Tensor, *tensors: Tensor) -> Tensor:
        result: Tensor = getattr(F, name)(*tensors, **steps)
        (result * weight).sum().backward()
        return result

    run: Callable[..., Any] = genesis.compile(step, keep_grads=True) if compiled else step
    result = run(genesis.tensor(weight), *ours)
    for mine, other in zip((result, *(x.grad for x in ours)), (expected, *(x.grad for x in theirs)), strict=True):
        want = other.detach().numpy()
        np.testing.assert_allclose(mine.detach().numpy(), want, BOUND, BOUND * np.abs(want).max())


WAYS = pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])


@WAYS
@pytest.mark.parametrize("rank", SPACE)
@pytest.mark.parametrize("steps", STEPS, ids=str)
def test_convolutions(rank: int, steps: dict[str, Any], compiled: bool) -> None:
    groups = steps.get("groups", 1)
    window = (3,) * rank if "dilation" not in steps else (2,) * rank
    x = draw(2, 4, *SPACE[rank])
    channels = 4 if groups == 4 else 6
    compare(f"conv{rank}d", [x, draw(channels, 4 // groups, *window), draw(channels)], steps, compiled)
    transposed = {**steps, "output_padding": 1} if steps.get("stride", 1) > 1 else steps
    filters = [draw(4, channels // groups, *window), draw(channels)]
    compare(f"conv_transpose{rank}d", [x, *filters], transposed, compiled)


@WAYS
@pytest.mark.parametrize("rank", SPACE)
def test_pooling(rank: int, compiled: bool) -> None:
    for kind, steps in product(("max", "avg"), POOLS):
        compare(f"{kind}_pool{rank}d", [draw(2, 3, *SPACE[rank])], steps, compiled)
    compare(f"avg_pool{rank}d", [draw(2, 3, *SPACE[rank])], {**POOLS[1], "count_include_pad": False}, compiled)


@WAYS
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_adaptive_pooling(size: int, compiled: bool) -> None:
    for rank, kind in product(SPACE, ("max", "avg")):
        compare(f"adaptive_{kind}_pool{rank}d", [draw(2, 3, *SPACE[rank])], {"output_size": size}, compiled)


@WAYS
def test_large_windows_and_columns(compiled: bool) -> None:
    image = draw(2, 3, 20, 20)
    large = {"kernel_size": 7, "stride": 3, "padding": 2}
    for name in ("max_pool2d", "avg_pool2d", "unfold"):
        compare(name, [image], large, compiled)
    compare("conv2d", [image, draw(4, 3, 7, 7)], {"stride": 3, "padding": 2}, compiled)
    compare("conv2d", [image, draw(4, 3, 4, 3)], {"padding": "valid"}, compiled)
    compare("conv2d", [image, draw(4, 3, 3, 5)], {"padding": "same"}, compiled)
    compare("conv2d", [image, draw(4, 3, 1, 1)], {"stride": 2}, compiled)
    compare("fold", [draw(2, 12, 100)], {"output_size": (20, 20), "kernel_size": 2, "stride": 2}, compiled)


@pytest.mark.parametrize("steps", POOLS, ids=str)
def test_places_of_maxima(steps: dict[str, Any]) -> None:
    x = draw(2, 3, 9, 7)
    _, ours = F.max_pool2d(genesis.tensor(x), return_indices=True, **steps)
    _, theirs = TF.max_pool2d(torch.tensor(x), return_indices=True, **steps)
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
