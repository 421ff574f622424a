"""Things that can be compiled: functions, methods, partial functions, callable objects, and modules."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

from compiler.errors import ArgumentError
from genesis.context import current_recording
from genesis.nn.module import Module


def named(thing: Any) -> Callable[..., Any]:
    """``thing`` as something that can be called and has a name; TypeError if it cannot be called."""
    if not callable(thing):
        raise ArgumentError(
            "genesis.compile() takes a function, a method, a module or another callable object, "
            f"not {type(thing).__name__}"
        )
    if isinstance(thing, partial):
        inner = named(thing.func)
        result: Any = partial(inner, *thing.args, **thing.keywords)
        result.__name__, result.__qualname__ = inner.__name__, inner.__qualname__
        return result
    if hasattr(thing, "__name__"):
        return thing
    call: Callable[..., Any] = thing.__call__
    return call


class CompiledModule(Module):
    """A module that shares everything with another one, but runs it compiled when it is called.

    Both have one ``__dict__``: parameters, buffers, children, hooks and attributes are the same objects under the same
    names. The class made for it is also a subclass of the other module's class, whose methods and properties it has.
    """

    __slots__ = ()
    _original: Module
    _compiled: Callable[..., Any]
    _again: Callable[[Module], Module]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the compiled module; within a step that is being compiled, become a part of it."""
        if current_recording() is None:
            return self._compiled(*args, **kwargs)
        return super().__call__(*args, **kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Module:
        return self._again(deepcopy(self._original, memo))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._again, (self._original,)


def compiled_module(module: Module, compiled: Callable[..., Any], again: Callable[[Module], Module]) -> CompiledModule:
    """``module`` as one whose call is ``compiled``. ``again`` does the same for a copy."""
    kind = type(module)
    names = {"__slots__": ("_again", "_compiled", "_original"), "__module__": __name__, "__doc__": kind.__doc__}
    twin: CompiledModule = object.__new__(type(kind.__name__, (CompiledModule, kind), names))
    object.__setattr__(twin, "__dict__", module.__dict__)
    for name, value in (("_original", module), ("_compiled", compiled), ("_again", again)):
        object.__setattr__(twin, name, value)
    return twin
