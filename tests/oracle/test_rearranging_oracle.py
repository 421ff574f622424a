"""Dimensions, diagonals, grids and Einstein sums against PyTorch, at once and in a step."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import genesis

torch = pytest.importorskip("torch")

EINSUMS = {
    "ij,jk->ik": [(2, 3), (3, 4)],
    "bik,bkj->bij": [(2, 3, 4), (2, 4, 5)],
    "...ij,...jk": [(5, 2, 3), (3, 4)],
    "ii->i": [(3, 3)],
    "ii": [(3, 3)],
    "ij->ji": [(2, 3)],
    "ij->": [(2, 3)],
    "ba": [(2, 3)],
    "i,j->ij": [(3,), (4,)],
    "i,i->i": [(3,), (3,)],
    "ij,ij->": [(2, 3), (2, 3)],
    "ij,kj->": [(2, 3), (4, 3)],
    "bhqd,bhkd->bhqk": [(2, 3, 4, 5), (2, 3, 6, 5)],
    "bhqk,bhkd->bqhd": [(2, 3, 4, 6), (2, 3, 6, 5)],
    "ab,bc,cd->ad": [(2, 3), (3, 4), (4, 5)],
    "bn,anm,bm->ba": [(2, 5), (3, 5, 4), (2, 4)],
    "ijk,ijl->kl": [(2, 1, 3), (2, 5, 4)],
    "iij,j->i": [(3, 3, 4), (4,)],
    "...,...->...": [(2, 1, 3), (4, 3)],
    "b...d,de->b...e": [(2, 3, 4, 5), (5, 6)],
    "n c h w, n k -> c k": [(2, 3, 4, 5), (2, 6)],
    ",i->i": [(), (3,)],
    "Ab,bC->CA": [(2, 3), (3, 4)],
}

CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "ravel": lambda t, x: x.ravel(),
    "movedim": lambda t, x: t.movedim(x, 0, -1),
    "movedim of several": lambda t, x: x.moveaxis((0, 1), (2, 0)),
    "swapaxes": lambda t, x: x.swapaxes(0, 2),
    "swapdims": lambda t, x: x.swapdims(0, 1),
    "diagonal": lambda t, x: x.diagonal(),
    "diagonal above": lambda t, x: x.diagonal(1, 1, 2),
    "diagonal below": lambda t, x: x.diagonal(-2, dim1=-1, dim2=0),
    "diagonal outside": lambda t, x: x.diagonal(9),
    "diagonal of a transpose": lambda t, x: x.transpose(0, 1).diagonal(1),
    "roll": lambda t, x: x.roll(2),
    "roll of several": lambda t, x: x.roll((1, -2), (0, 2)),
    "roll round": lambda t, x: t.roll(x, 8, 1),
    "tile": lambda t, x: x.tile(2),
    "tile to more": lambda t, x: x.tile((2, 1, 1, 2)),
    "repeat_interleave": lambda t, x: x.repeat_interleave(2),
    "repeat_interleave along": lambda t, x: x.repeat_interleave(3, 1),
    "meshgrid": lambda t, x: t.meshgrid(x[0, 0], x[0, :, 0], x[:, 0, 0], indexing="ij")[1],
    "meshgrid xy": lambda t, x: t.meshgrid(x[0, 0], x[0, :, 0], indexing="xy")[0],
    "concat": lambda t, x: t.concat([x, x.multiply(2)], 1),
}


def array(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


@pytest.fixture(params=["eager", "interpret"])
def runs(request: pytest.FixtureRequest) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return (lambda f: f) if request.param == "eager" else genesis.compile(backend=request.param)


def check(runs: Callable[..., Any], call: Callable[..., Any], *arrays: np.ndarray, strides: bool = False) -> None:
    """Same results and gradients."""
    xs = [genesis.tensor(a, requires_grad=True) for a in arrays]
    ys = [torch.tensor(a, requires_grad=True) for a in arrays]
    result, expected = runs(lambda *x: call(genesis, *x))(*xs), call(torch, *ys)
    assert tuple(result.shape) == tuple(expected.shape)
    assert not strides or result.stride() == expected.stride()
    np.testing.assert_allclose(result.detach().numpy(), expected.detach().numpy(), rtol=1e-5, atol=1e-5)
    result.square().sum().backward()
    expected.square().sum().backward()
    for x, y in zip(xs, ys, strict=True):
        np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("equation", EINSUMS)
def test_einsum(equation: str, runs: Callable[..., Any]) -> None:
    check(runs, lambda t, *x: t.einsum(equation, *x), *(array(*shape) for shape in EINSUMS[equation]))


@pytest.mark.parametrize("name", CALLS)
def test_rearranged(name: str, runs: Callable[..., Any], request: pytest.FixtureRequest) -> None:
    check(runs, CALLS[name], array(3, 4, 5), strides="eager" in request.node.name)


def test_a_diagonal_is_a_view(runs: Callable[..., Any]) -> None:
    def writes(x: Any) -> Any:
        x = x.clone()
        x.diagonal(1).add_(1)
        x.t().diagonal(1).fill_(5)
        return x

    x = array(3, 4)
    np.testing.assert_array_equal(runs(writes)(genesis.tensor(x)).numpy(), writes(torch.tensor(x)).numpy())


def test_repeats_of_each_slice_at_once() -> None:
    x, counts = array(3, 2), np.array([2, 0, 1])
    result = genesis.tensor(x).repeat_interleave(genesis.tensor(counts), 0)
    np.testing.assert_array_equal(result.numpy(), np.repeat(x, counts, 0))


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.einsum("ij,jk", t.ones(2, 3), t.ones(4, 2)),
        lambda t: t.einsum("ij,jk", t.ones(2, 3)),
        lambda t: t.einsum("ij", t.ones(2)),
        lambda t: t.einsum("i->j", t.ones(2)),
        lambda t: t.einsum("i->ii", t.ones(2)),
        lambda t: t.einsum("i1", t.ones(2, 2)),
        lambda t: t.movedim(t.ones(2, 3), (0, 1), (0,)),
        lambda t: t.movedim(t.ones(2, 3), (0, 0), (0, 1)),
        lambda t: t.ones(2, 2).diagonal(0, 1, 1),
        lambda t: t.ones(2, 2).roll((1, 2), 0),
        lambda t: t.ones(2).repeat_interleave(-1),
        lambda t: t.ones(2).repeat_interleave(2, output_size=3),
        lambda t: t.meshgrid(t.ones(2, 2), indexing="ij"),
    ],
)
def test_what_pytorch_refuses_is_refused(call: Callable[[Any], Any]) -> None:
    with pytest.raises(RuntimeError):
        call(torch)
    with pytest.raises(RuntimeError) as raised:
        call(genesis)
    assert isinstance(raised.value, genesis.GenesisError) and "test_rearranging_oracle.py:" in str(raised.value)


def test_types_and_numbers() -> None:
    x = genesis.ones(2, 3)
    assert (x.is_cuda, x.is_sparse, x.type(), genesis.numel(x)) == (False, False, "genesis.FloatTensor", 6)
    assert x.type("torch.LongTensor").dtype is x.type(genesis.int64).dtype is genesis.int64
    assert (genesis.inf, genesis.pi, genesis.e) == (torch.inf, torch.pi, torch.e) and genesis.nan != genesis.nan
