"""Questions about tensors and dtypes."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from compiler.errors import ArgumentError, AutogradError
from compiler.ir.location import here
from compiler.ir.types import DType, boolean, defaults, f32, promote, u8
from compiler.ir.types import dtype as to_dtype
from compiler.ops.elementwise import broadcast_shapes as broadcast
from genesis.context import session
from genesis.functions.table import api, function_only, method_only
from genesis.scope import ANSWERED
from genesis.size import Size
from genesis.tensor import Tensor


@api(method=False)
def is_floating_point(input: Tensor) -> bool:
    """Whether the elements are floats of any width."""
    return input.is_floating_point()


@api()
def is_signed(input: Tensor) -> bool:
    """Whether elements may be negative."""
    return input.dtype not in (u8, boolean)


@api()
def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether the shapes are equal."""
    return input.shape == other.shape


@function_only
def broadcast_shapes(*shapes: Any) -> Size:
    """The shape that tensors of ``shapes`` have together; raises RuntimeError where there is none."""
    return Size(broadcast(*((s,) if isinstance(s, int) else tuple(s) for s in shapes)))


@api()
def is_complex(input: Tensor) -> bool:
    """False: there are no complex tensors."""
    return False


@api()
def is_conj(input: Tensor) -> bool:
    """False: there are no complex tensors."""
    return False


@api(eager_only=ANSWERED)
def is_nonzero(input: Tensor) -> bool:
    """Whether the one element is not zero. Raises RuntimeError for another number of elements."""
    if input.numel() != 1:
        raise AutogradError(here(f"Boolean value of Tensor with {input.numel()} values is ambiguous"))
    return bool(input)


@api()
def is_inference(input: Tensor) -> bool:
    """False: tensors that are made in ``inference_mode`` are like others."""
    return False


@function_only
def is_inference_mode_enabled() -> bool:
    """Whether ops keep no history here; ``inference_mode`` is the same as ``no_grad``."""
    return not session().grad_enabled


@function_only
def is_storage(obj: Any) -> bool:
    """False: there are no storages of their own."""
    return False


@function_only
def typename(obj: Any) -> str:
    """The name of a type, or of the type of an object: ``"genesis.FloatTensor"``, ``"int"``."""
    if isinstance(obj, Tensor):
        return str(obj.type())
    kind = obj if isinstance(obj, type) else type(obj)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


@function_only
def promote_types(type1: Any, type2: Any) -> DType:
    """The dtype of the result of an op on tensors of two dtypes."""
    return promote([(to_dtype(type1), 1), (to_dtype(type2), 1)])


@function_only
def result_type(tensor1: Any, tensor2: Any) -> DType:
    """The dtype of the result of an op on two tensors or Python numbers."""
    return promote([_operand(tensor1), _operand(tensor2)])


def _operand(x: Any) -> tuple[DType, int | None]:
    if isinstance(x, Tensor):
        return x.dtype, x.ndim
    if not isinstance(x, bool | int | float):
        raise ArgumentError(here(f"result_type() takes tensors and numbers, not {type(x).__name__}"))
    return (defaults.float if isinstance(x, float) else to_dtype("bool" if isinstance(x, bool) else "i64")), None


@function_only
def can_cast(from_: Any, to: Any) -> bool:
    """Whether an in-place op may cast: not from floats to ints, nor from numbers to bool."""
    order = {"bool": 0, "int": 1, "float": 2}
    return order[to_dtype(from_).kind] <= order[to_dtype(to).kind]


class finfo:
    """The limits of a float dtype: ``eps``, ``max``, ``min``, ``tiny``, ``smallest_normal``, ``resolution``, ``bits``.

    Raises TypeError for another dtype.
    """

    def __init__(self, type: Any = f32) -> None:
        kind = to_dtype(type)
        if not kind.is_floating_point:
            raise ArgumentError(here(f"finfo() requires a floating point input type, not {kind!r}", "use iinfo()"))
        limits = ml_dtypes.finfo(kind.numpy)
        self.dtype, self.bits = kind.name, kind.itemsize * 8
        self.eps, self.max, self.min = float(limits.eps), float(limits.max), float(limits.min)
        self.tiny = self.smallest_normal = float(limits.smallest_normal)
        self.resolution = 10.0**-limits.precision

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution}, min={self.min}, max={self.max}, eps={self.eps}, dtype={self.dtype})"
        )


class iinfo:
    """The limits of an int dtype: ``max``, ``min``, ``bits``. Raises TypeError for another dtype."""

    def __init__(self, type: Any) -> None:
        kind = to_dtype(type)
        if kind.kind != "int":
            raise ArgumentError(here(f"iinfo() requires an integer input type, not {kind!r}", "use finfo()"))
        limits: Any = np.iinfo(kind.numpy.str)
        self.dtype, self.bits = kind.name, kind.itemsize * 8
        self.max, self.min = int(limits.max), int(limits.min)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"


@method_only
def pin_memory(input: Tensor, device: Any = None) -> Tensor:
    """The tensor itself: no copy to a GPU waits for it."""
    return input


@method_only
def share_memory_(input: Tensor) -> Tensor:
    """The tensor itself: processes that work for a loader get what they need by fork, or as a copy."""
    return input


@method_only
def is_pinned(input: Tensor, device: Any = None) -> bool:
    """False: memory is not pinned."""
    return False


@api()
def get_device(input: Tensor) -> int:
    """-1: the tensor is on the CPU."""
    return -1


@method_only
def is_shared(input: Tensor) -> bool:
    """False: other processes do not see the memory."""
    return False
