"""The builder that op calls go to: a stack per thread, with a default at its bottom (the eager builder)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar


class Builder(Protocol):
    """The interface of builders for ops; :class:`compiler.ir.builder.Builder` is the base of them all."""

    def call(self, op: Any, operands: Any, attrs: Any) -> Any: ...

    def emit(self, call: Any) -> Any: ...


B = TypeVar("B", bound=Builder)


class _Ambient(threading.local):
    builder: Builder | None = None


_ambient = _Ambient()
_default: list[Callable[[], Builder]] = []


def set_default(make: Callable[[], Builder]) -> None:
    """How a thread gets the builder it uses where no :func:`using` block is open."""
    _default[:] = [make]


def builder() -> Builder:
    """The innermost builder of this thread."""
    found = _ambient.builder
    if found is None:
        if not _default:
            raise RuntimeError("no builder: ops are called inside `with using(GraphBuilder(...))`")
        found = _ambient.builder = _default[0]()
    return found


@contextmanager
def using(new: B) -> Iterator[B]:
    """Op calls inside the block go to ``new``."""
    previous = _ambient.builder
    _ambient.builder = new
    try:
        yield new
    finally:
        _ambient.builder = previous
