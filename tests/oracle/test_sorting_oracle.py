"""Order, medians, quantiles and searches against PyTorch: values, places, dtypes, gradients, errors."""

from typing import Any

import numpy as np
import pytest

from tests.oracle.compare import agree, both_raise

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(11)
M = (3, 4)
WHOLE = RNG.integers(-3, 4, (3, 8))
FLAGS = RNG.random((3, 4)) < 0.5
TIES = np.array([[1, 2, 2, 1, 3, 3], [0, 0, -1, 0, -1, 0]], np.float32)
NANS = np.array([[1, np.nan, 3, np.nan], [np.nan] * 4, [2, 1, 0, -np.inf], [4, 3, np.nan, 1]], np.float32)
LINE = np.array([-1.5, -0.5, 0.0, 0.0, 0.7, 2.0], np.float32)
INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")

CASES: dict[str, tuple[Any, ...]] = {
    "sort": (lambda t, x: (*t.sort(x), *x.sort(0), *x.sort(dim=1, descending=True)), (4, 6)),
    "sort of the middle": (lambda t, x: tuple(x.sort(1)), (2, 5, 3)),
    "sort by name": (lambda t, x: (x.sort().values, x.sort().indices), M),
    "sort ties": (lambda t, x: (*x.sort(stable=True), *x.sort(descending=True, stable=True)), TIES),
    "sort of NaN": (
        lambda t, x: (*x.detach().sort(stable=True), *x.detach().sort(descending=True, stable=True)),
        NANS,
    ),
    "sort of ints": (lambda t, x: (*x.sort(stable=True), *x.int().sort(dim=0, stable=True)), WHOLE),
    "sort of bools": (lambda t, x: tuple(x.sort(stable=True)), FLAGS),
    "sort 0-d": (lambda t, x: tuple(x.sort()), ()),
    "sort of nothing": (lambda t, x: (*x.sort(0), *x.sort(1)), (0, 3)),
    "sort in bf16": (lambda t, x: tuple(x.bfloat16().sort()), M),
    "argsort": (lambda t, x: (t.argsort(x), x.argsort(0), x.argsort(dim=-1, descending=True)), M),
    "msort": (lambda t, x: t.msort(x), M),
    "topk": (lambda t, x: (*t.topk(x, 2), *x.topk(3, 0), *x.topk(2, largest=False), *x.topk(0)), M),
    "topk of all": (lambda t, x: tuple(x.topk(4)), M),
    "topk of ints": (lambda t, x: x.topk(3).values, WHOLE),
    "topk of NaN": (lambda t, x: x.detach().topk(3).values, NANS),
    "kthvalue": (lambda t, x: (*t.kthvalue(x, 2), *x.kthvalue(3, 0, keepdim=True)), M),
    "kthvalue 0-d": (lambda t, x: tuple(x.kthvalue(1)), ()),
    "median": (lambda t, x: (t.median(x), *x.median(1), *x.median(0, keepdim=True)), (3, 5)),
    "median of two": (lambda t, x: (x.median(), x.median(1).values), M),
    "median of ints": (lambda t, x: (x.median(), x.median(0).values), WHOLE),
    "median of NaN": (lambda t, x: (x.detach().median(), x.detach().median(1).values), NANS),
    "median 0-d": (lambda t, x: (x.median(), *x.median(0)), ()),
    "nanmedian": (lambda t, x: (x.detach().nanmedian(), x.detach().nanmedian(1).values), NANS),
    "mode": (lambda t, x: (t.mode(x).values, *x.mode(0, keepdim=True)), M),
    "mode of ties": (lambda t, x: tuple(x.mode()), TIES),
    "mode of ints": (lambda t, x: (*x.mode(), *x.mode(0)), WHOLE),
    "quantile": (lambda t, x: (t.quantile(x, 0.3), x.quantile(0.6, 1), x.quantile(0.5, dim=0, keepdim=True)), (3, 5)),
    "quantiles": (lambda t, x: (x.quantile(t.tensor([0.1, 0.5, 1.0]), 1), x.quantile(t.tensor([0.2]))), (3, 5)),
    "quantile keeps dimensions": (lambda t, x: x.quantile(t.tensor([0.2, 0.3]), keepdim=True), M),
    "quantile of NaN": (lambda t, x: x.detach().quantile(0.4, 1), NANS),
    "nanquantile": (lambda t, x: (x.detach().nanquantile(0.4, 1), x.detach().nanquantile(0.5)), NANS),
    **{
        f"quantile {way}": (lambda t, x, way=way: x.quantile(t.tensor([0.13, 0.5, 0.9]), 1, interpolation=way), (3, 6))
        for way in INTERPOLATIONS
    },
    "searchsorted": (lambda t, s, x: (t.searchsorted(s, x), t.searchsorted(s, x, right=True)), LINE, M),
    "searchsorted finds equals": (lambda t, s: (t.searchsorted(s, s), t.searchsorted(s, s, side="right")), LINE),
    "searchsorted of a number": (lambda t, s: (t.searchsorted(s, 0.1), t.searchsorted(s, 9.0)), LINE),
    "searchsorted in rows": (lambda t, s, x: t.searchsorted(s.sort(1).values, x), (3, 7), M),
    "searchsorted of NaN": (lambda t, s, x: t.searchsorted(s, x.detach()), LINE, NANS),
    "searchsorted int32": (lambda t, s, x: t.searchsorted(s, x, out_int32=True), LINE, M),
    "searchsorted with a sorter": (lambda t, s, x: t.searchsorted(s, x, sorter=s.argsort(1)), (3, 7), M),
    "searchsorted of ints": (lambda t, s, x: t.searchsorted(s, x), LINE, WHOLE),
    "searchsorted in nothing": (lambda t, s, x: t.searchsorted(s, x), (0,), M),
    "bucketize": (lambda t, s, x: (t.bucketize(x, s), t.bucketize(x, s, right=True)), LINE, M),
    "isin": (lambda t, x: (t.isin(x, t.tensor([1, 2])), t.isin(x, t.tensor([[0], [3]]), invert=True)), WHOLE),
    "isin of numbers": (lambda t, x: (t.isin(x, 2), t.isin(2, x)), WHOLE),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_what_torch_computes(name: str) -> None:
    call, *shapes = CASES[name]
    agree(call, *shapes)


ERRORS: dict[str, tuple[Any, ...]] = {
    "topk of too many": (lambda t, x: x.topk(5), M),
    "kthvalue 0": (lambda t, x: x.kthvalue(0), M),
    "sort of a dimension that is not there": (lambda t, x: x.sort(2), M),
    "quantile of more than all": (lambda t, x: x.quantile(1.5), M),
    "quantile of ints": (lambda t, x: x.quantile(0.5), WHOLE),
    "quantile by another way": (lambda t, x: x.quantile(0.5, interpolation="cubic"), M),
    "quantile of nothing": (lambda t, x: x.quantile(0.5), (0,)),
    "searchsorted in other rows": (lambda t, s, x: t.searchsorted(s, x), (2, 5), M),
    "searchsorted on no side": (lambda t, s, x: t.searchsorted(s, x, side="up"), LINE, M),
    "bucketize in a matrix": (lambda t, s, x: t.bucketize(x, s), M, M),
}


@pytest.mark.parametrize("name", ERRORS)
def test_it_raises_as_torch_does(name: str) -> None:
    call, *shapes = ERRORS[name]
    both_raise(call, *shapes)
