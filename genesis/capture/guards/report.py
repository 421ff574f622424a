"""Tables to read of the things that guards look at, and of the reasons why programs were compiled."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from genesis.capture.guards.keys import described


def shown(key: Any) -> str:
    """A guard key, or the signature of an argument, for people."""
    match key:
        case Missing():
            return "nothing"
        case (str() as dtype, tuple() as shape, strides, gradient, *_):
            notes = (f" with strides {list(strides)}" if strides else "") + (" with gradient" if gradient else "")
            return f"{dtype}[{','.join(map(str, shape))}]{notes}"
        case type():
            return f"any {key.__name__}"
        case _:
            return described(key)


class Missing:
    """Stands for a value that one of two calls does not have."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Missing)

    def __hash__(self) -> int:
        return 0


def get(values: dict[str, Hashable], name: str) -> Hashable:
    """The value under ``name``, or :class:`Missing`."""
    return values.get(name, Missing())
