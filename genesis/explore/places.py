"""The lines and modules of a user's program that a page refers to by number, and the text of its files."""

from __future__ import annotations

import linecache

from compiler.ir.location import Loc
from compiler.text.printer import file_keys


class Places:
    """Numbers for locations and for files, each once."""

    def __init__(self) -> None:
        self._numbers: dict[Loc, int] = {}
        self._files: dict[str, int] = {}

    def number(self, loc: Loc) -> int:
        """The number of a location."""
        if loc not in self._numbers:
            self._numbers[loc] = len(self._numbers)
            self._files.setdefault(loc.file, len(self._files))
        return self._numbers[loc]

    def table(self) -> list[list[object]]:
        """File number, line, module and the notes of passes, for each location."""
        return [[self._files[loc.file], loc.line, loc.scope, loc.note] for loc in self._numbers]

    def files(self) -> list[dict[str, object]]:
        """Path, short name and lines of each file; no lines where it cannot be read."""
        names = file_keys(self._files)
        return [
            {"path": path, "name": names[path], "lines": [line.rstrip("\n") for line in linecache.getlines(path)]}
            for path in self._files
        ]
