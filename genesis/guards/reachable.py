"""The objects that a step reaches besides its arguments: modules, optimizers, scalers, and values that guard it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Hashable, Iterator
from dis import get_instructions, hasname
from functools import cache, partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from genesis.amp import GradScaler
from genesis.guards.keys import LARGE, IdentityKey, guard_key, items_of
from genesis.guards.snapshot import Read, Snapshot, cell_contents
from genesis.nn.module import Module
from genesis.optim.optimizer import Optimizer
from genesis.tensor import Tensor

PLAIN = (int, float, str, bool, type(None))


class Reachable:
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
        return tuple([guard_key(read()) for read in self._reads])

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
                self._visit(free, cell_contents(cell), partial(cell_contents, cell))
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
        items = items_of(thing)
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
            found[name] = IdentityKey(module)
            for key, value in vars(module).items():
                if key in _HOOKS:
                    found[f"{name}.{key}"] = tuple(guard_key(hook) for hook in value.values())
                elif self._guards(key, value):
                    found[f"{name}.{key}"] = guard_key(value)
            for key, tensor in [*module._parameters.items(), *module._buffers.items()]:
                found[f"{name}.{key}"] = None if tensor is None else _leaf(tensor)
        for name, optimizer in self.optimizers:
            found[name] = (IdentityKey(optimizer), optimizer._generation)
            for i, group in enumerate(optimizer.param_groups):
                found[f"{name}.param_groups[{i}]"] = tuple(IdentityKey(p._cell) for p in group["params"])
                for key, value in group.structure():
                    if key != "params":
                        found[f"{name}.param_groups[{i}][{key!r}]"] = value
        for name, scaler in self.scalers:
            found[name] = (IdentityKey(scaler), *scaler.structure())
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
    return IdentityKey(cell), cell.type, cell.requires_grad, tuple(map(IdentityKey, (cell.hooks or {}).values()))


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
