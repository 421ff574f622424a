"""``step.explain_amp()``: which rule of autocast fired for each op, the types it runs in, why each cast is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from compiler.casts import RULES, Decision
from genesis.tables import Table


class AmpReport(list[Decision]):
    """The decisions in the order of the program; ``print`` it for a table."""

    def __init__(self, name: str, found: Sequence[Decision]) -> None:
        super().__init__(found)
        self.name = name

    def __str__(self) -> str:
        listed = [d for d in self if d.rule]
        if not listed:
            return f"{self.name}: autocast changed nothing; every op runs in the types of its operands"
        rows = [row for d in self for row in _rows(d)]
        fates = Counter(cast.fate for d in listed for cast in d.casts)
        counts = ", ".join(f"{n} {fate}" for fate, n in fates.items())
        rules = [f"  {rule or 'none'}: {text}" for rule, text in RULES.items() if any(d.rule == rule for d in self)]
        return "\n".join(
            [
                f"{self.name}: autocast decided on {len(listed)} of {len(self)} ops; casts: {counts or 'none'}",
                *rules,
                "",
                str(Table(("op", "line", "rule", "in", "runs in", "out", "cast", "what became of it"), rows)),
            ]
        )

    __repr__ = __str__


def _rows(decision: Decision) -> list[tuple[str, ...]]:
    """One row for the op, with its first cast, and one for each further cast."""
    inputs = ",".join(d.short for d in decision.inputs)
    outputs = ",".join(d.short for d in decision.outputs)
    head = decision.op, str(decision.loc), decision.rule or "none", inputs, decision.compute.short, outputs
    casts = [
        (f"{c.value}: {c.source.short} to {c.to.short}", f"{c.fate}: {c.why}" if c.why else c.fate)
        for c in decision.casts
    ] or [("", "")]
    return [(*(head if i == 0 else [""] * len(head)), *cast) for i, cast in enumerate(casts)]
