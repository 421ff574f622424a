"""Element types and tensor types."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from math import prod

import ml_dtypes
import numpy as np

from compiler.errors import OpTypeError

Shape = tuple[int, ...]


class DType:
    """An element type. There is one instance per type; users meet them as ``genesis.float32`` and so on.

    ``short`` is the spelling in IR text (``f32``), ``name`` the user's spelling (``float32``), ``kind`` one of
    ``"bool"``, ``"int"``, ``"float"``, and ``numpy`` the NumPy dtype that stores it. ``is_half``: it is one of the two
    16-bit floating types, which are always computed in f32 and rounded once.
    """

    __slots__ = ("bits", "is_floating_point", "is_half", "itemsize", "kind", "name", "numpy", "short")

    def __init__(self, short: str, name: str, kind: str, storage: type) -> None:
        self.short, self.name, self.kind = short, name, kind
        self.numpy = np.dtype(storage)
        self.itemsize = self.numpy.itemsize
        self.bits = 8 * self.itemsize
        self.is_floating_point = kind == "float"
        self.is_half = self.is_floating_point and self.itemsize == 2

    def __repr__(self) -> str:
        return f"genesis.{self.name}"

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return dtype, (self.short,)


boolean = DType("bool", "bool", "bool", np.bool_)
u8 = DType("u8", "uint8", "int", np.uint8)
i8 = DType("i8", "int8", "int", np.int8)
i16 = DType("i16", "int16", "int", np.int16)
i32 = DType("i32", "int32", "int", np.int32)
i64 = DType("i64", "int64", "int", np.int64)
f16 = DType("f16", "float16", "float", np.float16)
bf16 = DType("bf16", "bfloat16", "float", ml_dtypes.bfloat16)
f32 = DType("f32", "float32", "float", np.float32)
f64 = DType("f64", "float64", "float", np.float64)

DTYPES: dict[str, DType] = {d.short: d for d in (boolean, u8, i8, i16, i32, i64, f16, bf16, f32, f64)}
_BY_NUMPY = {d.numpy: d for d in DTYPES.values()}
_CATEGORY = {"bool": 0, "int": 1, "float": 2}


def dtype(spec: object) -> DType:
    """The :class:`DType` for a DType, an IR spelling (``"f32"``), a user spelling (``"float32"``) or a NumPy dtype.

    Raises :class:`OpTypeError` for anything else.
    """
    if isinstance(spec, DType):
        return spec
    if isinstance(spec, str):
        for d in DTYPES.values():
            if spec in (d.short, d.name):
                return d
    else:
        with suppress(TypeError, ValueError):  # NumPy knows no such dtype
            found = _BY_NUMPY.get(np.dtype(spec))  # type: ignore[call-overload]
            if found is not None:
                return found
    raise OpTypeError(f"no Genesis dtype for {spec!r}; known: {', '.join(d.name for d in DTYPES.values())}")


def wider(a: DType, b: DType) -> DType:
    """The smallest type both convert to, by PyTorch's promotion table (f16 with bf16 gives f32)."""
    if a is b:
        return a
    if a.kind != b.kind:
        return a if _CATEGORY[a.kind] > _CATEGORY[b.kind] else b
    if a.itemsize != b.itemsize:
        return a if a.itemsize > b.itemsize else b
    return f32 if a.kind == "float" else i16


def promote(operands: list[tuple[DType, int | None]]) -> DType:
    """PyTorch's result type of mixed operands: ``(dtype, rank)`` pairs, ``rank=None`` for a Python number.

    A zero-dim tensor or a number only decides the result when its category (bool < int < float) is higher than that
    of every tensor with dimensions. Source: the "type promotion" section of PyTorch's tensor attributes page.
    """
    result: DType | None = None
    for tier in (lambda r: bool(r), lambda r: r == 0, lambda r: r is None):
        chosen: DType | None = None
        for d, rank in operands:
            if tier(rank):
                chosen = d if chosen is None else wider(chosen, d)
        if chosen is not None and (result is None or _CATEGORY[chosen.kind] > _CATEGORY[result.kind]):
            result = chosen
    assert result is not None
    return result


@dataclass(frozen=True, slots=True)
class TensorType:
    """Element type and static shape of a value."""

    dtype: DType
    shape: Shape

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def with_dtype(self, new: DType) -> TensorType:
        return self if new is self.dtype else TensorType(new, self.shape)

    def __str__(self) -> str:
        return f"{self.dtype.short}[{','.join(map(str, self.shape))}]"


class Defaults:
    """Settings of the process. ``float``: the dtype of Python floats, in which fractions of integers are computed."""

    float: DType = f32


defaults = Defaults()
