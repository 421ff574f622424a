"""Places as C pointers."""

from __future__ import annotations

import re

from compiler.codegen.c.spelling import STORAGE
from compiler.ir.graph import Graph
from compiler.ir.types import TensorType
from compiler.memory import Lifetime
from compiler.placement import Buffers
from compiler.places import Anywhere, Moving, Place


class Pointers:
    """The names of a step's buffers, and of the pointers that loops set at the start of each iteration.

    Attributes:
        locals: number of a loop -> the declarations of its pointers.
    """

    def __init__(self, graph: Graph, buffers: Buffers) -> None:
        self.buffers = buffers
        self.names = {i: f"s{i}_{re.sub(r'[^A-Za-z0-9_]', '_', p.value.name)}" for i, p in enumerate(graph.params)}
        self.names |= {len(graph.params) + i: f"out{i}" for i in range(len(graph.outputs))}
        self.locals: dict[int, list[str]] = {}
        self._slots = len(self.names)
        self._moving: dict[Moving, str] = {}

    def temporary(self, name: str, type: TensorType, life: Lifetime) -> Place:
        """Memory in the arena under a name."""
        place = self.buffers.temporary(type, life)
        self.names[place.buffer] = name
        return place

    def name(self, buffer: int) -> str:
        """The pointer to the start of a buffer."""
        return self.names.setdefault(buffer, f"x{buffer - self._slots}")

    def pointer(self, place: Anywhere, type: TensorType) -> str:
        """The pointer to a value of ``type``."""
        if isinstance(place, Place):
            offset = place.offset // type.dtype.itemsize
            return f"{self.name(place.buffer)} + {offset}" if offset else self.name(place.buffer)
        if place not in self._moving:
            text = self._moved(place, type)
            lines = self.locals.setdefault(place.loop, [])
            self._moving[place] = name = f"l{place.loop}_{len(lines)}"
            lines.append(f"{STORAGE[type.dtype]} *const {name} = {text}; /* {type} */")
        return self._moving[place]

    def _moved(self, place: Moving, type: TensorType) -> str:
        """The address in iteration ``i`` of its loop."""
        i = f"i{place.loop}"
        first, odd, even = (self._after(p, place, type) for p in (place.first, place.odd, place.even))
        later = even if odd == even else f"{i} % 2 ? {odd} : {even}"
        return first if first == later else f"{i} ? {later} : {self.pointer(place.first, type)}"

    def _after(self, base: Anywhere, place: Moving, type: TensorType) -> str:
        """``base``, from which ``place`` moves on by its stride."""
        size, i = type.dtype.itemsize, f"i{place.loop}"
        if not place.stride:
            return self.pointer(base, type)
        step = abs(place.stride)
        ahead, rest = divmod(base.offset, step) if isinstance(base, Place) else (0, 0)
        origin = self.pointer(base.moved(-ahead * step), type)
        count = _sum(i, ahead) if place.stride > 0 else f"({ahead} - {i})"
        assert rest % size == 0
        return f"{origin} + {count} * {step // size}"

    def declaration(self, number: int, offset: int, values: str = "") -> str:
        """The pointer to temporary ``number``, which starts ``offset`` bytes into the arena and holds ``values``."""
        kind = self.buffers.records[number].type
        ctype, held = STORAGE[kind.dtype], f"{values}: " if values else ""
        return f"{ctype} *const {self.name(number)} = ({ctype} *)(arena + {offset}); /* {held}{kind} */"


def _sum(i: str, ahead: int) -> str:
    return i if not ahead else f"({i} {'+' if ahead > 0 else '-'} {abs(ahead)})"
