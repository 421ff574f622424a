"""Pieces of C text, of which a file has those that it uses: found by reading it, so that no list can forget one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path


@cache
def text_of(name: str) -> str:
    """A C file in this folder."""
    return Path(__file__).with_name(name).read_text("utf-8")


@cache
def read(name: str) -> tuple[str, ...]:
    """The pieces of a C file in this folder, which blank lines divide; comments with // are for readers of the file."""
    kept = re.sub(r"^//.*\n+", "", text_of(name), flags=re.M)
    return tuple(piece.strip("\n") + "\n" for piece in kept.split("\n\n"))


def filled(text: str, **words: str) -> str:
    """``text`` with other words for some."""
    return re.sub("|".join(words), lambda word: words[word[0]], text)


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
