"""``genesis.compiler``: what programs tell PyTorch's compiler about functions. A step is compiled as it is written."""

from __future__ import annotations

from typing import Any, TypeVar

from genesis.context import current_recording
from genesis.once import say_once
from genesis.step.program import compile as compile

T = TypeVar("T")


def is_compiling() -> bool:
    """Whether a compiled step is being recorded."""
    return current_recording() is not None


is_dynamo_compiling = is_exporting = is_compiling


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """``fn`` as it is, or such a decorator: a step is compiled whole, and this says so once."""
    say_once("compiler.disable()", "keep the function outside of the compiled step")
    return _same if fn is None else fn


def _same(function: T) -> T:
    return function


def allow_in_graph(fn: T) -> T:
    """``fn`` as it is: every function is looked into."""
    return fn


def reset() -> None:
    """Do nothing: compiled functions hold their own programs."""


def cudagraph_mark_step_begin() -> None:
    """Do nothing: results own their memory."""
