"""Windows for spectra: weights that fall off towards both ends.

Source of the formulas: F. Harris, "On the use of windows for harmonic analysis with the discrete Fourier transform",
1978. A periodic window is the start of one that is longer by one.
"""

from __future__ import annotations

from math import pi
from typing import Any

import numpy as np

from compiler.errors import OpError
from genesis.functions.table import function_only
from genesis.settings import get_default_dtype
from genesis.tensor import Tensor, tensor


def _places(length: int, periodic: bool) -> np.ndarray:
    """The places of the elements, from 0 to 1 over the whole window, f64."""
    if length < 0:
        raise OpError(f"a window needs a length that is not negative, not {length}")
    return np.arange(length) / max(length - (not periodic), 1)


def _window(values: np.ndarray, dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    return tensor(values, dtype=dtype or get_default_dtype(), device=device, requires_grad=requires_grad)


def _cosines(length: int, periodic: bool, *weights: float) -> np.ndarray:
    """``w0 - w1 cos(2 pi x) + w2 cos(4 pi x)``; 1 for the window of one element."""
    if length == 1:
        return np.ones(1)
    x = 2 * pi * _places(length, periodic)
    return np.array(sum((-1) ** k * w * np.cos(k * x) for k, w in enumerate(weights)))


@function_only
def hann_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """``(1 - cos(2 pi n / N)) / 2``."""
    return _window(_cosines(window_length, periodic, 0.5, 0.5), dtype, device, requires_grad)


@function_only
def hamming_window(
    window_length: int,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """``alpha - beta cos(2 pi n / N)``."""
    return _window(_cosines(window_length, periodic, alpha, beta), dtype, device, requires_grad)


@function_only
def blackman_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """``0.42 - 0.5 cos(2 pi n / N) + 0.08 cos(4 pi n / N)``."""
    return _window(_cosines(window_length, periodic, 0.42, 0.5, 0.08), dtype, device, requires_grad)


@function_only
def bartlett_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """A triangle: ``1 - |2 n / N - 1|``."""
    x = _places(window_length, periodic)
    values = np.ones(1) if window_length == 1 else 1 - np.abs(2 * x - 1)
    return _window(values, dtype, device, requires_grad)


@function_only
def kaiser_window(
    window_length: int,
    periodic: bool = True,
    beta: float = 12.0,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """``i0(beta sqrt(1 - (2 n / N - 1)²)) / i0(beta)``."""
    x = _places(window_length, periodic)
    values = np.ones(1) if window_length == 1 else np.i0(beta * np.sqrt(1 - (2 * x - 1) ** 2)) / np.i0(beta)
    return _window(values, dtype, device, requires_grad)
