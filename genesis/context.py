"""What op calls, tensor reads and tensor writes mean right now: at once (eager) or into a graph (recording).

A :class:`Cell` is the identity of a tensor's storage. Eager, it holds a value with its array. While a step is being
recorded, cells of the outside are state: reading one makes it an input of the graph, writing one an update; the cell
itself stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import ref

from compiler.errors import TraceError
from compiler.interpret import Evaluator, concrete
from compiler.ir import ambient
from compiler.ir.builder import Call
from compiler.ir.graph import Graph, Node, Update, Value
from compiler.ir.location import Loc, user_location
from compiler.ir.op import Op, castable, o
from compiler.ir.types import DType, TensorType
from compiler.trace import TraceBuilder
from genesis.clock import Clock
from genesis.host import HostRecord

Hook = Callable[[Value], Value | None]
"""Takes the gradient of a value; returns another one instead, or None."""


class Place:
    """The cell that a value stands in, and what was written over it there.

    ``changed``: whether something was; not by ``.data``, which autograd does not see. ``shared``: another cell holds
    the same value, which then counts as unchanged.
    """

    changed = shared = False
    following: Callable[[], Value | None] | None = None

    def __init__(self, cell: Cell) -> None:
        self.cell = ref(cell)

    def overwrite(self, value: Value) -> None:
        """``value`` takes the place."""
        self.changed, self.following = not self.shared, ref(value)


class Cell:
    """Storage shared by a tensor and its views.

    ``home`` is the recording a traced cell was made in, None for an eager one. ``bound`` counts the compiled programs
    that hold the address of its array. ``clock`` is that of the programs that write it, None as long as there is none.
    ``hooks`` see its gradient, None as long as there are none. ``remote`` brings the contents home from a GPU, whose
    step owns them, for reading and writing; None where the array is up to date.
    """

    requires_grad = False
    grad: Any = None
    label = ""
    version = 0
    bound = 0
    clock: Clock | None = None
    hooks: dict[float, Hook] | None = None
    remote: Callable[[], None] | None = None

    def __init__(self, value: Value, home: Recording | None = None, requires_grad: bool = False) -> None:
        self.value = value
        self.home = home
        if value.place is None:
            value.place = Place(self)
        else:
            value.place.shared = True
        if requires_grad:
            self.requires_grad = True
            self._make_leaf()

    def _take(self, value: Value) -> None:
        if value.place is None:
            value.place = Place(self)
        else:
            value.place.shared = True

    def _make_leaf(self) -> None:
        self.value.leaf = self
        self.value.requires_grad = self.requires_grad

    def set_requires_grad(self, flag: bool) -> None:
        """Make the cell a leaf with or without gradient."""
        changed = flag is not self.requires_grad
        self.requires_grad = flag
        self.value = self._alone(self.value)
        self.value.place = Place(self)
        self._make_leaf()
        recording = current_recording()
        if changed and recording is not None and recording.is_outside(self):
            recording.make_leaf(self)
        if changed:
            changes.tick()

    def _alone(self, value: Value) -> Value:
        """The same contents without history, as a value of this cell only."""
        return alias(value) if self.home is None else o.detach(value)

    @property
    def type(self) -> TensorType:
        return self.value.type

    def age(self) -> tuple[int, int]:
        """Changes whenever the contents do."""
        return self.version, self.clock.time if self.clock is not None else 0

    def read(self) -> Value:
        """The value a new op sees."""
        recording = current_recording()
        if self.home is recording:
            return self.fetched()
        if recording is not None and recording.is_outside(self):
            return recording.read(self)
        node = self.value.producer
        made = f"\n  it was made at {node.loc}" if node is not None else ""
        raise TraceError(
            "a tensor made while a step was being compiled is used outside that step; "
            f"return it from the step instead of storing it{made}"
        )

    def fetched(self) -> Value:
        """The value, its array up to date."""
        if self.remote is not None:
            self.remote()
        return self.value

    def write(self, value: Value, unseen: bool = False) -> None:
        """Every alias sees ``value`` from now on.

        ``unseen`` by autograd: a backward pass uses the new contents instead of the old.
        """
        recording = current_recording()
        if recording is not None and recording.is_outside(self):
            recording.write(self, value)
            return
        retyped = self.home is None and value.type != self.value.type
        old = self.value
        unseen = unseen and self.home is None
        self.version += not unseen
        if self.requires_grad and not value.requires_grad:
            value = self._alone(value)
            value.leaf, value.requires_grad, value.cut = self, True, False
        self._take(value)
        if unseen and old.type == value.type and not old.place.shared:
            old.data = value.data
        elif not unseen:
            old.place.overwrite(value)
        self.value = value
        self.remote = None
        if self.bound:
            rebound.tick()
        if retyped:
            changes.tick()


changes = Clock()
"""Ticks when an attribute of a module, a hook, a type or what requires a gradient changes; guards are then checked."""

rebound = Clock()
"""Ticks when an array whose address a compiled program holds is replaced."""

moved = Clock()
"""Ticks when a GPU becomes the owner of the contents of a cell."""


def alias(value: Value) -> Value:
    """The same contents as a value without history."""
    return concrete(value.data, value.type)


class Taped(Node):
    """A node of the eager history.

    ``times``: of the inputs that compiled programs overwrite, the clock and what it said. ``ages``: how old the cells
    were that a compiled call needs for its gradient. ``hooks``: by output, those that see its gradient; None as long as
    there are none.
    """

    __slots__ = ("ages", "hooks", "times")

    def __init__(self, call: Call) -> None:
        super().__init__(*call)
        self.ages: list[tuple[Cell, tuple[int, int]]] = []
        self.times: dict[Value, tuple[Clock, int]] = {}
        for value in call.inputs:
            cell = value.place.cell() if value.place is not None else None
            if cell is not None and cell.clock is not None:
                self.times[value] = cell.clock, cell.clock.time
        self.hooks: dict[Value, dict[float, Hook]] | None = None


class EagerBuilder(Evaluator):
    """Evaluates every op at once and, where a gradient is needed, keeps its node."""

    recording = None
    target = "cpu"

    def location(self) -> Loc:
        return user_location()

    def __init__(self) -> None:
        super().__init__()
        self.grad_enabled = True
        self.weight_casts: dict[tuple[Value, DType], tuple[Any, Value]] = {}

    def emit(self, call: Call) -> tuple[Value, ...]:
        op, inputs = call.op, call.inputs
        records = self.grad_enabled and op.differentiable and any(v.requires_grad for v in inputs)
        if records and op.vjp is None and op.expand is not None:
            result = op.expand(o, *inputs, **call.attrs)
            return result if isinstance(result, tuple) else (result,)
        with self._quiet():
            outputs = super().emit(call)
        if not records:
            return outputs
        node = Taped(call)
        for value, computed in zip(node.outputs, outputs, strict=True):
            value.data = computed.data
            value.requires_grad = value.dtype.is_floating_point
        return node.outputs

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """Neither history nor autocast for the ops inside an expansion."""
        saved = self.grad_enabled, self.autocast
        self.grad_enabled, self.autocast = False, None
        try:
            yield
        finally:
            self.grad_enabled, self.autocast = saved

    def cast_for(
        self, op: Op, operands: Any, attrs: dict[str, Any], target: DType
    ) -> tuple[tuple[Value, ...], dict[str, Any]]:
        """Casts at once; casts of leaves are kept until the leaf changes or the outermost autocast region ends."""
        return tuple([self._cast(v, target) if castable(v.dtype) else v for v in operands]), attrs

    def _cast(self, value: Value, target: DType) -> Value:
        if value.dtype is target:
            return value
        if value.leaf is None or not self.grad_enabled:
            return o.cast(value, to=target)
        key, age = (value, target), value.leaf.age()
        found = self.weight_casts.get(key)
        if found is None or found[0] != age:  # a compiled step changes the contents of a value in place
            found = self.weight_casts[key] = age, o.cast(value, to=target)
        return found[1]


ambient.set_default(EagerBuilder)


class RecordingBuilder(TraceBuilder):
    """A trace builder that knows its recording, and the device it is for."""

    def __init__(self, recording: Recording, grad_enabled: bool) -> None:
        super().__init__(grad_enabled)
        self.recording = recording
        self.target = "cpu"


def session() -> EagerBuilder | RecordingBuilder:
    """The ambient builder; it carries the grad mode and the autocast region."""
    return ambient.builder()  # type: ignore[return-value]


def current_recording() -> Recording | None:
    """The recording op calls go to, or None when they run at once."""
    return getattr(ambient.builder(), "recording", None)


@contextmanager
def grad_mode(enabled: bool) -> Iterator[None]:
    """Whether ops inside keep what a backward pass needs."""
    here = session()
    saved = here.grad_enabled
    here.grad_enabled = enabled
    try:
        yield
    finally:
        here.grad_enabled = saved


class LateInput:
    """An input of the graph that is no argument: the gradient that a call finds in ``cell``, or an ``array``.

    An array is handed to the program in ``dtype``.
    ``owner``: the array that was there before the step was recorded, of which ``array`` is a part that is read at every
    call; None for a constant.
    """

    __slots__ = ("array", "cell", "dtype", "owner")

    def __init__(self, cell: Cell | None = None, array: Any = None, dtype: Any = None, owner: Any = None) -> None:
        self.cell, self.array, self.dtype, self.owner = cell, array, dtype, owner


class Recording:
    """One trace of a step: the graph so far and what it does to the outside world.

    Attributes:
        state: cells of the outside that the step reads or writes, with their input value, in order of first use.
        current: the value each of those cells has now.
        grads: ``.grad`` of outside cells as the step left it (a tensor or None).
        entry_grads: what ``.grad`` was when the step first looked, for guards.
        given_grads: the inputs of the graph for those that were there.
        traced_grads: the tensors that stand for these.
        shared: cells that the step reaches in several ways; a gradient among them is a state, and no input.
        late_inputs: the inputs of the graph that are no arguments, in their order.
        outside_arrays: NumPy arrays that were there before, by identity.
        cleared: cells whose gradient the step dropped before reading it.
        host: numbers that the step reads from the host, and what it changes there.
        drawn: how many draws the step took from each generator.
        last: what ``step.last`` reports: "found_inf", "loss_scale", "grad_norm".
        module_names: the scope that each reachable module's ops are recorded under.
        hooks: what sees the gradient of a value, or of a cell of the outside.
        customs: for results of custom functions, the node (outside the graph) that their gradient goes back through.
        strides: of arguments that are no contiguous tensors, the strides in elements.
        inner: arguments that were computed outside from what requires a gradient: they are no leaves.
        freed: nodes that a backward pass went through without ``retain_graph``; no other may.
    """

    def __init__(self, name: str, grad_enabled: bool = True) -> None:
        self.graph = Graph(name)
        self.builder = RecordingBuilder(self, grad_enabled)
        self.state: dict[Cell, Value] = {}
        self.current: dict[Cell, Value] = {}
        self.written: dict[Cell, None] = {}
        self.grads: dict[Cell, Any] = {}
        self.entry_grads: dict[Cell, Any] = {}
        self.given_grads: dict[Cell, Value] = {}
        self.traced_grads: dict[Cell, Any] = {}
        self.shared: Collection[Cell] = ()
        self.late_inputs: list[LateInput] = []
        self.outside_arrays: dict[int, Any] = {}
        self.cleared: set[Cell] = set()
        self.host = HostRecord(self.graph)
        self.drawn: dict[Any, int] = {}
        self.last: dict[str, Value] = {}
        self.module_names: dict[Any, str] = {}
        self.hooks: dict[Any, dict[float, Hook]] = {}
        self.customs: dict[Value, Node] = {}
        self.strides: dict[Cell, tuple[int, ...]] = {}
        self.inner: set[Cell] = set()
        self.freed: set[Node] = set()

    def is_outside(self, cell: Cell) -> bool:
        """Whether ``cell`` was there before the recording began."""
        return cell.home is None

    def read(self, cell: Cell) -> Value:
        found = self.current.get(cell)
        if found is None:
            found = self.graph.add_param(cell.type, "state", cell.label, cell.label)
            self._as_leaf(cell, found)
            found.place = Place(cell)
            self.state[cell] = self.current[cell] = found
        return found

    def write(self, cell: Cell, value: Value) -> None:
        old = self.read(cell)
        if cell.requires_grad and not value.requires_grad:
            value = self._fresh(value)
            self._as_leaf(cell, value)
        if value.place is None:
            value.place = Place(cell)
        else:
            value.place.shared = True
        if old.place is not None:
            old.place.overwrite(value)
        self.current[cell] = value
        self.written[cell] = None

    def _fresh(self, value: Value) -> Value:
        """``value`` may be shared by several cells; a leaf must be its own."""
        if value.leaf is None and value.producer is not None and not value.requires_grad:
            return value
        return o.detach(value)

    def make_leaf(self, cell: Cell) -> None:
        """From here on the step reads a cell of the outside as a leaf, or as a constant: its flag has changed."""
        if cell in self.current:
            value: Value = o.detach(self.current[cell])
            self._as_leaf(cell, value)
            value.place = Place(cell)
            self.current[cell] = value

    @staticmethod
    def _as_leaf(cell: Cell, value: Value) -> None:
        if cell.requires_grad:
            value.leaf, value.requires_grad, value.cut = cell, True, False

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

    def given_grad(self, cell: Cell, kind: TensorType) -> Value:
        """The gradient that the step finds, as an input of the graph: every call may find it in another tensor."""
        label = f"{cell.label or 'state'}.grad"
        found = self.given_grads[cell] = self.graph.add_param(kind, "input", label, label)
        self.late_inputs.append(LateInput(cell))
        return found

    def array(self, array: Any, kind: TensorType) -> Value:
        """A NumPy array as an input of the graph; its elements are converted to the dtype of ``kind`` at every call."""
        part = array
        while id(part) not in self.outside_arrays and part.base is not None:
            part = part.base  # a view of an array from outside is read at every call like the array itself
            if not hasattr(part, "base"):
                break
        owner = self.outside_arrays.get(id(part))
        self.late_inputs.append(LateInput(array=array, dtype=kind.dtype.numpy, owner=owner))
        return self.graph.add_param(kind, "input", "", "")

    def set_grad(self, cell: Cell, grad: Any) -> None:
        if cell not in self.entry_grads:
            if grad is None:
                self.cleared.add(cell)
            self.entry_grads[cell] = cell.grad
        self.grads[cell] = grad

    def finish(self, outputs: list[Value]) -> Graph:
        """The traced graph."""
        self.graph.nodes = self.builder.nodes
        self.graph.outputs = outputs
        self.graph.updates = [
            Update(self.state[c], self.current[c]) for c in self.written if self.current[c] is not self.state[c]
        ]
        return self.graph


class BodyRecording(Recording):
    """The trace of a loop's body. Cells of the outside are invariants: inputs of the body for what they hold before it.

    ``outside``: the value before the loop of each cell in ``state``.
    """

    def __init__(self, name: str) -> None:
        here = session()
        super().__init__(name, here.grad_enabled)
        self.around = here
        self.outside: dict[Cell, Value] = {}
        self.builder.autocast = here.autocast
        self.builder.target = here.target
        if here.recording is not None:
            self.module_names = here.recording.module_names
            self.builder.scopes += here.recording.builder.scopes

    def is_outside(self, cell: Cell) -> bool:
        recording = self.around.recording
        return cell.home is recording or (recording is not None and recording.is_outside(cell))

    def read(self, cell: Cell) -> Value:
        found = self.current.get(cell)
        if found is None:
            with ambient.using(self.around):
                outside = cell.read()
            found = self.graph.add_param(cell.type, "input", "", cell.label)
            found.requires_grad = outside.requires_grad
            self.outside[cell] = outside
            self.state[cell] = self.current[cell] = found
        return found

    def write(self, cell: Cell, value: Value) -> None:
        raise TraceError(
            f"{cell.label or 'a tensor'} {cell.type}, made outside the loop, is written in its body\n"
            f"  at {user_location()}\n  carry it instead: take it from the carry and return the new one"
        )

    def array(self, array: Any, kind: TensorType) -> Value:
        around = self.around.recording
        if around is None:
            return self.read(Cell(concrete(array, kind)))
        with ambient.using(self.around):
            outside = Cell(around.array(array, kind), around)
        return self.read(outside)

    def grad_of(self, cell: Cell) -> Any:
        raise NotImplementedError(f"gradients (.grad, backward()) in the body of a loop\n  at {user_location()}")

    def set_grad(self, cell: Cell, grad: Any) -> None:
        self.grad_of(cell)
