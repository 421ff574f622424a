"""The old names of tensors by dtype: ``FloatTensor(2, 3)``, ``isinstance(x, LongTensor)``."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from compiler.errors import UnsupportedError
from compiler.ir.location import here
from compiler.ir.types import DType, bf16, boolean, f16, f32, f64, i8, i16, i32, i64, u8
from genesis.size import Size
from genesis.tensor import Tensor, tensor


class TensorType(type):
    """The class of the old tensor types: calling one makes a tensor, and a tensor of its dtype is an instance."""

    dtype: DType

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor) and instance.dtype is cls.dtype

    def __call__(cls, *data: Any) -> Tensor:
        """Zeros of the given sizes; or the numbers of one sequence, array or tensor, in this dtype."""
        if len(data) == 1 and not isinstance(data[0], int | Size):
            return tensor(data[0], dtype=cls.dtype)
        sizes = data[0] if len(data) == 1 and isinstance(data[0], Size) else data
        return tensor(np.zeros(sizes if data else 0, cls.dtype.numpy))


class _OnGpu(type):
    """The class of the old types of tensors on a GPU; no tensor is an instance."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return False

    def __call__(cls, *data: Any) -> NoReturn:
        raise UnsupportedError(
            here(
                f"cuda.{cls.__name__}: eager tensors are in the memory of the CPU", f"genesis.{cls.__name__} makes one"
            )
        )


NAMES: dict[DType, str] = {
    f32: "FloatTensor",
    f64: "DoubleTensor",
    f16: "HalfTensor",
    bf16: "BFloat16Tensor",
    i64: "LongTensor",
    i32: "IntTensor",
    i16: "ShortTensor",
    i8: "CharTensor",
    u8: "ByteTensor",
    boolean: "BoolTensor",
}


def _made(dtype: DType) -> TensorType:
    name = NAMES[dtype]
    return TensorType(name, (), {"dtype": dtype, "__module__": "genesis", "__doc__": f"A tensor of {dtype.name}."})


FloatTensor = _made(f32)
DoubleTensor = _made(f64)
HalfTensor = _made(f16)
BFloat16Tensor = _made(bf16)
LongTensor = _made(i64)
IntTensor = _made(i32)
ShortTensor = _made(i16)
CharTensor = _made(i8)
ByteTensor = _made(u8)
BoolTensor = _made(boolean)
ON_GPU = {name: _OnGpu(name, (), {"__module__": "genesis.cuda"}) for name in NAMES.values()}


def dtype_named(kind: Any) -> Any:
    """The dtype of ``"genesis.FloatTensor"``, ``"torch.FloatTensor"`` or ``FloatTensor``; anything else as it is."""
    if isinstance(kind, TensorType):
        return kind.dtype
    named = {name: dtype for dtype, name in NAMES.items()}
    return named.get(kind.rpartition(".")[2], kind) if isinstance(kind, str) else kind
