"""Versions that are strings, and are compared as versions: ``__version__ >= "2.0"`` and ``__version__ >= (2, 0)``."""

from __future__ import annotations

import re
from itertools import dropwhile
from typing import Any

_Key = tuple[tuple[int, ...], bool, str]


class TorchVersion(str):
    """A version as a string; ``<``, ``==`` and so on compare its numbers with a string or a tuple of numbers.

    A pre-release (``a``, ``b``, ``rc``, ``dev``) comes before its release, a local build (``+cpu``) behind it.
    Other texts are compared as text.
    """

    def __lt__(self, other: Any) -> bool:
        mine, its = _key(self), _key(other)
        return str.__str__(self) < str(other) if mine is None or its is None else mine < its

    def __eq__(self, other: object) -> bool:
        mine, its = _key(self), _key(other)
        return str.__eq__(self, str(other)) if mine is None or its is None else mine == its

    def __le__(self, other: Any) -> bool:
        return self < other or self == other

    def __gt__(self, other: Any) -> bool:
        return not self <= other

    def __ge__(self, other: Any) -> bool:
        return not self < other

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(str.__str__(self))


def _key(version: Any) -> _Key | None:
    """The numbers without zeros at the end, whether it is a release, the local part; None if it is no version."""
    text = ".".join(map(str, version)) if isinstance(version, tuple | list) else version
    if not isinstance(text, str):
        return None
    public, _, local = str.__str__(text).strip().partition("+")
    found = re.fullmatch(r"v?(\d+(?:\.\d+)*)(.*)", public)
    if found is None:
        return None
    numbers = [*dropwhile(lambda n: n == 0, reversed([int(n) for n in found[1].split(".")]))][::-1]
    return tuple(numbers), not re.match(r"[.-]?(a|b|rc|dev|alpha|beta)", found[2]), local
