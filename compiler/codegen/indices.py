"""Spells index maps: a sum of loop variables times numbers, with the target's own division."""

from __future__ import annotations

from compiler.index import Index, Var


def index_text(index: Index, divide: str, widen: str = "") -> str:
    """An index as an expression; ``divide`` is the target's operator for quotients of whole numbers.

    ``widen``, such as ``".to(tl.int64)"``, converts each variable, those in quotients too.
    """
    parts = []
    for var, c in index.terms:
        name = _variable(var, divide, widen)
        parts.append(name if c == 1 else f"{name} * {c}")
    if index.constant or not parts:
        parts.append(str(index.constant))
    return " + ".join(parts).replace("+ -", "- ")


def bracketed(text: str) -> str:
    """``text`` as an operand: a name as it is, anything else in brackets."""
    return text if text.isidentifier() else f"({text})"


def _variable(var: Var, divide: str, widen: str) -> str:
    if var.of is None or var.op == "=":
        return f"{bracketed(var.name)}{widen}" if widen else var.name
    operand = index_text(var.of, divide, widen)
    operand = f"({operand})" if " " in operand else operand
    return f"{operand} {divide if var.op == '/' else '%'} {var.by}" if var.by > 1 else operand
