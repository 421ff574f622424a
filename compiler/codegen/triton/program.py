"""A step in Triton: one readable module, the launches in order, and the memory they work on. Plain data."""

from __future__ import annotations

from dataclasses import dataclass

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
    """``grid`` programs of kernel number ``kernel``, for people: the IR ops and the places in the user's program."""

    kernel: int
    grid: tuple[int, int, int]
    arguments: tuple[Reference, ...]
    ops: tuple[str, ...]
    places: tuple[str, ...]


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


UNTOUCHED = 2**63 - 1


def finding(check: Check, status: int) -> str:
    """The message for a status word that a check left behind."""
    index = (status & 0xFFFFFFFF ^ 0x80000000) - 0x80000000
    return (
        f"{check.what} {index} is out of range [0, {check.size}) (element {status >> 32})\n"
        f"  at {check.place}\n  nothing was updated by this call"
    )
