"""A tensor as Python and NumPy see it: numbers, arrays, decisions, prints, copies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from compiler.errors import ArgumentError, AutogradError, ChoiceError, TraceError
from compiler.ir.location import here, user_location
from compiler.ir.types import TensorType, defaults, dtype
from genesis.context import current_recording
from genesis.memory.cells import Cell
from genesis.memory.strides import Strides, kept
from genesis.memory.values import concrete
from genesis.scope import ANSWERED, OF_MEMORY, eager_only
from genesis.tensor.differentiable import Differentiable
from genesis.tensor.printing import text_of

if TYPE_CHECKING:
    from typing_extensions import Self

DECIDE_LATER = (
    "keep the decision in the graph (genesis.where, masked ops), return the tensor from the step and "
    "look at it outside, or take this code out of the compiled function"
)
SHOW_LATER = "return the tensor from the step and print it outside; its shape and dtype can be printed here"
T = TypeVar("T", bound="PythonProtocol")


class PythonProtocol(Differentiable):
    """A tensor, as far as Python's own functions and other libraries ask."""

    __slots__ = ()

    def __len__(self) -> int:
        if not self.ndim:
            raise ArgumentError(here("len() of a 0-d tensor"))
        return self.shape[0]

    def __hash__(self) -> int:
        home = self._cell.home
        if home is not None and self._cell.value.number and not self._views:
            raise TraceError(
                "a number that is read at every call (a hyper-parameter or a float argument) is looked up in a dict or "
                f"set\n  at {user_location()}\n  compare it (==, <) instead, or pass an int or a string"
            )
        return id(self)

    def _array(self, what: str, advice: str = "") -> np.ndarray:
        """The contents; inside a step that is being compiled there are none yet, and ``advice`` says what to do."""
        data = self.value.data
        recording = current_recording()
        if (
            data is None
            and recording is not None
            and not self.ndim
            and recording.host.host_value(self.value) is not None
        ):
            raise TraceError(
                f"{what} would fix a number that is read at every call, a hyper-parameter or a float argument\n"
                f"  at {user_location()}\n"
                "  compute with the tensor that it is (x ** 0.5 for math.sqrt(x), genesis.log(x)), compare it (if, "
                "min, max), or look at the number outside the step"
            )
        if data is None:
            raise TraceError(
                f"{what} needs the contents of a {self._type} tensor, "
                "which do not exist while the step is being compiled\n"
                f"  at {user_location()}\n"
                f"  {advice or DECIDE_LATER}"
            )
        return data

    @eager_only(OF_MEMORY)
    def data_ptr(self) -> int:
        """The address of the first element, which in-place ops keep from now on."""
        return int(self._shared_array(".data_ptr()").ctypes.data)

    @eager_only(OF_MEMORY)
    def numpy(self) -> np.ndarray:
        """The contents as a NumPy array (bfloat16 as ``ml_dtypes.bfloat16``), which shares the tensor's memory."""
        if self.requires_grad:
            raise AutogradError(
                here("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
            )
        return self._shared_array(".numpy()")

    def _shared_array(self, what: str, outside: bool = True) -> np.ndarray:
        """The contents, in memory that in-place ops write from now on."""
        self._array(what)
        if self._cell.home is None:
            self._cell.share(outside)
            if self._views:
                self._base = None
        return self._array(what)

    @eager_only(ANSWERED)
    def item(self) -> Any:
        """The only element as a Python number."""
        if self.numel() != 1:
            raise AutogradError(here(f"a Tensor with {self.numel()} elements cannot be converted to Scalar"))
        return self._array(".item()").item()

    @eager_only(ANSWERED)
    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers; a number for no dimensions."""
        return self._array(".tolist()").tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        what = "conversion to a NumPy array"
        if copy or dtype is not None:
            return np.array(self._array(what), dtype=dtype, copy=True)
        return self._shared_array(what)

    def __dlpack__(self, **options: Any) -> Any:
        return self._shared_array("DLPack export").__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __bool__(self) -> bool:
        if self.numel() != 1:
            raise AutogradError(
                here(f"Boolean value of Tensor with {self.numel()} values is ambiguous", "use .any() or .all()")
            )
        value = self.value
        recording = current_recording()
        if value.data is None and recording is not None:
            decided = recording.host.decide(value)
            if decided is not None:
                return decided
        return bool(self._array("a branch on a tensor (bool)"))

    def _number(self, kind: str) -> Any:
        if self.numel() != 1:
            raise ChoiceError(f"only one element tensors can be converted to Python scalars, {kind}() of {self._type}")
        return self.item()

    def __int__(self) -> int:
        return int(self._number("int"))

    def __index__(self) -> int:
        if self.dtype.kind == "float":
            raise ArgumentError(
                here(f"only integer tensors of a single element can be converted to an index, not {self._type}")
            )
        return int(self._number("index"))

    def __float__(self) -> float:
        return float(self._number("float"))

    def __format__(self, spec: str) -> str:
        if self.ndim:
            return repr(self)
        return format(self._array("an f-string or format()", SHOW_LATER).item(), spec)

    def __repr__(self) -> str:
        array = self._array("printing a tensor", SHOW_LATER)
        shown = array.astype(np.float32) if self.dtype.is_half else array
        notes = [] if array.size or self.ndim == 1 else [f"size={tuple(self.shape)}"]
        if self.dtype is not defaults.float and (not array.size or self.dtype not in (dtype("i64"), dtype("bool"))):
            notes.append(f"dtype={self.dtype!r}")
        if self.requires_grad:
            notes.append("requires_grad=True")
        return text_of(shown, notes)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        if not self.is_leaf:
            raise AutogradError(
                "Only Tensors created explicitly by the user support the deepcopy protocol at the moment"
            )
        result = type(self).__new__(type(self))
        memo[id(self)] = result
        copied = concrete(np.array(self._array("deepcopy")), self._type)
        result._start(Cell(copied, requires_grad=self.requires_grad), ())
        result._cell.strides = kept(self.shape, self.value.strides)
        return result

    def __reduce_ex__(self, protocol: Any) -> Any:
        strides = kept(self.shape, self.value.strides)
        return rebuilt, (type(self), np.array(self._array("pickling")), self.requires_grad, strides)


def rebuilt(kind: type[T], array: np.ndarray, requires_grad: bool, strides: Strides | None = None) -> T:
    result = kind.__new__(kind)
    result._start(Cell(concrete(array, TensorType(dtype(array.dtype), array.shape)), requires_grad=requires_grad), ())
    if strides is not None:
        result._cell.strides = strides
    return result
