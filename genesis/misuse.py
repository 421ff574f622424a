"""Finds the wrong argument of a call that failed: an error that names the callable, the argument and the line.

Nothing is checked before a call. Only one that failed is looked at, so a call that fits costs nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from inspect import BoundArguments, Parameter, signature, unwrap
from typing import Any, TypeVar

import numpy as np

from compiler.errors import ArgumentError, GenesisError
from compiler.ir.location import here
from genesis.tensor import Tensor

F = TypeVar("F", bound=Callable[..., Any])

UNNAMED = (TypeError, AttributeError, IndexError, ValueError, ZeroDivisionError)
"""Errors of Python and NumPy that say nothing of the call: what a wrong argument ends in."""


def explained(function: F) -> F:
    """``function`` with errors that say which argument was wrong, and where it was called."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except UNNAMED as error:
            if not isinstance(error, GenesisError):
                refuse(function.__name__, function, args, kwargs)
            raise

    return call  # type: ignore[return-value]


def refuse(name: str, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Raise ArgumentError if the arguments do not fit the signature of ``function``, which users call ``name``."""
    takes = signature(function)
    try:
        bound = takes.bind(*args, **kwargs)
    except TypeError as error:
        shown = ", ".join(str(p).partition(":")[0] + _default(p) for p in takes.parameters.values())
        problem = ArgumentError(here(f"{name}() {error}", f"it takes {name}({shown})"))
    else:
        found = _no_tensor(name, bound) or _other_kind(name, bound, getattr(unwrap(function), "__globals__", {}))
        if found is None:
            return
        problem = found
    raise problem from None


def _default(parameter: Parameter) -> str:
    return "" if parameter.default is Parameter.empty else f"={parameter.default!r}"


def _no_tensor(name: str, bound: BoundArguments) -> ArgumentError | None:
    for key, value in bound.arguments.items():
        kind = str(bound.signature.parameters[key].annotation)
        if (
            kind.split(" | ")[0] == "Tensor"
            and not isinstance(value, Tensor)
            and not (value is None and "None" in kind)
        ):
            advice = "genesis.tensor(...) makes a tensor of numbers, lists and arrays"
            return ArgumentError(here(f"{name}(): argument {key!r} must be Tensor, not {type(value).__name__}", advice))
    return None


def _is_memory(value: Any) -> bool:
    try:
        memoryview(value)
    except TypeError:
        return False
    return True


_KINDS: dict[str, Callable[[Any], bool]] = {
    "Any": lambda x: True,
    "None": lambda x: x is None,
    "Tensor": lambda x: isinstance(x, Tensor),
    "Generator": lambda x: hasattr(x, "reserve"),
    "bool": lambda x: isinstance(x, bool | np.bool_),
    "int": lambda x: hasattr(x, "__index__"),
    "float": lambda x: hasattr(x, "__float__"),
    "str": lambda x: isinstance(x, str),
    "Mapping": lambda x: isinstance(x, Mapping),
    "Callable": callable,
    "DLPack": lambda x: hasattr(x, "__dlpack__"),
    "Memory": _is_memory,
}
"""Whether a value is of a kind, by the text of an annotation."""

_ALIASES = {
    "Size": "int | Sequence[int]",
    "Dims": "int | Sequence[int]",
    "Lengths": "Tensor | Sequence[int]",
    "Dim": "int | Sequence[int] | None",
    "Scale": "float | Sequence[float]",
    "Tensors": "Tensor | Iterable[Tensor]",
    "Input": "Tensor | ComplexTensor",
    "Closure": "Callable[[], Any]",
}
"""Names of annotations for what they stand for."""


def _kinds(annotation: str) -> list[str]:
    """The kinds that an annotation joins by ``|``, outside of brackets."""
    found = [text.strip() for text in re.findall(r"(?:[^|\[\]]|\[(?:[^\[\]]|\[[^\[\]]*\])*\])+", annotation)]
    return [kind for text in found for kind in (_kinds(_ALIASES[text]) if text in _ALIASES else (text,))]


_WORDS = {
    "Callable": "a function",
    "Mapping": "a mapping",
    "DLPack": "an object with __dlpack__",
    "Memory": "an object with the buffer protocol, as bytes",
}
"""Kinds whose annotation is no word for users."""


def _is_of(kind: str, value: Any, space: Mapping[str, Any]) -> bool:
    """Whether a value is of a kind, or of the class of this name in ``space``; of one that has no test all are."""
    outer, _, inner = kind.removesuffix("]").partition("[")
    if outer in ("Sequence", "Iterable", "tuple"):
        if not isinstance(value, list | tuple):
            return outer == "Iterable" and isinstance(value, Iterable) and not isinstance(value, str)
        kinds = _kinds(inner.removesuffix(", ..."))
        return outer == "tuple" or all(any(_is_of(k, x, space) for k in kinds) for x in value)
    if outer in _KINDS:
        return _KINDS[outer](value)
    meant = space.get(outer)
    return isinstance(value, meant) if isinstance(meant, type) and not hasattr(meant, "_is_protocol") else True


def _other_kind(name: str, bound: BoundArguments, space: Mapping[str, Any]) -> ArgumentError | None:
    """The error for the first argument that is of none of the kinds that its annotation names."""
    for key, value in bound.arguments.items():
        parameter = bound.signature.parameters[key]
        kinds = _kinds(str(parameter.annotation))
        if parameter.kind is Parameter.VAR_KEYWORD:
            continue
        for given in value if parameter.kind is Parameter.VAR_POSITIONAL else (value,):
            if not any(_is_of(kind, given, space) for kind in kinds):
                wanted = " or ".join(map(_said, kinds))
                return ArgumentError(here(f"{name}(): argument {key!r} must be {wanted}, not {_named(given)}"))
    return None


def _said(kind: str) -> str:
    """A kind as errors call it."""
    outer, _, inner = kind.removesuffix("]").partition("[")
    if outer in ("Sequence", "Iterable") and inner.isidentifier():
        return f"a sequence of {inner}s"
    return _WORDS.get(outer, kind)


def _named(value: Any) -> str:
    """The type of a value, and of a sequence the types of its elements."""
    inner = ", ".join(dict.fromkeys(type(x).__name__ for x in value)) if isinstance(value, list | tuple) else ""
    return type(value).__name__ + (f" of {inner}" if inner else "")
