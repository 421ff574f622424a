"""What a step refers to besides its arguments: modules, optimizers, scalers, and plain values that guard a program."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from dis import get_instructions, hasname
from functools import cache, partial
from operator import is_
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from genesis.amp import GradScaler
from genesis.nn.module import Module
from genesis.optim.optimizer import Optimizer
from genesis.tensor import Tensor

PLAIN = (int, float, str, bool, type(None))
COLLECTIONS = (list, tuple, set, frozenset)
LARGE = 256
"""Items up to which the contents of a container guard a program; of a longer one only the object and its length do."""
DEPTH = 4
"""How far guards look into nested containers."""

Read = Callable[[], Any]


class Same:
    """Equal only to itself on the same object, which it keeps alive so that its identity is not given to another."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.thing is other.thing

    def __hash__(self) -> int:
        return id(self.thing)

    def __repr__(self) -> str:
        return getattr(self.thing, "__qualname__", None) or f"a {type(self.thing).__name__}"


class Fixed:
    """A tuple that knows its hash."""

    __slots__ = ("hash", "items")

    def __init__(self, items: tuple[Any, ...]) -> None:
        self.items = items
        self.hash = hash(items)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Fixed) and self.items == other.items)

    def __hash__(self) -> int:
        return self.hash


def token(thing: Any, depth: int = DEPTH) -> Hashable:
    """What a guard compares: a plain value with its type, the items of a container, else the object's identity."""
    kind = type(thing)
    if kind is int or kind is str or thing is None:
        return thing
    if kind is float:
        return kind, thing.hex()
    if kind is bool:
        return kind, thing
    if isinstance(thing, np.generic):
        return kind, thing.tobytes()
    if isinstance(thing, Tensor):
        return (Same(thing), thing._cell.requires_grad) if thing._cell.home is None else Tensor
    if isinstance(thing, MethodType):
        return Same(thing.__self__), Same(thing.__func__)
    items = _items(thing)
    if items is None or not depth:
        return Same(thing)
    if len(items) > LARGE:
        return Same(thing), len(items)
    tokens = [token(item, depth - 1) for item in items]
    return kind, frozenset(tokens) if isinstance(thing, set | frozenset) else tuple(tokens)


def _items(thing: Any) -> Collection[Any] | None:
    """What a container holds, keys and values of a dict, fields of a dataclass; None for any other object."""
    if isinstance(thing, COLLECTIONS):
        return thing
    if isinstance(thing, dict):
        return [*thing.keys(), *thing.values()]
    if is_dataclass(thing) and not isinstance(thing, type | Module):
        return [getattr(thing, field.name, None) for field in fields(thing)]
    return None


def described(token: Hashable) -> str:
    """A token for a message."""
    match token:
        case (kind, text) if kind is float:
            return repr(float.fromhex(str(text)))
        case (kind, flag) if kind is bool:
            return repr(flag)
        case _:
            return repr(token)


class Snapshot:
    """The objects that ``reads`` found, and what the containers among them held.

    It tells without tokens that nothing changed: by identity. Whether a tensor requires a gradient is not looked at,
    as that does not change without the clock of modules ticking.
    """

    __slots__ = ("_cells", "_contents", "_others")

    def __init__(self, reads: Iterable[Read]) -> None:
        self._cells: list[tuple[CellType, Any]] = []  # variables of closures, which are read without a call
        self._others: list[tuple[Read, Any]] = []
        self._contents: list[tuple[Any, int, tuple[Any, ...]]] = []
        for read in reads:
            thing = read()
            if isinstance(read, partial) and read.func is _contents and thing is not None:
                self._cells.append((read.args[0], thing))
            else:
                self._others.append((read, thing))
            self._contents += _holdings(thing, DEPTH)

    def holds(self) -> bool:
        """Whether the same objects stand there now, and hold the same; may say no where only tokens would say yes."""
        try:
            for cell, thing in self._cells:
                if cell.cell_contents is not thing:
                    return False
        except ValueError:  # the variable was deleted
            return False
        for read, thing in self._others:
            if read() is not thing:
                return False
        for container, length, items in self._contents:
            now = container if type(container) is list else _items(container) or ()
            if len(now) != length or not all(map(is_, now, items)):
                return False
        return True


def _holdings(thing: Any, depth: int) -> Iterator[tuple[Any, int, tuple[Any, ...]]]:
    """The containers that a token looks into and that may change, how many items each has, and those that count."""
    items = _items(thing)
    if items is None or not depth:
        return
    counting = tuple(items) if len(items) <= LARGE else ()
    if not isinstance(thing, tuple | frozenset):
        yield thing, len(items), counting
    for item in counting:
        yield from _holdings(item, depth - 1)


class Surroundings:
    """The objects reachable from a function's closure, globals and bound self, and those of the functions it calls.

    Of an object's attributes those count that the code mentions by name. ``modules``, ``optimizers``, ``scalers`` and
    ``tensors`` are ``(name, object)``; ``plain`` maps the name of everything that may be exchanged for something else
    between two calls to a function that reads it now.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.modules: list[tuple[str, Module]] = []
        self.optimizers: list[tuple[str, Optimizer]] = []
        self.scalers: list[tuple[str, GradScaler]] = []
        self.tensors: list[tuple[str, Tensor]] = []
        self.plain: dict[str, Read] = {}
        self._seen: dict[int, Any] = {}
        self._places: set[tuple[int, str]] = set()
        self._loaded: set[str] = set()
        self._holders: list[tuple[str, Any]] = []
        self._visit_function("", function)
        self._visit_attributes()
        self._reads = tuple(self.plain.values())

    def values(self) -> tuple[Hashable, ...]:
        """What stands under each name of ``plain`` now, as tokens."""
        return tuple([token(read()) for read in self._reads])

    def snapshot(self) -> Snapshot:
        """What stands under each name of ``plain`` now."""
        return Snapshot(self._reads)

    # Finding

    def _first(self, thing: Any) -> bool:
        """Whether ``thing`` has not been visited yet; it counts as visited from now on, and stays alive."""
        new = id(thing) not in self._seen
        self._seen[id(thing)] = thing
        return new

    def _unvisited(self, place: Any, key: str) -> bool:
        """Whether the variable ``key`` of a closure cell, namespace or object has not been looked at yet."""
        new = (id(place), key) not in self._places
        self._places.add((id(place), key))
        return new

    def _visit_function(self, name: str, function: Any) -> None:
        if isinstance(function, MethodType):
            self._visit("self", function.__self__)
            function = function.__func__
        elif isinstance(function, partial):
            self._visit_items(name, [function.func, *function.args, *function.keywords.values()])
            return
        elif not isinstance(function, FunctionType):
            self._visit_function(name, function.__wrapped__)
            return
        if _of_library(function.__module__) or not self._first(function):
            return
        code = function.__code__
        for free, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            if self._unvisited(cell, free):
                self._visit(free, _contents(cell), partial(_contents, cell))
        loaded = _loaded(code)
        self._loaded |= loaded
        space = function.__globals__
        for key in sorted(loaded & space.keys()):
            if self._unvisited(space, key):
                self._visit(key, space[key], partial(space.get, key))

    def _visit(self, name: str, thing: Any, read: Read | None = None) -> None:
        """``read`` reads what stands under ``name`` now; None for what is reached through a container."""
        if isinstance(thing, ModuleType):
            if not _of_library(thing.__name__) and self._first(thing):
                self._holders.append((name, thing))
            return
        if read is not None:
            name = _unique(name, self.plain)
            self.plain[name] = read
        items = _items(thing)
        if items is not None and self._first(thing):
            self._visit_items(name, items)
        if isinstance(thing, FunctionType | MethodType | partial) or callable(getattr(thing, "__wrapped__", None)):
            self._visit_function(name, thing)
        elif not isinstance(thing, (*PLAIN, type)) and self._first(thing):
            self._collect(name, thing)

    def _visit_items(self, name: str, items: Collection[Any]) -> None:
        for i, item in enumerate(items if len(items) <= LARGE else ()):
            if not isinstance(item, PLAIN):
                self._visit(f"{name}[{i}]", item)

    def _collect(self, name: str, thing: Any) -> None:
        if isinstance(thing, Optimizer):
            self.optimizers.append((_unique(name, dict(self.optimizers)), thing))
        elif isinstance(thing, GradScaler):
            self.scalers.append((_unique(name, dict(self.scalers)), thing))
        elif isinstance(thing, Tensor):
            self.tensors.append((_unique(name, dict(self.tensors)), thing))
        elif isinstance(thing, Module):
            name = _unique(name, dict(self.modules))
            self.modules.append((name, thing))
            self._holders.extend((f"{name}.{path}" if path else name, m) for path, m in thing.named_modules())
        elif not _of_package(type(thing).__module__):
            self._holders.append((name, thing))

    def _visit_attributes(self) -> None:
        """Attributes of the holders that the code loads; code found there may load more."""
        while True:
            todo = [
                (name, holder, key)
                for name, holder in self._holders
                for key in sorted(_attributes(holder, self._loaded))
                if self._unvisited(holder, key)
            ]
            if not todo:
                return
            for name, holder, key in todo:
                self._visit_attribute(f"{name}.{key}", holder, key)

    def _visit_attribute(self, name: str, holder: Any, key: str) -> None:
        own = getattr(holder, "__dict__", {})
        thing = own[key] if key in own else _class_attribute(type(holder), key)
        if isinstance(thing, property):
            self._visit_function(name, thing.fget)
        elif isinstance(thing, staticmethod | classmethod):
            self._visit_function(name, thing.__func__)
        elif key not in own and isinstance(thing, FunctionType):
            self._visit_function(name, thing)
        elif not (isinstance(holder, Module) and isinstance(thing, PLAIN)):
            read = partial(getattr, holder, key, None)
            self._visit(name, read(), read)

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """Every reachable module with its path."""
        seen: set[int] = set()
        for name, root in self.modules:
            for path, module in root.named_modules():
                if id(module) not in seen:
                    seen.add(id(module))
                    yield f"{name}.{path}" if path else name, module

    def label(self) -> None:
        """Give parameters, buffers and optimizers the names they have in the user's program."""
        for name, module in self.named_modules():
            for path, tensor in [*module._parameters.items(), *module._buffers.items()]:
                if tensor is not None and not tensor._cell.label:
                    tensor._cell.label = f"{name}.{path}"
        for name, optimizer in self.optimizers:
            optimizer.label = name
        for name, scaler in self.scalers:
            scaler.label = name
        for name, tensor in self.tensors:
            tensor._cell.label = tensor._cell.label or name

    # Guarding

    def structure(self) -> dict[str, Hashable]:
        """What a program depends on that cannot change without the clocks of modules and optimizers ticking.

        The modules themselves with their attributes, hooks, parameters and buffers; what optimizers bake in.
        """
        found: dict[str, Hashable] = {}
        for name, module in self.named_modules():
            found[name] = Same(module)
            for key, value in vars(module).items():
                if key in _HOOKS:
                    found[f"{name}.{key}"] = tuple(token(hook) for hook in value.values())
                elif self._guards(key, value):
                    found[f"{name}.{key}"] = token(value)
            for key, tensor in [*module._parameters.items(), *module._buffers.items()]:
                found[f"{name}.{key}"] = None if tensor is None else _leaf(tensor)
        for name, optimizer in self.optimizers:
            found[name] = (Same(optimizer), optimizer._generation)
            for i, group in enumerate(optimizer.param_groups):
                found[f"{name}.param_groups[{i}]"] = tuple(Same(p._cell) for p in group["params"])
                for key, value in group.structure():
                    if key != "params":
                        found[f"{name}.param_groups[{i}][{key!r}]"] = value
        for name, scaler in self.scalers:
            found[name] = (Same(scaler), *scaler.structure())
        return found

    def _guards(self, key: str, value: Any) -> bool:
        """Whether a module's attribute does: neither a table nor a tensor that the code only stores."""
        if key in _TABLES or key.startswith("_compiled_"):
            return False
        return key in self._loaded or not isinstance(value, Tensor)


_HOOKS = ("_forward_hooks", "_forward_pre_hooks")
_TABLES = ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set")
_PACKAGES = frozenset(
    ("numpy", "ml_dtypes", "genesis", "compiler", "runtime", "torch", "jax", "rich", "tqdm", "pytest", "_pytest")
)
_REFLECTION = frozenset(("getattr", "vars", "__dict__", "asdict", "astuple"))
_ALWAYS = {"forward", "__call__"}


def _leaf(tensor: Tensor) -> Hashable:
    cell = tensor._cell
    return Same(cell), cell.requires_grad, tuple(map(Same, (cell.hooks or {}).values()))


def _of_package(module: str | None) -> bool:
    return (module or "").split(".")[0] in _PACKAGES


def _of_library(module: str | None) -> bool:
    """Whether code of this module never changes what a step does."""
    return _of_package(module) or (module or "").split(".")[0] in sys.stdlib_module_names - {"__main__"}


def _unique(name: str, taken: Collection[str]) -> str:
    """``name``, or the first of ``name'``, ``name''``, ... that is not taken."""
    while name in taken:
        name += "'"
    return name


def _contents(cell: CellType) -> Any:
    """What a closure's variable is; None before its first assignment."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _class_attribute(kind: type, key: str) -> Any:
    return next((vars(base)[key] for base in kind.__mro__ if key in vars(base)), None)


def _attributes(holder: Any, loaded: set[str]) -> set[str]:
    """The attributes of an object and of its classes that code loads; all its own where code looks names up."""
    own = set(getattr(holder, "__dict__", ()))
    if isinstance(holder, ModuleType):
        return own & loaded
    found = own if loaded & _REFLECTION else own & loaded
    if isinstance(holder, Module):
        found = found.difference(_TABLES, _HOOKS)
    for base in type(holder).__mro__:
        if not _of_library(base.__module__):
            found = found | (vars(base).keys() & (loaded | _ALWAYS))
    return found - {"__class__", "__dict__"}


@cache
def _loaded(code: CodeType) -> frozenset[str]:
    """Names of globals and attributes that a code object or one nested in it loads."""
    here = {i.argval for i in get_instructions(code) if i.opcode in hasname and i.opname.startswith("LOAD")}
    return frozenset(here).union(*[_loaded(c) for c in code.co_consts if isinstance(c, CodeType)])
