"""New tensors: filled, counted, drawn.

``layout``, ``pin_memory`` and ``memory_format`` are accepted and change nothing.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np
from ml_dtypes import finfo

from compiler.errors import ArgumentError, OpError
from compiler.ir.location import here
from compiler.ir.op import OPS, o
from compiler.ir.types import boolean, defaults, f32, f64, i64
from compiler.ir.types import dtype as to_dtype
from compiler.ops.random import DRAWS
from genesis.context import current_recording
from genesis.device import on_cpu
from genesis.functions.shapes import as_sizes
from genesis.functions.table import api, function_only, method_only
from genesis.memory.strides import kept
from genesis.random import Generator, default_generator
from genesis.tensor import Tensor, copied, from_array, tensor, wrap


def _filled(value: Any, shape: tuple[int, ...], to: Any, requires_grad: bool, device: Any = None) -> Tensor:
    on_cpu(device)
    if not isinstance(value, bool | int | float | np.generic | Tensor):
        raise ArgumentError(f"the value to fill with must be a number, not {type(value).__name__}")
    if builtins.any(n < 0 for n in shape):
        raise OpError(f"Trying to create tensor with negative dimension: {list(shape)}")
    if isinstance(value, Tensor):
        if to is None and value.value.number and value.dtype.is_floating_point:
            to = defaults.float  # it stands for a Python float
        one = value.value if to is None else o.cast(value.value, to=to_dtype(to))
        return _leaf(wrap(copied(wrap(o.expand(one, shape=shape)))), requires_grad)
    if to is None:
        to = boolean if isinstance(value, bool) else i64 if isinstance(value, int) else defaults.float
    made = wrap(o.expand(o.constant(value=value, dtype=to_dtype(to)), shape=shape))
    if current_recording() is None:
        made = from_array(np.array(made._array("full")))
    return _leaf(made, requires_grad)


@function_only
def full(
    size: Sequence[int],
    fill_value: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor of ``size`` filled with a number."""
    return _filled(fill_value, as_sizes((size,)), dtype, requires_grad, device)


@function_only
def zeros(
    *size: Any,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """Zeros, of the default dtype unless ``dtype`` says otherwise."""
    return _filled(0, as_sizes(size), dtype or defaults.float, requires_grad, device)


@function_only
def ones(
    *size: Any,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Ones, of the default dtype unless ``dtype`` says otherwise."""
    return _filled(1, as_sizes(size), dtype or defaults.float, requires_grad, device)


@function_only
def empty(
    *size: Any,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """The same as :func:`zeros`: contents are never left undefined."""
    return _filled(0, as_sizes(size), dtype or defaults.float, requires_grad, device)


@function_only
def full_like(
    input: Tensor,
    fill_value: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """A tensor of the same shape and dtype filled with a number."""
    return _like(input, _filled(fill_value, tuple(input.shape), dtype or input.dtype, False, device), requires_grad)


@function_only
def zeros_like(
    input: Tensor,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """Zeros of the same shape and dtype."""
    return full_like(input, 0, dtype=dtype, device=device, requires_grad=requires_grad)


@function_only
def ones_like(
    input: Tensor,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """Ones of the same shape and dtype."""
    return full_like(input, 1, dtype=dtype, device=device, requires_grad=requires_grad)


empty_like = api(method=False, name="empty_like")(zeros_like)


@method_only
def new_full(
    input: Tensor,
    size: Sequence[int],
    fill_value: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor of ``size`` filled with a number, of ``input``'s dtype unless ``dtype`` says otherwise."""
    return _filled(fill_value, as_sizes((size,)), dtype or input.dtype, requires_grad, device)


@method_only
def new_zeros(
    input: Tensor,
    *size: Any,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Zeros of ``size``, of ``input``'s dtype unless ``dtype`` says otherwise."""
    return _filled(0, as_sizes(size), dtype or input.dtype, requires_grad, device)


@method_only
def new_ones(
    input: Tensor,
    *size: Any,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Ones of ``size``, of ``input``'s dtype unless ``dtype`` says otherwise."""
    return _filled(1, as_sizes(size), dtype or input.dtype, requires_grad, device)


new_empty = api(function=False, name="new_empty")(new_zeros)


@method_only
def new_tensor(
    input: Tensor, data: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A new tensor with a copy of ``data``, of ``input``'s dtype unless ``dtype`` says otherwise."""
    return tensor(data, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)


def _number(x: Any) -> Any:
    return x.item() if isinstance(x, Tensor) else x


def _leaf(made: Tensor, requires_grad: bool) -> Tensor:
    return made.requires_grad_() if requires_grad else made


def _like(input: Tensor, made: Tensor, requires_grad: bool) -> Tensor:
    """``made`` with the order of dimensions in memory that ``input`` has."""
    made._cell.strides = kept(input.shape, input.value.strides)
    return _leaf(made, requires_grad)


@function_only
def arange(
    start: Any,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """``start, start + step, ...`` before ``end``; int64 for ints, of the default dtype otherwise."""
    on_cpu(device)
    for given in (start, 0 if end is None else end, step):
        if not hasattr(given, "__float__"):
            raise ArgumentError(f"arange takes numbers, not {given!r}")
    first, last, step = map(_number, (0, start, step) if end is None else (start, end, step))
    if step == 0 or (last - first) / step < 0:
        why = "step must be nonzero" if step == 0 else "upper bound and lower bound inconsistent with step sign"
        raise OpError(here(f"arange({first}, {last}, {step}): {why}"))
    count = int(np.ceil((last - first) / step))
    whole = isinstance(first, int) and isinstance(last, int) and isinstance(step, int)
    line = o.iota(shape=(count,), axis=0)
    to = to_dtype(dtype) if dtype is not None else i64 if whole else defaults.float
    if whole:
        line = o.add(o.mul(line, step), first) if step != 1 or first else line
    else:
        line = o.add(o.mul(o.cast(line, to=f64), float(step)), float(first))
    return _leaf(wrap(line if line.dtype is to else o.cast(line, to=to)), requires_grad)


@function_only
def range(
    start: float = 0,
    end: float | None = None,
    step: float = 1,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``start, start + step, ...`` up to ``end`` and with it; of the default dtype. ``arange`` is what Python means."""
    first, last = (0, start) if end is None else (start, end)
    if not step or (last - first) / step < 0:
        raise OpError(here(f"range({first}, {last}, {step}): upper bound and lower bound inconsistent with step sign"))
    count = int((last - first) / step) + 1
    line = arange(first, first + step * (count - 0.5), step, dtype=dtype or defaults.float, device=device)
    return _leaf(line, requires_grad)


@function_only
def linspace(
    start: float,
    end: float,
    steps: int,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """``steps`` evenly spaced numbers from ``start`` to ``end``, both included."""
    if steps < 0:
        raise OpError(here(f"number of steps must be non-negative, not {steps}"))
    line = np.linspace(_number(start), _number(end), steps)
    return tensor(line, dtype=dtype or defaults.float, device=device, requires_grad=requires_grad)


@function_only
def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """The identity matrix."""
    if n < 0 or (m is not None and m < 0):
        raise OpError(f"the sizes of eye must not be negative, here {n} and {m}")
    return tensor(np.eye(n, m), dtype=dtype or defaults.float, device=device, requires_grad=requires_grad)


@function_only
def rand(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Uniform on [0, 1), with as many bits as ``dtype`` (the default one unless it says otherwise) has."""
    on_cpu(device)
    return _leaf(draw("uniform", as_sizes(size), generator, dtype), requires_grad)


@function_only
def randn(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Standard normal."""
    on_cpu(device)
    return _leaf(draw("normal", as_sizes(size), generator, dtype), requires_grad)


def draw(kind: str, shape: tuple[int, ...], generator: Generator | None, to: Any) -> Tensor:
    """``kind`` is "uniform" or "normal"; ``to`` the dtype, the default one where it is None."""
    target = defaults.float if to is None else to_dtype(to)
    name = f"{kind}_f64" if target is f64 else kind
    seed, offset, index = (generator or default_generator).reserve(DRAWS.get(name, 1))
    drawn = OPS[name](seed, offset, shape=shape, index=index)
    if target.is_half and kind == "uniform":  # rounded to nearest, it could be 1
        steps = 2 / float(finfo(target.numpy).eps)
        drawn = o.mul(1 / steps, o.floor(o.mul(steps, drawn)))
    return wrap(drawn if target is drawn.dtype else o.cast(drawn, to=target))


@function_only
def rand_like(
    input: Tensor,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """Uniform on [0, 1) in the same shape and dtype."""
    return _like(input, rand(*input.shape, dtype=dtype or input.dtype, device=device), requires_grad)


@function_only
def randn_like(
    input: Tensor,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """Standard normal in the same shape and dtype."""
    return _like(input, randn(*input.shape, dtype=dtype or input.dtype, device=device), requires_grad)


@function_only
def randint(
    low: int,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """Whole numbers in ``[low, high)``, int64; of a range from 2**24 on with 53 random bits."""
    on_cpu(device)
    if size is None:
        low, high, size = 0, low, high
    if size is None or high is None or high <= low:
        raise OpError(here(f"randint(low={low}, high={high}, size={size}) needs a size and low < high"))
    span = high - low
    uniform = draw("uniform", as_sizes((size,)), generator, f32 if span < 1 << 24 else f64)
    whole = o.add(o.cast(o.floor(o.mul(uniform.value, float(span))), to=i64), low)
    return wrap(o.cast(whole, to=to_dtype(dtype or i64)))


@function_only
def randperm(
    n: int, *, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A random permutation of ``range(n)``, int64: the order of ``n`` draws."""
    on_cpu(device)
    if n < 0:
        raise OpError(f"n must be non-negative, got {n}")
    order = o.argsort(draw("uniform", (n,), generator, f64).value, count=n)
    return _leaf(wrap(o.cast(order, to=to_dtype(dtype or i64))), requires_grad)
