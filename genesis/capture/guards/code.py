"""Names that bytecode loads and stores, and the lines where it does."""

from __future__ import annotations

from dis import Instruction, get_instructions, hasfree, hasname
from functools import cache
from os.path import basename
from types import CodeType
from typing import NamedTuple

_NAMES = frozenset((*hasname, *hasfree))
_LOOK_UPS = frozenset(("attrgetter", "methodcaller", "hasattr", "getattr"))
"""Functions that take names of attributes as strings."""


class Place(NamedTuple):
    """A line of the user's."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{basename(self.file)}:{self.line}"


class Names(NamedTuple):
    """The names in a piece of code, each with its first line: ``loaded`` and ``stored`` (deleted ones too)."""

    loaded: dict[str, Place]
    stored: dict[str, Place]

    def place(self, name: str) -> Place | None:
        """The line that stores ``name``, or else the line that loads it."""
        return self.stored.get(name) or self.loaded.get(name)


@cache
def names(code: CodeType) -> Names:
    """Globals, attributes and variables of closures in a code object and in those nested in it."""
    found = Names({}, {})
    line = code.co_firstlineno
    for instruction in get_instructions(code):
        line = _line(instruction, line)
        if instruction.opcode in _NAMES and instruction.opname != "MAKE_CELL":
            stores = instruction.opname.startswith(("STORE", "DELETE"))
            (found.stored if stores else found.loaded).setdefault(instruction.argval, Place(code.co_filename, line))
    looks_up = not _LOOK_UPS.isdisjoint(found.loaded)
    for constant in code.co_consts:
        if looks_up and isinstance(constant, str):
            for name in constant.split("."):
                found.loaded.setdefault(name, Place(code.co_filename, line))
        if isinstance(constant, CodeType):
            inner = names(constant)
            for mine, other in zip(found, inner, strict=True):
                for name, place in other.items():
                    mine.setdefault(name, place)
    return found


@cache
def global_names(code: CodeType) -> frozenset[str]:
    """Names of globals that a code object, or one nested in it, loads or stores."""
    here = {i.argval for i in get_instructions(code) if i.opname.endswith(("_GLOBAL", "_NAME"))}
    if "globals" in here:
        here.update(x for x in code.co_consts if isinstance(x, str))
    return frozenset(here).union(*[global_names(c) for c in code.co_consts if isinstance(c, CodeType)])


@cache
def type_test(code: CodeType) -> Place | None:
    """The line that compares ``type(x)`` where the code also names ``float``; in nested code, too."""
    steps = list(get_instructions(code))
    if "float" in global_names(code):
        line = code.co_firstlineno
        for i, step in enumerate(steps):
            line = _line(step, line)
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME") and step.argval == "type":
                behind = {s.opname for s in steps[i : i + _REACH]}
                if behind & {"IS_OP", "COMPARE_OP", "CONTAINS_OP"}:
                    return Place(code.co_filename, line)
    inner = (type_test(c) for c in code.co_consts if isinstance(c, CodeType))
    return next((place for place in inner if place is not None), None)


_REACH = 12
"""How many instructions a call of ``type`` and the comparison of its result take."""


def _line(instruction: Instruction, before: int) -> int:
    positions = getattr(instruction, "positions", None)  # Python 3.11 and newer
    line = positions.lineno if positions is not None else instruction.starts_line
    return before if line is None else line
