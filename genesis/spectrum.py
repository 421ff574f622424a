"""Complex numbers as Fourier transforms give them: a pair of real tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

import genesis.functions as fn
from compiler.errors import ArgumentError
from compiler.ir.location import here
from genesis.size import Size
from genesis.tensor import Tensor


def _on_both(name: str) -> Any:
    """A method that ``Tensor.<name>`` makes of both parts."""

    def method(self: ComplexTensor, *args: Any, **kwargs: Any) -> ComplexTensor:
        return ComplexTensor(getattr(self.real, name)(*args, **kwargs), getattr(self.imag, name)(*args, **kwargs))

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"``Tensor.{name}`` of both parts."
    return method


class ComplexTensor:
    """``real + i imag``, two real tensors of one shape. Ops on it are ops on these, which compile and have gradients.

    It adds, multiplies and divides, with real tensors and numbers, too; it has ``abs``, ``angle``, ``conj``, indices
    and the methods that move elements or add them up. It is no Tensor: other functions take ``.real`` and ``.imag``.
    """

    __array_priority__ = 2000
    has_methods_of_tensors = True

    def __init__(self, real: Tensor, imag: Tensor) -> None:
        self.real, self.imag = real, imag

    @property
    def shape(self) -> Size:
        """The size of each dimension."""
        return self.real.shape

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.real.ndim

    @property
    def requires_grad(self) -> bool:
        """Whether a backward pass computes a gradient for one of the parts."""
        return self.real.requires_grad or self.imag.requires_grad

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension."""
        return self.real.size() if dim is None else self.real.size(dim)

    def dim(self) -> int:
        """The number of dimensions."""
        return self.ndim

    def is_complex(self) -> bool:
        """True."""
        return True

    def abs(self) -> Tensor:
        """The absolute values, with a gradient of zero at zero."""
        square = self.real * self.real + self.imag * self.imag
        zero = square == 0
        return fn.where(zero, 0.0, fn.sqrt(fn.where(zero, 1.0, square)))

    absolute = __abs__ = abs

    def angle(self) -> Tensor:
        """The angle to the positive real numbers, in radians."""
        return fn.atan2(self.imag, self.real)

    def conj(self) -> ComplexTensor:
        """``real - i imag``."""
        return ComplexTensor(self.real, -self.imag)

    def numpy(self) -> np.ndarray:
        """The numbers as a complex array of NumPy."""
        found: np.ndarray = self.real.numpy() + 1j * self.imag.numpy()
        return found

    def tolist(self) -> Any:
        """The numbers as nested lists of Python's complex numbers."""
        return self.numpy().tolist()

    def __neg__(self) -> ComplexTensor:
        return ComplexTensor(-self.real, -self.imag)

    def __add__(self, other: Any) -> ComplexTensor:
        real, imag = _parts(other, "+")
        return ComplexTensor(self.real + real, self.imag + imag)

    def __sub__(self, other: Any) -> ComplexTensor:
        real, imag = _parts(other, "-")
        return ComplexTensor(self.real - real, self.imag - imag)

    def __rsub__(self, other: Any) -> ComplexTensor:
        return -self + other

    def __mul__(self, other: Any) -> ComplexTensor:
        real, imag = _parts(other, "*")
        if isinstance(imag, float) and imag == 0:
            return ComplexTensor(self.real * real, self.imag * real)
        return ComplexTensor(self.real * real - self.imag * imag, self.real * imag + self.imag * real)

    def __truediv__(self, other: Any) -> ComplexTensor:
        real, imag = _parts(other, "/")
        if isinstance(imag, float) and imag == 0:
            return ComplexTensor(self.real / real, self.imag / real)
        size = real * real + imag * imag
        return self * ComplexTensor(real / size, -imag / size)

    def __rtruediv__(self, other: Any) -> ComplexTensor:
        size = self.real * self.real + self.imag * self.imag
        return ComplexTensor(self.real / size, -self.imag / size) * other

    __radd__, __rmul__ = __add__, __mul__

    __getitem__ = _on_both("__getitem__")
    clone = _on_both("clone")
    contiguous = _on_both("contiguous")
    cumsum = _on_both("cumsum")
    detach = _on_both("detach")
    expand = _on_both("expand")
    flatten = _on_both("flatten")
    flip = _on_both("flip")
    mean = _on_both("mean")
    movedim = _on_both("movedim")
    narrow = _on_both("narrow")
    permute = _on_both("permute")
    ravel = _on_both("ravel")
    repeat = _on_both("repeat")
    reshape = _on_both("reshape")
    roll = _on_both("roll")
    select = _on_both("select")
    squeeze = _on_both("squeeze")
    sum = _on_both("sum")
    swapaxes = _on_both("swapaxes")
    t = _on_both("t")
    transpose = _on_both("transpose")
    unflatten = _on_both("unflatten")
    unsqueeze = _on_both("unsqueeze")
    view = _on_both("view")

    def __len__(self) -> int:
        return len(self.real)

    def __repr__(self) -> str:
        return f"ComplexTensor(real={self.real!r}, imag={self.imag!r})"


def _parts(x: Any, sign: str) -> tuple[Any, Any]:
    """The real and the imaginary part of an operand."""
    if isinstance(x, ComplexTensor):
        return x.real, x.imag
    if isinstance(x, complex):
        return x.real, x.imag
    if isinstance(x, Tensor | bool | int | float | np.ndarray | np.generic):
        return x, 0.0
    raise ArgumentError(here(f"unsupported operand types for {sign}: ComplexTensor and {type(x).__name__}"))
