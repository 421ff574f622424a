"""How C starts and joins reductions: one after the other, in vector loops, and from the partial results of chunks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from compiler.codegen.c.spelling import COMPUTE, JOINS, STORAGE, literal, spell
from compiler.codegen.c.writer import Writer
from compiler.ir.op import OPS
from compiler.ir.types import DType


def start_text(op: str, dtype: DType) -> str:
    """The start of a reduction of ``dtype``."""
    return literal(OPS[op].neutral(dtype), dtype)


def join_text(op: str, dtype: DType, total: str, term: str) -> str:
    """Join ``term`` to ``total``, one after the other; a NaN stays."""
    join = OPS[op].join
    if _forgets_nan(op, dtype):
        return f"{total} = {spell(join, dtype, [term, total])};"
    return JOINS[join][0].format(total, term)


def _forgets_nan(op: str, dtype: DType) -> bool:
    """Whether the join of a vector loop does: the extrema of floats."""
    return OPS[op].join in ("maximum", "minimum") and dtype.kind == "float"


@dataclass
class VectorLoop:
    """The parts of a vector loop besides its body: clauses of the pragma, statements at the end of the body and after.

    ``before`` writes a statement in front of the loop.
    """

    before: Callable[[str], None]
    clauses: list[str] = field(default_factory=list)
    joins: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)

    def join(self, op: str, dtype: DType, total: str, term: str) -> None:
        """Join ``term`` to ``total`` in the loop. Vector max and min forget a NaN, which goes into a flag."""
        join, clause = JOINS[OPS[op].join]
        self._reduce(clause, total)
        self.joins.append(join.format(total, term))
        if _forgets_nan(op, dtype):
            if self._reduce("|", f"nan_{total}"):
                self.before(f"int nan_{total} = 0;")
                self.after.append(f"if (nan_{total}) {total} = NAN;")
            self.joins.append(f"nan_{total} |= {term} != {term};")

    def _reduce(self, clause: str, total: str) -> bool:
        """Let vectors have a ``total`` in each lane; False if they have."""
        text = f"reduction({clause}:{total})"
        new = text not in self.clauses
        self.clauses += [text] * new
        return new

    @property
    def pragma(self) -> str:
        """The line in front of the loop."""
        return f"#pragma omp simd{''.join(' ' + c for c in self.clauses)}"


def combine_text(op: str, dtype: DType) -> tuple[str, str]:
    """(name, text) of the function that joins partial results in chunk order."""
    name = f"combine_{op}_{dtype.short}"
    kind = COMPUTE[dtype]
    out = Writer()
    out("/* Joins the partial results of chunks, in their order. */")
    out(f"NOINLINE void {name}(long begin, long end, const {kind} *restrict partial,")
    head = f"    long chunks, long width, {STORAGE[dtype]} *restrict out)"
    with out.block(head), out.block("for (long c = begin; c < end; c++)"):
        out(f"{kind} total = {start_text(op, dtype)};")
        join = join_text(op, dtype, "total", "partial[chunk * width + c]")
        out.nest("for (long chunk = 0; chunk < chunks; chunk++)", [join])
        out("out[c] = total;" if not dtype.is_half else f"out[c] = f32_to_{dtype.short}(total);")
    return name, out.text()
