"""Indented C text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Writer:
    """Lines with braces that indent."""

    def __init__(self, depth: int = 0) -> None:
        self.lines: list[str] = []
        self.depth = depth

    def __call__(self, line: str = "") -> None:
        self.lines.append("  " * self.depth + line if line and not line.startswith("#") else line)

    def open(self, head: str) -> None:
        self(f"{head} {{" if head else "{")
        self.depth += 1

    def close(self, tail: str = "") -> None:
        self.depth -= 1
        self("}" + tail)

    @contextmanager
    def block(self, head: str = "") -> Iterator[None]:
        """Braces behind ``head``, around what is written inside."""
        self.open(head)
        yield
        self.close()

    def extend(self, other: Writer) -> None:
        self.lines += other.lines

    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)
