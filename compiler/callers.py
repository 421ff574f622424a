"""Who called: the user's line among the frames of the stack."""

from __future__ import annotations

import os
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_OWN = tuple(os.path.join(_ROOT, part) + os.sep for part in ("compiler", "genesis", "runtime"))


def is_users(file: str) -> bool:
    """Whether a source file lies outside Genesis's own packages."""
    return not file.startswith(_OWN)


def user_line() -> tuple[str, int]:
    """File and line of the innermost frame outside Genesis's own packages; ``("", 0)`` if there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if is_users(file):
            return file, frame.f_lineno
        frame = frame.f_back  # type: ignore[assignment]
    return "", 0


def shown(file: str, line: int) -> str:
    """A place for a message: ``train.py:12``."""
    return f"{os.path.basename(file)}:{line}" if file else "<unknown>"
