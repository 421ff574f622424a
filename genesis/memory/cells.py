"""Storage: a :class:`Cell` is the identity of a tensor's memory, shared by the tensor and its views.

Eager, a cell holds a value with its array. While a step is being recorded, cells of the outside are state: reading one
makes it an input of the graph, writing one an update; the cell itself stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol
from weakref import ref

import numpy as np

from compiler.errors import TraceError
from compiler.ir import ambient
from compiler.ir.graph import Value
from compiler.ir.op import o
from compiler.ir.types import TensorType
from genesis.memory.clock import Clock
from genesis.memory.shared import Holders, Shared
from genesis.memory.strides import Strides
from genesis.memory.values import TensorValue, concrete, held

Hook = Callable[[Value], Value | None]
"""Takes the gradient of a value; returns another one instead, or None."""


class Place(ref["Cell"]):
    """The cell that a value stands in, as a weak reference, and what was written over it there.

    ``changed``: whether something was; not by ``.data``, which autograd does not see. ``shared``: another cell holds
    the same value, which then counts as unchanged.
    """

    changed = shared = False
    following: Callable[[], Value | None] | None = None

    def overwrite(self, value: Value) -> None:
        """``value`` takes the place."""
        self.changed, self.following = not self.shared, ref(value)


class Viewers:
    """The tensors that show a cell through views, as long as they live."""

    __slots__ = ("_most", "_refs")

    def __init__(self) -> None:
        self._refs: dict[int, ref[Any]] = {}  # without callbacks, which cost more than making a view
        self._most = 16

    def add(self, tensor: Any) -> None:
        self._refs[id(tensor)] = ref(tensor)
        if len(self._refs) > self._most:
            for key, found in list(self._refs.items()):
                if found() is None:
                    del self._refs[key]
            self._most = 16 + 2 * len(self._refs)

    def alive(self) -> list[Any]:
        return [tensor for found in list(self._refs.values()) if (tensor := found()) is not None]


class Memory(Protocol):
    """The dealings of a recording with the cells that were there before it.

    ``inner``: arguments that were computed outside from what requires a gradient: they are no leaves.
    """

    inner: set[Cell]

    def is_outside(self, cell: Cell) -> bool: ...

    def read(self, cell: Cell) -> TensorValue: ...

    def write(self, cell: Cell, value: Value) -> None: ...

    def make_leaf(self, cell: Cell) -> None: ...


def _recording() -> Memory | None:
    """The recording that op calls go to, None where they run at once."""
    return getattr(ambient.builder(), "recording", None)


class Cell:
    """Storage shared by a tensor and its views.

    ``home`` is the trace that a traced cell was made in, None for an eager one. ``bound`` counts the compiled programs
    that hold the address of its array. ``strides``: how PyTorch would have the elements in memory, None for row-major.
    ``clock`` belongs to the programs that write it, None as long as there is none.
    ``hooks`` see its gradient, None as long as there are none; ``filled`` are called when it has been added up.
    ``remote`` brings the contents home from a GPU, whose
    step owns them, for reading and writing; None where the array is up to date. ``shared``: the memory of the contents
    where others hold it, too; in-place ops write it. ``viewers``: the tensors made at once that show it through views.
    """

    requires_grad = False
    grad: Any = None
    label = ""
    version = 0
    clock: Clock | None = None
    hooks: dict[float, Hook] | None = None
    filled: dict[int, Callable[[], None]] | None = None
    shared: Shared | None = None
    viewers: Viewers | None = None

    def __init__(self, value: TensorValue, home: Memory | None = None, requires_grad: bool = False) -> None:
        self.value = value
        self.home = home
        self.bound = 0
        self.strides: Strides | None = None
        self.remote: Callable[[], None] | None = None
        self._take(self.value)
        if requires_grad:
            self.requires_grad = True
            self._make_leaf()

    def _take(self, value: TensorValue) -> None:
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
        recording = _recording()
        if changed and recording is not None and recording.is_outside(self):
            recording.make_leaf(self)
        if changed:
            changes.tick()

    def _alone(self, value: TensorValue) -> TensorValue:
        """The same contents without history, as a value of this cell only."""
        return alias(value) if self.home is None else held(o.detach(value))

    @property
    def type(self) -> TensorType:
        return self.value.type

    def age(self) -> tuple[int, int]:
        """Changes whenever the contents do."""
        return self.version, self.clock.time if self.clock is not None else 0

    def read(self) -> TensorValue:
        """The value a new op sees."""
        recording = _recording()
        if self.home is recording:
            return self.value if self.remote is None else self.fetched()
        if recording is not None and recording.is_outside(self):
            return recording.read(self)
        node = self.value.producer
        made = f"\n  it was made at {node.loc}" if node is not None else ""
        raise TraceError(
            "a tensor made while a step was being compiled is used outside that step; "
            f"return it from the step instead of storing it{made}"
        )

    def fetched(self) -> TensorValue:
        """The value, its array up to date."""
        if self.remote is not None:
            self.remote()
        return self.value

    def share(self, outside: bool) -> Shared:
        """The memory of the contents, which others hold from now on; ``outside``: something that is no cell does."""
        value = self.fetched()
        if self.shared is None:
            array, several = value.data, value.place.shared
            if several:
                value = self.value = self._unshared(value)
                value.place = Place(self)
            if several or (array.base is not None and not self.bound) or not array.flags.writeable:
                value.data = np.array(array)  # others may show the same array
            if self.bound:
                rebound.tick()
            self.hold(Shared(value.data, Holders()))
        assert self.shared is not None
        self.shared.holders.outside |= outside
        return self.shared

    def hold(self, shared: Shared) -> None:
        """The contents stand in ``shared`` from now on."""
        self.shared = shared
        shared.holders.cells.add(self)

    def viewed(self, tensor: Any) -> None:
        """``tensor`` shows the contents through views."""
        if self.viewers is None:
            self.viewers = Viewers()
        self.viewers.add(tensor)

    def part(self) -> None:
        """Leave the memory to the views and the arrays that show it, as ``.data =`` does; go on with a copy of it."""
        viewers = [] if self.viewers is None else self.viewers.alive()
        if not viewers and (self.shared is None or self.shared.is_alone(self)):
            return
        value = self.fetched()
        old = Cell(self._unshared(value))
        old.strides, old.requires_grad = self.strides, self.requires_grad
        if self.shared is not None:
            old.hold(self.shared)
            self.shared.holders.cells.discard(self)
            self.shared = None
        for tensor in viewers:
            tensor.move(old)
        self.viewers = None
        value.data = np.array(value.data)
        if self.bound:
            rebound.tick()

    def write(self, value: Value, unseen: bool = False) -> None:
        """Every alias sees ``value`` from now on.

        ``unseen`` by autograd: a backward pass uses the new contents instead of the old.
        """
        recording = _recording()
        if recording is not None and recording.is_outside(self):
            recording.write(self, value)
            return
        retyped = self.home is None and value.type != self.value.type
        old = self.value
        unseen = unseen and self.home is None
        self.version += not unseen
        new = held(value)
        if self.requires_grad and not new.requires_grad:
            new = self._alone(new)
            new.leaf, new.requires_grad, new.cut = old.leaf or self, True, False
        if self.shared is not None:
            new = self._stored(new)
        self._take(new)
        if unseen and old.type == new.type and not old.place.shared:
            old.data = new.data
        elif not unseen:
            old.place.overwrite(new)
        self.value = new
        self.remote = None
        if self.bound:
            rebound.tick()
        if retyped:
            changes.tick()

    def _stored(self, value: TensorValue) -> TensorValue:
        """``value`` with its contents in the shared memory; a value of another type leaves the memory."""
        if self.shared is None or value.data is self.shared.array:
            return value
        if value.type != self.value.type or self.shared.is_alone(self):
            self.shared = None
            return value
        if value.place is not None:
            value = self._unshared(value)
        self.value.data = np.array(self.value.data)  # what a backward pass saved stays what it was
        self.shared.take(value.data)
        value.data = self.shared.array
        return value

    def _unshared(self, value: TensorValue) -> TensorValue:
        """The contents of ``value``, which another cell holds, as a value of its own."""
        if value.requires_grad and value.leaf is None:
            found = held(o.mul(value, 1))
        else:
            found = self._alone(value)
            found.leaf, found.requires_grad = value.leaf, value.requires_grad
        return found


changes = Clock()
"""Ticks when an attribute of a module, a hook, a type or what requires a gradient changes; guards are then checked."""

rebound = Clock()
"""Ticks when an array whose address a compiled program holds is replaced."""

moved = Clock()
"""Ticks when a GPU becomes the owner of the contents of a cell."""


def alias(value: TensorValue) -> TensorValue:
    """The same contents as a value without history."""
    return concrete(value.data, value.type)
