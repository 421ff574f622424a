"""The page of classes, generated from docstrings and signatures."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import genesis
from genesis import amp, autograd, distributions, nn, optim
from genesis.functions.table import FUNCTIONS
from genesis.nn import init, utils
from genesis.optim import lr_scheduler, swa_utils
from genesis.step.program import CompiledFunction
from genesis.utils import data
from tests.declarations import call, cell, first_paragraph

PLACES = (nn, init, utils, optim, lr_scheduler, swa_utils, data, distributions, amp, autograd)


def classes_page() -> str:
    """``docs/classes.md``: a row for each class and function that is no op, with its arguments."""
    lines = [
        "# Classes, and functions that are no ops",
        "",
        "Written by `pytest --update-golden tests/genesis/test_declarations.py` from the docstrings. Names, arguments",
        "and defaults are PyTorch's, where PyTorch has the name. The functions on tensors stand in [api.md](api.md).",
        "",
        "## genesis",
        "",
        *_table(_own_functions()),
        "",
        "## A compiled step",
        "",
        "`genesis.compile` returns one.",
        "",
        *_table(_methods(CompiledFunction)),
    ]
    for module in PLACES:
        lines += ["", f"## {module.__name__}", "", first_paragraph(module), "", *_table(_public(module))]
    return "\n".join(lines) + "\n"


def _table(things: Iterable[tuple[str, Any]]) -> list[str]:
    rows = []
    for name, thing in things:
        plain = isinstance(thing, property) or (inspect.isclass(thing) and issubclass(thing, Exception))
        shown = f"`{name}`" if plain else call(name, thing)
        rows.append(f"| {shown} | {cell(first_paragraph(thing))} |")
    return ["| name | |", "|---|---|", *rows]


def _own_functions() -> list[tuple[str, Callable[..., Any]]]:
    made = ((name, getattr(genesis, name)) for name in sorted(genesis.__all__) if name not in FUNCTIONS)
    return [(name, thing) for name, thing in made if inspect.isfunction(thing)]


def _methods(kind: type) -> list[tuple[str, Any]]:
    made = ((name, inspect.getattr_static(kind, name)) for name in dir(kind) if not name.startswith("_"))
    return [(name, thing) for name, thing in made if inspect.isfunction(thing) or isinstance(thing, property)]


def _public(module: ModuleType) -> list[tuple[str, Any]]:
    """The classes and functions that ``module`` gives to users, without the packages that it uses."""
    names = getattr(module, "__all__", [name for name in dir(module) if not name.startswith("_")])
    made = ((name, getattr(module, name)) for name in sorted(names))
    own = ((name, thing) for name, thing in made if inspect.isclass(thing) or inspect.isfunction(thing))
    return [(name, thing) for name, thing in own if thing.__module__.startswith("genesis.")]
