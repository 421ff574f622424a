"""Names that are not there: an error that says what to use."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from dis import opmap
from importlib.abc import MetaPathFinder
from types import FrameType, ModuleType
from typing import Any

from compiler.errors import GenesisError, MissingImportError, MissingNameError
from compiler.ir.location import here
from genesis.absent import advice, out_of_scope

told: list[Callable[[str], None]] = []
"""Are called with the message about each name that is missing."""


def missing(owner: str, path: str, known: Iterable[str], way_out: str = "") -> MissingNameError:
    """The error for ``torch.nn.X`` at ``path``, with the way out or the names that are near, of ``known``."""
    name = path.rpartition(".")[2]
    found = way_out or advice(path) or _near(name, [k for k in known if not k.startswith("_")])
    error = MissingNameError(here(f"{owner} has no attribute {name!r}" + (f"; {found}" if found else "")))
    for tell in told:
        tell(str(error))
    return error


def _near(name: str, known: Sequence[str]) -> str:
    near = [k for k in known if k.lower() == name.lower()] or get_close_matches(name, known, n=3)
    return f"did you mean {' or '.join(near)}?" if near else ""


def names_in(space: Mapping[str, Any]) -> list[str]:
    """The names of a module that are no modules."""
    return [name for name, thing in space.items() if not isinstance(thing, ModuleType)]


def missing_in_module(
    module: str, name: str, known: Iterable[str], frame: FrameType, way_out: str = ""
) -> GenesisError:
    """The error for ``module.name``, or for ``from module import name`` where ``frame`` is at that."""
    error = missing(f"module {module!r}", path_of(f"{module}.{name}"), known, way_out)
    return MissingImportError(str(error), name=module) if _imports(frame) else error


def path_of(name: str) -> str:
    """``torch.nn.X`` for ``genesis.nn.X``."""
    return ".".join(["torch", *name.split(".")[1:]])


class _Refused(MetaPathFinder):
    """Comes last: an import of a module that is out of scope is an error that says so."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        reason = out_of_scope(path_of(fullname)) if fullname.startswith("genesis.") else None
        if reason:
            raise MissingImportError(here(f"there is no module {fullname!r}; {reason}"), name=fullname)


def refuse_imports() -> None:
    """From now on ``import genesis.fx`` says why there is none."""
    sys.meta_path.append(_Refused())


def _imports(frame: FrameType) -> bool:
    """Whether the frame is at a ``from ... import``."""
    return frame.f_code.co_code[frame.f_lasti] == opmap["IMPORT_FROM"]
