"""What a step refers to besides its arguments: modules, optimizers, scalers, and plain values that guard a program."""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Iterator
from dataclasses import fields, is_dataclass
from functools import partial
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from genesis.amp import GradScaler
from genesis.nn.module import Module
from genesis.optim.optimizer import Optimizer
from genesis.tensor import Tensor

PLAIN = (int, float, str, bool, type(None))
LARGE = 256
"""Items up to which the contents of a container guard a program; of a longer one only its length does."""

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
        name = getattr(self.thing, "__qualname__", None)
        return f"{type(self.thing).__name__} at {id(self.thing):#x}" if name is None else name


def token(thing: Any) -> Hashable:
    """What a guard compares of a value: type and value of a plain one, the items of a container, else the identity."""
    kind = type(thing)
    if kind in _EXACT:
        return kind, thing
    if kind is float:
        return kind, thing.hex()
    if isinstance(thing, list | tuple):
        return (kind, *map(token, thing)) if len(thing) <= LARGE else (kind, Same(thing), len(thing))
    if isinstance(thing, dict):
        return (kind, *[(token(k), token(v)) for k, v in thing.items()][: LARGE + 1], len(thing))
    if isinstance(thing, set | frozenset):
        return kind, frozenset(map(token, thing))
    if isinstance(thing, np.generic):
        return kind, thing.tobytes()
    if isinstance(thing, Tensor):
        return Same(thing), thing._cell.requires_grad
    if isinstance(thing, MethodType):
        return Same(thing.__self__), Same(thing.__func__)
    return Same(thing)


_EXACT = frozenset((int, str, bool, type(None)))
_CHANGING = (list, dict, set, np.ndarray, Tensor)


class Surroundings:
    """The objects reachable from a function's closure, globals and bound self, and those of the functions it calls.

    Of an object's attributes those count that the code mentions by name. ``modules``, ``optimizers``, ``scalers`` and
    ``tensors`` are ``(name, object)``; ``plain`` maps the name of each value that may be exchanged for another to a
    function that reads it now.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.modules: list[tuple[str, Module]] = []
        self.optimizers: list[tuple[str, Optimizer]] = []
        self.scalers: list[tuple[str, GradScaler]] = []
        self.tensors: list[tuple[str, Tensor]] = []
        self.plain: dict[str, Read] = {}
        self._seen: dict[int, Any] = {}
        self._mentioned: set[str] = set()
        self._holders: list[tuple[str, Any]] = []
        self._visit_function("", function)
        self._visit_attributes()
        self.names = tuple(self.plain)
        self._reads = tuple(self.plain.values())

    def values(self) -> tuple[Hashable, ...]:
        """What stands under each of ``names`` now, as tokens."""
        return tuple([token(read()) for read in self._reads])

    def snapshot(self) -> list[tuple[Any, Hashable]]:
        """The objects under each of ``names`` now; with the token of those that can change while staying the same."""
        found = [read() for read in self._reads]
        return [(x, token(x) if isinstance(x, _CHANGING) else None) for x in found]

    def unchanged(self, snapshot: list[tuple[Any, Hashable]]) -> bool:
        """Whether the same objects, with the same contents, stand there as in ``snapshot``; quick to say yes."""
        for read, (thing, before) in zip(self._reads, snapshot, strict=True):
            now = read()
            if now is not thing or (before is not None and token(now) != before):
                return False
        return True

    # Finding

    def _first(self, thing: Any) -> bool:
        """Whether ``thing`` has not been visited yet; it counts as visited from now on, and stays alive."""
        new = id(thing) not in self._seen
        self._seen[id(thing)] = thing
        return new

    def _visit_function(self, name: str, function: Any) -> None:
        if isinstance(function, MethodType):
            self._visit("self", function.__self__)
            function = function.__func__
        if isinstance(function, partial):
            self._visit_items(name, [function.func, *function.args, *function.keywords.values()])
            return
        if not isinstance(function, FunctionType):
            function = getattr(function, "__wrapped__", None)
        if not isinstance(function, FunctionType) or _of_library(function.__module__) or not self._first(function):
            return
        code = function.__code__
        for free, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            self._visit(free, _contents(cell), partial(_contents, cell))
        mentioned = _mentioned(code)
        self._mentioned |= mentioned
        space = function.__globals__
        for key in sorted(mentioned & space.keys()):
            self._visit(key, space[key], partial(space.get, key))

    def _visit(self, name: str, thing: Any, read: Read | None = None) -> None:
        """``read`` reads what stands under ``name`` now; None for what is reached through a container."""
        if isinstance(thing, ModuleType | type) or _is_of_library(thing):
            if isinstance(thing, ModuleType) and not _of_library(thing.__name__) and self._first(thing):
                self._holders.append((name, thing))
            return
        if read is not None:
            self.plain.setdefault(name, read)
        if isinstance(thing, list | tuple | set | frozenset):
            self._visit_items(name, thing)
        elif isinstance(thing, dict):
            self._visit_items(name, thing.values())
        elif isinstance(thing, FunctionType | MethodType | partial) or hasattr(thing, "__wrapped__"):
            self._visit_function(name, thing)
        elif not isinstance(thing, PLAIN) and self._first(thing):
            self._collect(name, thing)

    def _visit_items(self, name: str, items: Any) -> None:
        for i, item in enumerate(items):
            if not isinstance(item, PLAIN):
                self._visit(f"{name}[{i}]", item)

    def _collect(self, name: str, thing: Any) -> None:
        if isinstance(thing, Optimizer):
            self.optimizers.append((name, thing))
        elif isinstance(thing, GradScaler):
            self.scalers.append((name, thing))
        elif isinstance(thing, Tensor):
            self.tensors.append((name, thing))
        elif hasattr(thing, "__dict__"):
            if isinstance(thing, Module):
                self.modules.append((name, thing))
                self._holders.extend((f"{name}.{path}", m) for path, m in thing.named_modules() if path and self._first(m))
            self._holders.append((name, thing))

    def _visit_attributes(self) -> None:
        """Attributes of the holders that the code mentions; code found there may mention more."""
        done: set[tuple[int, str]] = set()
        while True:
            mentioned = self._mentioned | {"forward", "__call__"}
            todo = [
                (name, holder, key)
                for name, holder in self._holders
                for key in sorted(_attributes(holder, mentioned))
                if (id(holder), key) not in done
            ]
            if not todo:
                return
            for name, holder, key in todo:
                done.add((id(holder), key))
                self._visit_attribute(f"{name}.{key}", holder, key)

    def _visit_attribute(self, name: str, holder: Any, key: str) -> None:
        own = vars(holder)
        thing = own[key] if key in own else _class_attribute(type(holder), key)
        if isinstance(thing, property):
            self._visit_function(name, thing.fget)
        elif isinstance(thing, staticmethod | classmethod):
            self._visit_function(name, thing.__func__)
        elif key not in own and isinstance(thing, FunctionType):
            self._visit_function(name, thing)
        elif not (isinstance(holder, Module) and isinstance(thing, PLAIN)):
            self._visit(name, thing, partial(getattr, holder, key, None))

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
                    found[f"{name}.{key}"] = tuple(map(token, vars(module)[key].values()))
                elif key not in _TABLES and not key.startswith("_compiled_"):
                    found[f"{name}.{key}"] = token(value)
            for key, tensor in [*module._parameters.items(), *module._buffers.items()]:
                found[f"{name}.{key}"] = None if tensor is None else (Same(tensor._cell), tensor._cell.requires_grad)
        for name, optimizer in self.optimizers:
            found[name] = (Same(optimizer), optimizer._generation)
            for i, group in enumerate(optimizer.param_groups):
                found[f"{name}.param_groups[{i}]"] = tuple(Same(p._cell) for p in group["params"])
                for key, value in group.structure():
                    if key != "params":
                        found[f"{name}.param_groups[{i}][{key!r}]"] = value
        for name, scaler in self.scalers:
            found[name] = (Same(scaler), scaler.is_enabled())
        return found


_HOOKS = ("_forward_hooks", "_forward_pre_hooks")
_TABLES = ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set")
_LIBRARIES = sys.stdlib_module_names | {
    "numpy", "genesis", "compiler", "runtime", "torch", "jax", "rich", "tqdm", "_pytest", "pytest", "ml_dtypes",
}  # fmt: skip
_REFLECTION = frozenset(("getattr", "vars", "__dict__", "asdict", "astuple"))


def _of_library(module: str | None) -> bool:
    return module is not None and module != "__main__" and module.split(".")[0] in _LIBRARIES


def _is_of_library(thing: Any) -> bool:
    """Whether a function is no code of the user's: it never changes what a step does."""
    return callable(thing) and not isinstance(thing, Module | MethodType | partial) and (
        isinstance(thing, _BUILTIN) or (isinstance(thing, FunctionType) and _of_library(thing.__module__))
    )


_BUILTIN = (type(len), type(str.join), np.ufunc)


def _contents(cell: CellType) -> Any:
    """What a closure's variable is; None before its first assignment."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _class_attribute(kind: type, key: str) -> Any:
    return next((vars(base)[key] for base in kind.__mro__ if key in vars(base)), None)


def _attributes(holder: Any, mentioned: set[str]) -> set[str]:
    """The attributes among ``mentioned``, of the object and of its classes; all of those that are looked up by name."""
    own = {key for key in vars(holder) if not (isinstance(holder, Module) and key in _TABLES + _HOOKS)}
    found = own if mentioned & _REFLECTION and not isinstance(holder, ModuleType) else own & mentioned
    if is_dataclass(holder):
        found = found | {field.name for field in fields(holder)}
    for base in type(holder).__mro__:
        if not _of_library(base.__module__):
            found = found | (vars(base).keys() & mentioned)
    return found - {"__class__", "__dict__"}


def _mentioned(code: CodeType) -> set[str]:
    """Names of globals and attributes that a code object or one nested in it uses."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _mentioned(constant)
    return names
