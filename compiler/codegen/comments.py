"""Comments of generated text: the user's names, the places and the values that a kernel serves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from compiler.callers import shown
from compiler.ir.graph import Node

MOST = 4
"""The number of items shown of a list that may be long."""


def comment(text: str) -> str:
    r"""``text`` that ends no comment, no string and no line: ``_`` for what does not print and for ``\ * ? "``.

    Names come from attributes, dictionaries and checkpoints: they may hold anything.
    """
    return "".join(c if c.isprintable() and c not in '\\*?"' else "_" for c in text)


def first(words: Sequence[str], separator: str = ", ") -> str:
    """The first few of ``words``, and how many more there are."""
    more = [f"{len(words) - MOST} more"] if len(words) > MOST else []
    return separator.join([*words[:MOST], *more])


def values(names: Iterable[str]) -> str:
    """Names of values, as the IR writes them."""
    return first([f"%{name}" for name in dict.fromkeys(names) if name])


def made(nodes: Iterable[Node]) -> tuple[str, ...]:
    """The names of the results of ``nodes``."""
    return tuple([v.name for node in nodes for v in node.outputs])


def origins(nodes: Sequence[Node]) -> list[str]:
    """A line for each of the first few kernels ``nodes``: where in the user's program it comes from, and its values."""
    lines = [": ".join(filter(None, (_places(node), values(made([node]))))) for node in nodes[:MOST]]
    return list(dict.fromkeys(lines)) + ([f"and {len(nodes) - MOST} more"] if len(nodes) > MOST else [])


def _places(node: Node) -> str:
    """The lines of the ops of a kernel, each with its modules; of a copy, that of the kernel."""
    found: dict[str, dict[str, None]] = {}
    for loc in [n.loc for n in node.inner.nodes if not n.op.is_free] or [node.loc]:
        line = shown(loc.file, loc.line) if loc.file or not loc.note else ""
        found.setdefault(line, {})[loc.within()] = None
    return first([f"{line} {first([*filter(None, modules)])}".strip() for line, modules in found.items()], "; ")
