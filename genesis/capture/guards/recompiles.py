"""Why a function was compiled again: one rule for shapes, argument values, closures, attributes and modes."""

from __future__ import annotations

import warnings
from collections.abc import Hashable
from dataclasses import dataclass

from compiler.errors import GenesisWarning, RecompileError
from genesis.capture.guards.report import get, shown
from genesis.tables import Table

WARN_RECOMPILES = 8
"""Compilations for one cause at which a warning names it; again at 16 and 32."""
MAX_RECOMPILES = 32
"""Compilations for one cause after which another is an error: a function keeps as many programs."""

Signature = dict[str, Hashable]
"""Everything a program depends on, by name."""

EVICTED = "(no change)"


@dataclass
class Cause:
    """A thing that changed, its last change, and how many compilations it caused."""

    before: Hashable
    after: Hashable
    count: int = 0


class Recompiles:
    """The compilations of a function and their causes.

    A new signature is compared with the most similar one that was compiled before; what differs is the cause. A program
    that was dropped and is compiled again counts as well.
    """

    def __init__(self, function: str) -> None:
        self.function = function
        self.causes: dict[str, Cause] = {}
        self._signatures: list[Signature] = []

    def check(self, signature: Signature) -> None:
        """Warn where a cause compiles too often; RecompileError at the limit, before anything is compiled."""
        for name, before, after in self._changes(signature):
            count = self.causes[name].count + 1 if name in self.causes else 1
            change = _change(name, before, after)
            if name == EVICTED:
                change = f"it has more than {MAX_RECOMPILES} programs in turn, and the oldest are dropped"
            if count > MAX_RECOMPILES:
                times = f"{MAX_RECOMPILES} times"
                raise RecompileError(
                    f"{self.function} was compiled again {times} because {change}.\n  {_advice(name, before, after)}"
                )
            if count >= WARN_RECOMPILES and not count & (count - 1):
                warnings.warn(
                    f"{self.function} is compiled again, the {count}th time because {change}.\n"
                    f"  {_advice(name, before, after)} explain_recompiles() shows all causes.",
                    GenesisWarning,
                    stacklevel=4,
                )

    def add(self, signature: Signature) -> str:
        """A program for ``signature`` was compiled; returns why, in words."""
        changes = self._changes(signature)
        for name, before, after in changes:
            cause = self.causes.setdefault(name, Cause(before, after))
            cause.before, cause.after = before, after
            cause.count += 1
        first = not self._signatures
        if signature not in self._signatures:
            self._signatures.append(signature)
            del self._signatures[: -4 * MAX_RECOMPILES]
        if first:
            return "it was called for the first time"
        return ", and ".join(
            "its program had been dropped" if name == EVICTED else _change(name, before, after)
            for name, before, after in changes
        )

    def table(self) -> Table:
        """Cause, its last change, how many compilations it caused, and how to avoid them."""
        rows = [
            (name, shown(c.before), shown(c.after), str(c.count), _advice(name, c.before, c.after))
            for name, c in sorted(self.causes.items(), key=lambda item: -item[1].count)
        ]
        return Table(("changed", "from", "to", "times", "how to avoid it"), rows, f"{self.function}: no recompilations")

    def _changes(self, signature: Signature) -> list[tuple[str, Hashable, Hashable]]:
        """The differences from the most similar earlier signature, the latest of equals."""
        closest: list[tuple[str, Hashable, Hashable]] | None = None
        for earlier in reversed(self._signatures):
            names = {**earlier, **signature}
            found = [(n, get(earlier, n), get(signature, n)) for n in names if get(earlier, n) != get(signature, n)]
            if closest is None or len(found) < len(closest):
                closest = found
        return [(EVICTED, None, None)] if closest == [] else closest or []


def _change(name: str, before: Hashable, after: Hashable) -> str:
    return f"{name} changed (from {shown(before)} to {shown(after)})"


def _advice(name: str, before: Hashable, after: Hashable) -> str:
    if name == EVICTED:
        return "Use fewer shapes and values, or a compiled function for each group of them."
    match before, after:
        case (str(), tuple(), _, _, *_), (str(), tuple(), _, _, *_):
            return next((text for old, new, text in zip(before, after, _ARRAYS, strict=False) if old != new), _KEEP)
        case (None, type() | (str(), tuple(), _, _, *_)) if not name.startswith("argument "):
            return "A call that finds there what the one before kept compiles once."
    if not name.startswith("argument "):
        return "Pass a value that changes as a float or tensor argument of the step; keep it out of the closure."
    return "Pass it as a float or a tensor, which may change at no cost."


_ARRAYS = (
    "Pass one kind of array in one dtype: convert it before the call.",
    "Pad to a few shapes; a DataLoader with drop_last=True gives whole batches only.",
    "Pass it in one layout: contiguous() makes it one.",
    "Pass it always detached, or always with a gradient.",
)
"""Advice for a tensor whose dtype, shape, strides or gradient changed, in the order of its signature."""

_KEEP = "Pass tensors of one class, with the same attributes."
