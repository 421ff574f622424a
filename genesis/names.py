"""Names that are not there: an error that says what to use."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from dis import opmap
from types import FrameType, ModuleType
from typing import Any

from compiler.errors import GenesisError, MissingImportError, MissingNameError
from compiler.ir.location import here
from genesis.scope import OUT_OF_SCOPE

_ELSEWHERE: dict[str, str] = {
    "from_pretrained": "load the arrays, then module.load_state_dict",
    "storage": "there are no storages; .numpy() shares memory",
    "untyped_storage": "there are no storages; .numpy() shares memory",
    "clip_grad_norm": "use clip_grad_norm_",
}
_ABSENT = frozenset("apply_".split())
INSTEAD: Mapping[str, str] = {
    **dict.fromkeys(_ABSENT, "Genesis does not have it yet"),
    **_ELSEWHERE,
    **OUT_OF_SCOPE,
}
"""Names of PyTorch that Genesis does not have, and the way out."""


told: list[Callable[[str], None]] = []
"""Are called with the message about each name that is missing."""


def missing(owner: str, name: str, known: Iterable[str]) -> MissingNameError:
    """The error for ``owner.name``, with the way out or the names that are near."""
    error = MissingNameError(here(_said(owner, name, known)))
    for tell in told:
        tell(str(error))
    return error


def _said(owner: str, name: str, known: Iterable[str]) -> str:
    advice = INSTEAD.get(name)
    if advice is None:
        public = [k for k in known if not k.startswith("_")]
        near = [k for k in public if k.lower() == name.lower()] or get_close_matches(name, public, n=3)
        advice = f"did you mean {' or '.join(near)}?" if near else ""
    return f"{owner} has no attribute {name!r}" + (f"; {advice}" if advice else "")


def module_getattr(module: str, space: Mapping[str, Any]) -> Callable[[str], Any]:
    """A module's ``__getattr__``, which Python calls for names that the module does not have.

    For ``from module import name`` the error is an ImportError with the same message: Python would replace another one.
    """

    def __getattr__(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        known = (k for k, v in space.items() if not isinstance(v, ModuleType))
        raise missing_in_module(module, name, known, sys._getframe(1))

    return __getattr__


def missing_in_module(module: str, name: str, known: Iterable[str], frame: FrameType) -> GenesisError:
    """The error for ``module.name``, or for ``from module import name`` where ``frame`` is at that."""
    error = missing(f"module {module!r}", name, known)
    return MissingImportError(str(error), name=module) if _imports(frame) else error


def _imports(frame: FrameType) -> bool:
    """Whether the frame is at a ``from ... import``."""
    return frame.f_code.co_code[frame.f_lasti] == opmap["IMPORT_FROM"]
