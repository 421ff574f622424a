"""Generated code, and where in it each kernel stands."""

from __future__ import annotations

import re
from collections.abc import Iterable


def spans(source: str, language: str, kernels: Iterable[str]) -> dict[str, tuple[int, int]]:
    """The first and the last line of each of ``kernels``, from 0, with the comment above; "c" or "triton".

    A kernel without a function of its own (``memcpy``) has none.
    """
    lines = source.splitlines()
    found = {}
    for kernel in dict.fromkeys(kernels):
        start = _definition(source, language, kernel)
        if start is not None:
            found[kernel] = _with_comment(lines, start), _end(lines, start, language)
    return found


def _definition(source: str, language: str, kernel: str) -> int | None:
    name = re.escape(kernel)
    pattern = rf"^[A-Za-z_][\w *]*\b{name}\([^;{{]*\{{" if language == "c" else rf"^def {name}\("
    match = re.search(pattern, source, re.MULTILINE)
    return None if match is None else source.count("\n", 0, match.start())


def _with_comment(lines: list[str], start: int) -> int:
    """The line where the comment and the decorators above ``start`` begin."""
    first = start
    while first and lines[first - 1].strip() and not lines[first - 1].startswith(("}", "#if", "#endif", "#else")):
        first -= 1
    return first


def _end(lines: list[str], start: int, language: str) -> int:
    """The last line of the function that begins in line ``start``."""
    if language == "c":
        return next((i for i in range(start, len(lines)) if lines[i] == "}"), len(lines) - 1)
    after = next((i for i in range(start + 1, len(lines)) if re.match(r"[^\s)]", lines[i])), len(lines))
    while after > start + 1 and not lines[after - 1].strip():
        after -= 1
    return after - 1
