"""The origin of an op: the user's file and line, the module scope, the note of the pass that made it; its phase."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from compiler.callers import shown, user_line

Phase = Literal["forward", "backward", "recomputed"]
"""Which part of a step a node belongs to.

``"backward"``: it computes gradients. ``"recomputed"``: it computes again for the backward pass what the forward pass
does not keep. ``"forward"``: everything else, the optimizer included.
"""


@dataclass(frozen=True, slots=True)
class Loc:
    """``file`` and ``line`` of the user's call, ``scope`` such as ``blocks.0.attn``, ``note`` such as ``autocast``."""

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
        place = shown(self.file, self.line) if self.file or not self.note else ""
        return " ".join(filter(None, (place, self.within())))

    def within(self) -> str:
        """The module and the note."""
        return " ".join(filter(None, (self.scope, f"[{self.note}]" if self.note else "")))


UNKNOWN = Loc()


def user_location(scope: str = "") -> Loc:
    """The innermost frame outside Genesis's own packages."""
    return Loc(*user_line(), scope)


def here(message: str, advice: str = "") -> str:
    """``message`` with the user's line, and the way out under it."""
    return f"{message}\n  at {user_location()}" + (f"\n  {advice}" if advice else "")
