"""The table of samples: what one is, how a family adds its own, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from math import inf, nan, prod
from typing import Any
from zlib import crc32

import numpy as np
import pytest

from compiler.ir.types import DType, TensorType, bf16, dtype, f16, f32, f64, i64
from compiler.ops.elementwise import cast_array


@dataclass(frozen=True)
class Sample:
    """One call of an op.

    ``inputs`` are NumPy arrays and Python numbers. ``smooth`` is False where a finite difference means nothing: at
    kinks, infinities and NaN, and where the result does not depend on the inputs alone.
    """

    op: str
    name: str
    inputs: tuple[Any, ...]
    attrs: dict[str, Any] = field(default_factory=dict)
    smooth: bool = True

    @property
    def id(self) -> str:
        return f"{self.op}-{self.name}"

    @property
    def arrays(self) -> list[np.ndarray]:
        """The inputs that become parameters of the graph."""
        return [x for x in self.inputs if isinstance(x, np.ndarray)]

    def floats_as(self, to: DType) -> Sample:
        """The same call with its f32 arrays (the 16-bit ones too, if ``to`` is f64) in ``to``."""
        narrow = (f32, f16, bf16) if to is f64 else (f32,)

        def converted(x: Any) -> Any:
            return cast_array(x, to) if isinstance(x, np.ndarray) and dtype(x.dtype) in narrow else x

        attrs = {k: to if isinstance(v, DType) and v in narrow else v for k, v in self.attrs.items()}
        return replace(self, name=f"{self.name}-{to.short}", inputs=tuple(map(converted, self.inputs)), attrs=attrs)


class Draw:
    """Arrays for the samples of one op; what it draws depends on the op's name and the order of calls only."""

    def __init__(self, op: str) -> None:
        self.rng = np.random.default_rng(crc32(op.encode()))

    def floats(self, *shape: int, low: float = -2.0, high: float = 2.0, to: DType = f32) -> np.ndarray:
        return self.rng.uniform(low, high, shape).astype(to.numpy)

    def positive(self, *shape: int) -> np.ndarray:
        return self.floats(*shape, low=0.3, high=3.0)

    def distinct(self, *shape: int) -> np.ndarray:
        """Elements far enough apart that no finite difference exchanges two of them."""
        return (
            self.rng.permutation(np.linspace(-2, 2, prod(shape) or 1)[: prod(shape)]).reshape(shape).astype(np.float32)
        )

    def ints(self, *shape: int, low: int = -5, high: int = 6, to: DType = i64) -> np.ndarray:
        return np.asarray(self.rng.integers(low, high, shape), to.numpy)

    def bools(self, *shape: int) -> np.ndarray:
        return np.asarray(self.rng.integers(0, 2, shape), bool)


def special(to: DType = f32) -> np.ndarray:
    """Zeros of both signs, infinities, NaN, the smallest and the largest numbers of a type."""
    limits = np.finfo(np.float32) if to is not f16 else np.finfo(np.float16)
    tiny, small, large = limits.smallest_subnormal, limits.tiny, limits.max
    return np.array([0.0, -0.0, 1.0, -1.0, inf, -inf, nan, tiny, -small, large, -large, 0.5, -2.5]).astype(to.numpy)


def scalar(value: float, to: DType = f64) -> np.ndarray:
    return np.asarray(value, to.numpy)


Rows = Iterator[tuple[Any, ...]]
_TABLE: dict[str, Callable[[str, Draw], Rows]] = {}
_HALVES: set[str] = set()


def entry(*ops: str, halves: bool = True) -> Callable[[Callable[[str, Draw], Rows]], None]:
    """Samples of ``ops``, as rows ``(name, inputs, attrs, smooth)``; the last two may be left out.

    ``halves``: the first row with an f32 array is also taken in f16 and bf16.
    """

    def add(rows: Callable[[str, Draw], Rows]) -> None:
        for op in ops:
            assert op not in _TABLE, op
            _TABLE[op] = rows
            if halves:
                _HALVES.add(op)

    return add


@cache
def samples_of(op: str) -> tuple[Sample, ...]:
    """The samples of one op."""
    found = [Sample(op, name, tuple(inputs), *rest) for name, inputs, *rest in _TABLE[op](op, Draw(op))]
    floating = [s for s in found if any(x.dtype == np.float32 and x.size for x in s.arrays)]
    if op in _HALVES:
        found += [s.floats_as(to) for s in floating[:1] for to in (f16, bf16)]
    return tuple(found)


def op_names() -> list[str]:
    """Every op that has an entry."""
    return sorted(_TABLE)


def each(
    test: Callable[[Sample], None] | None = None,
    *,
    among: Callable[[str], bool] = lambda op: True,
    fits: Callable[[Sample], bool] = lambda sample: True,
) -> Any:
    """Run a test on the samples that fit, as one test for each op ``among`` all; an error names the sample.

    The samples of an op share a test because most take a millisecond, and pytest takes more for each test.
    """
    if test is None:
        return lambda test: each(test, among=among, fits=fits)

    @pytest.mark.parametrize("op", [op for op in op_names() if among(op)])
    def sweep(op: str) -> None:
        for sample in filter(fits, samples_of(op)):
            try:
                test(sample)
            except Exception as error:
                raise AssertionError(f"{sample.id}: {error}") from error

    sweep.__name__, sweep.__doc__, sweep.__module__ = test.__name__, test.__doc__, test.__module__
    return sweep


def samples() -> list[Sample]:
    """Every sample of every op that has an entry."""
    return [s for op in _TABLE for s in samples_of(op)]


def type_of(array: np.ndarray) -> TensorType:
    return TensorType(dtype(array.dtype), array.shape)
