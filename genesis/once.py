"""Warnings that come once: a call has no effect here, and another one has."""

from __future__ import annotations

import warnings

from compiler.errors import GenesisWarning

_SAID: set[str] = set()


def say_once(what: str, instead: str = "", level: int = 3) -> None:
    """Warn, at the first call with this text only, that ``what`` changes nothing in Genesis.

    ``level``: how many calls up the user's line is, as for ``warnings.warn``.
    """
    if what not in _SAID:
        _SAID.add(what)
        warnings.warn(f"{what} changes nothing in Genesis" + (f": {instead}" if instead else ""), GenesisWarning, level)
