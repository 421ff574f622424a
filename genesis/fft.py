"""Discrete Fourier transforms under PyTorch's names, of real tensors and of what they give, pairs of real tensors.

A transform of ``a * b`` elements is ``b`` transforms of ``a``, a product with roots of unity, and ``a`` transforms of
``b``; a short one is a matrix product. So they compile for every target and have gradients. A size that is a large
prime costs its square. Source: Cooley & Tukey, "An algorithm for the machine calculation of complex Fourier series",
1965.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt, prod, sqrt
from typing import Any

import numpy as np

import genesis.functions as fn
import genesis.nn.functional as F
from compiler.errors import ArgumentError, OpError
from compiler.ir.location import here
from compiler.ir.types import DType, defaults
from compiler.ops.reduce import normalize_axis
from genesis.misuse import explained
from genesis.spectrum import ComplexTensor
from genesis.tensor import Tensor, tensor

__all__ = [
    "ComplexTensor",
    "fft",
    "fft2",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifft2",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfft2",
    "irfftn",
    "rfft",
    "rfft2",
    "rfftfreq",
    "rfftn",
]

Input = Tensor | ComplexTensor
Sizes = Sequence[int] | None
Norm = str | None

_SHORT = 32
"""Up to this size a transform is one matrix product."""


# One dimension, the last


def _roots(count: int, places: np.ndarray, inverse: bool, kind: DType) -> ComplexTensor:
    """``exp(-2 pi i places / count)``, or with ``+`` for ``inverse``."""
    angles = 2 * np.pi * (places % count) / count
    sine = np.sin(angles) if inverse else -np.sin(angles)
    return ComplexTensor(tensor(np.cos(angles), dtype=kind), tensor(sine, dtype=kind))


def _split(count: int) -> int:
    """The largest divisor of ``count`` that is at most its root."""
    return next(a for a in range(isqrt(count), 0, -1) if count % a == 0)


def _transform(x: Input, inverse: bool) -> ComplexTensor:
    """The sums ``x_j exp(∓2 pi i j k / n)`` along the last dimension."""
    count, kind = x.shape[-1], _kind(x)
    rows = _split(count)
    if count <= _SHORT or rows == 1:
        roots = _roots(count, np.outer(np.arange(count), np.arange(count)), inverse, kind)
        if isinstance(x, Tensor):
            return ComplexTensor(fn.matmul(x, roots.real), fn.matmul(x, roots.imag))
        real = fn.matmul(x.real, roots.real) - fn.matmul(x.imag, roots.imag)
        return ComplexTensor(real, fn.matmul(x.real, roots.imag) + fn.matmul(x.imag, roots.real))
    columns, lead = count // rows, tuple(x.shape[:-1])
    inner = _transform(x.reshape(*lead, rows, columns).transpose(-2, -1), inverse)
    turned = inner * _roots(count, np.outer(np.arange(columns), np.arange(rows)), inverse, kind)
    outer = _transform(turned.transpose(-2, -1), inverse)
    return outer.transpose(-2, -1).reshape(*lead, count)


def _kind(x: Input) -> DType:
    return x.dtype if isinstance(x, Tensor) else x.real.dtype


def _checked(name: str, x: Any, is_real: bool = False) -> Input:
    """The operand: floats of 32 or 64 bits, integers as the default dtype."""
    if isinstance(x, ComplexTensor):
        if is_real:
            raise OpError(here(f"fft.{name} expects a real input tensor, but got a complex one"))
        return x
    if not isinstance(x, Tensor):
        raise ArgumentError(here(f"fft.{name}(): argument 'input' must be Tensor, not {type(x).__name__}"))
    if x.dtype.is_half:
        raise OpError(here(f"fft.{name}: Unsupported dtype {x.dtype.name}", "use x.float()"))
    return x if x.dtype.is_floating_point else fn.mul(x, tensor(1.0, dtype=defaults.float))


def _fitted(name: str, x: Input, count: int | None, axis: int) -> Input:
    """``x`` with ``count`` elements along ``axis``: cut, or with zeros behind."""
    present = x.shape[axis]
    if (count is not None and count < 1) or present < 1:
        raise OpError(here(f"fft.{name}: Invalid number of data points ({present if count is None else count})"))
    if count is None or count == present:
        return x
    if count < present:
        return x.narrow(axis, 0, count)
    if isinstance(x, ComplexTensor):
        return ComplexTensor(_padded(x.real, count, axis), _padded(x.imag, count, axis))
    return _padded(x, count, axis)


def _padded(x: Tensor, count: int, axis: int) -> Tensor:
    shape = (*x.shape[:axis], count - x.shape[axis], *x.shape[axis + 1 :])
    return fn.cat([x, fn.zeros(shape, dtype=x.dtype)], axis)


def _factor(name: str, norm: Norm, count: int, inverse: bool) -> float:
    """The factor of a transform of ``count`` elements."""
    if norm not in (None, "backward", "forward", "ortho"):
        raise OpError(here(f'fft.{name}: Invalid normalization mode: "{norm}"'))
    if norm == "ortho":
        return 1 / sqrt(count)
    return 1 / count if (norm == "forward") is not inverse else 1.0


def _along(name: str, x: Any, count: int | None, dim: int, norm: Norm, inverse: bool) -> ComplexTensor:
    given = _checked(name, x)
    axis = normalize_axis(dim, given.ndim)
    given = _fitted(name, given, count, axis)
    factor = _factor(name, norm, given.shape[axis], inverse)
    found = _transform(given.transpose(axis, -1), inverse).transpose(axis, -1)
    return found if factor == 1 else found * factor


def fft(input: Input, n: int | None = None, dim: int = -1, norm: Norm = None) -> ComplexTensor:
    """The transform of ``n`` elements along ``dim``.

    ``norm``: ``"backward"`` divides the inverse by ``n``, ``"forward"`` this one, ``"ortho"`` both by ``sqrt(n)``.
    """
    return _along("fft", input, n, dim, norm, inverse=False)


def ifft(input: Input, n: int | None = None, dim: int = -1, norm: Norm = None) -> ComplexTensor:
    """The inverse of :func:`fft`."""
    return _along("ifft", input, n, dim, norm, inverse=True)


def rfft(input: Tensor, n: int | None = None, dim: int = -1, norm: Norm = None) -> ComplexTensor:
    """The first ``n // 2 + 1`` elements of :func:`fft` of real numbers; the others are their conjugates."""
    return _half(_along("rfft", _checked("rfft", input, True), n, dim, norm, inverse=False), dim)


def ihfft(input: Tensor, n: int | None = None, dim: int = -1, norm: Norm = None) -> ComplexTensor:
    """The inverse of :func:`hfft`."""
    return _half(_along("ihfft", _checked("ihfft", input, True), n, dim, norm, inverse=True), dim)


def _half(found: ComplexTensor, dim: int) -> ComplexTensor:
    half: ComplexTensor = found.narrow(dim, 0, found.shape[dim] // 2 + 1)
    return half


def irfft(input: Input, n: int | None = None, dim: int = -1, norm: Norm = None) -> Tensor:
    """The inverse of :func:`rfft`: ``n`` real numbers, by default ``2 (m - 1)`` from ``m`` elements."""
    return _real("irfft", input, n, dim, norm, inverse=True)


def hfft(input: Input, n: int | None = None, dim: int = -1, norm: Norm = None) -> Tensor:
    """The transform of the first half of numbers whose other half is the conjugates: ``n`` real numbers."""
    return _real("hfft", input, n, dim, norm, inverse=False)


def _real(name: str, x: Any, count: int | None, dim: int, norm: Norm, inverse: bool) -> Tensor:
    """The real transform of ``count`` numbers from the first half of them."""
    given = _checked(name, x)
    axis = normalize_axis(dim, given.ndim)
    count = 2 * (given.shape[axis] - 1) if count is None else count
    if count < 1:
        raise OpError(here(f"fft.{name}: Invalid number of data points ({count}) specified"))
    half = _fitted(name, given, count // 2 + 1, axis)
    pair = ComplexTensor(half, fn.zeros_like(half)) if isinstance(half, Tensor) else half
    rest = (count + 1) // 2 - 1
    real = fn.cat([pair.real, fn.flip(fn.narrow(pair.real, axis, 1, rest), (axis,))], axis)
    imag = fn.cat([pair.imag, -fn.flip(fn.narrow(pair.imag, axis, 1, rest), (axis,))], axis)
    return _along(name, ComplexTensor(real, imag), None, axis, norm, inverse).real


# Several dimensions


def _places(name: str, x: Input, s: Sizes, dim: Sizes) -> list[tuple[int | None, int]]:
    """Sizes and dimensions of a transform along several."""
    if dim is None:
        count = x.ndim if s is None else len(s)
        if count > x.ndim:
            raise OpError(
                here(f"fft.{name}: Got shape with {count} values but input tensor only has {x.ndim} dimensions")
            )
        axes = list(range(x.ndim - count, x.ndim))
    else:
        axes = [normalize_axis(d, x.ndim) for d in dim]
    if len(set(axes)) != len(axes):
        raise OpError(here(f"fft.{name}: FFT dims must be unique"))
    if s is not None and len(s) != len(axes):
        raise OpError(here(f"fft.{name}: When given, dim and shape arguments must have the same length"))
    return list(zip([None if n == -1 else n for n in s] if s is not None else [None] * len(axes), axes, strict=True))


def fftn(input: Input, s: Sizes = None, dim: Sizes = None, norm: Norm = None) -> ComplexTensor:
    """:func:`fft` along several dimensions, all of them by default, of ``s`` elements."""
    return _several("fftn", input, s, dim, norm, inverse=False)


def ifftn(input: Input, s: Sizes = None, dim: Sizes = None, norm: Norm = None) -> ComplexTensor:
    """The inverse of :func:`fftn`."""
    return _several("ifftn", input, s, dim, norm, inverse=True)


def _several(name: str, x: Any, s: Sizes, dim: Sizes, norm: Norm, inverse: bool) -> ComplexTensor:
    found: Any = _checked(name, x)
    for count, axis in _places(name, found, s, dim):
        found = _along(name, found, count, axis, norm, inverse)
    return found if isinstance(found, ComplexTensor) else ComplexTensor(found, fn.zeros_like(found))


def rfftn(input: Tensor, s: Sizes = None, dim: Sizes = None, norm: Norm = None) -> ComplexTensor:
    """:func:`rfft` along the last of several dimensions, and :func:`fft` along the others."""
    given = _checked("rfftn", input, True)
    *others, (count, axis) = _places("rfftn", given, s, dim)
    found = rfft(given, count, axis, norm)  # type: ignore[arg-type]
    for count, axis in reversed(others):
        found = _along("rfftn", found, count, axis, norm, inverse=False)
    return found


def irfftn(input: Input, s: Sizes = None, dim: Sizes = None, norm: Norm = None) -> Tensor:
    """The inverse of :func:`rfftn`."""
    found: Any = _checked("irfftn", input)
    *others, (count, axis) = _places("irfftn", found, s, dim)
    for size, other in others:
        found = _along("irfftn", found, size, other, norm, inverse=True)
    return irfft(found, count, axis, norm)


def fft2(input: Input, s: Sizes = None, dim: Sizes = (-2, -1), norm: Norm = None) -> ComplexTensor:
    """:func:`fftn` along two dimensions, the last ones by default."""
    return _several("fft2", input, s, dim, norm, inverse=False)


def ifft2(input: Input, s: Sizes = None, dim: Sizes = (-2, -1), norm: Norm = None) -> ComplexTensor:
    """The inverse of :func:`fft2`."""
    return _several("ifft2", input, s, dim, norm, inverse=True)


def rfft2(input: Tensor, s: Sizes = None, dim: Sizes = (-2, -1), norm: Norm = None) -> ComplexTensor:
    """:func:`rfftn` along two dimensions, the last ones by default."""
    return rfftn(input, s, dim, norm)


def irfft2(input: Input, s: Sizes = None, dim: Sizes = (-2, -1), norm: Norm = None) -> Tensor:
    """The inverse of :func:`rfft2`."""
    return irfftn(input, s, dim, norm)


# Frequencies


@explained
def fftfreq(n: int, d: float = 1.0, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """The frequencies of :func:`fft` of ``n`` samples that are ``d`` apart."""
    return tensor(np.fft.fftfreq(n, d), dtype=dtype or defaults.float, device=device, requires_grad=requires_grad)


@explained
def rfftfreq(n: int, d: float = 1.0, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """The frequencies of :func:`rfft` of ``n`` samples that are ``d`` apart."""
    return tensor(np.fft.rfftfreq(n, d), dtype=dtype or defaults.float, device=device, requires_grad=requires_grad)


@explained
def fftshift(input: Input, dim: int | Sequence[int] | None = None) -> Any:
    """With the frequency zero in the middle of ``dim``, of all dimensions by default."""
    return _shifted(input, dim, lambda n: n // 2)


@explained
def ifftshift(input: Input, dim: int | Sequence[int] | None = None) -> Any:
    """The inverse of :func:`fftshift`."""
    return _shifted(input, dim, lambda n: -(n // 2))


def _shifted(x: Any, dim: int | Sequence[int] | None, shift: Any) -> Any:
    axes = range(x.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    return x.roll([shift(x.shape[axis]) for axis in axes], list(axes)) if x.ndim and prod(x.shape) else x


# Of pieces of a signal


def _frame(name: str, window: Tensor | None, n_fft: int, win_length: int, hop_length: int, kind: DType) -> Tensor:
    """The window with zeros around it, ``[n_fft]``; raises RuntimeError for lengths that do not fit."""
    if not 0 < win_length <= n_fft or hop_length <= 0:
        raise OpError(here(f"{name}: expected 0 < win_length <= n_fft={n_fft} and hop_length > 0"))
    if window is not None and tuple(window.shape) != (win_length,):
        raise OpError(here(f"{name}: expected a window of {win_length} elements, not {tuple(window.shape)}"))
    given = fn.ones(win_length, dtype=kind) if window is None else window
    before = (n_fft - win_length) // 2
    parts = [fn.zeros(before, dtype=given.dtype), given, fn.zeros(n_fft - win_length - before, dtype=given.dtype)]
    return fn.cat(parts) if win_length < n_fft else given


@explained
def stft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Any:
    """The spectra ``[*, n_fft // 2 + 1, T]`` of pieces of a signal ``[*, L]`` that are ``hop_length`` apart.

    ``center`` pads the signal by half of ``n_fft`` at both ends; all ``n_fft`` frequencies unless ``onesided``.
    A :class:`ComplexTensor` with ``return_complex``, else its parts in a last dimension of size 2.
    Raises RuntimeError where lengths do not fit, and for a complex ``input``.
    """
    if return_complex is None:
        raise OpError(here("stft requires the return_complex parameter be given for real inputs"))
    x = _checked("stft", input, True)
    hop, length = n_fft // 4 if hop_length is None else hop_length, n_fft if win_length is None else win_length
    frame = _frame("stft", window, n_fft, length, hop, _kind(x))
    rows = x.reshape(-1, x.shape[-1])
    if center:
        rows = F.pad(rows.unsqueeze(1), (n_fft // 2, n_fft // 2), pad_mode).squeeze(1)
    if not 0 < n_fft <= rows.shape[-1]:
        raise OpError(here(f"stft: expected 0 < n_fft <= {rows.shape[-1]}, but got n_fft={n_fft}"))
    pieces = rows.unfold(-1, n_fft, hop) * frame
    found = rfft(pieces) if onesided is not False else fft(pieces)
    found = found.transpose(-2, -1).reshape(*x.shape[:-1], found.shape[-1], found.shape[-2])
    found = found * n_fft**-0.5 if normalized else found
    return found if return_complex else fn.stack([found.real, found.imag], -1)


@explained
def istft(
    input: ComplexTensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Tensor:
    """The signal ``[*, L]`` of its :func:`stft`: the pieces are added up and divided by the squares of the window.

    ``length`` cuts it or puts zeros behind it. Raises RuntimeError where the frequencies are not those of ``n_fft``.
    """
    if not isinstance(input, ComplexTensor):
        raise OpError(here("istft requires a complex-valued input tensor, as genesis.stft gives it"))
    if return_complex:
        raise OpError(here("istft gives real signals: return_complex=True is not there"))
    hop, size = n_fft // 4 if hop_length is None else hop_length, n_fft if win_length is None else win_length
    frame = _frame("istft", window, n_fft, size, hop, input.real.dtype)
    half = input.shape[-2] == n_fft // 2 + 1 if onesided is None else onesided
    wanted = n_fft // 2 + 1 if half else n_fft
    if input.ndim < 2 or input.shape[-2] != wanted:
        raise OpError(here(f"istft: expected {wanted} frequencies of n_fft={n_fft}, but got {tuple(input.shape)}"))
    spectra = input.reshape(-1, *input.shape[-2:]).transpose(-2, -1)
    spectra = spectra * n_fft**0.5 if normalized else spectra
    pieces = (irfft(spectra, n_fft) if half else ifft(spectra).real) * frame
    count = pieces.shape[1]
    places = tensor((np.arange(count)[:, None] * hop + np.arange(n_fft)).reshape(-1))
    blank = fn.zeros(pieces.shape[0], n_fft + hop * (count - 1), dtype=pieces.dtype)
    signal = fn.index_add(blank, 1, places, pieces.reshape(pieces.shape[0], -1))
    weight = fn.index_add(blank[:1], 1, places, fn.square(frame).expand(count, n_fft).reshape(1, -1))
    start = n_fft // 2 if center else 0
    rest = signal.shape[-1] - start
    kept = rest - (n_fft // 2 if center else 0) if length is None else min(length, rest)
    found = signal.narrow(1, start, kept) / weight.narrow(1, start, kept)
    found = found if length is None or length == kept else _padded(found, length, 1)
    return found.reshape(*input.shape[:-2], found.shape[-1])
