"""Who called: the user's line among the frames of the stack."""

from __future__ import annotations

import os
import sys
from functools import cache
from types import FrameType

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_PARTS = ("compiler", "genesis", "runtime")
_OWN = tuple(os.path.join(_ROOT, part) + os.sep for part in _PARTS)
_LIBRARY = os.path.dirname(os.__file__) + os.sep


@cache
def is_users(file: str) -> bool:
    """Whether a source file is neither Genesis's own nor of Python's library, whose ``contextlib`` Genesis calls."""
    if file.startswith(_LIBRARY):
        return file.startswith(("site-packages", "dist-packages"), len(_LIBRARY))
    return not file.startswith((*_OWN, "<frozen "))


def user_line() -> tuple[str, int]:
    """File and line of the innermost frame that :func:`is_users`; ``("", 0)`` if there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if is_users(file) and not (file == "<string>" and _is_generated(frame)):
            return file, frame.f_lineno
        frame = frame.f_back  # type: ignore[assignment]
    return "", 0


def _is_generated(frame: FrameType) -> bool:
    """Whether code without a file is one of Genesis's own, such as the ``__init__`` of a dataclass."""
    return str(frame.f_globals.get("__name__")).partition(".")[0] in _PARTS


def shown(file: str, line: int) -> str:
    """A place for a message: ``train.py:12``."""
    return f"{os.path.basename(file)}:{line}" if file else "<unknown>"
