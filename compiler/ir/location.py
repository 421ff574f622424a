"""Where an op comes from: the user's file and line, the module scope, and the note of the pass that made it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_OWN = tuple(os.path.join(_ROOT, part) + os.sep for part in ("compiler", "genesis", "runtime"))


@dataclass(frozen=True, slots=True)
class Loc:
    """``file`` and ``line`` of the user's call, ``scope`` such as ``blocks.0.attn``, ``note`` such as ``grad``."""

    file: str = ""
    line: int = 0
    scope: str = ""
    note: str = ""

    def noted(self, note: str) -> Loc:
        """The same place with the note of a pass added to what it says already."""
        if note in self.note.split(" "):
            return self
        return replace(self, note=f"{self.note} {note}".strip())

    def __str__(self) -> str:
        where = f"{os.path.basename(self.file)}:{self.line}" if self.file else "<unknown>"
        return " ".join(filter(None, (where, self.scope, f"[{self.note}]" if self.note else "")))


UNKNOWN = Loc()


def is_users(file: str) -> bool:
    """Whether a source file lies outside Genesis's own packages."""
    return not file.startswith(_OWN)


def user_location(scope: str = "") -> Loc:
    """The innermost frame outside Genesis's own packages."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if is_users(file):
            return Loc(file, frame.f_lineno, scope)
        frame = frame.f_back  # type: ignore[assignment]
    return Loc(scope=scope)


def here(message: str, advice: str = "") -> str:
    """``message`` with the user's line, and the way out under it."""
    return f"{message}\n  at {user_location()}" + (f"\n  {advice}" if advice else "")
