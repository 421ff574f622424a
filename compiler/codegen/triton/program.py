"""A step in Triton: one readable module, the launches in order, and the memory they work on. Plain data."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

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
class Reference:
    """A place in memory: ``nbytes`` into buffer number ``buffer``."""

    buffer: int
    nbytes: int = 0


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
    """``grid`` programs of kernel number ``kernel``.

    For people: the IR ops, the places in the user's program, and the bytes read and written, each element once.
    """

    kernel: int
    grid: tuple[int, int, int]
    arguments: tuple[Reference, ...]
    ops: tuple[str, ...]
    places: tuple[str, ...]
    nbytes: int


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
    tables: tuple[tuple[int | Reference, ...], ...]
    kernels: tuple[Kernel, ...]
    launches: tuple[Launch, ...]
    checks: tuple[Check, ...]

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
        data["tables"] = tuple(tuple(e if isinstance(e, int) else Reference(**e) for e in table) for table in tables)
        return TritonProgram(**data)


_RECORDS = {"slots": Slot, "buffers": Buffer, "kernels": Kernel, "launches": Launch, "checks": Check}
UNTOUCHED = 2**63 - 1


def _thawed(record: Any, data: dict[str, Any]) -> Any:
    """A record from its JSON form, in which tuples are lists."""
    found = {key: _tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    if record is Launch:
        found["arguments"] = tuple(Reference(**a) for a in data["arguments"])
    return record(**found)


def _tuple(items: list[Any]) -> tuple[Any, ...]:
    return tuple(_tuple(item) if isinstance(item, list) else item for item in items)


def finding(check: Check, status: int) -> str:
    """The message for a status word that a check left behind."""
    index = (status & 0xFFFFFFFF ^ 0x80000000) - 0x80000000
    return check.finding(index, status >> 32)
