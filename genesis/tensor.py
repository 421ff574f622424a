"""The Tensor: a view over a shared cell. Its methods are the functions of ``genesis.functions``, attached there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from compiler.errors import ArgumentError, AutogradError, ChoiceError, IndexingError, TraceError
from compiler.ir.graph import Value
from compiler.ir.location import here, user_location
from compiler.ir.op import o
from compiler.ir.types import DType, TensorType, boolean, defaults, dtype
from compiler.ops.reduce import normalize_axis
from genesis.cells import Cell
from genesis.context import current_recording, grad_mode, session
from genesis.device import Device, device, on_cpu
from genesis.grad_fn import GradFn
from genesis.history import custom
from genesis.memory_format import channels_last, channels_last_3d, layout, strided
from genesis.methods import Methods
from genesis.names import missing
from genesis.printing import options
from genesis.replaced import Watched
from genesis.scope import ANSWERED, OF_MEMORY, eager_only
from genesis.shared import Holders, Shared, strides_of
from genesis.strides import Layout, Strides, after, contiguous_strides, first, is_contiguous, kept, reshaped
from genesis.values import TensorValue, concrete, held
from genesis.views import View, as_leaf, contents, put

CPU = device("cpu")

DECIDE_LATER = (
    "keep the decision in the graph (genesis.where, masked ops), return the tensor from the step and "
    "look at it outside, or take this code out of the compiled function"
)
SHOW_LATER = "return the tensor from the step and print it outside; its shape and dtype can be printed here"


class Size(tuple[int, ...]):
    """A shape; a tuple with ``numel``."""

    __slots__ = ()

    def numel(self) -> int:
        """Number of elements."""
        return int(np.prod(self, dtype=np.int64))

    def __repr__(self) -> str:
        return f"genesis.Size({list(self)})"


class _TensorMeta(Watched):
    """The class of Tensor: to the user's code a :class:`Number` is a float and no tensor, as in an eager call."""

    def __instancecheck__(cls, instance: Any) -> bool:
        if type(instance) is Number and sys._getframe(1).f_globals.get("__name__", "").partition(".")[0] not in _OURS:
            return False
        return type.__instancecheck__(cls, instance)


_OURS = ("genesis", "compiler", "runtime")


class Tensor(Methods, metaclass=_TensorMeta):
    """An n-dimensional array, with PyTorch's methods and meanings.

    ``_cell`` is the storage, ``_views`` the chain of view ops from it to this tensor. Writing through any view puts a
    new value into the cell, and every alias reads it.
    """

    __array_priority__ = 1000
    __slots__ = ("__dict__", "__weakref__", "_base", "_cell", "_kept", "_retains", "_shown", "_tracks", "_views")
    _base: TensorValue | None
    _shown: TensorValue | None
    _kept: Tensor | None

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

    def _start(self, cell: Cell, views: tuple[View, ...]) -> None:
        self._cell = cell
        self._views = views
        self._retains = False
        if views:
            self._tracks = session().grad_enabled
            self._base = self._shown = None
            self._register()

    def _register(self) -> None:
        recording = current_recording()
        if recording is None:
            self._cell.viewed(self)
        else:
            recording.viewed(self, self._cell)

    def move(self, cell: Cell) -> None:
        """Show ``cell`` through the same views; its contents are those that were shown so far."""
        self._cell, self._base = cell, None
        self._register()

    @property
    def value(self) -> TensorValue:
        """The IR value an op on this tensor reads."""
        base = self._cell.read()
        if not self._views:
            base.strides = self._cell.strides
            return base
        if self._base is not base:
            self._check_parted()
            with grad_mode(self._tracks):
                value: Value = base
                for op, operands, attrs in self._views:
                    value = op(value, *[x.value for x in operands], **attrs)
            self._show(base, held(value), self._layout()[1])
        assert self._shown is not None
        return self._shown

    def _show(self, base: TensorValue, shown: TensorValue, strides: Strides) -> None:
        """Keep ``shown``, what the views show of ``base``."""
        if shown.place is None:
            shown.place = base.place
        shown.strides = None if strides == contiguous_strides(shown.shape) else strides
        self._base, self._shown = base, shown

    def _check_parted(self) -> None:
        """Raise TraceError for a view from outside of what got other memory in the step."""
        recording, viewers = current_recording(), self._cell.viewers
        if recording is not None and viewers and self._cell in recording.parted and viewers.get(id(self)) is self:
            raise TraceError(
                f"a view, made outside the step, of {self._cell.label or 'a tensor'}, whose .data was assigned in the "
                f"step\n  at {user_location()}\n  the view keeps the old memory, which the step does not have; use "
                "copy_ under no_grad in place of the assignment, or read the view before it"
            )

    def view_as_op(self, op: Callable[..., Value], *operands: Tensor, **attrs: Any) -> Tensor:
        """A tensor that shows this one through one more view op."""
        return self._view_through((op, operands, attrs))

    def _view_through(self, *views: View) -> Tensor:
        """A tensor that shows this one through more views. They are checked, and their grad mode decided, at once."""
        result = Tensor.__new__(Tensor)
        result._start(self._cell, (*self._views, *views))
        if current_recording() is not None or (self._views and self._tracks is not result._tracks):
            result.value  # noqa: B018
            return result
        value: Value = self.value
        shape, strides = value.shape, self.value.strides or contiguous_strides(value.shape)
        for op, operands, attrs in views:
            value = op(value, *[x.value for x in operands], **attrs)
            shape, strides = after(op, attrs, shape, strides)
        result._show(self._cell.value, held(value), strides)
        return result

    def write(self, value: Value) -> Tensor:
        """Replace the contents, seen by every alias of the storage.

        Behind ``detach`` and under ``no_grad`` autograd does not know: a tensor with a history keeps the one it has.
        """
        unseen = any(op is contents for op, _, _ in self._views)
        tracks = session().grad_enabled and not unseen and not any(op is o.detach for op, _, _ in self._views)
        if tracks:
            self._check_writable()
        old = self._cell.read()
        if self._cell.shared is not None and self._views and self._shown is not None:
            self._shown.data = np.array(self._shown.data)  # what a backward pass saved stays what it was
        with grad_mode(tracks):
            new = held(put(old, self._views, value if tracks else o.detach(value)))
        self._cell.write(continued(old, new, seen=tracks), unseen)
        return self

    def _check_writable(self) -> None:
        if self._grad_cell.requires_grad:
            own = not self._views or self._views[-1][0] is as_leaf
            kind = "a leaf Variable" if own else "a view of a leaf Variable"
            home = self._cell.home
            if home is not None and self._cell in home.inner:
                raise AutogradError(
                    "a compiled step cannot write an argument that was computed outside from what requires a gradient\n"
                    f"  at {user_location()}\n  write a copy of it: x = x.clone()"
                )
            raise AutogradError(f"{kind} that requires grad is being used in an in-place operation.")

    @property
    def _grad_cell(self) -> Cell:
        """The cell that collects the gradient: that of the storage, or of a view that was made a leaf."""
        for op, _, attrs in reversed(self._views):
            if op is as_leaf:
                leaf: Cell = attrs["leaf"]
                return leaf
        return self._cell

    # What it is

    @property
    def _type(self) -> TensorType:
        return self.value.type if self._views else self._cell.type

    @property
    def dtype(self) -> DType:
        """The type of the elements."""
        return self._type.dtype

    @property
    def shape(self) -> Size:
        """The size of each dimension."""
        return Size(self._type.shape)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self._type.rank

    @property
    def device(self) -> Device:
        """The CPU, where all eager tensors are."""
        return CPU

    @property
    def is_cuda(self) -> bool:
        """False: eager tensors are on the CPU."""
        return False

    @property
    def is_sparse(self) -> bool:
        """False: there are no sparse tensors."""
        return False

    is_cpu = True
    is_mps = is_xpu = is_meta = is_quantized = is_mkldnn = is_nested = is_vulkan = False

    @property
    def layout(self) -> layout:
        """``strided``, the only one."""
        return strided

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.numel() * self.dtype.itemsize

    @property
    def grad_fn(self) -> GradFn | None:
        """The op that a backward pass goes through first; None for a leaf."""
        return None if self.is_leaf else GradFn(self.value)

    @property
    def requires_grad(self) -> bool:
        """Whether a backward pass computes a gradient for the tensor. Assigned: :meth:`requires_grad_`."""
        return self.value.requires_grad

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        self.requires_grad_(flag)

    @property
    def is_leaf(self) -> bool:
        """Whether no op that a backward pass goes through made the tensor."""
        value = self.value
        leaf = value.leaf
        if leaf is None:
            return not value.requires_grad
        return not value.requires_grad or leaf.home is None or leaf not in leaf.home.inner

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Make this leaf collect a gradient or not; in place.

        A view of what needs no gradient becomes a leaf that shares the storage, and nothing else, with the rest.
        """
        if not self.is_leaf:
            raise AutogradError("you can only change requires_grad flags of leaf variables.")
        if requires_grad and not self.dtype.is_floating_point:
            raise AutogradError("only Tensors of floating point dtype can require gradients")
        if self._views and self._views[-1][0] is not as_leaf:
            leaf = Cell(held(o.detach(self.value)), current_recording())
            leaf.strides = self.value.strides
            self._views = (*self._views, (as_leaf, (), {"leaf": leaf}))
        self._grad_cell.set_requires_grad(requires_grad)
        self._base = None
        return self

    @overload
    def size(self, dim: None = None) -> Size: ...
    @overload
    def size(self, dim: int) -> int: ...
    def size(self, dim: int | None = None) -> Size | int:
        """The shape, or the size of one dimension."""
        return self.shape if dim is None else self.shape[self._axis(dim)]

    def _axis(self, dim: int) -> int:
        if not self.ndim:
            raise IndexingError("dimension specified as 0 but tensor has no dimensions")
        return normalize_axis(dim, self.ndim)

    def _layout(self) -> Layout:
        shape = self._cell.type.shape
        layout = shape, self._cell.strides or contiguous_strides(shape)
        for op, _, attrs in self._views:
            layout = after(op, attrs, *layout)
        return layout

    @overload
    def stride(self, dim: None = None) -> tuple[int, ...]: ...
    @overload
    def stride(self, dim: int) -> int: ...
    def stride(self, dim: int | None = None) -> tuple[int, ...] | int:
        """Elements between neighbours along each dimension, or along ``dim``, of the storage that the tensor shows."""
        strides = self._layout()[1]
        return strides if dim is None else strides[self._axis(dim)]

    def storage_offset(self) -> int:
        """Elements of the storage before the first one that the tensor shows."""
        shape = self._cell.type.shape
        layout, found = (shape, self._cell.strides or contiguous_strides(shape)), 0
        for op, operands, attrs in self._views:
            found = first(op, operands, attrs, *layout, found)
            layout = after(op, attrs, *layout)
        return found

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """Whether the tensor shows its storage in row-major order without gaps.

        For ``channels_last`` and ``channels_last_3d``: whether it does with dimension 1 as the last.
        """
        if memory_format in (channels_last, channels_last_3d):
            shape, strides = self._layout()
            order = (0, *range(2, len(shape)), 1)
            fits = len(shape) == (4 if memory_format is channels_last else 5)
            return fits and is_contiguous(tuple(shape[d] for d in order), tuple(strides[d] for d in order))
        return self._is_whole() or is_contiguous(*self._layout())

    def shows_as(self, shape: tuple[int, ...]) -> bool:
        """Whether a view, without a copy, can show the elements in ``shape``."""
        return self._is_whole() or reshaped(*self._layout(), shape) is not None

    def _is_whole(self) -> bool:
        """Whether the tensor shows contiguous storage as it is."""
        return not self._views and self._cell.strides is None

    def dim(self) -> int:
        """The number of dimensions."""
        return self.ndim

    ndimension = dim

    def numel(self) -> int:
        """The number of elements."""
        return self._type.size

    nelement = numel

    def element_size(self) -> int:
        """Bytes of an element."""
        return self.dtype.itemsize

    def is_floating_point(self) -> bool:
        """Whether the elements are floats of any width."""
        return self.dtype.is_floating_point

    def __len__(self) -> int:
        if not self.ndim:
            raise ArgumentError(here("len() of a 0-d tensor"))
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:
            raise ArgumentError(here("iteration over a 0-d tensor"))
        return (self[i] for i in range(len(self)))

    def __hash__(self) -> int:
        home = self._cell.home
        if home is not None and self._cell.value.number and not self._views:
            raise TraceError(
                "a number that is read at every call (a hyper-parameter or a float argument) is looked up in a dict or "
                f"set\n  at {user_location()}\n  compare it (==, <) instead, or pass an int or a string"
            )
        return id(self)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Python asks here for what is not there."""
            if name.startswith("_"):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            raise missing("a Tensor", name, dir(Tensor))

    # Out of Genesis

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
        body = np.array2string(shown, separator=", ", prefix="tensor(", **options())
        notes = "" if self.dtype in (defaults.float, dtype("i64"), dtype("bool")) else f", dtype={self.dtype!r}"
        notes += ", requires_grad=True" if self.requires_grad else ""
        return f"tensor({body}{notes})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
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
        return _rebuild, (type(self), np.array(self._array("pickling")), self.requires_grad, strides)


def continued(old: TensorValue, new: TensorValue, seen: bool = False) -> TensorValue:
    """``new``, which takes the place of ``old``, with the history that ``old`` has, unless it has one of its own.

    What autograd has ``seen`` gives no gradient to what was there before; what it has not is taken for ``old``.
    """
    if not old.requires_grad or old.leaf is not None or new.requires_grad or new.type != old.type:
        return new
    (written,) = custom("write", [old], [new], _no_gradient if seen else _same_gradient)
    return held(written)


def _same_gradient(grads: Sequence[Value | None]) -> Sequence[Value | None]:
    return grads


def _no_gradient(grads: Sequence[Value | None]) -> list[Value | None]:
    return [None if g is None else o.zeros(shape=g.shape, dtype=g.dtype) for g in grads]


def _rebuild(kind: type[Tensor], array: np.ndarray, requires_grad: bool, strides: Strides | None = None) -> Tensor:
    result = kind.__new__(kind)
    result._start(Cell(concrete(array, TensorType(dtype(array.dtype), array.shape)), requires_grad=requires_grad), ())
    if strides is not None:
        result._cell.strides = strides
    return result


def copied(input: Tensor) -> TensorValue:
    """The contents in memory of their own, with the strides of ``input`` if these are dense; gradients flow through."""
    value = input.value
    if value.requires_grad:
        return held(o.mul(value, 1))
    result = held(o.detach(value)) if value.data is None else from_array(np.array(value.data)).value
    result.strides = kept(value.shape, value.strides)
    return result


class Number(Tensor):
    """A float argument or a hyper-parameter in a step that is being recorded, f64[], and what is computed from such.

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


def from_array(array: np.ndarray, requires_grad: bool = False) -> Tensor:
    """A tensor on ``array`` itself, without a copy; eager also inside a step that is being compiled."""
    contiguous = np.ascontiguousarray(array).reshape(array.shape)
    return _rebuild(Tensor, contiguous, requires_grad)


def memory_of(source: Tensor, what: str) -> Shared:
    """The memory of ``source``, for a cell that holds it, too, from now on; of a view that is a copy, this copy."""
    array = source._shared_array(what, outside=False)
    shared = source._cell.shared
    if shared is not None and np.may_share_memory(array, shared.array):
        return Shared(array, shared.holders)
    return Shared(np.array(array), Holders())


def on_memory(array: np.ndarray, holders: Holders | None = None) -> Tensor:
    """A tensor on the memory of ``array``: writing either changes both. Raises ValueError for negative strides.

    ``holders`` are those of this memory so far; without them, somebody outside of Genesis holds it.
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


class _Member(Tensor):
    """A tensor made to be a member of a module; it shares the memory of the tensor it is made of."""

    def _share(self, data: Any, what: str, requires_grad: bool) -> None:
        source = data if isinstance(data, Tensor) else tensor([] if data is None else data)
        shared = memory_of(source, f"making a {what}")
        self._start(Cell(concrete(shared.array, source._type), requires_grad=requires_grad), ())
        self._cell.hold(shared)
        self._cell.strides = source.value.strides


class Buffer(_Member):
    """A tensor that a module registers as a buffer when it is assigned; ``persistent`` ones are in the state dict."""

    persistent = True

    def __new__(cls, data: Any = None, *, persistent: bool = True) -> Buffer:
        return super().__new__(cls)

    def __init__(self, data: Any = None, *, persistent: bool = True) -> None:
        self._share(data, "Buffer", False)
        self.persistent = persistent


class Parameter(_Member):
    """A tensor that a module registers and an optimizer trains; it shares the memory of the tensor it is made of."""

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Parameter:
        return super().__new__(cls)

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        self._share(data, "Parameter", requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"
