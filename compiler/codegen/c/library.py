"""Pieces of C text, of which a file has those that it uses: found by reading it, so that no list can forget one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

_DEFINES = re.compile(
    r"^#define (\w+)"  # a macro
    r"|^(?:typedef [^;{]*?|\} )(\w+)(?: __attribute__.*)?;"  # a type
    r"|^static const \w+ (\w+)\["  # a table
    r"|^(?:INLINE|NOINLINE|static)[^(\n]*?(\w+)\(",  # a function
    re.M,
)


@cache
def defined(piece: str) -> frozenset[str]:
    """The names that a piece of C text defines for all."""
    return frozenset(name for found in _DEFINES.findall(piece) for name in found if name)


@cache
def _words(piece: str) -> frozenset[str]:
    return frozenset(re.findall(r"[A-Za-z_]\w*", piece))


def used(pieces: Sequence[str], text: str) -> list[str]:
    """Those of ``pieces``, in their order, that define a name in ``text`` or in another piece that is used."""
    found: set[str] = set()
    unread = [_words.__wrapped__(text)]
    while unread:
        words = unread.pop()
        new = [p for p in pieces if p not in found and not words.isdisjoint(defined(p))]
        found.update(new)
        unread += map(_words, new)
    return [p for p in pieces if p in found]
