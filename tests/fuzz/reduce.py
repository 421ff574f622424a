"""Makes a failing program smaller by leaving out what it can do without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.fuzz.program import Program, Statement


def reduced(program: Program, fails: Callable[[Program], bool]) -> Program:
    """The smallest program found that still ``fails``: each step of :func:`smaller` is tried until none helps."""
    while True:
        found = next((p for p in smaller(program) if fails(p)), None)
        if found is None:
            return program
        program = found


def smaller(program: Program) -> Iterator[Program]:
    """Programs with one thing less, the greatest steps first."""
    for term in program.terms:
        for kept in ((term,), tuple(t for t in program.terms if t != term)):
            if kept and kept != program.terms:
                yield from _trainable(replace(program, terms=kept))
    names = {s.name: s for s in program.statements}
    for s in reversed(program.statements):
        for operand in s.operands:
            if names[operand].shape == s.shape and names[operand].kind == s.kind:
                yield from _trainable(_without(program, s, operand))
    for t in program.terms:
        for operand in names[t].operands:
            if names[operand].kind == "float":
                terms = tuple(dict.fromkeys(operand if u == t else u for u in program.terms))
                yield from _trainable(replace(program, terms=terms))
    for option, plain in (
        ("autocast", ""), ("scaler", ""), ("clip", ""), ("scheduler", ""), ("optimizer", "SGD(parameters, lr=0.05)"),
        ("accumulate", 1), ("calls", 1), ("calls", 2), ("dtype", "float32"),
    ):  # fmt: skip
        if getattr(program, option) != plain and not (option == "calls" and program.calls <= int(plain)):
            yield replace(program, **{option: plain})


def _without(program: Program, gone: Statement, operand: str) -> Program:
    """The program with ``operand`` in place of a statement's result."""

    def renamed(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(operand if n == gone.name else n for n in names)

    statements = tuple(replace(s, operands=renamed(s.operands)) for s in program.statements if s is not gone)
    return replace(program, statements=statements, terms=tuple(dict.fromkeys(renamed(program.terms))))


def _trainable(program: Program) -> Iterator[Program]:
    """The program without what nothing reads, if a parameter is left."""
    program = program.pruned()
    names = {s.name: s for s in program.statements}
    reached = {n for n in names if names[n].setup}
    for s in program.statements:
        if s.grad and any(n in reached for n in s.operands):
            reached.add(s.name)
    if any(t in reached for t in program.terms):
        yield program
