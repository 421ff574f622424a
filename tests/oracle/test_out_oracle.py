"""``out=`` and functions that are functions of ``genesis`` and of ``nn.functional`` alike, against PyTorch."""

from typing import Any

import numpy as np
import pytest

import genesis
from tests.oracle.compare import agree, both_raise

torch = pytest.importorskip("torch")

X = np.random.default_rng(2).standard_normal((3, 4)).astype(np.float32)
WHOLE = np.arange(12).reshape(3, 4)


def written(function: Any, shape: Any = (3, 4), dtype: str = "float32") -> Any:
    def call(t: Any, *x: Any) -> Any:
        out = t.zeros(shape, dtype=getattr(t, dtype))
        alias = out.reshape(-1)
        assert function(t, *(v.detach() for v in x), out=out) is out
        return out, alias

    return call


CASES: dict[str, tuple[Any, ...]] = {
    "add": (written(lambda t, x, out: t.add(x, 2, out=out)), X),
    "matmul": (written(lambda t, x, out: t.matmul(x, x.t(), out=out), (3, 3)), X),
    "into float64": (written(lambda t, x, out: t.exp(x, out=out), dtype="float64"), X),
    "of ints": (written(lambda t, x, out: t.mul(x, 3, out=out), dtype="int64"), WHOLE),
    "a number into floats": (written(lambda t, x, out: t.sub(x, 3, out=out)), WHOLE),
    "sum": (written(lambda t, x, out: t.sum(x, 1, out=out), (3,)), X),
    "comparison": (written(lambda t, x, out: t.gt(x, 0, out=out), dtype="bool"), X),
    "cat": (written(lambda t, x, out: t.cat([x, x], out=out), (6, 4)), X),
    "into nothing": (lambda t, x: t.add(x.detach(), 1, out=t.empty(0)), X),
    "none": (lambda t, x: t.add(x, 1, out=None), X),
}


@pytest.mark.parametrize("name", CASES)
def test_out(name: str) -> None:
    call, *shapes = CASES[name]
    agree(call, *shapes)


def test_out_in_a_compiled_step() -> None:
    def step(x: Any) -> Any:
        out = genesis.zeros(3, 4)
        genesis.exp(x, out=out)
        return out

    np.testing.assert_allclose(genesis.compile(step)(genesis.tensor(X)).numpy(), np.exp(X), 1e-6)


ERRORS: dict[str, tuple[Any, ...]] = {
    "a gradient": (lambda t, x: t.add(x, 1, out=t.zeros(3, 4)), X),
    "a leaf": (lambda t, x: t.add(x.detach(), 1, out=t.zeros(3, 4, requires_grad=True)), X),
    "floats into ints": (lambda t, x: t.exp(x.detach(), out=t.zeros(3, 4, dtype=t.int64)), X),
}


@pytest.mark.parametrize("name", ERRORS)
def test_it_raises_as_torch_does(name: str) -> None:
    call, *shapes = ERRORS[name]
    both_raise(call, *shapes)


def test_another_shape_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"out= has the shape \[2\], the result \[3, 4\]"):
        genesis.add(genesis.tensor(X), 1, out=genesis.zeros(2))


IMAGE = (2, 4, 6)

BOTH: dict[str, tuple[Any, ...]] = {
    "conv1d": (lambda t, x, w: t.conv1d(x, w, stride=2), IMAGE, (3, 4, 3)),
    "conv_transpose1d": (lambda t, x, w: t.conv_transpose1d(x, w, stride=2), IMAGE, (4, 3, 3)),
    "pooling": (lambda t, x: (t.max_pool1d(x, 2), t.avg_pool1d(x, 3), t.adaptive_avg_pool1d(x, 2)), IMAGE),
    "activations": (lambda t, x: (t.selu(x), t.celu(x), t.threshold(x, 0.1, 0.2), t.hardshrink(x), t.rrelu(x)), IMAGE),
    "methods": (lambda t, x, w: (x.prelu(w), t.prelu(x, w), x.hardshrink(0.3)), IMAGE, (4,)),
    "norms": (lambda t, x: (t.group_norm(x, 2), t.layer_norm(x, (6,)), t.rms_norm(x, (6,))), IMAGE),
    "dropouts": (lambda t, x: (t.dropout(x, 0.5, False), t.alpha_dropout(x, 0.5, False)), IMAGE),
    "in place": (lambda t, x: (t.relu_(x * 1), t.selu_(x * 1), t.celu_(x * 1), t.threshold_(x * 1, 0.1, 0.2)), IMAGE),
}


@pytest.mark.parametrize("name", BOTH)
def test_a_function_of_both_places(name: str) -> None:
    call, *shapes = BOTH[name]
    agree(call, *shapes, rtol=2e-5)
