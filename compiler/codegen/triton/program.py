"""A step in Triton: one readable module, the launches in order, and the memory they work on. Plain data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from compiler.places import Anywhere, Moving, Place
from compiler.plan import Check, Slot


@dataclass(frozen=True)
class Buffer:
    """Memory of a step.

    ``kind``: "state", "scalar", "input" or "output" for slot number ``index``; "temporary" for one that starts at byte
    ``index`` of the arena; "status" for the word of check number ``index``; "table" for table number ``index``.
    """

    kind: str
    index: int
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Kernel:
    """A function of the module: its parameters with their Triton types, and how it is compiled.

    ``aligned`` are the parameters that are multiples of 16 bytes in every launch.
    """

    name: str
    parameters: tuple[tuple[str, str], ...]
    aligned: tuple[str, ...]
    warps: int
    stages: int


@dataclass(frozen=True)
class Launch:
    """``grid`` programs of kernel number ``kernel``, with places in the buffers as arguments.

    For people: the IR ops, the places in the user's program, and the bytes read and written, each element once.
    """

    kernel: int
    grid: tuple[int, int, int]
    arguments: tuple[Anywhere, ...]
    ops: tuple[str, ...]
    places: tuple[str, ...]
    nbytes: int


@dataclass(frozen=True)
class Repeat:
    """``steps`` in each of ``length`` iterations of loop ``number``, by which places in it move."""

    number: int
    length: int
    steps: tuple[Launch | Repeat, ...]


Step = Launch | Repeat


@dataclass(frozen=True)
class TritonProgram:
    """A step for one target.

    A run needs: states, scalars and inputs in ``slots`` order; every status word set to ``UNTOUCHED``; ``tables``
    filled once, each entry a number or an address. States are updated in place; their addresses are multiples of 16
    bytes. A status word that changed says what check failed: the element in its high half, the index it found, as a
    signed number, in its low half. States are then as before.
    """

    name: str
    target: str
    source: str
    slots: tuple[Slot, ...]
    buffers: tuple[Buffer, ...]
    arena_bytes: int
    tables: tuple[tuple[int | Place, ...], ...]
    kernels: tuple[Kernel, ...]
    steps: tuple[Step, ...]
    checks: tuple[Check, ...]

    @property
    def launches(self) -> list[Launch]:
        """What runs, in order."""
        return [launch for launch, _ in self.unrolled()]

    def unrolled(self) -> Iterator[tuple[Launch, dict[int, int]]]:
        """What runs, in order, and in which iterations of the loops around, by number of the loop."""
        yield from _unrolled(self.steps, {})

    def to_json(self) -> str:
        """The program as text."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> TritonProgram:
        """The program of :meth:`to_json`'s text."""
        data = json.loads(text)
        for field, record in _RECORDS.items():
            data[field] = tuple(_thawed(record, item) for item in data[field])
        tables = data["tables"]
        data["tables"] = tuple(tuple(e if isinstance(e, int) else Place(**e) for e in table) for table in tables)
        data["steps"] = tuple(map(_step, data["steps"]))
        return TritonProgram(**data)


_RECORDS = {"slots": Slot, "buffers": Buffer, "kernels": Kernel, "checks": Check}
UNTOUCHED = 2**63 - 1


def _unrolled(steps: Sequence[Step], iterations: dict[int, int]) -> Iterator[tuple[Launch, dict[int, int]]]:
    for step in steps:
        if isinstance(step, Launch):
            yield step, iterations
        else:
            for i in range(step.length):
                yield from _unrolled(step.steps, {**iterations, step.number: i})


def _thawed(record: Any, data: dict[str, Any]) -> Any:
    """A record from its JSON form, in which tuples are lists."""
    return record(**{key: _tuple(value) if isinstance(value, list) else value for key, value in data.items()})


def _step(data: dict[str, Any]) -> Step:
    if "steps" in data:
        return Repeat(data["number"], data["length"], tuple(map(_step, data["steps"])))
    launch: Launch = _thawed(Launch, data)
    return replace(launch, arguments=tuple(map(_place, data["arguments"])))


def _place(data: dict[str, Any]) -> Anywhere:
    if "buffer" in data:
        return Place(**data)
    first, odd, even = (_place(data[way]) for way in ("first", "odd", "even"))
    return Moving(data["loop"], first, odd, even, data["stride"])


def _tuple(items: list[Any]) -> tuple[Any, ...]:
    return tuple(_tuple(item) if isinstance(item, list) else item for item in items)


def finding(check: Check, status: int) -> str:
    """The message for a status word that a check left behind."""
    index = (status & 0xFFFFFFFF ^ 0x80000000) - 0x80000000
    return check.finding(index, status >> 32)
