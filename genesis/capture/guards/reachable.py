"""The objects that a step reaches: modules, optimizers, scalers, and everything else that guards it."""

from __future__ import annotations

import builtins
import csv
import os
import random
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from io import IOBase, StringIO
from operator import attrgetter, itemgetter, methodcaller
from types import CellType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any
from weakref import ref

import numpy as np

from genesis.amp import GradScaler
from genesis.capture.guards.attributes import (
    HOOKS,
    TABLES,
    attributes,
    class_attribute,
    mro,
    of_library,
    of_package,
    own_attribute,
    slot_names,
    strings,
    undecorated,
)
from genesis.capture.guards.code import Names, Place, global_names, names, type_test
from genesis.capture.guards.keys import BUFFERS, NOTHING, IdentityKey, cell_key, guard_key, items_of
from genesis.capture.guards.snapshot import Read, Snapshot, cell_contents
from genesis.host_object import HostObject
from genesis.memory.identity import GONE
from genesis.nn.hooks import OF_ALL
from genesis.nn.module import Module
from genesis.nn.tables import Table
from genesis.optim.optimizer import Optimizer
from genesis.tensor import Tensor

PLAIN = (int, float, str, bool, type(None), bytes, complex, np.generic)
STREAMS = (IOBase, type(csv.writer(StringIO())))
GENERATORS = (random.Random, np.random.Generator, np.random.RandomState, np.random.BitGenerator)

Named = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class Guard:
    """``read`` finds the object that is guarded; ``place`` is the line that made the guard necessary.

    ``watched``: the object stands in a dictionary that snapshots compare as a whole.
    """

    read: Read
    place: Place | None
    watched: bool = False


class Reachable:
    """The objects reachable from a function's closure, globals, defaults and bound self, and from ``roots``.

    The functions that it calls are followed. Only those attributes of an object count that the code mentions by name.
    ``roots`` are arguments that are neither numbers nor tensors, by name.

    Attributes:
        modules, optimizers, scalers, schedules, tensors: ``(name, object)``.
        guards: everything that may be exchanged between two calls, by name.
        containers, namespaces, cells: what a recording may change: collections, dictionaries of attributes with the
            names that count (None: all), and variables of closures.
        slotted: objects whose attributes stand in slots, with the names of these.
        arrays: NumPy arrays and other buffers, by identity.
        iterators, generators: objects that are used up by reading them, and sources of random numbers.
    """

    def __init__(self, function: Callable[..., Any], roots: Iterable[Named] = ()) -> None:
        self.modules: list[tuple[str, Module]] = []
        self.optimizers: list[tuple[str, Optimizer]] = []
        self.scalers: list[tuple[str, GradScaler]] = []
        self.schedules: list[tuple[str, HostObject]] = []
        self.tensors: list[tuple[str, Tensor]] = []
        self.guards: dict[str, Guard] = {}
        self.containers: list[tuple[str, Any]] = []
        self.namespaces: list[tuple[str, Any]] = []
        self.cells: list[tuple[str, CellType]] = []
        self.arrays: dict[int, tuple[str, Any]] = {}
        self.iterators: list[tuple[str, Any, Place | None]] = []
        self.type_test: Place | None = None
        self.generators: list[tuple[str, Any, Place | None]] = []
        self.slotted: list[tuple[str, Any, tuple[str, ...]]] = []
        self.classes: list[type] = []
        self.names = Names({}, {})
        self._seen: dict[int, Any] = {}
        self._places: set[tuple[int, str]] = set()
        self._holders: list[Named] = []
        self._globals: dict[int, tuple[dict[str, Any], set[str]]] = {}
        self._visit_function("", function)
        for name, root in roots:
            self._visit(name, root)
            self._guard(name, partial(itself, root), None)
        self._visit_attributes()
        self._visit_environment()
        self._reads = [guard.read for guard in self.guards.values()]

    def values(self, known: Mapping[int, Any] = NOTHING) -> tuple[Hashable, ...]:
        """The guard keys of all guarded objects, in the order of ``guards``; ``known`` as for :func:`guard_key`."""
        return tuple([guard_key(read(), (), known) for read in self._reads])

    def snapshot(self, inputs: Collection[int] = ()) -> Snapshot:
        """The guarded objects of now, to be compared by identity, without the contents of the arrays ``inputs``."""
        reads = [guard.read for guard in self.guards.values() if not guard.watched]
        return Snapshot(reads, [*self._module_views(), *[vars(kind).values() for kind in self.classes]], inputs)

    def structure_snapshot(self) -> Snapshot:
        """The attributes of the modules of now: a change of ``vars(module)`` passes by the clocks."""
        return Snapshot((), self._module_views())

    def _module_views(self) -> list[Collection[Any]]:
        """The attributes of modules, and the members in tables that do not tick the clock when they change."""
        spaces = [vars(module) for _, module in self.named_modules()]
        tables = [space[name] for space in spaces for name in ("_parameters", "_buffers", "_modules")]
        return [d.values() for d in (*spaces, *tables) if not isinstance(d, Table)]

    def knows(self, thing: Any) -> bool:
        """Whether ``thing`` is one of the objects that were found."""
        return id(thing) in self._seen

    def finder(self, name: str, thing: Any) -> Read:
        """Finds ``thing``, or what stands under its ``name`` then, at every call."""
        guard = self.guards.get(name)
        return guard.read if guard is not None and guard.read() is thing else partial(itself, thing)

    def reaches(self, owner: Any, key: Any) -> bool:
        """Whether the code may look at ``key`` of ``owner``."""
        return id(owner) in self._seen or (id(owner), key) in self._places

    def with_state(self) -> list[Named]:
        """Everything that has a state to save: modules, optimizers, scalers, schedules, and objects of the user's."""
        own = [(name, thing) for name, thing in self._holders if _has_state(thing) and not isinstance(thing, Module)]
        return [*self.modules, *self.optimizers, *self.scalers, *self.schedules, *own]

    def place_of(self, name: str) -> Place | None:
        """The line that made the guard ``name`` necessary."""
        guard = self.guards.get(name)
        return guard.place if guard is not None else None

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

    def _guard(self, name: str, read: Read, place: Place | None, watched: bool = False) -> str:
        name = _unique(name, self.guards)
        self.guards[name] = Guard(read, place, watched)
        return name

    def _visit_function(self, name: str, function: Any) -> None:
        if isinstance(function, MethodType):
            self._visit("self", function.__self__)
            function = function.__func__
        elif isinstance(function, partial):
            self._visit_items(name, items_of(function) or ())
            return
        elif not isinstance(function, FunctionType):
            wrapped = undecorated(function)
            if wrapped is not None:
                self._visit_function(name, wrapped)
            else:
                self._visit(name or "self", function)
            return
        if not self._first(function):
            return
        if of_library(function.__module__):  # it may call a function of the user's that it was given
            for cell in function.__closure__ or ():
                if isinstance(cell_contents(cell), FunctionType | MethodType | partial):
                    self._visit_function(name, cell_contents(cell))
            return
        self._holders.append((name or function.__name__, function))
        if isinstance(vars(function).get("registry"), MappingProxyType):  # functools.singledispatch
            self._visit(f"{name}.registry", function.registry, partial(getattr, function, "registry"))
        code = function.__code__
        here = names(code)
        self.type_test = self.type_test or type_test(code)
        for mine, new in zip(self.names, here, strict=True):
            for key, place in new.items():
                mine.setdefault(key, place)
        for free, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            if self._unvisited(cell, free):
                self.cells.append((free, cell))
                self._visit(free, cell_contents(cell), partial(cell_contents, cell), here.place(free))
        for default in ("__defaults__", "__kwdefaults__"):
            if getattr(function, default):
                read = partial(getattr, function, default)
                place = Place(code.co_filename, code.co_firstlineno)
                self._visit(f"{function.__name__}.{default}", read(), read, place)
        space = function.__globals__
        mentioned = global_names(code)
        known = self._globals.setdefault(id(space), (space, set()))[1]
        known |= mentioned
        for key in sorted(key for key in mentioned if key in space or not hasattr(builtins, key)):
            if self._unvisited(space, key):
                self._visit(key, space.get(key, GONE), partial(space.get, key, GONE), here.place(key))

    def _visit(self, name: str, thing: Any, read: Read | None = None, place: Place | None = None) -> None:
        """``read`` finds the object that stands under ``name`` now; None for an item of a container."""
        if isinstance(thing, ModuleType):
            if not of_library(thing.__name__) and self._first(thing):
                self._holders.append((name, thing))
            return
        if read is not None:
            name = self._guard(name, read, place)
        if isinstance(thing, PLAIN) or thing is GONE:
            return
        if isinstance(thing, FunctionType | MethodType | partial) or undecorated(thing) is not None:
            if isinstance(thing, partial) and self._first(thing.keywords):
                self.containers.append((name, thing.keywords))
            self._visit_function(name, thing)
        elif self._first(thing):
            self._collect(name, thing, place)

    def _visit_items(self, name: str, items: Collection[Any]) -> None:
        for i, item in enumerate(items):
            if not isinstance(item, PLAIN):
                self._visit(f"{name}[{i}]", item)

    def _collect(self, name: str, thing: Any, place: Place | None) -> None:
        if isinstance(thing, HostObject):  # its numbers are read at every call
            self.schedules.append((name, thing))
            return
        items = items_of(thing)
        if items is not None:
            if not isinstance(thing, tuple | frozenset):
                self.containers.append((name, thing))
            self._visit_items(name, items)
        if isinstance(thing, Optimizer):
            if not of_package(type(thing).__module__):
                self._holders.append((name, thing))
            self.optimizers.append((_unique(name, dict(self.optimizers)), thing))
        elif isinstance(thing, GradScaler):
            self.scalers.append((_unique(name, dict(self.scalers)), thing))
        elif isinstance(thing, Tensor):
            self.tensors.append((_unique(name, dict(self.tensors)), thing))
            self._visit_hooks(name, thing)
        elif isinstance(thing, Module):
            if not self.modules:
                for kind, table in OF_ALL.items():
                    self.containers.append((f"the {kind} of all modules", table))
                    for hook in table.values():
                        self._visit_items(kind, hook if isinstance(hook, tuple) else (hook,))
            name = _unique(name, dict(self.modules))
            self.modules.append((name, thing))
            for path, module in thing.named_modules():
                self._collect_module(f"{name}.{path}" if path else name, module)
        elif isinstance(thing, BUFFERS):
            self.arrays[id(thing)] = name, thing
        elif isinstance(thing, GENERATORS):
            self.generators.append((name, thing, place))
        elif isinstance(thing, ContextVar):
            self._visit(f"{name}.get()", thing.get(None), partial(thing.get, None), place)
        elif isinstance(thing, ref):
            self._visit(f"{name}()", thing(), thing, place)
        elif isinstance(thing, attrgetter | methodcaller | itemgetter):
            self._add_names(strings(thing.__reduce__()), place)
        elif isinstance(thing, STREAMS) or (hasattr(type(thing), "__next__") and of_library(type(thing).__module__)):
            self.iterators.append((name, thing, place))
        elif isinstance(thing, type):
            if not of_library(thing.__module__):
                self._holders.append((name, thing))
        elif not of_package(type(thing).__module__):
            self._holders.append((name, thing))

    def _collect_module(self, name: str, module: Module) -> None:
        self._first(module)
        self._holders.append((name, module))
        self.namespaces.append((name, module))
        for table in (*HOOKS, *TABLES):
            if table != "_buffers":
                self.containers.append((f"{name}.{table}", getattr(module, table)))
        self._first(module._buffers)
        for table in HOOKS:
            for hook in getattr(module, table).values():
                self._visit_items(f"{name}.{table}", hook if isinstance(hook, tuple) else (hook,))
        for key, tensor in [*module._parameters.items(), *module._buffers.items()]:
            if tensor is not None:
                self._visit_hooks(f"{name}.{key}", tensor)

    def _visit_hooks(self, name: str, tensor: Tensor) -> None:
        for hook in (*(tensor._cell.hooks or {}).values(), *(tensor._cell.filled or {}).values()):
            self._visit(f"{name}'s hook", hook)

    def _add_names(self, found: Iterable[str], place: Place | None) -> None:
        for text in found:
            for key in text.split("."):
                self.names.loaded.setdefault(key, place or Place("", 0))

    def _visit_attributes(self) -> None:
        """Attributes of the holders that the code mentions; code found there may mention more."""
        while True:
            todo = [
                (name, holder, key)
                for name, holder in self._holders
                for key in sorted(attributes(holder, self.names))
                if self._unvisited(holder, key)
            ]
            if not todo:
                break
            for name, holder, key in todo:
                self._visit_attribute(f"{name}.{key}", holder, key)
                if "super" in self.names.loaded:
                    self._visit_overridden(f"{name}.{key}", holder, key)
        self._visit_absent()
        classes = {kind: None for _, holder in self._holders for kind in mro(holder) if not of_library(kind.__module__)}
        self.classes = list(classes)
        known = {id(thing) for _, thing in self.namespaces}
        for name, holder in [*self._holders, *((kind.__name__, kind) for kind in self.classes)]:
            if hasattr(holder, "__dict__") and id(holder) not in known:
                known.add(id(holder))
                self.namespaces.append((name, holder))
        self.slotted = [(n, h, slots) for n, h in self._holders if (slots := slot_names(h))]

    def _visit_absent(self) -> None:
        """Names that the code mentions and that no holder has as yet; the clocks of modules tell for these."""
        mentioned = frozenset(self.names.loaded)
        for name, holder in self._holders:
            if hasattr(holder, "__dict__") and not isinstance(holder, Module | FunctionType):
                read = partial(_lacks, holder, mentioned.difference(vars(holder)))
                self._guard(f"new attributes of {name}", read, None)

    def _visit_attribute(self, name: str, holder: Any, key: str) -> None:
        own = getattr(holder, "__dict__", {})
        inherited = key not in own
        thing = class_attribute(holder, key) if inherited else own[key]
        place = self.names.place(key)
        if isinstance(thing, property):
            for accessor in filter(None, (thing.fget, thing.fset)):
                self._visit_function(name, accessor)
        elif isinstance(thing, staticmethod | classmethod):
            self._visit_function(name, thing.__func__)
        elif isinstance(thing, FunctionType) and (inherited or isinstance(holder, type)):
            self._visit_function(name, thing)
        elif not (isinstance(holder, Module) and not inherited and isinstance(thing, PLAIN)):
            read = partial(getattr, holder, key, GONE)
            self._visit(name, read(), read, place)
            return
        else:
            return
        if not of_library(getattr(thing, "__module__", None)):
            self._guard(name, partial(class_attribute, holder, key), place, watched=True)

    def _visit_overridden(self, name: str, holder: Any, key: str) -> None:
        """The methods that ``super()`` finds behind the first."""
        for base in mro(holder):
            method = vars(base).get(key)
            if isinstance(method, FunctionType) and not of_library(base.__module__) and self._unvisited(base, key):
                label = f"{name} of {base.__name__}"
                self._visit_function(label, method)
                self._guard(label, partial(own_attribute, base, key), self.names.place(key), watched=True)

    def _visit_environment(self) -> None:
        """The variables of the process, where the code mentions them."""
        for key in ("environ", "getenv"):
            if key in self.names.loaded:
                self._visit("os.environ", vars(os.environ)["_data"], _environment, self.names.loaded[key])
                return

    def global_names(self) -> list[tuple[dict[str, Any], set[str]]]:
        """The namespaces of the functions that were found, with the globals that they mention."""
        return list(self._globals.values())

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
        """The things a program depends on that change only when the clocks of modules and optimizers tick.

        The modules themselves with their attributes, hooks, parameters and buffers; what optimizers bake in.
        """
        found: dict[str, Hashable] = {}
        if self.modules:
            found = {f"the {kind} of all modules": tuple(map(guard_key, t.values())) for kind, t in OF_ALL.items()}
        for name, module in self.named_modules():
            found[name] = IdentityKey(module)
            for table in HOOKS:
                found[f"{name}.{table}"] = tuple(guard_key(hook) for hook in getattr(module, table).values())
            for key, value in vars(module).items():
                if self._is_guarded(key, value):
                    found[f"{name}.{key}"] = guard_key(value)
            for key, tensor in [*module._parameters.items(), *module._buffers.items()]:
                found[f"{name}.{key}"] = None if tensor is None else cell_key(tensor._cell)
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

    def _is_guarded(self, key: str, value: Any) -> bool:
        """Whether a module's attribute is; tables are not, nor tensors and arrays that the code never mentions."""
        if key in TABLES or key == "_hooks" or key.startswith("_compiled_"):
            return False
        return key in self.names.loaded or not isinstance(value, (Tensor, *BUFFERS))


def _unique(name: str, taken: Collection[str]) -> str:
    """``name``, or the first of ``name'``, ``name''``, ... that is not taken."""
    while name in taken:
        name += "'"
    return name


def _has_state(thing: Any) -> bool:
    methods = (getattr(thing, name, None) for name in ("state_dict", "load_state_dict"))
    return not isinstance(thing, type) and all(map(callable, methods))


def _lacks(holder: Any, names: frozenset[str]) -> bool:
    return names.isdisjoint(vars(holder))


def itself(thing: Any) -> Any:
    return thing


def _environment() -> Any:
    return vars(os.environ)["_data"]
