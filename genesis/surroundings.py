"""What a step refers to besides its arguments: modules, optimizers, scalers, and plain values that guard a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, MethodType
from typing import Any

from genesis.amp import GradScaler
from genesis.nn.module import Module
from genesis.optim.optimizer import Optimizer
from genesis.tensor import Tensor

PLAIN = (int, float, str, bool, type(None))


class Surroundings:
    """The objects reachable from a function's closure, globals and bound self, and those of the functions it calls.

    ``modules``, ``optimizers`` and ``scalers`` are ``(name, object)``; ``plain`` maps the name of each plain value to a
    function that reads it now.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.modules: list[tuple[str, Module]] = []
        self.optimizers: list[tuple[str, Optimizer]] = []
        self.scalers: list[tuple[str, GradScaler]] = []
        self.tensors: list[tuple[str, Tensor]] = []
        self.plain: dict[str, Callable[[], Any]] = {}
        self._seen: set[int] = set()
        self._visit_function(function)

    def _visit_function(self, function: Any) -> None:
        if isinstance(function, MethodType):
            self._visit("self", function.__self__)
            function = function.__func__
        function = getattr(function, "__wrapped__", function)
        if not isinstance(function, FunctionType) or id(function.__code__) in self._seen or _own(function):
            return
        self._seen.add(id(function.__code__))
        names = function.__code__.co_freevars
        for name, cell in zip(names, function.__closure__ or (), strict=True):
            try:
                self._visit(name, cell.cell_contents, lambda cell=cell: cell.cell_contents)
            except ValueError:
                continue
        space = function.__globals__
        for name in _global_names(function.__code__):
            if name in space:
                self._visit(name, space[name], lambda name=name: space.get(name))

    def _visit(self, name: str, thing: Any, read: Callable[[], Any] | None = None) -> None:
        if isinstance(thing, PLAIN):
            if read is not None:
                self.plain.setdefault(name, read)
            return
        if id(thing) in self._seen:
            return
        if isinstance(thing, FunctionType | MethodType):
            self._visit_function(thing)
            return
        if isinstance(thing, Module | Optimizer | GradScaler | Tensor):
            self._seen.add(id(thing))
            kinds: list[tuple[type, list[Any]]] = [
                (Module, self.modules),
                (Optimizer, self.optimizers),
                (GradScaler, self.scalers),
                (Tensor, self.tensors),
            ]
            next(found for kind, found in kinds if isinstance(thing, kind)).append((name, thing))
            return
        if isinstance(thing, list | tuple):
            for i, item in enumerate(thing):
                if not isinstance(item, PLAIN):
                    self._visit(f"{name}[{i}]", item)
        elif isinstance(thing, dict):
            for key, item in thing.items():
                self._visit(f"{name}[{key!r}]", item, lambda thing=thing, key=key: thing.get(key))
        elif hasattr(thing, "__dict__") and type(thing).__module__.split(".")[0] not in _LIBRARIES and not isinstance(thing, type):
            self._seen.add(id(thing))
            for key, item in vars(thing).items():
                self._visit(f"{name}.{key}", item, lambda thing=thing, key=key: getattr(thing, key, None))

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
        for kind in (self.optimizers, self.scalers):
            for name, thing in kind:  # type: ignore[attr-defined]
                thing.label = name
        for name, tensor in self.tensors:
            tensor._cell.label = tensor._cell.label or name

    def structure(self) -> dict[str, Any]:
        """What a program depends on besides argument types: simple attributes of modules, membership of optimizers."""
        found: dict[str, Any] = {}
        for name, module in self.named_modules():
            for key, value in vars(module).items():
                if isinstance(value, PLAIN) and not key.startswith("_"):
                    found[f"{name}.{key}"] = value
            for key, parameter in module._parameters.items():
                if parameter is not None:
                    found[f"{name}.{key}.requires_grad"] = parameter._cell.requires_grad
        for name, optimizer in self.optimizers:
            for i, group in enumerate(optimizer.param_groups):
                found[f"{name}.param_groups[{i}]"] = tuple(id(p) for p in group["params"])
                for key, value in group.items():
                    if isinstance(value, bool | str):
                        found[f"{name}.param_groups[{i}][{key!r}]"] = value
        for name, scaler in self.scalers:
            found[f"{name}.enabled"] = scaler.is_enabled()
        return found


_LIBRARIES = ("builtins", "numpy", "genesis", "compiler", "runtime", "torch", "jax", "rich", "tqdm")


def _own(function: FunctionType) -> bool:
    return (function.__module__ or "").split(".")[0] in _LIBRARIES


def _global_names(code: CodeType) -> set[str]:
    """Global names that a code object or one nested in it uses."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _global_names(constant)
    return names
