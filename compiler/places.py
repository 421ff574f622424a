"""Places in the memory of a step, apart from any target: numbers, not text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Place:
    """``offset`` bytes into buffer number ``buffer``."""

    buffer: int
    offset: int = 0

    def moved(self, nbytes: int) -> Place:
        """The place so many bytes on."""
        return Place(self.buffer, self.offset + nbytes) if nbytes else self

    def at(self, iterations: Mapping[int, int]) -> Place:
        """The place in these iterations of the loops around, by number of the loop."""
        return self

    def fixed(self) -> frozenset[Place]:
        """All that it moves on from: itself."""
        return frozenset({self})

    def is_multiple_of(self, nbytes: int) -> bool:
        """Whether it is a multiple of so many bytes away from the start of its buffer."""
        return self.offset % nbytes == 0


@dataclass(frozen=True, slots=True)
class Moving:
    """A place in the body of a loop: ``i * stride`` bytes on from another one, in iteration ``i`` of ``loop``.

    That is ``first`` in iteration 0; later ``odd`` or ``even``, as ``i`` is.
    """

    loop: int
    first: Anywhere
    odd: Anywhere
    even: Anywhere
    stride: int = 0

    def moved(self, nbytes: int) -> Moving:
        """The place so many bytes on."""
        return Moving(self.loop, self.first.moved(nbytes), self.odd.moved(nbytes), self.even.moved(nbytes), self.stride)

    def at(self, iterations: Mapping[int, int]) -> Place:
        """The place in these iterations of the loops around, by number of the loop."""
        i = iterations[self.loop]
        place = self.first if i == 0 else self.odd if i % 2 else self.even
        return place.at(iterations).moved(i * self.stride)

    def fixed(self) -> frozenset[Place]:
        """All that it moves on from."""
        return self.first.fixed() | self.odd.fixed() | self.even.fixed()

    def is_multiple_of(self, nbytes: int) -> bool:
        """Whether it is, in every iteration, a multiple of so many bytes away from the start of its buffer."""
        bases = (self.first, self.odd, self.even)
        return self.stride % nbytes == 0 and all(base.is_multiple_of(nbytes) for base in bases)


Anywhere = Place | Moving


def buffers_of(places: Iterable[Anywhere]) -> set[int]:
    """The numbers of all buffers that ``places`` may lie in."""
    return {fixed.buffer for place in places for fixed in place.fixed()}


def sliced(stack: Anywhere, loop: int, length: int, nbytes: int, reverse: bool, back: int = 0) -> Moving:
    """The slice of ``nbytes`` of ``stack`` that belongs to an iteration, or to the one ``back`` iterations before."""
    stride = -nbytes if reverse else nbytes
    start = stack.moved(((length - 1) * nbytes if reverse else 0) - back * stride)
    return Moving(loop, start, start, start, stride)


def place_of(data: Mapping[str, Any]) -> Anywhere:
    """The place of which :func:`dataclasses.asdict` made ``data``."""
    if "buffer" in data:
        return Place(**data)
    first, odd, even = (place_of(data[way]) for way in ("first", "odd", "even"))
    return Moving(data["loop"], first, odd, even, data["stride"])
