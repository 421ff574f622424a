"""New tensors: filled, counted, drawn."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

from compiler.errors import TraceError
from compiler.ir.location import user_location
from compiler.ir.op import Op, o
from compiler.ir.types import boolean, f32, f64, i64
from compiler.ir.types import dtype as to_dtype
from genesis.context import current_recording
from genesis.functions.shapes import as_sizes
from genesis.random import Generator, default_generator
from genesis.tensor import Tensor, from_array, tensor, wrap


def _filled(value: Any, shape: tuple[int, ...], to: Any, requires_grad: bool) -> Tensor:
    if to is None:
        to = boolean if isinstance(value, bool) else i64 if isinstance(value, int) else f32
    made = wrap(o.expand(o.constant(value=value, dtype=to_dtype(to)), shape=shape))
    if current_recording() is None:
        made = from_array(np.array(made._array("full")))
    return made.requires_grad_() if requires_grad else made


def full(
    size: Sequence[int], fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of ``size`` filled with a number."""
    return _filled(fill_value, as_sizes(tuple(size)), dtype, requires_grad)


def zeros(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros, float32 unless ``dtype`` says otherwise."""
    return _filled(0, as_sizes(size), dtype or f32, requires_grad)


def ones(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones, float32 unless ``dtype`` says otherwise."""
    return _filled(1, as_sizes(size), dtype or f32, requires_grad)


def empty(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """The same as :func:`zeros`: contents are never left undefined."""
    return _filled(0, as_sizes(size), dtype or f32, requires_grad)


def full_like(input: Tensor, fill_value: Any, *, dtype: Any = None) -> Tensor:
    """A tensor of the same shape and dtype filled with a number."""
    return _filled(fill_value, tuple(input.shape), dtype or input.dtype, False)


def zeros_like(input: Tensor, *, dtype: Any = None) -> Tensor:
    """Zeros of the same shape and dtype."""
    return full_like(input, 0, dtype=dtype)


def ones_like(input: Tensor, *, dtype: Any = None) -> Tensor:
    """Ones of the same shape and dtype."""
    return full_like(input, 1, dtype=dtype)


empty_like = zeros_like


def arange(start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None) -> Tensor:
    """``start, start + step, ...`` before ``end``; int64 for ints, float32 otherwise."""
    first, last = (0, start) if end is None else (start, end)
    count = builtins.max(int(np.ceil((last - first) / step)), 0)
    whole = isinstance(first, int) and isinstance(last, int) and isinstance(step, int)
    line = o.iota(shape=(count,), axis=0)
    to = to_dtype(dtype) if dtype is not None else i64 if whole else f32
    if whole:
        line = o.add(o.mul(line, step), first) if step != 1 or first else line
    else:
        line = o.add(o.mul(o.cast(line, to=f64), float(step)), float(first))
    return wrap(line if line.dtype is to else o.cast(line, to=to))


def linspace(start: float, end: float, steps: int, *, dtype: Any = None) -> Tensor:
    """``steps`` evenly spaced numbers from ``start`` to ``end``, both included."""
    return tensor(np.linspace(start, end, steps), dtype=dtype or f32)


def eye(n: int, m: int | None = None, *, dtype: Any = None) -> Tensor:
    """The identity matrix."""
    return tensor(np.eye(n, m), dtype=dtype or f32)


def rand(*size: Any, generator: Generator | None = None, dtype: Any = None, device: Any = None) -> Tensor:
    """Uniform on [0, 1)."""
    return draw(o.uniform, 1, as_sizes(size), generator, dtype)


def randn(
    *size: Any, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Standard normal."""
    drawn = draw(o.normal, 2, as_sizes(size), generator, dtype)
    return drawn.requires_grad_() if requires_grad else drawn


def draw(op: Op, draws: int, shape: tuple[int, ...], generator: Generator | None, to: Any) -> Tensor:
    seed, offset, index = (generator or default_generator).reserve(draws)
    drawn = op(seed, offset, shape=shape, index=index)
    return wrap(drawn if to is None else o.cast(drawn, to=to_dtype(to)))


def rand_like(input: Tensor) -> Tensor:
    """Uniform on [0, 1) in the same shape and dtype."""
    return rand(*input.shape, dtype=input.dtype)


def randn_like(input: Tensor) -> Tensor:
    """Standard normal in the same shape and dtype."""
    return randn(*input.shape, dtype=input.dtype)


def randint(
    low: int, high: Any = None, size: Any = None, *, generator: Generator | None = None, dtype: Any = None
) -> Tensor:
    """Whole numbers in ``[low, high)``, int64."""
    if size is None:
        low, high, size = 0, low, high
    uniform = draw(o.uniform, 1, as_sizes((size,)), generator, None)
    whole = o.add(o.floor(o.mul(uniform.value, float(high - low))), float(low))
    return wrap(o.cast(whole, to=to_dtype(dtype or i64)))


def randperm(n: int, *, generator: Generator | None = None) -> Tensor:
    """A random permutation of ``range(n)``."""
    if current_recording() is not None:
        raise TraceError(
            f"randperm inside a compiled step\n  at {user_location()}\n  make the permutation outside and pass it in"
        )
    return from_array((generator or default_generator).permutation(n))
