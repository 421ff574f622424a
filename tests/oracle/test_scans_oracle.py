"""Scans, and the reductions that go with them, against PyTorch: values, indices, dtypes, gradients, errors."""

from typing import Any

import numpy as np
import pytest

from tests.oracle.compare import agree, both_raise

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(7)
M = (3, 4)
WHOLE = RNG.integers(-3, 4, (3, 4))
FLAGS = RNG.random((3, 4)) < 0.5
ZEROS = np.array([[1.5, 0, 2, -1], [0, 3, 0, 1], [1, 2, -0.5, 4]], np.float32)
TIES = np.array([[1, 2, 2, 1, 3, 3], [0, 0, -1, 0, -1, 0]], np.float32)
NANS = np.array([[1, np.nan, 3, np.nan], [np.nan] * 4, [2, 1, 0, -np.inf]], np.float32)

CASES: dict[str, tuple[Any, ...]] = {
    "cumsum": (lambda t, x: (x.cumsum(0), t.cumsum(x, dim=-1)), M),
    "cumsum of the middle": (lambda t, x: t.cumsum(x, 1), (2, 5, 3)),
    "cumsum of ints": (lambda t, x: (x.int().cumsum(1), x.cumsum(0)), WHOLE),
    "cumsum of bools": (lambda t, x: x.cumsum(1), FLAGS),
    "cumsum dtype": (lambda t, x: x.cumsum(1, dtype=t.float64), M),
    "cumsum 0-d": (lambda t, x: x.cumsum(0), ()),
    "cumsum of nothing": (lambda t, x: (x.cumsum(0), x.cumsum(1)), (0, 3)),
    "cumsum of a transpose": (lambda t, x: x.t().cumsum(0) * 2, M),
    "cumsum in bf16": (lambda t, x: x.bfloat16().cumsum(1), M),
    "cumsum_": (lambda t, x: (x * 1).cumsum_(1), M),
    "cumsum twice": (lambda t, x: x.cumsum(1).exp().cumsum(1), M),
    "cumprod": (lambda t, x: (x.cumprod(0), t.cumprod(x, dim=-1)), M),
    "cumprod at zeros": (lambda t, x: (x.cumprod(0), x.cumprod(1)), ZEROS),
    "cumprod of ints": (lambda t, x: x.int().cumprod(1), WHOLE),
    "cumprod 0-d": (lambda t, x: x.cumprod(-1), ()),
    "logcumsumexp": (lambda t, x: (t.logcumsumexp(x, 0), x.logcumsumexp(1)), M),
    "logcumsumexp of far numbers": (lambda t, x: (x * 100).logcumsumexp(1), M),
    "logcumsumexp of infinities": (lambda t, x: x.detach().logcumsumexp(1), NANS),
    "cummax": (lambda t, x: tuple(t.cummax(x, 1)), M),
    "cummax ties": (lambda t, x: tuple(x.cummax(1)), TIES),
    "cummax of NaN": (lambda t, x: tuple(x.detach().cummax(1)), NANS),
    "cummax of ints": (lambda t, x: tuple(x.cummax(0)), WHOLE),
    "cummax by name": (lambda t, x: (x.cummax(0).values, x.cummax(0).indices), M),
    "cummax 0-d": (lambda t, x: tuple(x.cummax(0)), ()),
    "cummin": (lambda t, x: tuple(t.cummin(x, -1)), M),
    "cummin ties": (lambda t, x: tuple(x.cummin(1)), TIES),
    "cummin of NaN": (lambda t, x: tuple(x.detach().cummin(1)), NANS),
    "diff": (lambda t, x: (t.diff(x), x.diff(dim=0), x.diff(2), x.diff(0)), M),
    "diff with ends": (lambda t, x, y: t.diff(x, dim=0, prepend=y, append=y), M, (1, 4)),
    "diff of bools": (lambda t, x: x.diff(), FLAGS),
    "diff of ints": (lambda t, x: x.diff(n=9), WHOLE),
    "trapezoid": (lambda t, x: (t.trapezoid(x), t.trapezoid(x, dx=0.5, dim=0), t.trapz(x)), M),
    "trapezoid at places": (lambda t, y, x: (t.trapezoid(y, x), t.trapezoid(y, x[0])), M, M),
    "cumulative_trapezoid": (lambda t, x: t.cumulative_trapezoid(x, dim=0), M),
    "prod": (lambda t, x: (x.prod(), x.prod(1), t.prod(x, dim=0, keepdim=True)), M),
    "prod at zeros": (lambda t, x: (x.prod(), x.prod(1), x.prod(0)), ZEROS),
    "prod of ints": (lambda t, x: (x.int().prod(), x.prod(1)), WHOLE),
    "prod of bools": (lambda t, x: x.prod(1), FLAGS),
    "prod dtype": (lambda t, x: x.prod(dtype=t.float64), M),
    "prod of nothing": (lambda t, x: (x.prod(), x.prod(0)), (0, 3)),
    "prod 0-d": (lambda t, x: x.prod(), ()),
    "var_mean": (lambda t, x: (*t.var_mean(x), *t.var_mean(x, 1, keepdim=True), *t.var_mean(x, 0, False)), M),
    "std_mean": (lambda t, x: (*t.std_mean(x, dim=1, correction=0), *t.std_mean(x, False)), M),
    "aminmax": (lambda t, x: (*t.aminmax(x), *x.aminmax(dim=1), *x.aminmax(dim=0, keepdim=True)), M),
    "aminmax by name": (lambda t, x: (x.aminmax().min, x.aminmax().max), WHOLE),
    "count_nonzero": (lambda t, x: (t.count_nonzero(x), x.count_nonzero(1), x.count_nonzero(dim=(0, 1))), WHOLE),
    "nansum": (lambda t, x: (t.nansum(x), x.nansum(1), x.nansum((0, 1), keepdim=True)), NANS),
    "nansum of ints": (lambda t, x: x.nansum(0), WHOLE),
    "nanmean": (lambda t, x: (t.nanmean(x[::2]), x[::2].nanmean(1, True)), NANS),
    "nanmean of NaN": (lambda t, x: x.detach().nanmean(1), NANS),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_what_torch_computes(name: str) -> None:
    call, *shapes = CASES[name]
    agree(call, *shapes, rtol=1e-2 if "bf16" in name else 1e-5)


ERRORS: dict[str, tuple[Any, ...]] = {
    "cumsum without dim": (lambda t, x: x.cumsum(), M),
    "cumsum of a dimension that is not there": (lambda t, x: x.cumsum(2), M),
    "cumsum_ of ints to floats": (lambda t, x: x.clone().cumsum_(0, dtype=t.float32), WHOLE),
    "diff of a number": (lambda t, x: x.diff(), ()),
    "cummax of a dimension that is not there": (lambda t, x: x.cummax(-3), M),
    "nanmean of ints": (lambda t, x: x.nanmean(), WHOLE),
}


@pytest.mark.parametrize("name", ERRORS)
def test_it_raises_as_torch_does(name: str) -> None:
    call, *shapes = ERRORS[name]
    both_raise(call, *shapes)


@pytest.mark.parametrize("name", ["cumprod", "prod"])
def test_second_derivatives_at_zeros(name: str) -> None:
    def slopes(t: Any, x: Any) -> Any:
        (first,) = t.autograd.grad(getattr(x, name)(1).sum(), x, create_graph=True)
        return (first * first).sum() + first

    agree(slopes, ZEROS)
