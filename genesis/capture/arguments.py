"""The arguments of a call while it is recorded: what stands for them, and what the step does to them.

A tensor argument becomes an input of the graph. If the step writes it, or its gradient, the graph returns the new
contents, and every call writes them back. A tensor that the step also reaches in another way (as a parameter, say) is
no input: the recorded code gets the tensor itself, which is a state.

The tensors in the places where a step keeps some (:mod:`genesis.capture.keeping`) are arguments, too, behind the
others; but they only become inputs when the step looks at them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

import numpy as np

from compiler.errors import ChoiceError, OpError, TraceError
from compiler.ir.ambient import using
from compiler.ir.graph import Value
from compiler.ir.location import user_location
from compiler.ir.types import TensorType, f64
from genesis.capture.guards.keys import IdentityKey
from genesis.capture.keeping import Held, Keep
from genesis.capture.results import Leaving, Origin, filled
from genesis.context import grad_mode, session
from genesis.gradients import grad_type
from genesis.memory.cells import Cell
from genesis.memory.identity import GONE
from genesis.memory.values import TensorValue, concrete
from genesis.pytree import Container, Hole, entries_of, is_tensor_like, leaves, map_leaves, set_entries
from genesis.recording import Recording
from genesis.tensor import Tensor, later, tensor, view_of, wrap

Read = Callable[[Any], np.ndarray]
"""Takes an argument; returns the array that the step reads."""
Target = Callable[[Sequence[Any]], Any]
"""Finds, among the leaves of the arguments of a call, the tensor or array that a result is written to."""
Holder = Callable[[Sequence[Any]], Cell]
"""Finds a cell of the caller, whose gradient the step leaves."""


@dataclass
class Effects:
    """The effects of calls on tensors of the caller, besides states.

    ``writes``: where the contents ``values`` go. ``grads``: the gradients that the step leaves behind, by the cell that
    they belong to, as places among the tensors that leave; None clears a gradient. ``inner``: gradients of arguments
    that were computed outside, where the backward pass goes on. ``flags``: arguments that collect a gradient from now
    on, or no longer. ``entries``: what the step puts into containers, by their number among the containers of the
    arguments: the new entries with holes for tensors. ``own``: as :class:`Leaving` has ``gradients``.
    """

    writes: list[Target] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    grads: list[tuple[Holder, Hole | None]] = field(default_factory=list)
    entries: list[tuple[int, dict[Any, Any]]] = field(default_factory=list)
    inner: list[tuple[Origin, Hole]] = field(default_factory=list)
    flags: list[tuple[Origin, bool]] = field(default_factory=list)
    own: list[tuple[int, int | None]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any((self.writes, self.grads, self.entries, self.inner, self.flags, self.own))


class Sharing:
    """The way in which a function's arguments share storage with each other and with the rest of the program.

    ``states``: cells that recordings reached other than as an argument; given as an argument, such a cell is a state.
    ``matters``: whether a recording wrote an argument, so that arguments with one cell must stand for one input.
    """

    def __init__(self) -> None:
        self.states: WeakSet[Cell] = WeakSet()
        self.matters = False

    def key(self, leaves: Sequence[Any]) -> tuple[Hashable, ...]:
        """The part of how ``leaves`` share storage that a program depends on."""
        found: list[Hashable] = []
        first: dict[Cell, int] = {}
        for i, leaf in enumerate(leaves):
            if isinstance(leaf, Tensor):
                cell = leaf._cell
                if cell in self.states:
                    found.append((i, IdentityKey(cell), _views(leaf)))
                elif self.matters or cell.requires_grad:
                    other = first.setdefault(cell, i)
                    if other != i:
                        found.append((i, other, _views(leaves[other]), _views(leaf)))
        return tuple(found)


def _views(leaf: Tensor) -> tuple[Hashable, ...]:
    """The part of the views of ``leaf`` on its storage that a program depends on."""
    return tuple((IdentityKey(op), tuple(IdentityKey(x) for x in xs), repr(attrs)) for op, xs, attrs in leaf._views)


@dataclass
class _Given:
    """One argument: what the caller gave, what stands for it, and the input of the graph."""

    position: int
    name: str
    leaf: Any
    traced: Tensor
    param: Value
    required: bool = False
    leaf_variable: bool = True
    grad: Tensor | None = None
    grad_param: Value | None = None


class Arguments:
    """Inputs of ``recording`` for the arguments of ``function``, and for the tensors ``held`` in places of it.

    ``count``: into how many micro-batches the first dimension is cut.
    ``read``: the places whose tensors the step looked at.
    """

    def __init__(
        self, recording: Recording, function: Callable[..., Any], sharing: Sharing, count: int, held: Held
    ) -> None:
        self._recording, self._function, self._sharing, self._count = recording, function, sharing, count
        self._held, self._names = held, [keep.name for keep in held.spots]
        self._found: dict[Keep, Any] = {}
        self._put: dict[Keep, Any] = {}
        self._made: dict[int, Tensor] = {}
        self._origins: dict[Cell, Origin] = {}
        self.read: set[Keep] = set()
        self._given: list[_Given] = []
        self._cells: dict[Cell, _Given] = {}
        self._common: set[Cell] = set()
        self._places = 0
        self._containers: list[Container] = []
        self._stand_ins: list[tuple[str, Tensor, dict[str, Any]]] = []
        self.inputs: list[tuple[int, Read]] = []
        self.floats: list[int] = []
        self.micro_batches: list[Value] = []

    def enter(self, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """The arguments that the recorded code sees; what stands for tensors in places is put there."""
        tree = args, kwargs, self._held.values
        cells = Counter(leaf._cell for _, leaf in leaves(tree) if isinstance(leaf, Tensor))
        self._common = {
            cell for cell, times in cells.items() if times > 1 and (self._sharing.matters or cell.requires_grad)
        }
        args, kwargs, values = map_leaves(self._stand_in, tree, containers=self._containers)
        for (keep, spot), value in zip(self._held.spots.items(), values, strict=True):
            self._found[keep] = before = spot.get()
            self._put[keep] = before if value is None else value
            if value is not None:
                spot.put(value)
        return args, kwargs

    def leave(self) -> dict[Keep, Any]:
        """Put in place again what :meth:`enter` found; returns what the step put there instead."""
        left = {}
        for keep, before in self._found.items():
            spot = self._held.spots[keep]
            now = spot.get()
            if now is not self._put[keep]:
                left[keep] = now
            if now is not before:
                spot.put(before)
        return left

    def _stand_in(self, path: str, leaf: Any) -> Any:
        """A traced tensor for a tensor or a float; a state, and any other value, as it is."""
        position = self._places
        self._places += 1
        name = argument_name(path, self._function, position, self._names)
        if is_tensor_like(leaf):
            keep = self._held.keep_at(path)
            if keep is None or id(leaf) not in self._made:
                made = self._tensor(position, name, leaf) if keep is None else self._in_place(keep, position, leaf)
                self._made.setdefault(id(leaf), made)
                return made
            return self._made[id(leaf)]
        if isinstance(leaf, float | np.floating):
            value = self._recording.graph.add_input(TensorValue(TensorType(f64, ()), name), "scalar", name)
            self.floats.append(position)
            self._recording.host.argument(value, float(leaf))
            return self._traced(value)
        return leaf

    def _in_place(self, keep: Keep, position: int, leaf: Tensor) -> Tensor:
        """The stand-in of a tensor that a call finds in a place: an input of the graph if the step looks at it."""

        def start(made: Tensor) -> None:
            self.read.add(keep)
            with using(outside):
                given = self._tensor(position, keep.name, leaf, split=False)
                made._start(given._cell, given._views)

        if leaf._cell in self._sharing.states:
            return leaf
        outside = session()
        if type(leaf) is not Tensor:
            self.read.add(keep)
            return self._tensor(position, keep.name, leaf, split=False)
        made = later(start)
        self._stand_ins.append((keep.name, made, {}))
        return made

    def _tensor(self, position: int, name: str, leaf: Any, split: bool = True) -> Tensor:
        given = leaf if isinstance(leaf, Tensor) else tensor(leaf)
        if given._type.size == 0:
            raise OpError(
                f"argument {name} of {self._function.__qualname__} is empty: shape {list(given.shape)}\n"
                f"  at {user_location()}"
            )
        cell = given._cell
        if cell in self._sharing.states:
            cell.label = cell.label or name
            return given
        if cell in self._cells and cell in self._common:
            return self._looking_like(name, leaf, view_of(self._cells[cell].traced._cell, given._views))
        whole = view_of(cell, ()) if cell in self._common else given
        param = self._input(position, name, whole._type, _base if whole is not given else array_of)
        self.micro_batches += [param] if split and self._is_split(whole._type, name) else []
        entry = _Given(position, name, leaf, self._traced(param), param)
        self._given.append(entry)
        self._cells[cell] = entry
        if isinstance(leaf, Tensor):
            self._origins[entry.traced._cell] = _whole_at(position) if whole is not given else _at(position)
        if not whole.is_contiguous():
            entry.traced._cell.strides = whole.stride()
        entry.required = whole.requires_grad
        if entry.required:
            self._follow(entry, whole)
        made = entry.traced if whole is given else view_of(entry.traced._cell, given._views)
        return self._looking_like(name, leaf, made)

    def _looking_like(self, name: str, leaf: Any, made: Tensor) -> Tensor:
        """``made`` with the class and the attributes of an argument that is a Parameter or of another subclass."""
        if isinstance(leaf, Tensor) and type(leaf) is not Tensor:
            found = Tensor.__new__(type(leaf))
            found._start(made._cell, made._views)
            vars(found).update(vars(leaf))
            made = found
        self._stand_ins.append((name, made, dict(vars(made))))
        return made

    def _check_attributes(self) -> None:
        """Raise TraceError where the step set an attribute of a tensor that is an argument."""
        for name, made, before in self._stand_ins:
            for key in vars(made).keys() | before.keys():
                if vars(made).get(key, GONE) is not before.get(key, GONE):
                    raise TraceError(
                        f"the step changes {name}.{key}, an attribute of an argument; compiled, it would do so for "
                        f"this call only\n  in {self._function.__qualname__}, {_line(self._function)}\n"
                        "  return the value from the step and store it outside"
                    )

    def _input(self, position: int, name: str, kind: TensorType, read: Read) -> Value:
        self.inputs.append((position, read))
        return self._recording.graph.add_input(TensorValue(kind, name), "input", name)

    def _traced(self, value: Value) -> Tensor:
        with using(self._recording.builder):
            return wrap(value)

    def _follow(self, entry: _Given, given: Tensor) -> None:
        """Let an argument collect a gradient, on top of the gradient that it has."""
        cell = entry.traced._cell
        cell.requires_grad = True
        cell._make_leaf()
        entry.leaf_variable = given.is_leaf
        if not given.is_leaf:
            self._recording.inner.add(cell)
        kind = grad_type(given._grad_cell) if isinstance(given._grad_cell.grad, Tensor) else None
        if kind is not None:
            entry.grad_param = self._input(entry.position, f"{entry.name}.grad", kind, _grad)
            entry.grad = self._traced(entry.grad_param)
            self._origins[entry.grad._cell] = _grad_at(entry.position)
        cell.grad = entry.grad if kind is not None else given._grad_cell.grad

    def _is_split(self, kind: TensorType, name: str) -> bool:
        """Whether ``accumulate=`` cuts an argument into micro-batches: not, if it has no dimensions."""
        count = self._count
        if count == 1 or not kind.rank:
            return False
        if kind.shape[0] % count:
            raise OpError(f"accumulate={count} does not divide the batch of argument {name}: shape {list(kind.shape)}")
        return True

    # After the recording

    def _conflicts(self) -> set[Cell]:
        """Cells of arguments, and of gradients, that the recorded code also reached in another way."""
        recording = self._recording
        inside = {*recording.state, *recording.entry_grads}
        grads = {cell: recording.entry_grads[cell] for cell in recording.given_grads}
        holders = [grad._cell for grad in grads.values()]
        holders += [e.leaf._grad_cell.grad._cell for e in self._given if e.grad is not None]
        twice = {cell for cell, times in Counter([*holders, *self._cells]).items() if times > 1}
        found = {cell for cell in self._cells if cell in inside}
        found |= {g._cell for g in grads.values() if g._views or g._cell in inside or g._cell in twice}
        for entry in self._given:
            if entry.grad is not None:
                grad = entry.leaf._grad_cell.grad
                if grad._views or grad._cell in inside or grad._cell in twice:
                    found.add(entry.leaf._cell)
        return found

    def learn(self) -> bool:
        """Note what the recording showed of sharing; says whether that makes the recording wrong."""
        sharing = self._sharing
        wrong = self._conflicts()
        changed = any(entry.traced._cell.value is not entry.param for entry in self._given)
        again = bool(wrong) or (changed and not sharing.matters and len(self._given) > len(self._cells))
        sharing.states.update(wrong)
        sharing.states.update(self._recording.state)
        sharing.matters |= changed
        return again

    def copies(self) -> list[Any]:
        """The containers among the arguments, as the recorded code sees them."""
        return [container.copied for container in self._containers]

    def origins(self) -> dict[Cell, Origin]:
        """The traced cells of arguments, and how a call finds what they stand for.

        Whoever looks at a tensor in a place adds to them.
        """
        for cell, grad in self._recording.traced_grads.items():
            self._origins[grad._cell] = _grad_of_cell(cell)
        return self._origins

    def sources(self) -> dict[Cell, Origin]:
        """The traced cells of arguments that collect a gradient, and how a call finds what they stand for."""
        cells = [entry.traced._cell for entry in self._given if entry.traced._cell.requires_grad]
        return {cell: self._origins[cell] for cell in cells}

    def effects(self, leaving: Leaving) -> Effects:
        """The writes of the step to arguments, and to gradients that it found."""
        self._check_attributes()
        effects = Effects()
        for entry in self._given:
            value = entry.traced._cell.value
            if value is not entry.param:
                effects.writes.append(self._target(entry))
                effects.values.append(value)
            self._leave_grad(entry, effects, leaving)
        for cell, grad in self._recording.traced_grads.items():
            if grad._cell.value is not self._recording.given_grads[cell]:
                effects.writes.append(_grad_of_cell(cell))
                effects.values.append(grad._cell.value)
        for number, container in enumerate(self._containers):
            now = entries_of(container.copied)
            if not _same(now, container.entries):
                effects.entries.append((number, self._changed_entries(container, now, leaving)))
        return effects

    def _changed_entries(self, container: Container, now: dict[Any, Any], leaving: Leaving) -> dict[Any, Any]:
        """The entries that the step changed, which must be tensors; raises TraceError for others."""
        before = container.entries
        name = argument_name(container.path, self._function, self._places, self._names)
        where = f"\n  in {self._function.__qualname__}, {_line(self._function)}"
        if isinstance(container.copied, list) and len(now) != len(before):
            raise TraceError(
                f"the step changes the length of its argument {name}, a list, from {len(before)} to {len(now)}{where}\n"
                "  return what it appends, and append it outside"
            )
        changed = {key: x for key, x in now.items() if key not in before or before[key] is not x}
        for key, x in changed.items():
            for _, leaf in leaves(x):
                if not isinstance(leaf, Tensor):
                    spelled = f".{key}" if not isinstance(container.copied, list | dict) else f"[{key!r}]"
                    raise TraceError(
                        f"the step changes {name}{spelled}, an argument, from {_short(container, key)} to {leaf!r}; "
                        f"compiled, it would do so with the value of this call only{where}\n"
                        "  keep numbers that a step changes in tensors, or change them outside the step"
                    )
        return {**{key: leaving.pattern(x) for key, x in changed.items()}, **dict.fromkeys(before.keys() - now, GONE)}

    def _target(self, entry: _Given) -> Target:
        if self._count > 1:
            raise TraceError(
                f"the step writes its argument {entry.name}, which accumulate={self._count} cuts into micro-batches; "
                "keep what it writes in a closure, or leave accumulate= away"
            )
        if isinstance(entry.leaf, Tensor):
            return _whole_at(entry.position) if entry.leaf._cell in self._common else _at(entry.position)
        if type(entry.leaf) is np.ndarray:
            return _at(entry.position)
        raise TraceError(
            f"the step writes its argument {entry.name}, a {type(entry.leaf).__name__} of another library; "
            f"pass a genesis tensor or a NumPy array"
        )

    def _leave_grad(self, entry: _Given, effects: Effects, leaving: Leaving) -> None:
        cell = entry.traced._cell
        if not isinstance(entry.leaf, Tensor):
            return
        if cell.requires_grad is not entry.required:
            effects.flags.append((_at(entry.position), cell.requires_grad))
        now = cell.grad
        if not cell.requires_grad and not isinstance(now, Tensor):
            return
        if not entry.leaf_variable:
            if isinstance(now, Tensor):
                effects.inner.append((_at(entry.position), leaving.add(now)))
            return
        if entry.grad is not None:
            assert entry.grad_param is not None
            value = entry.grad._cell.value
            if value is not entry.grad_param:
                effects.writes.append(_grad_at(entry.position))
                effects.values.append(value)
        if isinstance(now, Tensor) and now is not entry.grad:
            effects.grads.append((_cell_at(entry.position), leaving.add(now)))
        elif now is None and entry.leaf._grad_cell.grad is not None:
            effects.grads.append((_cell_at(entry.position), None))


def _same(now: dict[Any, Any], before: dict[Any, Any]) -> bool:
    return len(now) == len(before) and all(key in before and before[key] is x for key, x in now.items())


def _short(container: Container, key: Any) -> str:
    given = entries_of(container.given)
    return "nothing" if key not in given else "a tensor" if isinstance(given[key], Tensor) else repr(given[key])


def _line(function: Any) -> str:
    code = getattr(function, "__code__", getattr(getattr(function, "__func__", None), "__code__", None))
    return "" if code is None else f"{code.co_filename}:{code.co_firstlineno}"


def put_entries(given: Any, entries: dict[Any, Any], tensors: Sequence[Tensor]) -> None:
    """Change a container of the caller as the step changed its copy."""
    now = entries_of(given)
    for key, pattern in entries.items():
        if pattern is GONE:
            now.pop(key, None)
        else:
            now[key] = filled(pattern)(tensors)
    set_entries(given, now)


# Finding tensors of the caller


def _at(position: int) -> Origin:
    return lambda arguments: arguments[position]


def _cell_at(position: int) -> Holder:
    return lambda arguments: arguments[position]._grad_cell


def _whole_at(position: int) -> Origin:
    return lambda arguments: view_of(arguments[position]._cell, ())


def _grad_at(position: int) -> Origin:
    return lambda arguments: arguments[position]._grad_cell.grad


def _grad_of_cell(cell: Cell) -> Origin:
    return lambda _: cell.grad


def array_of(leaf: Any) -> np.ndarray:
    """The contents of a tensor, of an array, or of a tensor of another library."""
    if type(leaf) is np.ndarray:
        return leaf
    given = leaf if isinstance(leaf, Tensor) else tensor(leaf)
    plain = not given._views and given._cell.home is None
    return (given._cell.fetched() if plain else given.value).data


def _base(leaf: Tensor) -> np.ndarray:
    return leaf._cell.fetched().data


def _grad(leaf: Tensor) -> np.ndarray:
    return array_of(leaf._grad_cell.grad)


def write_back(target: Any, array: np.ndarray) -> None:
    """Put ``array`` where a step wrote: through the cell of a tensor, so that its aliases see it, or in place."""
    if isinstance(target, Tensor):
        with grad_mode(False):
            target.write(concrete(array, target._type))
    else:
        np.copyto(target, array)


def check_arrays(targets: Sequence[Any], inputs: Sequence[np.ndarray]) -> None:
    """Raise ValueError for an array that cannot be written, or that another argument shares."""
    for target in targets:
        if isinstance(target, np.ndarray):
            if not target.flags.writeable:
                raise ChoiceError("the step writes an argument that is a read-only NumPy array")
            if sum(np.may_share_memory(target, other) for other in inputs) > 1:
                raise TraceError(
                    f"the step writes a NumPy array {target.dtype}{list(target.shape)} whose memory another argument "
                    "shares; pass a copy of one of the two, or tensors that share their storage"
                )


def argument_name(path: str, function: Callable[..., Any], position: int, places: Sequence[str] = ()) -> str:
    """How the user calls the leaf at ``path`` of ``(args, kwargs)``: ``x``, ``batch[0]``, ``options['flag']``.

    ``places``: the names of what stands behind these two.
    """
    code = getattr(function, "__code__", getattr(getattr(function, "__func__", None), "__code__", None))
    names = code.co_varnames[hasattr(function, "__self__") : code.co_argcount] if code is not None else ()
    match = re.fullmatch(r"\[(\d)\]\[(?:(\d+)|'(\w+)')\](.*)", path)
    if match is None:
        return f"argument{position}"
    part, index, keyword, rest = match.groups()
    if keyword is not None:
        return keyword + rest
    if part == "2":
        return places[int(index)] + rest
    return names[int(index)] + rest if int(index) < len(names) else f"argument{position}"
