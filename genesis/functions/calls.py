"""A call of an op as a user writes it: the spellings that PyTorch takes too, and errors that name it and its shapes."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Any, TypeVar

from compiler.errors import AutogradError, GenesisError, OpError
from compiler.ir.location import here
from compiler.ir.op import o
from compiler.ir.types import DType
from genesis.context import session
from genesis.misuse import UNNAMED, refuse
from genesis.tensor import Tensor, wrap

F = TypeVar("F", bound=Callable[..., Any])

SPELLINGS = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input", "x2": "other"}
"""NumPy's names of arguments, which PyTorch's functions take as well."""


def checked(function: F, name: str = "") -> F:
    """``function`` with other spellings of its arguments, and with errors that say what was called, and where.

    ``sum(x, axis=0)`` is ``sum(x, dim=0)``, and ``zeros(size=(2, 3))`` is ``zeros(2, 3)``. ``name`` is what users call
    it, if not by the name of the Python function.
    """
    called = name or function.__name__
    takes = signature(function)
    meant = {
        other: name for other, name in SPELLINGS.items() if name in takes.parameters and other not in takes.parameters
    }
    filled = "out" not in takes.parameters
    star = next((p.name for p in takes.parameters.values() if p.kind is Parameter.VAR_POSITIONAL), None)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            if filled and "out" in kwargs:
                out = kwargs.pop("out")
                result = call(*args, **kwargs)
                return result if out is None else _into(called, out, result)
            if meant:
                kwargs = {meant.get(name, name): value for name, value in kwargs.items()}
            if star in kwargs:
                args = (*args, kwargs.pop(star))
        try:
            return function(*args, **kwargs)
        except GenesisError as error:
            method = _method_of_another(called, args)
            if method is not None:
                return method(*args[1:], **kwargs)
            explained = with_call(error, called, args)
            if explained is error:
                raise
            raise explained from None
        except UNNAMED:
            method = _method_of_another(called, args)
            if method is not None:
                return method(*args[1:], **kwargs)
            refuse(called, function, args, kwargs)
            raise

    return call  # type: ignore[return-value]


def with_call(error: GenesisError, called: str, args: tuple[Any, ...]) -> GenesisError:
    """``error`` with the call, the types of its tensors and the user's line, as far as it does not say them."""
    text, named = str(error), re.match(r"\w+\(", str(error))
    if len(error.args) != 1 or (named and "\n  at " in text):
        return error
    text = text if named else f"{_shown(called, args)}: {text.removeprefix(f'{called}: ')}"
    return type(error)(text if "\n  at " in text else here(text))


def presetting(function: F, name: str, doc: str, **preset: Any) -> F:
    """``function`` with some arguments given: a function of the others, called ``name``."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **preset, **kwargs)

    takes = signature(function)
    left = [p for p in takes.parameters.values() if p.name not in preset]
    call.__signature__ = takes.replace(parameters=left)  # type: ignore[attr-defined]
    call.__name__ = call.__qualname__ = name
    call.__module__, call.__doc__ = function.__module__, doc
    return call  # type: ignore[return-value]


def _method_of_another(name: str, args: tuple[Any, ...]) -> Callable[..., Any] | None:
    """The method ``name`` of a first argument that is no tensor and has the methods of one: ``abs(pair)``."""
    first = args[0] if args else None
    return getattr(first, name, None) if getattr(type(first), "has_methods_of_tensors", False) else None


def _into(name: str, out: Any, result: Any) -> Any:
    """``out``, a tensor or several, holding ``result``; an empty one takes its shape, as in PyTorch."""
    if isinstance(result, tuple):
        for place, part in zip(out, result, strict=True):
            _into(name, place, part)
        return out
    if result.requires_grad or (out.requires_grad and session().grad_enabled):
        raise AutogradError(
            here(
                f"{name}(): functions with out=... arguments don't support automatic differentiation, but one of the "
                "arguments requires grad.",
                "call it under no_grad, or without out=",
            )
        )
    check_holds(out.dtype, result.dtype)
    value = result.value if result.dtype is out.dtype else o.cast(result.value, to=out.dtype)
    if out.shape == result.shape:
        return out.write(value)
    if out.numel():
        raise OpError(here(f"{name}(): out= has the shape {list(out.shape)}, the result {list(result.shape)}"))
    out.data = wrap(value)
    return out


def check_holds(out: DType, result: DType) -> None:
    """Raise OpError where a tensor of ``out`` does not take results of ``result``: floats or ints would lose a part."""
    if result.kind != out.kind and (result.kind == "float" or out.kind == "bool"):
        raise OpError(here(f"result type {result!r} can't be cast to the desired output type {out!r}"))


def _shown(name: str, args: tuple[Any, ...]) -> str:
    """The call with the types of its tensors."""
    return f"{name}({', '.join(str(x._type) for x in args if isinstance(x, Tensor))})"
