"""Spells index maps: a sum of loop variables times numbers, with the target's own division."""

from __future__ import annotations

from compiler.index import Index, Var


def index_text(index: Index, divide: str = "/", widen: str = "") -> str:
    """An index as an expression; ``divide`` is the target's operator for quotients of whole numbers.

    ``widen``, such as ``".to(tl.int64)"``, converts each variable, those in quotients too.
    """
    index = _summed(index)
    parts = [(c, _times(_variable(var, divide, widen), abs(c))) for var, c in index.terms]
    if index.constant or not parts:
        parts.append((index.constant, str(abs(index.constant))))
    parts.sort(key=lambda part: part[0] < 0)
    first, text = parts[0]
    if first < 0:
        text = _times(_variable(index.terms[0][0], divide, widen), first) if index.terms else str(first)
    return text + "".join(f" {'-' if c < 0 else '+'} {part}" for c, part in parts[1:])


def bracketed(text: str) -> str:
    """``text`` as an operand: a name as it is, anything else in brackets."""
    return text if text.isidentifier() else f"({text})"


def _times(text: str, number: int) -> str:
    return text if number == 1 else f"{text} * {number}"


def _summed(index: Index) -> Index:
    """``index`` without quotients by 1, which windows have: they are sums themselves."""
    for var, c in index.terms:
        if var.of is not None and var.op == "/" and var.by == 1:
            rest = Index(tuple((v, k) for v, k in index.terms if v != var), index.constant)
            return _summed(rest + var.of * c)
    return index


def _variable(var: Var, divide: str, widen: str) -> str:
    if var.of is None or var.op == "=":
        return f"{bracketed(var.name)}{widen}" if widen else var.name
    of, by = _summed(var.of), var.by
    while var.op == "/" and len(of.terms) == 1 and not of.constant:
        ((inner, c),) = of.terms
        if c != 1 or inner.op != "/" or inner.of is None:
            break
        of, by = _summed(inner.of), by * inner.by  # a quotient of a quotient is one by the product
    operand = index_text(of, divide, widen)
    operand = f"({operand})" if len(of.terms) + bool(of.constant) > 1 else operand
    return f"{operand} {divide if var.op == '/' else '%'} {by}"
