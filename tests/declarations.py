"""Texts that are generated from the tables of names: the stubs for editors and mypy, and the page of the API."""

from __future__ import annotations

import builtins
import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterable
from inspect import Parameter, Signature
from typing import Any

import genesis
from genesis.functions.table import FUNCTIONAL, FUNCTIONS, IN_PLACE, METHODS, OVERWRITING, Table
from genesis.methods import Methods
from genesis.tensor import Tensor

_WIDTH = 120
_SHADOWED = ("float", "int", "bool", "type")
"""Types whose names are also names of methods: in the stub of the class they are written ``builtins.float``."""

_INSIDE = ("shows_as", "value", "view_as_op", "write")
"""What Genesis itself uses of a Tensor."""

_WRITTEN = "# Written by `pytest --update-golden tests/genesis/test_declarations.py`.\n"


def reexports(table: Table, doc: str) -> str:
    """A stub with the functions of ``table``, each from the file of its family."""
    lines, aliases = [], []
    overwriting = [name for name in table if name in OVERWRITING]
    if overwriting:
        lines.append("from genesis.methods import Methods as _Methods")
        aliases += [f"{name} = _Methods.{name}" for name in overwriting]
    for name, function in table.items():
        if name in overwriting:
            continue
        made = function.__wrapped__  # type: ignore[attr-defined]
        module = sys.modules[made.__module__]
        names = [n for n, thing in vars(module).items() if thing is made]
        if not names:
            raise LookupError(f"{module.__name__} gives the name {name!r} of its function to another thing below")
        own = name if name in names else names[0]
        if own == name:
            lines.append(f"from {module.__name__} import {own} as {name}")
        else:
            aliases.append(f"{name} = {own}")
    text = "\n".join([*sorted(lines, key=_import_order), *([""] if aliases else []), *sorted(aliases)])
    return f'"""{doc}"""\n\n{_WRITTEN}\n{text}\n'


def _import_order(line: str) -> tuple[str, str]:
    module, _, name = line.removeprefix("from ").partition(" import ")
    return module, name


def methods_stub() -> str:
    """The stub of the base of Tensor: all methods, operators and properties that come from functions."""
    made: list[str] = []
    namespaces: dict[str, str] = {"Any": "typing"}
    for name, thing in sorted(vars(Methods).items()):
        if isinstance(thing, property):
            made.append(_property(name, thing))
        elif callable(thing) and not isinstance(thing, builtins.type):
            made += _method(name, thing)
            _note_names(thing, namespaces)
    by_module: dict[str, list[str]] = {}
    for name, module in namespaces.items():
        by_module.setdefault(module, []).append(name)
    imports = [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(by_module.items())]
    body = "\n".join(made)
    head = '"""The methods of a Tensor that are functions of ``genesis.functions``."""\n\n' + _WRITTEN
    first = ["import builtins"] + [line for line in imports if not line.startswith(("from genesis", "from compiler"))]
    first += ["from typing import overload"] if "@overload" in body else []
    own = [line for line in imports if line.startswith(("from genesis", "from compiler"))]
    if not any("import Tensor" in line for line in own):
        own.append("from genesis.tensor import Tensor")
    return f"{head}\n" + "\n".join([*_merged(first), "", *sorted(own)]) + f"\n\nclass Methods:\n{body}\n"


def _merged(imports: list[str]) -> list[str]:
    """Imports with the names of one module on one line."""
    found: dict[str, set[str]] = {}
    plain = [line for line in imports if line.startswith("import ")]
    for line in imports:
        if line.startswith("from "):
            module, _, names = line.removeprefix("from ").partition(" import ")
            found.setdefault(module, set()).update(names.split(", "))
    return plain + [f"from {m} import {', '.join(sorted(n, key=_isort))}" for m, n in sorted(found.items())]


def _isort(name: str) -> tuple[int, str]:
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def _note_names(function: Callable[..., Any], found: dict[str, str]) -> None:
    """The names that the annotations of ``function`` use, with the modules that have them."""
    for one in [function, *typing.get_overloads(inspect.unwrap(function))]:
        space = inspect.unwrap(one).__globals__
        takes = inspect.signature(one)
        notes = [p.annotation for p in list(takes.parameters.values())[1:]] + [takes.return_annotation]
        for word in {w for note in notes for w in re.findall(r"\b[A-Za-z_]\w*\b", str(note))}:
            thing = space.get(word)
            if thing is not None and word not in vars(builtins):
                home = getattr(thing, "__module__", None)
                alias = not isinstance(thing, builtins.type) and home in ("typing", "types")
                if alias and word != "Any":
                    home = next(m.__name__ for m in _families() if vars(m).get(word) is thing)
                found[word] = str(home)


def _families() -> Iterable[Any]:
    return (m for name, m in sorted(sys.modules.items()) if name.startswith("genesis.functions."))


def _method(name: str, function: Callable[..., Any]) -> list[str]:
    overloads = typing.get_overloads(inspect.unwrap(function)) if name in METHODS else []
    ignored = "  # type: ignore[override]" if name in ("__eq__", "__ne__") else ""
    lines: list[str] = []
    for one in overloads:
        doc = first_paragraph(function) if one is overloads[0] else ""
        lines += ["    @overload", _definition(name, inspect.signature(one), "", doc)]
    return lines or [_definition(name, inspect.signature(function), ignored, first_paragraph(function))]


def _definition(name: str, takes: Signature, ignored: str, doc: str) -> str:
    parameters = list(takes.parameters.values())
    shown = ["self", *_parameters(parameters[1:])]
    back = _type(takes.return_annotation)
    end = f") -> {back}:" + (f'{ignored}\n        """{doc}"""' if doc else f" ...{ignored}")
    line = f"    def {name}({', '.join(shown)}{end}"
    if len(line.partition("\n")[0]) <= _WIDTH:
        return line
    inner = ", ".join(shown)
    if len(inner) + 8 <= _WIDTH:
        return f"    def {name}(\n        {inner}\n    {end}"
    return f"    def {name}(\n" + "".join(f"        {s},\n" for s in shown) + f"    {end}"


def _parameters(parameters: Iterable[Parameter]) -> list[str]:
    shown: list[str] = []
    starred = False
    for p in parameters:
        if p.kind is Parameter.KEYWORD_ONLY and not starred:
            shown.append("*")
        starred = starred or p.kind in (Parameter.VAR_POSITIONAL, Parameter.KEYWORD_ONLY)
        default = "" if p.default is Parameter.empty else f" = {_literal(p.default)}"
        shown.append(f"{_stars(p)}{p.name}: {_type(p.annotation)}{default}")
    return shown


def _stars(p: Parameter) -> str:
    return {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}.get(p.kind, "")


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _type(annotation: Any) -> str:
    if annotation in (Signature.empty, "Any"):
        return "Any"
    return re.sub(rf"(?<![.\w])({'|'.join(_SHADOWED)})\b", r"builtins.\1", str(annotation))


def first_paragraph(function: Callable[..., Any] | property) -> str:
    text = inspect.getdoc(function) or ""
    return text.partition("\n\n")[0].replace("\n", " ")


def _property(name: str, made: property) -> str:
    back = inspect.signature(made.fget).return_annotation if made.fget else "Any"
    lines = [f'    @property\n    def {name}(self) -> {_type(back)}:\n        """{first_paragraph(made)}"""']
    if made.fset is not None:
        given = list(inspect.signature(made.fset).parameters.values())[1]
        lines.append(f"    @{name}.setter\n    def {name}(self, {given.name}: {_type(given.annotation)}) -> None: ...")
    return "\n".join(lines)


def api_page() -> str:
    """``docs/api.md``: every function by family, with the places that have it."""
    lines = [
        "# Functions",
        "",
        "Written by `pytest --update-golden tests/genesis/test_declarations.py` from the docstrings of",
        "[genesis/functions/](../genesis/functions/). The names, arguments and results are PyTorch's. The columns say",
        "whether `genesis`, `Tensor` (and, in place, `Tensor.name_`) and `nn.functional` have a name.",
    ]
    where = ((FUNCTIONS, "genesis"), (METHODS, "Tensor"), (FUNCTIONAL, "nn.functional"))
    names = sorted({*FUNCTIONS, *METHODS, *FUNCTIONAL} - OVERWRITING)
    for module in _families():
        rows = []
        for name in names:
            for function in dict.fromkeys(table[name] for table, _ in where if name in table):
                if function.__wrapped__.__module__ == module.__name__:
                    places = [shown for table, shown in where if table.get(name) is function]
                    places += ["in place"] if IN_PLACE.get(f"{name}_") is function else []
                    rows.append(f"| {call(name, function)} | {', '.join(places)} | {cell(first_paragraph(function))} |")
        if rows:
            title = module.__name__.rpartition(".")[2]
            lines += ["", f"## {title}", "", first_paragraph(module), "", "| function | in | |", "|---|---|---|", *rows]
    lines += ["", "## Tensor", "", "Methods and properties that are no functions.", "", "| name | |", "|---|---|"]
    for name, thing in attributes_of_a_tensor():
        own = name not in METHODS and name not in IN_PLACE and name not in _INSIDE and not name.startswith("_")
        if own and (isinstance(thing, property) or callable(thing)):
            shown = f"`{name}`" if isinstance(thing, property) else call(name, thing)
            lines.append(f"| {shown} | {cell(first_paragraph(thing))} |")
    return "\n".join(lines) + "\n"


def attributes_of_a_tensor() -> list[tuple[str, Any]]:
    """What Tensor and its bases have, by name."""
    return sorted({name: x for base in reversed(Tensor.__mro__) for name, x in vars(base).items()}.items())


def call(name: str, function: Callable[..., Any]) -> str:
    shown = []
    starred = False
    for p in inspect.signature(function).parameters.values():
        if p.name == "self":
            continue
        if p.kind is Parameter.KEYWORD_ONLY and not starred:
            shown.append("*")
        starred = starred or p.kind in (Parameter.VAR_POSITIONAL, Parameter.KEYWORD_ONLY)
        shown.append(f"{_stars(p)}{p.name}" + ("" if p.default is Parameter.empty else f"={_literal(p.default)}"))
    return f"`{name}({', '.join(shown)})`"


def cell(text: str) -> str:
    text = re.sub(r":\w+:`~?([\w.]+)`", r"`\1`", text).replace("``", "`")
    return text.replace("|", "\\|")


def declarations() -> dict[str, str]:
    """The generated files, by path from the root of the repository."""
    assert genesis.functions  # the tables are full
    return {
        "genesis/functions/__init__.pyi": reexports(FUNCTIONS, "The functions of the top level, ``genesis``."),
        "genesis/nn/functional.pyi": reexports(FUNCTIONAL, "Functions behind the layers."),
        "genesis/methods.pyi": methods_stub(),
        "docs/api.md": api_page(),
    }
