"""Loops that run until nothing changes, with a bound: one that does not settle is an error, not a hang."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.errors import CompilerError


def turns(what: str, most: int) -> Iterator[int]:
    """Numbers of the turns of a loop that the reader leaves once it has settled.

    Each turn must add to something that can grow ``most`` times at the most. Raises CompilerError, which names
    ``what``, when the loop is still running after that.
    """
    yield from range(most + 1)
    raise CompilerError(f"{what} does not settle within {most + 1} turns")
