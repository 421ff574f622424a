"""One call made with Genesis and with PyTorch on the same arrays, and everything that comes out compared."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import genesis

torch = pytest.importorskip("torch")


def arrays_of(*shapes: Any, seed: int = 0) -> list[np.ndarray]:
    """A float32 array per shape; an array stays as it is."""
    rng = np.random.default_rng(seed)
    return [s if isinstance(s, np.ndarray) else rng.standard_normal(s).astype(np.float32) for s in shapes]


def ours(array: np.ndarray) -> Any:
    return genesis.tensor(array, requires_grad=array.dtype.kind == "f")


def theirs(array: np.ndarray) -> Any:
    return torch.tensor(array, requires_grad=array.dtype.kind == "f")


def parts(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple | list) else [result]


def tensors(result: Any) -> list[Any]:
    return [p for p in parts(result) if hasattr(p, "requires_grad")]


def name_of(dtype: Any) -> str:
    return str(dtype).rpartition(".")[2]


def same(got: Any, want: Any, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    """Equal types, shapes and, to the tolerance, contents."""
    if not isinstance(want, torch.Tensor):
        assert got == want
        return
    assert tuple(got.shape) == tuple(want.shape)
    assert name_of(repr(got.dtype)) == name_of(want.dtype)
    a = np.asarray(got.detach().float().numpy() if want.dtype == torch.bfloat16 else got.detach().numpy())
    b = want.detach().float().numpy() if want.dtype == torch.bfloat16 else want.detach().numpy()
    np.testing.assert_allclose(a, b, rtol, atol)


def backward(result: Any, seeds: Sequence[np.ndarray], make: Callable[[np.ndarray], Any]) -> None:
    total = None
    for part, seed in zip(tensors(result), seeds, strict=True):
        if part.requires_grad:
            term = (part * make(seed)).sum()
            total = term if total is None else total + term
    if total is not None:
        total.backward()


def agree(
    call: Callable[..., Any], *shapes: Any, rtol: float = 1e-5, atol: float = 1e-6, grad: bool = True, seed: int = 0
) -> None:
    """``call(genesis, *tensors)`` and ``call(torch, *tensors)`` give the same results and gradients."""
    arrays = arrays_of(*shapes, seed=seed)
    mine, other = [ours(a) for a in arrays], [theirs(a) for a in arrays]
    got, want = call(genesis, *mine), call(torch, *other)
    assert len(parts(got)) == len(parts(want))
    for a, b in zip(parts(got), parts(want), strict=True):
        same(a, b, rtol, atol)
    if not grad:
        return
    seeds = arrays_of(*(tuple(p.shape) for p in tensors(want)), seed=seed + 1)
    backward(got, seeds, genesis.tensor)
    backward(want, seeds, torch.tensor)
    for a, b in zip(mine, other, strict=True):
        if a.grad is None:
            assert b.grad is None or not b.grad.any(), "no gradient where PyTorch has one that is not zero"
        else:
            same(a.grad, b.grad, 10 * rtol, 10 * atol)


def both_raise(call: Callable[..., Any], *shapes: Any) -> None:
    """Genesis raises an error that catching PyTorch's would catch."""
    arrays = arrays_of(*shapes)
    with pytest.raises(Exception) as raised:
        call(torch, *map(theirs, arrays))
    with pytest.raises(raised.type):
        call(genesis, *map(ours, arrays))
