"""The op set: all registered ops as attributes. ``opset.pyi``, which a test writes, tells mypy each one's signature."""

from __future__ import annotations

from typing import Any


class OpSet:
    """``o.mul(x, y)`` calls the record ``mul``. Gradient rules and expansions receive it as ``o``."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"no op named {name!r}")


o = OpSet()
