"""Indented C text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

WIDTH = 110
"""Characters of a line that may have more operands behind it."""


def cut(line: str, width: int = WIDTH) -> list[str]:
    """``line``, cut behind commas, into lines that have no more than ``width`` characters where they can."""
    lines = [""]
    for part in re.split(r"(?<=,)\s+", line):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += f" {part}" if lines[-1] else part
    return lines


class Writer:
    """Lines with braces that indent."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.depth = 0

    def __call__(self, *lines: str) -> None:
        self.lines += ["  " * self.depth + line if line and not line.startswith("#") else line for line in lines]

    def open(self, head: str) -> None:
        self(f"{head} {{" if head else "{")
        self.depth += 1

    def close(self) -> None:
        self.depth -= 1
        self("}")

    def otherwise(self) -> None:
        """Close the block of an ``if`` and open that of its ``else``."""
        self.depth -= 1
        self.open("} else")

    @contextmanager
    def block(self, head: str = "") -> Iterator[None]:
        """Braces behind ``head``, around the statements written inside."""
        self.open(head)
        yield
        self.close()

    def nest(self, head: str, lines: Iterable[str]) -> None:
        """``lines`` in braces behind ``head``."""
        with self.block(head):
            self(*lines)

    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)
