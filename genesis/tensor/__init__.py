"""The Tensor, and how one is made of a value, an array or numbers.

Its methods are the functions of ``genesis.functions``, attached there; its bases are what it is apart from these.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from compiler.errors import ArgumentError, AutogradError, ChoiceError
from compiler.ir.graph import Value
from compiler.ir.location import here
from compiler.ir.op import o
from compiler.ir.types import DType, TensorType, boolean, defaults, dtype
from genesis.context import current_recording
from genesis.device import on_cpu
from genesis.memory.cells import Cell
from genesis.memory.shared import Holders, Shared, strides_of
from genesis.memory.strides import kept
from genesis.memory.values import TensorValue, concrete, held
from genesis.memory.views import View
from genesis.names import missing
from genesis.replaced import Watched
from genesis.size import Size
from genesis.tensor.python_protocol import PythonProtocol, rebuilt


class _TensorMeta(Watched):
    """The class of Tensor: to the user's code a :class:`Number` is a float and no tensor, as in an eager call."""

    def __instancecheck__(cls, instance: Any) -> bool:
        if type(instance) is Number and sys._getframe(1).f_globals.get("__name__", "").partition(".")[0] not in _OURS:
            return False
        return type.__instancecheck__(cls, instance)


_OURS = ("genesis", "compiler", "runtime")


class Tensor(PythonProtocol, metaclass=_TensorMeta):
    """An n-dimensional array, with PyTorch's methods and meanings."""

    __slots__ = ()
    __array_priority__ = 1000
    _kept: Tensor | None
    _starts: Callable[[Tensor], None]

    def __init__(self, *data: Any, device: Any = None) -> None:
        """``Tensor(2, 3)``: sizes, of contents that are not defined. ``Tensor([2, 3])``: contents.

        Both are of the default dtype. A tensor is shared, not copied. Other dtypes, and gradients, are for
        :func:`tensor`.
        """
        on_cpu(device)
        if len(data) == 1 and isinstance(data[0], Tensor):
            self._start(data[0]._cell, data[0]._views)
            return
        sizes = data[0] if len(data) == 1 and isinstance(data[0], Size) else data
        if all(isinstance(n, int) and not isinstance(n, bool) for n in sizes):
            made = tensor(np.zeros(sizes if data else 0, defaults.float.numpy))
        elif len(data) == 1 and isinstance(data[0], list | tuple | np.ndarray):
            made = tensor(data[0], dtype=defaults.float)
        else:
            shown = ", ".join(type(x).__name__ for x in data)
            raise ArgumentError(
                here(f"Tensor({shown}): sizes as ints, or one sequence of numbers", "genesis.tensor(...) takes numbers")
            )
        self._start(made._cell, ())

    def view_as_op(self, op: Callable[..., Value], *operands: Tensor, **attrs: Any) -> Tensor:
        """A tensor that shows this one through one more view op."""
        return self._view_through((op, operands, attrs))

    def _view_through(self, *views: View) -> Tensor:
        """A tensor that shows this one through more views. They are checked, and their grad mode decided, at once."""
        result = Tensor.__new__(Tensor)
        result._start(self._cell, (*self._views, *views))
        if current_recording() is not None or (self._views and self._tracks is not result._tracks):
            result.value  # noqa: B018
        else:
            result._show(self._cell.value, views, self.value)
        return result

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:
            raise ArgumentError(here("iteration over a 0-d tensor"))
        return (self[i] for i in range(len(self)))

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Python asks here for names that are not there."""
            if name in _STARTED:
                self._starts(self)
                return object.__getattribute__(self, name)
            if name.startswith("_"):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            raise missing("a Tensor", f"torch.Tensor.{name}", dir(Tensor))


_STARTED = frozenset(("_cell", "_views", "_retains"))
"""The attributes that every tensor has once it is started."""


def copied(input: Tensor) -> TensorValue:
    """The contents in memory of their own, with the strides of ``input`` if these are dense; gradients flow through."""
    value = input.value
    if value.requires_grad:
        return held(o.mul(value, 1))
    result = held(o.detach(value)) if value.data is None else from_array(np.array(value.data)).value
    result.strides = kept(value.shape, value.strides)
    return result


class Number(Tensor):
    """A float argument or a hyper-parameter in a step that is being recorded, f64[], and numbers computed from such.

    ``isinstance(x, float)`` holds, as in an eager call; ``type(x) is float`` does not, so that a step which asks for it
    is refused if it has a float argument. It leaves a step as a float.
    """

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return bool if self.dtype is boolean else float

    def __round__(self, digits: int | None = None) -> Any:
        return round(self._array("round()").item(), digits)

    def __trunc__(self) -> int:
        return int(self._array("math.trunc()"))

    def __floor__(self) -> int:
        return int(self._array("math.floor()") // 1)

    def __ceil__(self) -> int:
        return -int(-self._array("math.ceil()") // 1)

    def _rebound(self, other: Any, **_: Any) -> Any:
        """``k += 1`` makes another number, as floats do, and leaves this one as it is."""
        return NotImplemented

    __iadd__ = __isub__ = _rebound  # type: ignore[assignment]  # in place, tensors take alpha= too
    __imul__ = __itruediv__ = __ifloordiv__ = __imod__ = __ipow__ = _rebound


def wrap(value: Value) -> Tensor:
    """A tensor of its own for a freshly computed value."""
    assert isinstance(value, TensorValue), f"{value!r} was not made for a tensor"
    result = Tensor.__new__(Number if value.number else Tensor)
    cell = Cell(value, current_recording())
    cell.strides = value.strides
    result._start(cell, ())
    return result


def row_major(value: Value) -> Tensor:
    """:func:`wrap` for an op whose results are contiguous whatever its operands are."""
    result = wrap(value)
    result._cell.strides = None
    return result


def view_of(cell: Cell, views: tuple[View, ...]) -> Tensor:
    """A tensor that shows ``cell`` through ``views``."""
    result = Tensor.__new__(Tensor)
    result._start(cell, views)
    return result


def later(start: Callable[[Tensor], None]) -> Tensor:
    """A tensor that ``start`` is to start when somebody looks at it."""
    result = Tensor.__new__(Tensor)
    result._starts = start
    return result


def from_array(array: np.ndarray, requires_grad: bool = False) -> Tensor:
    """A tensor on ``array`` itself, without a copy; eager also inside a step that is being compiled."""
    contiguous = np.ascontiguousarray(array).reshape(array.shape)
    return rebuilt(Tensor, contiguous, requires_grad)


def memory_of(source: Tensor, what: str) -> Shared:
    """The memory of ``source``, for a cell that holds it, too, from now on; of a view that is a copy, this copy."""
    array = source._shared_array(what, outside=False)
    shared = source._cell.shared
    if shared is not None and np.may_share_memory(array, shared.array):
        return Shared(array, shared.holders)
    return Shared(np.array(array), Holders())


def on_memory(array: np.ndarray, holders: Holders | None = None) -> Tensor:
    """A tensor on the memory of ``array``: writing either changes both. Raises ValueError for negative strides.

    ``holders`` are the holders of this memory so far; without them, somebody outside of Genesis holds it.
    """
    result, strides = Tensor.__new__(Tensor), strides_of(array)
    result._start(Cell(concrete(array, TensorType(dtype(array.dtype), array.shape))), ())
    result._cell.strides = strides
    result._cell.hold(Shared(array, holders or Holders(outside=True)))
    return result


def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A new tensor with a copy of ``data`` (numbers, nested lists, arrays, tensors of any library with ``__array__``).

    Python floats become the default dtype, ints int64, as in PyTorch; NumPy arrays keep their dtype. Raises TypeError
    for a dtype that Genesis does not have. Inside a step that is being compiled, a NumPy array from outside is read at
    every call.
    """
    on_cpu(device)
    want = None if dtype is None else _dtype(dtype)
    if isinstance(data, Tensor) and current_recording() is not None:
        number = data.value.number and data.dtype.is_floating_point  # it stands for a Python float
        made = wrap(o.cast(o.detach(data.value), to=want or (defaults.float if number else data.dtype)))
        if requires_grad:
            made._cell.set_requires_grad(True)
        return made
    if isinstance(data, Tensor):
        data = data._array("genesis.tensor()")
    if hasattr(data, "detach") and hasattr(data, "cpu"):
        data = data.detach().cpu()
        data = data.float().numpy() if str(data.dtype) == "torch.bfloat16" else data.numpy()
    given = isinstance(data, np.ndarray | np.generic)
    try:
        array = np.array(data) if given or not _has_tensors(data) else np.array([np.asarray(x) for x in data])
    except ValueError:
        raise ChoiceError(f"the nested sequences differ in length: {_short(data)}") from None
    if array.dtype.kind in "OUS":
        raise ArgumentError(f"tensor() takes numbers, not {type(data).__name__} {_short(data)} ({array.dtype})")
    if want is None and not given and array.dtype == np.float64 and not _has_numpy(data):
        want = defaults.float
    kind = want if want is not None else _dtype(array.dtype)
    if requires_grad and not kind.is_floating_point:
        raise AutogradError(here(f"only Tensors of floating point dtype can require gradients, not {kind!r}"))
    recording = current_recording()
    if recording is None:
        return from_array(array.astype(kind.numpy), requires_grad)
    source = data if isinstance(data, np.ndarray) else array.astype(kind.numpy)
    made = wrap(recording.array(source, TensorType(kind, array.shape)))
    if requires_grad:
        made._cell.set_requires_grad(True)
    return made


def _has_numpy(data: Any) -> bool:
    """Whether one of nested sequences holds numbers of NumPy, which keep their dtype."""
    if isinstance(data, list | tuple):
        return any(map(_has_numpy, data))
    return isinstance(data, np.ndarray | np.generic)


def _short(data: Any) -> str:
    text = repr(data)
    return text if len(text) < 60 else f"{text[:56]} ..."


def _has_tensors(data: Any) -> bool:
    return isinstance(data, list | tuple) and any(isinstance(x, Tensor) for x in data)


def _dtype(spec: Any) -> DType:
    return dtype(spec)
