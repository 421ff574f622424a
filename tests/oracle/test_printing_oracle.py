"""Tensors are printed as PyTorch prints them, but for ``requires_grad=True`` behind results that have a history."""

from typing import Any

import numpy as np
import pytest

import genesis

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)
ARRAYS: list[Any] = [
    *(np.array(x, np.float32) for x in (2.5, 3, np.nan, [], [0, 0], [-0.0, 1], [np.nan, 1.5], [-np.inf, 2, 100])),
    *(np.array(x, np.float32) for x in ([1e-8, 1], [1e10, 1], [5e-5], [1e-5, 1e-5], [123456789], [np.nan, np.inf])),
    *(np.array(x, np.float32) for x in ([1000, 1], [1001, 1], [1.5, -1000.25], [1.5, -2000.25], [[1], [-20]])),
    *(np.array(x) for x in (7, True, [True], [True, False], [0.5], [[1], [20]])),
    *(np.zeros(shape, kind) for shape in ((2, 0), (0,), (3, 0, 2)) for kind in (np.float32, np.int64, np.int32)),
    np.array([[1], [20]], np.uint8),
    np.arange(2000),
    np.arange(2000, dtype=np.float32),
    RNG.integers(-5, 5, (4, 300)),
    *(RNG.standard_normal(shape).astype(np.float32) for shape in ((2, 3, 4), (50, 60), (7, 8, 9), (1, 1, 1, 5))),
    RNG.standard_normal((3, 30)).astype(np.float32) * 100,
    RNG.standard_normal((10, 20, 30)),
    RNG.standard_normal(2000).astype(np.float16),
]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"precision": 2, "linewidth": 40},
    {"threshold": 10, "edgeitems": 1},
    {"sci_mode": True},
    {"sci_mode": False},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_tensor_looks_like_one_of_torch(options: dict[str, Any]) -> None:
    shown: dict[Any, list[str]] = {}
    for t in (genesis, torch):
        t.set_printoptions(**options)
        try:
            shown[t] = [repr(t.tensor(a, requires_grad=a.dtype == np.float32)) for a in ARRAYS]
        finally:
            t.set_printoptions(profile="default")
    assert shown[genesis] == [text.replace("torch.", "genesis.") for text in shown[torch]]
