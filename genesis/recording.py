"""Op calls, tensor reads and tensor writes that go into a graph: of a step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import ReferenceType

from compiler.errors import TraceError
from compiler.ir.graph import Graph, Node, Update, Value
from compiler.ir.location import Loc
from compiler.ir.op import o
from compiler.ir.types import TensorType
from genesis.host import HostRecord
from genesis.memory.cells import Cell, Hook, Place, Viewers
from genesis.memory.values import TensorValue, held
from genesis.recorder import Recorder


class RecordingBuilder(Recorder):
    """A recorder that knows its trace, and the device it is for."""

    def __init__(self, recording: Trace, grad_enabled: bool) -> None:
        super().__init__(grad_enabled)
        self.recording = recording
        self.target = "cpu"


class LateInput:
    """An input of the graph that is no argument: the gradient that a call finds in ``cell``, or an ``array``.

    An array is handed to the program in ``dtype``.
    ``owner``: the array that was there before the step was recorded, of which ``array`` is a part that is read at every
    call; None for a constant.
    """

    __slots__ = ("array", "cell", "dtype", "owner")

    def __init__(self, cell: Cell | None = None, array: Any = None, dtype: Any = None, owner: Any = None) -> None:
        self.cell, self.array, self.dtype, self.owner = cell, array, dtype, owner


class Trace(ABC):
    """Op calls, tensor reads and tensor writes that go into a graph: a step's, or a loop's body's.

    Attributes:
        state: cells of the outside that are read or written, with their input value, in order of first use.
        current: the value each of those cells has now.
        host: numbers that are read from the host, and changes made there.
        drawn: how many draws were taken from each generator.
        drew_at: where the last of them was taken.
        module_names: the scope that each reachable module's ops are recorded under.
        hooks: what sees the gradient of a value, or of a cell of the outside.
        customs: for results of custom functions, the node (outside the graph) that their gradient goes back through.
        shown: cells that show the memory of a NumPy array from outside, with their input value.
        lent: cells that took the memory of another one (``p.data = x``), and the user's line.
        inner: arguments that were computed outside from what requires a gradient: they are no leaves.
        viewers: for each cell the tensors made in the trace that show it through views.
        parted: cells of the outside that got other memory (``p.data = x``).
        freed: nodes that a backward pass went through without ``retain_graph``; no other may.
    """

    def __init__(self, name: str, grad_enabled: bool) -> None:
        self.graph = Graph(name)
        self.builder = RecordingBuilder(self, grad_enabled)
        self.state: dict[Cell, TensorValue] = {}
        self.current: dict[Cell, TensorValue] = {}
        self.host = HostRecord(self.graph)
        self.drawn: dict[Any, int] = {}
        self.drew_at: dict[Any, Loc] = {}
        self.module_names: dict[Any, str] = {}
        self.hooks: dict[Any, dict[float, Hook]] = {}
        self.customs: dict[Value, Node] = {}
        self.inner: set[Cell] = set()
        self.freed: set[Node] = set()
        self.shown: list[tuple[Cell, TensorValue]] = []
        self.viewers: dict[Cell, Viewers] = {}
        self.parted: dict[Cell, None] = {}
        self.lent: list[tuple[ReferenceType[Cell], Loc]] = []

    def check_memory(self) -> None:
        """Raise TraceError where an eager call would share memory in a way that a program does not."""
        for cell, value in self.shown:
            if cell.value is not value:
                raise TraceError(
                    f"the step writes the memory of a NumPy array {value.type}, which from_numpy() shows in it\n"
                    "  make the tensor outside, x = genesis.from_numpy(array), and write that: x and array share memory"
                )
        for lent, line in self.lent:
            if lent() is not None:
                raise TraceError(
                    "assignment to .data, in a step, of a tensor that is used elsewhere: both would share their memory "
                    f"from then on\n  at {line}\n  assign x.clone(), or use copy_ under no_grad"
                )

    def viewed(self, tensor: Any, cell: Cell) -> None:
        """``tensor`` shows the contents of ``cell`` through views."""
        self.viewers.setdefault(cell, Viewers()).add(tensor)

    def part(self, cell: Cell) -> None:
        """Leave the memory of ``cell``, which gets another one, to the views that were made of it in the trace."""
        viewers = self.viewers.pop(cell, Viewers()).alive()
        if viewers:
            old = Cell(cell.read(), self)
            old.strides = cell.strides
            for tensor in viewers:
                tensor.move(old)
        if self.is_outside(cell):
            self.parted[cell] = None

    @property
    @abstractmethod
    def step(self) -> Recording | None:
        """The recording of the whole step; None for a loop that runs at once."""

    @abstractmethod
    def training(self) -> Recording:
        """The recording that gradients and optimizers act on; TraceError in the body of a loop, which has none."""

    @abstractmethod
    def is_outside(self, cell: Cell) -> bool:
        """Whether ``cell`` was there before the trace began."""

    @abstractmethod
    def read(self, cell: Cell) -> TensorValue:
        """The value of a cell of the outside at this point."""

    @abstractmethod
    def write(self, cell: Cell, value: Value) -> None:
        """From here on a cell of the outside holds ``value``; TraceError where that is impossible."""

    @abstractmethod
    def array(self, array: Any, kind: TensorType) -> TensorValue:
        """A NumPy array as an input of the graph; its elements are converted to the dtype of ``kind`` at every call."""

    def make_leaf(self, cell: Cell) -> None:
        """From here on a cell of the outside is read as a leaf, or as a constant: its flag has changed."""
        if cell in self.current:
            value = held(o.detach(self.current[cell]))
            self._as_leaf(cell, value)
            value.place = Place(cell)
            self.current[cell] = value

    @staticmethod
    def _as_leaf(cell: Cell, value: TensorValue) -> None:
        if cell.requires_grad:
            value.leaf, value.requires_grad, value.cut = cell, True, False


class Recording(Trace):
    """One trace of a step: the graph so far and what it does to the outside world.

    Attributes:
        written: cells of the outside that the step wrote.
        grads: ``.grad`` of outside cells as the step left it (a tensor or None).
        entry_grads: what ``.grad`` was when the step first looked, for guards.
        given_grads: the inputs of the graph for those that were there.
        traced_grads: the tensors that stand for these.
        shared: cells that the step reaches in several ways; a gradient among them is a state, and no input.
        late_inputs: the inputs of the graph that are no arguments, in their order.
        outside_arrays: NumPy arrays that were there before, by identity.
        cleared: cells whose gradient the step dropped before reading it.
        last: what ``step.last`` reports: "found_inf", "loss_scale", "grad_norm".
    """

    def __init__(self, name: str, grad_enabled: bool = True) -> None:
        super().__init__(name, grad_enabled)
        self.written: dict[Cell, None] = {}
        self.grads: dict[Cell, Any] = {}
        self.entry_grads: dict[Cell, Any] = {}
        self.given_grads: dict[Cell, TensorValue] = {}
        self.traced_grads: dict[Cell, Any] = {}
        self.shared: Collection[Cell] = ()
        self.late_inputs: list[LateInput] = []
        self.outside_arrays: dict[int, Any] = {}
        self.cleared: set[Cell] = set()
        self.last: dict[str, Value] = {}

    @property
    def step(self) -> Recording:
        return self

    def training(self) -> Recording:
        return self

    def is_outside(self, cell: Cell) -> bool:
        return cell.home is None

    def read(self, cell: Cell) -> TensorValue:
        found = self.current.get(cell)
        if found is None:
            found = self.graph.add_input(TensorValue(cell.type, cell.label), "state", cell.label)
            self._as_leaf(cell, found)
            found.place = Place(cell)
            self.state[cell] = self.current[cell] = found
        return found

    def write(self, cell: Cell, value: Value) -> None:
        old = self.read(cell)
        new = held(value)
        if cell.requires_grad and not new.requires_grad:
            new = self._fresh(new)
            self._as_leaf(cell, new)
        if new.place is None:
            new.place = Place(cell)
        else:
            new.place.shared = True
        if old.place is not None:
            old.place.overwrite(new)
        self.current[cell] = new
        self.written[cell] = None

    def _fresh(self, value: TensorValue) -> TensorValue:
        """``value`` may be shared by several cells; a leaf must be its own."""
        if value.leaf is None and value.producer is not None and not value.requires_grad:
            return value
        return held(o.detach(value))

    @contextmanager
    def skipping(self, found_inf: Value) -> Iterator[None]:
        """State written inside keeps its old value when ``found_inf`` (f32[], 0 or 1) is set at run time."""
        before, self.written = self.written, {}
        old = dict(self.current)
        with self.host.skipping(found_inf):
            yield
        for cell in self.written:
            kept = old.get(cell, self.state[cell])
            self.write(cell, o.skip_if(found_inf, kept, self.current[cell]))
        self.written = {**before, **self.written}

    def grad_of(self, cell: Cell) -> Any:
        if cell not in self.grads:
            self.grads[cell] = self.entry_grads[cell] = cell.grad
        return self.grads[cell]

    def given_grad(self, cell: Cell, kind: TensorType) -> TensorValue:
        """The gradient that the step finds, as an input of the graph: every call may find it in another tensor."""
        label = f"{cell.label or 'state'}.grad"
        found = self.given_grads[cell] = self.graph.add_input(TensorValue(kind, label), "input", label)
        self.late_inputs.append(LateInput(cell))
        return found

    def array(self, array: Any, kind: TensorType) -> TensorValue:
        """A NumPy array as an input of the graph; its elements are converted to the dtype of ``kind`` at every call."""
        part = array
        while id(part) not in self.outside_arrays and part.base is not None:
            part = part.base  # a view of an array from outside is read at every call like the array itself
            if not hasattr(part, "base"):
                break
        owner = self.outside_arrays.get(id(part))
        self.late_inputs.append(LateInput(array=array, dtype=kind.dtype.numpy, owner=owner))
        return self.graph.add_input(TensorValue(kind), "input", "")

    def set_grad(self, cell: Cell, grad: Any) -> None:
        if cell not in self.entry_grads:
            if grad is None:
                self.cleared.add(cell)
            self.entry_grads[cell] = cell.grad
        self.grads[cell] = grad

    def finish(self, outputs: list[Value]) -> Graph:
        """The traced graph."""
        self.check_memory()
        self.graph.nodes = self.builder.nodes
        self.graph.outputs = outputs
        self.graph.updates = [
            Update(self.state[c], self.current[c]) for c in self.written if self.current[c] is not self.state[c]
        ]
        return self.graph
