"""List the names of PyTorch that scripts use, and whether Genesis has them; nothing is run.

Names are followed through imports and aliases, as `import torch.nn.functional as F`. Methods of tensors cannot be told
from other attributes without running the script; those that PyTorch's tensors have and Genesis's lack are listed apart,
as guesses. The exit code is 0 where all names are there, 1 where some are missing or out of scope, 2 where a file
cannot be read.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import logging
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from genesis.absent import advice, out_of_scope
from genesis.scope import reason_of
from genesis.tensor import Tensor

COMPILED, EAGER, MISSING, OUT = "compiled", "eager only", "missing", "out of scope"


class Use(NamedTuple):
    """A name of PyTorch, as ``nn.Linear``, and a line that uses it."""

    name: str
    line: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scripts", metavar="SCRIPT", nargs="+", help="Python files")
    parser.add_argument("--problems", action="store_true", help="list only what is missing or out of scope")


def run(arguments: argparse.Namespace) -> int:
    code = 0
    for script in arguments.scripts:
        try:
            with open(script, "rb") as file:
                tree = ast.parse(file.read(), script)
        except (OSError, SyntaxError, ValueError) as error:
            print(f"genesis: cannot read {script!r}: {error}", file=sys.stderr)
            code = 2
            continue
        found = list(_report(tree, arguments.problems))
        print(f"{script}:")
        print("\n".join(f"  {line}" for line in found))
        code = max(code, int(any(_status(use.name)[0] in (MISSING, OUT) for use in uses(tree))))
    return code


def _report(tree: ast.AST, problems: bool) -> Iterator[str]:
    """The lines of the list: names by their first line, guesses, totals."""
    first: dict[str, int] = {}
    for use in sorted(uses(tree), key=lambda use: use.line):
        first.setdefault(use.name, use.line)
    totals: Counter[str] = Counter()
    for name, line in first.items():
        kind, note = _status(name)
        totals[kind] += 1
        if not problems or kind in (MISSING, OUT):
            yield f"{line:5d}  {f'torch.{name}':<44} {kind}" + (f": {note}" if note else "")
    guessed: dict[str, int] = {}
    for use in methods(tree):
        guessed.setdefault(use.name, use.line)
    for name, line in guessed.items():
        yield f"{line:5d}  {f'.{name}':<44} perhaps a missing method of tensors: {_method(name)}"
    shown = ", ".join(f"{totals[kind]} {kind}" for kind in (COMPILED, EAGER, MISSING, OUT))
    yield f"{len(first)} names of torch: {shown}" + (f"; {len(guessed)} guessed" if guessed else "")


class _Names(ast.NodeVisitor):
    """Finds the uses of ``torch``; ``aliases`` tell what a name of the script stands for, ``""`` is torch itself."""

    def __init__(self) -> None:
        self.aliases: dict[str, str] = {}
        self.uses: list[Use] = []
        self.others: list[Use] = []

    def _use(self, name: str, node: ast.AST) -> None:
        if name:
            self.uses.append(Use(name, getattr(node, "lineno", 0)))

    def visit_Import(self, node: ast.Import) -> None:
        for item in node.names:
            top, _, rest = item.name.partition(".")
            if top == "torch":
                self.aliases[item.asname or "torch"] = rest if item.asname else ""
                self._use(rest, node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        top, _, rest = (node.module or "").partition(".")
        if top != "torch" or node.level:
            return
        for item in node.names:
            name = ".".join(part for part in (rest, item.name) if part)
            if item.name == "*":
                self._use(rest, node)
            else:
                self.aliases[item.asname or item.name] = name
                self._use(name, node)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        name = self._dotted(node.value)
        if name is not None and isinstance(_found(name), ModuleType):
            self.aliases.update({target.id: name for target in node.targets if isinstance(target, ast.Name)})

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = self._dotted(node)
        if name is not None:
            self._use(name, node)
            return
        self.others.append(Use(node.attr, node.lineno))
        self.visit(node.value)

    def _dotted(self, node: ast.AST) -> str | None:
        """The name behind ``torch`` that an expression spells, through aliases; None for another expression."""
        if isinstance(node, ast.Name):
            return self.aliases.get(node.id)
        if not isinstance(node, ast.Attribute):
            return None
        before = self._dotted(node.value)
        return None if before is None else f"{before}.{node.attr}" if before else node.attr


def _visited(tree: ast.AST) -> _Names:
    names = _Names()
    for node in ast.walk(tree):  # imports anywhere count for the whole script
        if isinstance(node, ast.Import | ast.ImportFrom):
            names.visit(node)
    names.uses.clear()
    names.visit(tree)
    return names


def uses(tree: ast.AST) -> list[Use]:
    """Every name of torch that a script uses."""
    return _visited(tree).uses


def methods(tree: ast.AST) -> list[Use]:
    """Attributes of other objects that are named as a method of PyTorch's tensors that Genesis does not have."""
    return [use for use in _visited(tree).others if _method(use.name) and not hasattr(Tensor, use.name)]


_COMMON = str, dict, list, Path, np.ndarray, logging.Logger
"""Classes whose methods scripts call as well: a method of theirs is no sign of a tensor."""


def _method(name: str) -> str | None:
    """The advice on a method of tensors."""
    common = advice(name) is None and any(hasattr(kind, name) for kind in _COMMON)
    return None if common else advice(f"torch.Tensor.{name}")


_ABSENT = object()


def _found(name: str) -> Any:
    """The object of a name, or the last one on the way that is no module or class; _ABSENT where there is none."""
    thing: Any = sys.modules["genesis"]
    path = "genesis"
    for part in name.split(".") if name else ():
        if not isinstance(thing, ModuleType | type):
            return thing
        path += f".{part}"
        try:
            thing = getattr(thing, part)
        except AttributeError:
            try:
                thing = importlib.import_module(path)
            except ImportError:
                return _ABSENT
    return thing


def _status(name: str) -> tuple[str, str]:
    """Whether a name is there, and a note."""
    found = _found(name)
    if found is not _ABSENT:
        mark = reason_of(found)
        return (EAGER, mark) if mark else (COMPILED, "")
    parts = name.split(".")
    count = next(n for n in range(1, len(parts) + 1) if _found(".".join(parts[:n])) is _ABSENT)
    reason = out_of_scope(f"torch.{'.'.join(parts[:count])}")
    if reason:
        return OUT, reason
    return MISSING, _text(_found(".".join(parts[: count - 1])), parts[count - 1])


def _text(owner: Any, name: str) -> str:
    """The advice in the error for a name that is missing."""
    try:
        getattr(owner, name)
    except AttributeError as error:
        return str(error).partition("\n")[0].partition("; ")[2]
    return ""
