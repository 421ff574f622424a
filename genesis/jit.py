"""``genesis.jit``: TorchScript is not there. Decorators return what they are given, and say so once.

``genesis.compile`` compiles a function, a step or a module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from compiler.errors import UnsupportedError
from compiler.ir.location import here
from genesis.once import say_once
from genesis.scope import AROUND

__eager_only__ = AROUND

__all__ = ["Final", "annotate", "export", "ignore", "is_scripting", "is_tracing", "script", "trace", "unused"]

T = TypeVar("T")
_COMPILE = "genesis.compile(f) compiles a function or a module"


def script(obj: T, *args: Any, **kwargs: Any) -> T:
    """``obj`` as it is; says once that this compiles nothing."""
    say_once("jit.script()", _COMPILE)
    return obj


def trace(func: T, example_inputs: Any = None, *args: Any, **kwargs: Any) -> T:
    """``func`` as it is; says once that this compiles nothing."""
    say_once("jit.trace()", _COMPILE)
    return func


def script_if_tracing(fn: T) -> T:
    """``fn`` as it is: nothing is traced by TorchScript."""
    return fn


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """A decorator, with or without parentheses, that changes nothing: there is no TorchScript."""
    return drop if callable(drop) else _same


def _same(function: T) -> T:
    return function


def unused(fn: T) -> T:
    """``fn`` as it is: there is no TorchScript to hide a function from."""
    return fn


def export(fn: T) -> T:
    """``fn`` as it is: there is no TorchScript to show a method to."""
    return fn


def is_scripting() -> bool:
    """False: there is no TorchScript."""
    return False


def is_tracing() -> bool:
    """False: nothing is traced by TorchScript."""
    return False


def annotate(the_type: Any, the_value: T) -> T:
    """``the_value`` as it is."""
    return the_value


def fork(func: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call ``func`` at once, and return what it returns."""
    return func(*args, **kwargs)


def wait(future: T) -> T:
    """``future`` as it is: :func:`fork` has waited."""
    return future


def save(m: Any, f: Any, _extra_files: Any = None) -> None:
    """Raise UnsupportedError: there is no TorchScript to write."""
    raise UnsupportedError(here("jit.save(): there is no TorchScript", "genesis.save(model.state_dict(), path)"))


def load(f: Any, map_location: Any = None, _extra_files: Any = None) -> Any:
    """Raise UnsupportedError: there is no TorchScript to read."""
    raise UnsupportedError(here("jit.load(): there is no TorchScript", "model.load_state_dict(genesis.load(path))"))
