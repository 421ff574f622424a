"""The plan: what the runtime needs to run a step, as plain data. Written by a code generator, read by an executor."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from compiler.errors import DivisionError, GenesisError, OutOfRangeError
from compiler.ir.location import Loc, Phase
from compiler.ir.types import TensorType, dtype
from compiler.places import Anywhere, Place, place_of


@dataclass(frozen=True)
class Slot:
    """One argument of the entry point. ``kind``: "state", "scalar", "input" or "output"; ``dtype`` in IR spelling.

    On a GPU also "half" and "shadow", which the device keeps and no caller gives: what stands in place of a state, and
    what stands beside it; see :mod:`compiler.narrow_states`.
    """

    kind: str
    label: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return TensorType(dtype(self.dtype), self.shape).nbytes


@dataclass(frozen=True)
class Check:
    """The meaning of a step's status code: ``what`` was outside ``[0, size)`` at ``place``, or, without a size, zero.

    The step looks before it changes any state: a finding leaves them all as they were.
    """

    what: str
    size: int | None
    place: str

    def finding(self, index: int | str, element: int) -> str:
        """The message for ``index`` found at ``element``."""
        wrong = "by zero" if self.size is None else f"{index} is out of range [0, {self.size})"
        return f"{self.what} {wrong} (element {element})\n  at {self.place}\n  nothing was updated by this call"

    def error(self, index: int | str, element: int) -> GenesisError:
        """The error of a call for ``index`` found at ``element``."""
        message = self.finding(index, element)
        return DivisionError(message) if self.size is None else OutOfRangeError(message)


UNTOUCHED = 2**63 - 1
"""A status word of a GPU before any check has failed."""


def read_word(word: int) -> tuple[str, int]:
    """The index that a status word of a GPU holds, signed, in its low half, and the element, in its high half.

    A number that does not fit in 32 bits stands there as the nearest one that does.
    """
    index = (word & 0xFFFFFFFF ^ 0x80000000) - 0x80000000
    beyond = {2**31 - 1: " (or more)", -(2**31): " (or less)"}.get(index, "")
    return f"{index}{beyond}", word >> 32


@dataclass(frozen=True)
class Launch:
    """One kernel run: for people and for profiles its function, IR ops, locations, work and phase.

    ``flops``: floating-point operations; ``nbytes``: bytes of memory read and written, each once. ``loc``: where in the
    user's program it comes from, ``others`` too; ``compute``: the type of the operands of its products, "" where there
    are none. ``values``: the names of its results in the IR. On a GPU: ``grid`` programs with these places as
    ``arguments``. In C: ``nodes`` are the numbers, by :func:`compiler.ir.graph.numbered`, of the nodes that it runs.
    """

    kernel: str
    kind: str
    ops: tuple[str, ...]
    loc: Loc
    flops: int
    nbytes: int
    phase: Phase = "forward"
    others: tuple[Loc, ...] = ()
    compute: str = ""
    grid: tuple[int, int, int] = (1, 1, 1)
    arguments: tuple[Anywhere, ...] = ()
    nodes: tuple[int, ...] = ()
    values: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """The location as text, such as ``model.py:12 net.fc``."""
        return str(self.loc)

    @property
    def places(self) -> tuple[str, ...]:
        """All locations as text."""
        return tuple(dict.fromkeys(map(str, (self.loc, *self.others))))


@dataclass(frozen=True)
class Repeat:
    """``steps`` in each of ``length`` iterations of loop ``number``, by which places in it move."""

    number: int
    length: int
    steps: tuple[Launch | Repeat, ...]


Step = Launch | Repeat


@dataclass(frozen=True)
class Buffer:
    """Memory of a step on a GPU.

    ``kind``: "state", "half", "shadow", "scalar", "input" or "output" for slot number ``index``; "temporary" for one
    that starts at byte ``index`` of the arena; "status" for the word of check number ``index``; "table" for table
    number ``index``.
    """

    kind: str
    index: int
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Kernel:
    """A function of a Triton module: its parameters with their Triton types, and how it is compiled.

    ``aligned`` are the parameters that are multiples of 16 bytes in every launch.
    """

    name: str
    parameters: tuple[tuple[str, str], ...]
    aligned: tuple[str, ...]
    warps: int
    stages: int


@dataclass(frozen=True)
class Plan:
    """A step in generated code.

    Attributes:
        target: "c/" and an instruction set, or "sm_80" and so on.
        source: the text, a C file or a Triton module.
        slots: what a call takes and gives.
        arena_bytes: the size of the memory for temporaries.
        scratch: in C, what kernels need beside that: the largest of ``shared + threads * private``, in bytes.
        threads: how many are worth using, 0 for all.
        steps: what runs, in order.
        checks: what a status says.
        kept_bytes: what the forward pass leaves in the arena for the backward pass.
        buffers: on a GPU, the memory that places lie in, by number.
        tables: on a GPU, constants to be written once, each entry a number or an address.
        kernels: on a GPU, the functions of ``source``.
        refresh: on a GPU, the launches that make the shadows of states again.
        parts: on a GPU, the slot of each half or shadow, and of its state.
        written: on a GPU, the slots of states, halves and shadows that a run may change.

    The C file has an entry ``step(pool, threads, args, status)``, which takes the addresses of ``slots`` in order, then
    of the arena and of the scratch memory. A timed one also takes the address of f64[threads, launches, 2]: the seconds
    that each thread spends in each launch, and waiting for the others behind it. Loops stand in the file, so a launch
    in one stands once in ``steps``.

    A GPU needs the states, scalars and inputs in ``slots`` order, and every status word set to ``UNTOUCHED``; one that
    has changed says what check failed (:func:`read_word`). States are updated in place; their addresses are multiples
    of 16 bytes. After a failed check they are as before. A state with halves needs no memory of its own: the halves are
    what a run reads and changes. A run that changes a state changes its shadow too; where others have changed the state
    since, ``refresh`` runs first.
    """

    name: str
    target: str
    source: str
    slots: tuple[Slot, ...]
    arena_bytes: int
    scratch: tuple[tuple[int, int], ...]
    threads: int
    steps: tuple[Step, ...]
    checks: tuple[Check, ...] = ()
    kept_bytes: int = 0
    buffers: tuple[Buffer, ...] = ()
    tables: tuple[tuple[int | Place, ...], ...] = ()
    kernels: tuple[Kernel, ...] = ()
    refresh: tuple[Launch, ...] = ()
    parts: tuple[tuple[int, int], ...] = ()
    written: tuple[int, ...] = ()

    @property
    def launches(self) -> tuple[Launch, ...]:
        """The launches, in order."""
        return tuple([launch for launch, _ in self.unrolled()])

    def unrolled(self) -> Iterator[tuple[Launch, dict[int, int]]]:
        """The launches, in order, and their iterations of the loops around, by number of the loop."""
        yield from _unrolled(self.steps, {})

    @property
    def halved(self) -> frozenset[int]:
        """The slots of states that have halves."""
        return frozenset(state for part, state in self.parts if self.slots[part].kind == "half")

    def resident(self) -> dict[int, int]:
        """The bytes of memory that each state takes, by its slot."""
        halved = self.halved
        found = {i: 0 if i in halved else s.nbytes for i, s in enumerate(self.slots) if s.kind == "state"}
        for part, state in self.parts:
            found[state] += self.slots[part].nbytes
        return found

    def scratch_bytes(self, threads: int) -> int:
        """The size of the scratch memory."""
        return max((shared + threads * private for shared, private in self.scratch), default=0)

    def to_json(self) -> str:
        """The plan as text."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Plan:
        """The plan of :meth:`to_json`'s text."""
        data = _frozen(json.loads(text))
        for name, record in {"slots": Slot, "checks": Check, "buffers": Buffer, "kernels": Kernel}.items():
            data[name] = tuple(record(**item) for item in data[name])
        data["tables"] = tuple(tuple(e if isinstance(e, int) else Place(**e) for e in t) for t in data["tables"])
        data["steps"], data["refresh"] = (tuple(map(_step, data[name])) for name in ("steps", "refresh"))
        return Plan(**data)


def _unrolled(steps: Sequence[Step], iterations: dict[int, int]) -> Iterator[tuple[Launch, dict[int, int]]]:
    for step in steps:
        if isinstance(step, Launch):
            yield step, iterations
        else:
            for i in range(step.length):
                yield from _unrolled(step.steps, {**iterations, step.number: i})


def _frozen(data: Any) -> Any:
    """JSON with tuples in place of lists."""
    if isinstance(data, dict):
        return {key: _frozen(value) for key, value in data.items()}
    return tuple(map(_frozen, data)) if isinstance(data, list) else data


def _step(data: dict[str, Any]) -> Step:
    if "steps" in data:
        return Repeat(data["number"], data["length"], tuple(map(_step, data["steps"])))
    locs = [Loc(**loc) for loc in (data["loc"], *data["others"])]
    return Launch(
        **{**data, "loc": locs[0], "others": tuple(locs[1:]), "arguments": tuple(map(place_of, data["arguments"]))}
    )
