"""Rows of text in columns: what guards, ledgers and reports print."""

from __future__ import annotations

from collections.abc import Sequence


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
