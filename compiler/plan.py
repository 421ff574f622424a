"""The plan: what the runtime needs to run a step, as plain data. Written by a code generator, read by an executor."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from compiler.errors import DivisionError, GenesisError, OutOfRangeError
from compiler.ir.location import Loc, Phase


@dataclass(frozen=True)
class Slot:
    """One argument of the entry point. ``kind``: "state", "scalar", "input" or "output"; ``dtype`` in IR spelling."""

    kind: str
    label: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Check:
    """What a status code of the step means: ``what`` was outside ``[0, size)`` at ``place``, or, without a size, zero.

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
        """What a call raises for ``index`` found at ``element``."""
        message = self.finding(index, element)
        return DivisionError(message) if self.size is None else OutOfRangeError(message)


@dataclass(frozen=True)
class Launch:
    """One kernel run, for people and for profiles: its function, IR ops, location, work and phase.

    ``flops``: floating-point operations; ``nbytes``: bytes of memory read and written, each once.
    """

    kernel: str
    kind: str
    ops: tuple[str, ...]
    loc: Loc
    flops: int
    nbytes: int
    phase: Phase = "forward"

    @property
    def place(self) -> str:
        """The location as text, such as ``model.py:12 net.fc [grad]``."""
        return str(self.loc)


@dataclass(frozen=True)
class Plan:
    """A step in generated code.

    ``source`` is one C file whose entry ``step(pool, threads, args, status)`` takes the addresses of ``slots`` in
    order, then of the arena and of the scratch memory. Scratch is the largest of ``shared + threads * private`` over
    ``scratch``. ``threads``: how many are worth using, 0 for all. The source of a timed plan also takes the address of
    f64[threads, launches, 2]: the seconds that each thread spends in each launch, and waiting for the others behind it.
    ``kept_bytes``: what the forward pass leaves in the arena for the backward pass.
    """

    name: str
    target: str
    source: str
    slots: tuple[Slot, ...]
    arena_bytes: int
    scratch: tuple[tuple[int, int], ...]
    threads: int
    launches: tuple[Launch, ...]
    checks: tuple[Check, ...] = field(default=())
    kept_bytes: int = 0

    def scratch_bytes(self, threads: int) -> int:
        return max((shared + threads * private for shared, private in self.scratch), default=0)

    def to_json(self) -> str:
        """The plan as text."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Plan:
        """The plan of :meth:`to_json`'s text."""
        data = json.loads(text)
        data["slots"] = tuple(Slot(**{**s, "shape": tuple(s["shape"])}) for s in data["slots"])
        data["scratch"] = tuple((a, b) for a, b in data["scratch"])
        data["launches"] = tuple(
            Launch(**{**x, "ops": tuple(x["ops"]), "loc": Loc(**x["loc"])}) for x in data["launches"]
        )
        data["checks"] = tuple(Check(**c) for c in data["checks"])
        return Plan(**data)
