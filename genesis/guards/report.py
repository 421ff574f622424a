"""What guards look at and why programs were compiled, as tables to read."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from genesis.guards.keys import described


class Table(list[tuple[str, ...]]):
    """Rows under ``header``; its text is aligned in columns."""

    def __init__(self, header: Sequence[str], rows: Sequence[tuple[str, ...]], empty: str = "") -> None:
        super().__init__(rows)
        self.header, self.empty = tuple(header), empty

    def __str__(self) -> str:
        if not self:
            return self.empty
        lines = [self.header, *self]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.header))]
        return "\n".join(
            "  ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)).rstrip() for line in lines
        )

    __repr__ = __str__


def shown(key: Any) -> str:
    """A guard key, or the signature of an argument, for people."""
    match key:
        case Missing():
            return "nothing"
        case (str() as dtype, tuple() as shape, strides, gradient, *_):
            notes = (f" with strides {list(strides)}" if strides else "") + (" with gradient" if gradient else "")
            return f"{dtype}[{','.join(map(str, shape))}]{notes}"
        case type() if key is float:
            return "any float"
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
